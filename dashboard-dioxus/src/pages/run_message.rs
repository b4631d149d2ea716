//! Messages about runs that the owner started: shown until the run ends, and then replaced by its result.

use api_types::RunStatus;
use gloo_timers::future::TimeoutFuture;
use serde::Deserialize;

use super::recent_runs::run_shape;
use crate::{remote, ui::messages};

/// Interval at which the state of the run is read.
const INTERVAL_MS: u32 = 1_000;

/// Texts for the message about a run: what the run does, and what it did.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Work {
    /// For example `Backing up notebook`.
    pub(super) doing: String,
    /// For example `Backed up notebook`.
    pub(super) done: String,
    /// The work as a noun, for example `Backup of notebook`.
    pub(super) noun: String,
}

/// Part of [`api_types::Run`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunState {
    status: RunStatus,
    error_text: Option<String>,
}

impl Work {
    pub(super) fn backup(name: &str) -> Self {
        Self {
            doing: format!("Backing up {name}"),
            done: format!("Backed up {name}"),
            noun: format!("Backup of {name}"),
        }
    }

    pub(super) fn verification(name: &str) -> Self {
        Self {
            doing: format!("Verifying a backup of {name}"),
            done: format!("Verified a backup of {name}"),
            noun: format!("Verification of a backup of {name}"),
        }
    }

    pub(super) fn rollback(name: &str) -> Self {
        Self {
            doing: format!("Rolling back {name}"),
            done: format!("Rolled back {name}"),
            noun: format!("Rollback of {name}"),
        }
    }

    pub(super) fn job(name: &str) -> Self {
        Self { doing: format!("Running {name}"), done: format!("{name} succeeded"), noun: name.to_owned() }
    }

    /// Returns the text about a run that has ended.
    fn outcome(&self, run: &RunState) -> String {
        let end = match run.status {
            RunStatus::Success => return self.done.clone(),
            RunStatus::Timeout => "timed out",
            RunStatus::Cancelled => "was cancelled",
            RunStatus::Skipped => "was skipped",
            RunStatus::Fail | RunStatus::Queued | RunStatus::Running => "failed",
        };
        match &run.error_text {
            Some(reason) => format!("{} {end}: {reason}", self.noun),
            None => format!("{} {end}", self.noun),
        }
    }
}

/// Shows a message about a run, and replaces it with the run's result when the run ends.
pub(super) fn follow(run: String, work: Work) {
    let message = messages::begin(work.doing.clone(), &run);
    // The message is also updated on other pages.
    dioxus::core::spawn_forever(async move {
        loop {
            TimeoutFuture::new(INTERVAL_MS).await;
            while !remote::is_visible() {
                TimeoutFuture::new(INTERVAL_MS).await;
            }
            match remote::get::<RunState>(&format!("/runs/{run}")).await {
                Ok(RunState { status: RunStatus::Queued | RunStatus::Running, .. }) => {}
                Err(failure) if failure.is_temporary() => {}
                Ok(ended) => return messages::finish(message, work.outcome(&ended), run_shape(ended.status), &run),
                Err(_) => return messages::dismiss(message),
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_says_what_ended_and_why() {
        let outcome = |status, error: Option<&str>| {
            Work::backup("notebook").outcome(&RunState { status, error_text: error.map(str::to_owned) })
        };
        assert_eq!(outcome(RunStatus::Success, None), "Backed up notebook");
        assert_eq!(outcome(RunStatus::Cancelled, None), "Backup of notebook was cancelled");
        assert_eq!(outcome(RunStatus::Fail, Some("No space.")), "Backup of notebook failed: No space.");
    }
}
