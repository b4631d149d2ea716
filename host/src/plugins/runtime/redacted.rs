//! Removes secrets from a run's output: those of the job and those that the owner gave the plugin.

use std::sync::Arc;

use serde_json::Value;

use crate::jobs::{LineLevel, Redactor, RunFailure, RunOutput, RunReport};

/// An output that redacts secrets before it passes text on.
pub(super) struct RedactedOutput {
    output: Arc<dyn RunOutput>,
    redactor: Arc<Redactor>,
}

impl RedactedOutput {
    pub(super) fn new(output: Arc<dyn RunOutput>, redactor: Arc<Redactor>) -> Self {
        Self { output, redactor }
    }
}

impl RunOutput for RedactedOutput {
    fn started(&self) {
        self.output.started();
    }

    fn log(&self, level: LineLevel, message: &str, fields: Value) {
        self.output.log(level, &self.redactor.text(message), self.redactor.json(fields));
    }

    fn lines_dropped(&self, count: u64, reason: &str) {
        self.output.lines_dropped(count, reason);
    }

    fn progress(&self, done: u64, total: Option<u64>, message: &str) {
        self.output.progress(done, total, &self.redactor.text(message));
    }

    fn progress_note(&self, note: &str) {
        self.output.progress_note(&self.redactor.text(note));
    }
}

pub(super) fn redact_outcome(
    redactor: &Redactor,
    outcome: Result<RunReport, RunFailure>,
) -> Result<RunReport, RunFailure> {
    match outcome {
        Ok(report) => Ok(RunReport { result: redactor.json(report.result) }),
        Err(RunFailure::Failed { message, details, retryable }) => Err(RunFailure::Failed {
            message: redactor.text(&message),
            details: details.map(|details| redactor.json(details)),
            retryable,
        }),
        Err(other) => Err(other),
    }
}
