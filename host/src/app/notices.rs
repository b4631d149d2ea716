use api_types::{NotificationEvent, RunStatus};

use crate::{
    jobs::{
        RunEnded, RunObserver,
        notify::{Notification, Notifier},
    },
    plugins::RejectedPlugin,
};

/// The plugin whose runs are backups.
const BACKUP: &str = "backup";

/// Tells the owner how runs ended.
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
        if let Some(notice) = notice(ended) {
            self.notifier.notify(notice);
        }
    }
}

fn notice(ended: &RunEnded) -> Option<Notification> {
    use NotificationEvent::{BackupDone, BackupFailed, RunFailed, RunRecovered};
    let what = match &ended.job_name {
        Some(name) => format!("Job \"{name}\""),
        None => format!("Work of plugin \"{}\"", ended.plugin),
    };
    let failed_before = matches!(ended.previous_status, Some(RunStatus::Fail | RunStatus::Timeout));
    let (event, ending, message) = match ended.status {
        RunStatus::Fail | RunStatus::Timeout if ended.will_retry => return None,
        RunStatus::Fail | RunStatus::Timeout => {
            let event = if ended.plugin == BACKUP { BackupFailed } else { RunFailed };
            let ending = if ended.status == RunStatus::Timeout { "ran out of time" } else { "failed" };
            (event, ending, ended.error_text.clone().unwrap_or_else(|| "The run's log says more.".to_owned()))
        }
        RunStatus::Success if failed_before => {
            (RunRecovered, "works again", "The run before had failed; this one succeeded.".to_owned())
        }
        RunStatus::Success if ended.plugin == BACKUP && ended.plugin_job == BACKUP => {
            (BackupDone, "is done", "The backup is complete in storage.".to_owned())
        }
        _ => return None,
    };
    let notice = Notification::new(event, format!("{what} {ending}"), message);
    Some(notice.of_project(ended.project_id.clone()).with_field("run", ended.run_id.to_string()))
}

/// Tells the owner of a plugin that was refused.
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
            status,
            error_text: Some("It broke.".to_owned()),
            will_retry,
            previous_status: previous,
        }
    }

    #[test]
    fn the_owner_hears_of_what_changed() {
        use NotificationEvent::{BackupDone, BackupFailed, RunFailed, RunRecovered};
        use RunStatus::{Cancelled, Fail, Success, Timeout};
        let check = |status, plugin, previous, will_retry, expected: Option<NotificationEvent>| {
            let found = notice(&ended(status, plugin, previous, will_retry)).map(|notice| notice.event);
            assert_eq!(found, expected, "{status:?} {plugin} {previous:?} {will_retry}");
        };
        check(Fail, "http-job", None, false, Some(RunFailed));
        check(Fail, "http-job", None, true, None);
        check(Timeout, "http-job", Some(Success), false, Some(RunFailed));
        check(Success, "http-job", Some(Fail), false, Some(RunRecovered));
        check(Success, "http-job", Some(Success), false, None);
        check(Success, "backup", Some(Success), false, Some(BackupDone));
        check(Success, "backup", Some(Fail), false, Some(RunRecovered));
        check(Fail, "backup", None, false, Some(BackupFailed));
        check(Cancelled, "backup", None, false, None);
    }
}
