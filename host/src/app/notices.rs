//! Notifies the owner of ended runs and of rejected plugins.

use api_types::{NotificationEvent, RunStatus};

use crate::{
    jobs::{RunEnded, RunObserver},
    notifications::{Notification, Notifier},
    plugins::RejectedPlugin,
};

/// Name of the plugin that makes backups, and of its job that makes them.
const BACKUP: &str = "backup";

/// Notifies the owner when runs end.
pub(super) struct RunNotices {
    notifier: Notifier,
}

impl RunNotices {
    pub(super) fn new(notifier: Notifier) -> Self {
        Self { notifier }
    }
}

impl RunObserver for RunNotices {
    fn run_ended(&self, ended: &RunEnded) {
        notices(ended).into_iter().for_each(|notice| self.notifier.notify(notice));
    }
}

/// Returns the notifications for an ended run. A backup that succeeds after a failure causes two notifications, because
/// channels filter by event.
fn notices(ended: &RunEnded) -> Vec<Notification> {
    use NotificationEvent::{BackupDone, BackupFailed, RunFailed, RunRecovered};
    let target = ended.target.as_deref().filter(|_| ended.plugin == BACKUP);
    let subject = match (&ended.job_name, target) {
        (Some(name), _) => format!("Job \"{name}\""),
        // Notifications with the same title are merged, so the title names the database.
        (None, Some(target)) => format!("Run of plugin \"{}\" for {}", ended.plugin, database(target)),
        (None, None) => format!("Run of plugin \"{}\"", ended.plugin),
    };
    let notice = |event, ending: &str, message: &str| {
        let notice = Notification::new(event, format!("{subject} {ending}"), message.to_owned());
        let notice = notice.with_project(ended.project_id.clone()).with_field("run", ended.run_id.to_string());
        match target {
            Some(target) => notice.with_field("target", target),
            None => notice,
        }
    };
    match ended.status {
        RunStatus::Fail | RunStatus::Timeout if ended.will_retry => Vec::new(),
        RunStatus::Fail | RunStatus::Timeout => {
            let event = if ended.plugin == BACKUP { BackupFailed } else { RunFailed };
            let ending = if ended.status == RunStatus::Timeout { "timed out" } else { "failed" };
            vec![notice(event, ending, ended.error_text.as_deref().unwrap_or("See the run's log."))]
        }
        RunStatus::Success => {
            let previous_failed = matches!(ended.previous_status, Some(RunStatus::Fail | RunStatus::Timeout));
            let is_backup = ended.plugin == BACKUP && ended.plugin_job == BACKUP;
            let recovered = previous_failed
                .then(|| notice(RunRecovered, "succeeded again", "The previous run had failed; this one succeeded."));
            let done = is_backup.then(|| notice(BackupDone, "is complete", "The backup is complete and in storage."));
            recovered.into_iter().chain(done).collect()
        }
        _ => Vec::new(),
    }
}

/// Names the database or databases of a backup.
fn database(target: &str) -> String {
    match (target, target.strip_prefix("project:")) {
        ("all", _) => "all databases".to_owned(),
        ("platform", _) => "the platform".to_owned(),
        (_, Some(project)) => format!("project {project}"),
        (other, None) => other.to_owned(),
    }
}

/// Returns the notification for a plugin that was refused.
pub(super) fn plugin_rejected(rejected: &RejectedPlugin) -> Notification {
    let title = format!("Plugin \"{}\" was refused", rejected.name);
    let notice = Notification::new(NotificationEvent::PluginRejected, title, rejected.reason.clone());
    match &rejected.sha256 {
        Some(sha256) => notice.with_field("sha256", sha256.clone()),
        None => notice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: RunStatus, plugin: &str, previous: Option<RunStatus>, will_retry: bool) -> RunEnded {
        RunEnded {
            run_id: uuid::Uuid::nil(),
            job_id: None,
            job_name: Some("nightly".to_owned()),
            project_id: None,
            plugin: plugin.to_owned(),
            plugin_job: plugin.to_owned(),
            target: None,
            status,
            error_text: Some("It broke.".to_owned()),
            will_retry,
            previous_status: previous,
        }
    }

    #[test]
    fn ended_run_causes_the_notifications_for_its_status() {
        use NotificationEvent::{BackupDone, BackupFailed, RunFailed, RunRecovered};
        use RunStatus::{Cancelled, Fail, Success, Timeout};
        let check = |status, plugin, previous, will_retry, expected: &[NotificationEvent]| {
            let notices = notices(&ended(status, plugin, previous, will_retry));
            let found: Vec<_> = notices.into_iter().map(|notice| notice.event).collect();
            assert_eq!(found, expected, "{status:?} {plugin} {previous:?} {will_retry}");
        };
        check(Fail, "http-job", None, false, &[RunFailed]);
        check(Fail, "http-job", None, true, &[]);
        check(Timeout, "http-job", Some(Success), false, &[RunFailed]);
        check(Success, "http-job", Some(Fail), false, &[RunRecovered]);
        check(Success, "http-job", Some(Success), false, &[]);
        check(Success, "backup", Some(Success), false, &[BackupDone]);
        check(Success, "backup", Some(Fail), false, &[RunRecovered, BackupDone]);
        check(Fail, "backup", None, false, &[BackupFailed]);
        check(Cancelled, "backup", None, false, &[]);
    }

    #[test]
    fn notifications_of_manual_backups_name_the_database() {
        let failed = RunEnded { job_name: None, ..ended(RunStatus::Fail, "backup", None, false) };
        for (target, expected) in [
            ("all", "Run of plugin \"backup\" for all databases failed"),
            ("platform", "Run of plugin \"backup\" for the platform failed"),
            ("project:abc", "Run of plugin \"backup\" for project abc failed"),
        ] {
            let found = notices(&RunEnded { target: Some(target.to_owned()), ..failed.clone() });
            let [notice] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!(notice.title, expected);
            assert!(notice.fields.contains(&("target".to_owned(), target.to_owned())), "{notice:?}");
        }
        let other = RunEnded { target: Some("all".to_owned()), ..ended(RunStatus::Fail, "http-job", None, false) };
        assert_eq!(notices(&other)[0].fields.len(), 1, "only the run");
    }
}
