use api_types::{Backup, BackupState, KeptBy, Protection};

use crate::{text, ui::Shape};

/// Returns the name of a database: that of its project, or `Platform`.
pub(super) fn target_name(title: Option<&str>, target: &str) -> String {
    match (title, target) {
        (_, "platform") => "Platform".to_owned(),
        (Some(title), _) => title.to_owned(),
        (None, target) => target.strip_prefix("project:").unwrap_or(target).to_owned(),
    }
}

pub(super) fn name_of(backup: &Backup) -> String {
    target_name(backup.title.as_deref(), &backup.target)
}

pub(super) fn name_of_protected(item: &Protection) -> String {
    target_name(item.title.as_deref(), &item.target)
}

/// Returns shape and words of a backup's state, and why it is so.
pub(super) fn state(backup: &Backup) -> (Shape, String, Option<String>) {
    match (backup.state, backup.verified_at) {
        (BackupState::Missing, _) => {
            (Shape::Failed, "Missing".to_owned(), Some("The dump is not in the store any more".to_owned()))
        }
        (BackupState::Failed, _) => (Shape::Failed, "Verification failed".to_owned(), backup.error_text.clone()),
        (BackupState::Verified, Some(at)) => (Shape::Succeeded, format!("Verified {}", text::day(at)), None),
        (BackupState::Verified, None) => (Shape::Succeeded, "Verified".to_owned(), None),
        (BackupState::Ready, _) => (Shape::Succeeded, "Ready".to_owned(), None),
    }
}

/// Returns why a backup is kept: `Last, weekly`.
pub(super) fn kept_because(backup: &Backup) -> String {
    if backup.state == BackupState::Missing {
        return "–".to_owned();
    }
    let word = |rule: &KeptBy| match rule {
        KeptBy::NoPolicy => "no rule removes it",
        KeptBy::Failed => "its verification failed",
        KeptBy::Last => "last",
        KeptBy::Daily => "daily",
        KeptBy::Weekly => "weekly",
        KeptBy::Monthly => "monthly",
    };
    let words = backup.kept_by.iter().map(word).collect::<Vec<_>>().join(", ");
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => "No rule keeps it".to_owned(),
    }
}

/// Returns when a backup goes: a day, or `stays`.
pub(super) fn goes(backup: &Backup) -> String {
    match backup.goes_at {
        Some(at) => text::day(at),
        None if backup.kept_by.contains(&KeptBy::NoPolicy) => "stays".to_owned(),
        None => "–".to_owned(),
    }
}

/// Returns the name of the dump's file.
pub(super) fn file_name(backup: &Backup) -> &str {
    backup.object_key.rsplit('/').next().unwrap_or(&backup.object_key)
}
