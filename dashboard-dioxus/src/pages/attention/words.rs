//! Headlines, details, shapes and actions of the items that need attention.

use api_types::{Attention, AttentionKind, MissingPart};
use chrono::{DateTime, Duration, Utc};

use crate::{address, pages::backups::schedule_address, text, ui::Shape};

/// Age from which the last backup of a database without a job is overdue.
const MAX_AGE_WITHOUT_JOB: Duration = Duration::days(1);

/// An action that resolves an item, or helps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// Opens a page.
    Open { label: &'static str, to: String },
    /// Starts a run of the job with this id.
    RunAgain(String),
    /// Backs up this target: a project, or the platform's database.
    BackUp(String),
}

impl Act {
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Open { label, .. } => label,
            Self::RunAgain(_) => "Run again",
            Self::BackUp(_) => "Back up now",
        }
    }
}

/// Returns the actions of an item, the most useful first. Every item has at least one.
pub(super) fn acts(item: &Attention) -> Vec<Act> {
    let open = |label, to: String| Act::Open { label, to };
    let target = item.target.clone().unwrap_or_default();
    let of_project = |page: &str| format!("/projects/{}{page}", item.project_id.as_deref().unwrap_or_default());
    let with = |path: &str, name, value: &str| address::with_parameters(path, &[(name, Some(value))]);
    match item.kind {
        AttentionKind::PostgresUnreachable
        | AttentionKind::StoreUnreachable
        | AttentionKind::DiskLow
        | AttentionKind::ConnectionsHigh => vec![open("Open settings", "/settings".to_owned())],
        AttentionKind::BackupOverdue if has_no_job(item) => {
            let name = item.title.as_deref().unwrap_or("the platform");
            vec![Act::BackUp(target.clone()), open("Schedule backups", schedule_address(&target, name))]
        }
        AttentionKind::BackupOverdue => vec![Act::BackUp(target)],
        AttentionKind::JobFailing => {
            let run = item.run_id.as_ref().map(|run| open("Open run", format!("/runs/{run}")));
            run.into_iter().chain([Act::RunAgain(target)]).collect()
        }
        AttentionKind::JobProblem | AttentionKind::JobBehind | AttentionKind::JobSkipping => {
            vec![open("Open job", format!("/jobs/{target}"))]
        }
        AttentionKind::KeyExpiring => vec![open("Rotate key", of_project("/keys"))],
        AttentionKind::PluginPending => vec![open("Review plugin", with("/plugins", "plugin", &target))],
        AttentionKind::PluginRejected => vec![open("Open plugin", with("/plugins", "plugin", &target))],
        AttentionKind::TableOpen => {
            let parameters = [("table", Some(target.as_str())), ("tab", Some("access"))];
            vec![open("Open access", address::with_parameters(&of_project("/tables"), &parameters))]
        }
        AttentionKind::ChannelFailing => vec![open("Open channel", with("/notifications", "channel", &target))],
        AttentionKind::FailuresUnheard => vec![open("Open notifications", "/notifications".to_owned())],
        AttentionKind::Migrations => vec![open("Open migrations", with("/settings", "section", "migrations"))],
        AttentionKind::ProjectStuck => {
            vec![open("Open projects", with("/projects", "q", item.title.as_deref().unwrap_or_default()))]
        }
        AttentionKind::DeleteProblem => vec![open("Open project", of_project("/settings"))],
    }
}

/// Returns whether a backup is overdue because no job creates backups.
fn has_no_job(item: &Attention) -> bool {
    item.missing.contains(&MissingPart::BackupJob)
}

/// Returns the subject of the headline: the failures that no channel reports.
fn unheard(item: &Attention) -> &'static str {
    match item.missing.as_slice() {
        [MissingPart::RunFailedChannel] => "Failed runs",
        [MissingPart::BackupFailedChannel] => "Failed backups",
        _ => "Failed runs and backups",
    }
}

/// Returns whether an item says that no channel reports failed backups.
pub(in crate::pages) fn is_of_unheard_backups(item: &Attention) -> bool {
    item.missing.contains(&MissingPart::BackupFailedChannel)
}

/// Returns the shape in front of an item. Critical items have the shape of a failure instead.
pub(super) fn shape(kind: AttentionKind) -> Shape {
    match kind {
        AttentionKind::JobFailing | AttentionKind::PluginRejected | AttentionKind::ChannelFailing => Shape::Failed,
        AttentionKind::BackupOverdue => Shape::TimedOut,
        _ => Shape::Attention,
    }
}

/// Returns the problem of an item in a few words.
pub(super) fn headline(item: &Attention, now: DateTime<Utc>) -> String {
    let title = item.title.as_deref().unwrap_or("the platform");
    let since = || item.since.map(|since| format!(" since {}", text::moment(since, now))).unwrap_or_default();
    match item.kind {
        AttentionKind::PostgresUnreachable => "Postgres can't be reached".to_owned(),
        AttentionKind::StoreUnreachable => "The object store can't be reached".to_owned(),
        AttentionKind::DiskLow => "The disk is nearly full".to_owned(),
        AttentionKind::BackupOverdue if has_no_job(item) => format!("No job backs up {title}"),
        AttentionKind::BackupOverdue => format!("Backup of {title} is overdue"),
        AttentionKind::JobFailing if item.count == 1 => format!("{title} failed"),
        AttentionKind::JobFailing => format!("{title} failed {} times{}", item.count, since()),
        AttentionKind::JobProblem => format!("{title} can't run"),
        AttentionKind::JobBehind => format!("{title} takes longer than its schedule allows"),
        AttentionKind::JobSkipping => format!("Runs of {title} are skipped"),
        AttentionKind::KeyExpiring => format!("Key {title} expires soon and is still used"),
        AttentionKind::PluginPending => format!("Plugin {title} waits for your approval"),
        AttentionKind::PluginRejected => format!("Plugin {title} was refused"),
        AttentionKind::TableOpen => format!("Anyone can write to table {title}"),
        AttentionKind::ChannelFailing => format!("Channel {title} fails to deliver"),
        AttentionKind::FailuresUnheard => format!("{} are reported to nobody", unheard(item)),
        AttentionKind::Migrations => "Migrations need attention".to_owned(),
        AttentionKind::ProjectStuck => format!("Project {title} is stuck"),
        AttentionKind::DeleteProblem => format!("Project {title} was not deleted"),
        AttentionKind::ConnectionsHigh => "More than 80 % of the connections are open".to_owned(),
    }
}

/// Returns the sentences under the headline: the reason, and since when the problem exists unless the headline says it.
pub(super) fn detail(item: &Attention, now: DateTime<Utc>) -> String {
    let reason = match item.kind {
        AttentionKind::BackupOverdue if has_no_job(item) => return without_job(item, now),
        AttentionKind::FailuresUnheard => "They are visible only in the dashboard.".to_owned(),
        _ => item.reason.clone().unwrap_or_else(|| item.message.clone()),
    };
    match item.since {
        Some(since) if item.kind != AttentionKind::JobFailing || item.count == 1 => {
            let stop = if reason.ends_with(['.', '!', '?']) { "" } else { "." };
            format!("{reason}{stop} Since {}.", text::moment(since, now))
        }
        _ => reason,
    }
}

/// Returns the sentences about a database that no job backs up. Its last backup is overdue after a day.
fn without_job(item: &Attention, now: DateTime<Utc>) -> String {
    let last = match item.since {
        _ if item.missing.contains(&MissingPart::GoodBackup) => "It has no good backup. ".to_owned(),
        Some(at) if now - at >= MAX_AGE_WITHOUT_JOB => {
            format!("Its backup is overdue: the last one was made {}. ", text::age(at, now))
        }
        Some(at) => format!("Last backup {}. ", text::age(at, now)),
        None => String::new(),
    };
    format!("{last}Backups are created only when you start them.")
}

#[cfg(test)]
mod tests {
    use api_types::Severity;

    use super::*;

    fn item(kind: AttentionKind, count: i64, reason: Option<&str>) -> Attention {
        Attention {
            id: "1".to_owned(),
            kind,
            severity: Severity::Warning,
            since: None,
            count,
            project_id: None,
            project_name: None,
            target: Some("t".to_owned()),
            title: Some("Nightly".to_owned()),
            run_id: Some("r".to_owned()),
            message: "The disk is nearly full.".to_owned(),
            reason: reason.map(str::to_owned),
            missing: Vec::new(),
            can_snooze: true,
        }
    }

    fn overdue_backup(missing: &[MissingPart]) -> Attention {
        Attention { missing: missing.to_vec(), ..item(AttentionKind::BackupOverdue, 1, Some("No enabled job.")) }
    }

    #[test]
    fn headline_has_cause_and_count() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap_or_default();
        for (item, expected) in [
            (item(AttentionKind::JobFailing, 1, Some("full")), "Nightly failed"),
            (item(AttentionKind::JobFailing, 3, Some("full")), "Nightly failed 3 times"),
            (overdue_backup(&[MissingPart::BackupJob]), "No job backs up Nightly"),
            (overdue_backup(&[MissingPart::GoodBackup]), "Backup of Nightly is overdue"),
            (
                item(AttentionKind::BackupOverdue, 1, Some("Its last good backup is old.")),
                "Backup of Nightly is overdue",
            ),
        ] {
            assert_eq!(headline(&item, now), expected);
        }
        let unprotected = overdue_backup(&[MissingPart::BackupJob]);
        let made = |ago| Attention { since: Some(now - ago), ..unprotected.clone() };
        let by_hand = "Backups are created only when you start them.";
        assert_eq!(detail(&unprotected, now), by_hand);
        assert_eq!(detail(&made(Duration::minutes(2)), now), format!("Last backup 2 min ago. {by_hand}"));
        assert_eq!(
            detail(&made(Duration::days(3)), now),
            format!("Its backup is overdue: the last one was made 3 days ago. {by_hand}")
        );
        let never = overdue_backup(&[MissingPart::BackupJob, MissingPart::GoodBackup]);
        let never = Attention { since: Some(now), ..never };
        assert_eq!(headline(&never, now), "No job backs up Nightly");
        assert_eq!(detail(&never, now), format!("It has no good backup. {by_hand}"));
        assert_eq!(detail(&item(AttentionKind::DiskLow, 1, None), now), "The disk is nearly full.");
    }

    #[test]
    fn headline_names_the_failures_that_no_channel_reports() {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap_or_default();
        let check = |missing: &[MissingPart], expected: &str, is_of_backups: bool| {
            let item = Attention { missing: missing.to_vec(), ..item(AttentionKind::FailuresUnheard, 1, None) };
            assert_eq!(headline(&item, now), expected);
            assert_eq!(is_of_unheard_backups(&item), is_of_backups);
        };
        let (runs, backups) = (MissingPart::RunFailedChannel, MissingPart::BackupFailedChannel);
        check(&[runs], "Failed runs are reported to nobody", false);
        check(&[backups], "Failed backups are reported to nobody", true);
        check(&[runs, backups], "Failed runs and backups are reported to nobody", true);
    }

    #[test]
    fn items_have_an_action_that_fits_their_kind() {
        for kind in [AttentionKind::DiskLow, AttentionKind::ConnectionsHigh, AttentionKind::FailuresUnheard] {
            assert!(!acts(&item(kind, 1, None)).is_empty(), "{kind:?}");
        }
        let job = acts(&item(AttentionKind::JobSkipping, 1, None));
        assert_eq!(job, [Act::Open { label: "Open job", to: "/jobs/t".to_owned() }]);
        let overdue = acts(&item(AttentionKind::BackupOverdue, 1, Some("Its last good backup is old.")));
        assert_eq!(overdue, [Act::BackUp("t".to_owned())]);
    }

    #[test]
    fn failing_job_can_be_opened_and_run_again() {
        let acts = acts(&item(AttentionKind::JobFailing, 1, None));
        let open = Act::Open { label: "Open run", to: "/runs/r".to_owned() };
        assert_eq!(acts, [open, Act::RunAgain("t".to_owned())]);
    }
}
