//! Texts about backups: names of databases, states and retention rules.

use api_types::{Backup, BackupRetention, BackupState, KeptBy, Protection};
use chrono::{DateTime, Duration, Utc};

use crate::{text, ui::Shape};

/// Age of the last verification after which a database counts as unverified.
const MAX_UNVERIFIED: Duration = Duration::days(30);

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

/// Returns whether the database is overdue and its last good backup is at least as old as the interval of its backup
/// job. Without a job, the limit is one day. If the interval is unknown, every overdue database with a good backup
/// counts as late. `overdue` alone is not enough: it is also true if only the schedule or the verification is missing.
pub(super) fn is_late(item: &Protection, now: DateTime<Utc>) -> bool {
    let Some(good) = &item.last_good else { return false };
    let interval = item.job.as_ref().map(|job| job.interval_seconds.unwrap_or_default());
    item.overdue && now - good.at >= interval.map_or(Duration::days(1), Duration::seconds)
}

/// Returns whether there is a good backup, but none was verified in the last 30 days.
pub(super) fn is_unverified(item: &Protection, now: DateTime<Utc>) -> bool {
    item.last_good.is_some() && item.last_verified_at.is_none_or(|at| now - at >= MAX_UNVERIFIED)
}

/// Returns the mark and the label of a backup's state, and the reason for a bad state.
pub(super) fn state(backup: &Backup) -> (Shape, String, Option<String>) {
    match (backup.state, backup.verified_at) {
        (BackupState::Missing, _) => {
            (Shape::Failed, "Missing".to_owned(), Some("The dump is no longer in the store".to_owned()))
        }
        (BackupState::Failed, _) => (Shape::Failed, "Verification failed".to_owned(), backup.error_text.clone()),
        (BackupState::Verified, Some(at)) => (Shape::Succeeded, format!("Verified {}", text::day(at)), None),
        (BackupState::Verified, None) => (Shape::Succeeded, "Verified".to_owned(), None),
        (BackupState::Ready, _) => (Shape::Succeeded, "Ready".to_owned(), None),
    }
}

/// Returns why a backup is kept, for example `Last 7, weekly`.
pub(super) fn kept_because(backup: &Backup, policy: Option<BackupRetention>) -> String {
    if backup.state == BackupState::Missing {
        return "–".to_owned();
    }
    let word = |rule: &KeptBy| match rule {
        KeptBy::NoPolicy => "no rule removes it".to_owned(),
        KeptBy::Failed => "its verification failed".to_owned(),
        KeptBy::Last => match policy.map(|policy| policy.keep_last).filter(|last| *last > 1) {
            Some(last) => format!("last {last}"),
            None => "last".to_owned(),
        },
        KeptBy::Daily => "daily".to_owned(),
        KeptBy::Weekly => "weekly".to_owned(),
        KeptBy::Monthly => "monthly".to_owned(),
    };
    let words = backup.kept_by.iter().map(word).collect::<Vec<_>>().join(", ");
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => "No rule keeps it".to_owned(),
    }
}

/// Returns the day on which a backup is removed, `stays` if no policy applies, or a dash if the day is unknown.
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

/// Returns the number and size of the project's objects in a backup. `None` if the backup contains no objects.
pub(super) fn objects_in_words(backup: &Backup) -> Option<String> {
    let bytes = text::bytes(backup.object_bytes.unwrap_or_default());
    Some(format!("{} ({bytes})", text::count(backup.object_count?, "object", "objects")))
}

#[cfg(test)]
mod tests {
    use api_types::{GoodBackup, ProtectionJob};

    use super::*;

    fn protection(good_hours_ago: Option<i64>, job_interval_hours: Option<i64>, now: DateTime<Utc>) -> Protection {
        Protection {
            target: "project:abc".to_owned(),
            project_id: Some("abc".to_owned()),
            title: Some("shop".to_owned()),
            last_good: good_hours_ago.map(|hours| GoodBackup {
                id: String::new(),
                at: now - Duration::hours(hours),
                verified_at: None,
            }),
            last_verified_at: None,
            job: job_interval_hours.map(|hours| ProtectionJob {
                id: String::new(),
                name: String::new(),
                next_run_at: None,
                interval_seconds: Some(hours * 3_600),
            }),
            kept_count: 0,
            kept_bytes: 0,
            oldest_at: None,
            retention: None,
            will_go: None,
            overdue: true,
            problem: None,
            problem_since: None,
        }
    }

    #[test]
    fn backup_is_late_only_if_it_is_old() {
        let now = DateTime::UNIX_EPOCH + Duration::days(100);
        for (good, job, expected) in [
            (None, None, false),
            (Some(1), None, false),
            (Some(25), None, true),
            (Some(1), Some(24), false),
            (Some(49), Some(24), true),
        ] {
            assert_eq!(is_late(&protection(good, job, now), now), expected, "{good:?} {job:?}");
        }
    }
}
