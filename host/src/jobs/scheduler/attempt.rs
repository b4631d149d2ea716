//! One run, from its claim to its outcome. Every run has an outcome, even if the runner panics, or does not end at the
//! time limit or after a stop.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use api_types::{JobType, RunStatus};
use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    active_run::{ActiveRun, StopReason},
    queries::{ClaimedRow, SCHEDULER_STOPPED},
    state::{Outcome, SchedulerState},
};
use crate::jobs::{
    LineLevel, Redactor, RunCall, RunFailure, RunOutput, RunReport,
    catalogue::{HttpParams, open_secrets},
    runs::{
        log::store_log,
        output::{RunLog, truncate},
    },
};

/// Error of a run whose lease could not be renewed in time, or whose row another server changed.
const LEASE_LOST: &str = "the server lost the run's lease: it could not reach the database in time, or another server \
                          ended the run";

/// Error of a run with a fire time, if its job was disabled. `cancel_queued_runs` writes the same text.
const JOB_DISABLED: &str = "the job was disabled";

/// Time for a runner to end by itself after its timeout or a stop. After that, its future is dropped.
pub(super) const STOP_GRACE: Duration = Duration::from_millis(200);
/// Interval at which a growing long log is put into the object store.
const UPLOAD_INTERVAL: Duration = Duration::from_secs(5);
const MAX_RESULT_BYTES: usize = 64 << 10;
const MAX_ERROR_BYTES: usize = 4 << 10;

/// A claimed run with its call, or the reason why it can't be executed.
pub(super) struct PreparedRun {
    id: Uuid,
    run: Arc<ActiveRun>,
    call: Result<RunCall, String>,
    is_disabled: bool,
}

/// Opens the run's secrets and registers the run as active.
pub(super) fn prepare(state: &SchedulerState, row: ClaimedRow) -> PreparedRun {
    let (id, lease, is_disabled) = (row.id, row.lease_token, row.is_disabled);
    let job = row.job_id.map_or_else(|| "none".to_owned(), |job| job.to_string());
    let object_key = format!("logs/{job}/{id}.ndjson");
    let call = build_call(state, row).map_err(|error| {
        tracing::error!(run = %id, %error, "failed to open a run's secrets");
        format!("the job's secrets can't be opened: {error}")
    });
    let redactor = call.as_ref().map(|call| Redactor::new(&call.secrets)).unwrap_or_default();
    let run = Arc::new(ActiveRun::new(id, lease, Arc::new(RunLog::new(redactor, object_key))));
    state.active_runs.insert(id, run.clone());
    PreparedRun { id, run, call, is_disabled }
}

fn build_call(state: &SchedulerState, row: ClaimedRow) -> anyhow::Result<RunCall> {
    let (headers, body) = (row.http_headers_json.as_deref(), row.http_body_json.as_deref());
    let (secrets, header_names) = match row.job_id {
        Some(job) => open_secrets(&state.jobs.sealer, job, headers, body)?,
        None => Default::default(),
    };
    let params = if row.job_type == Some(JobType::Http) {
        let (url, method) = (row.http_url.as_deref().unwrap_or_default(), row.http_method.as_deref().unwrap_or("GET"));
        let (has_body, timeout_ms) = (body.is_some(), row.timeout_ms);
        HttpParams { url, method, header_names: &header_names, has_body, timeout_ms }.to_json()
    } else {
        row.params
    };
    Ok(RunCall {
        run_id: row.id,
        job_id: row.job_id,
        lease: row.lease_token,
        project: row.project_id,
        plugin: row.plugin,
        job: row.plugin_job,
        params,
        secrets,
        attempt: row.attempt.unsigned_abs(),
        scheduled_for: row.scheduled_for,
        timeout: Duration::from_millis(u64::from(row.timeout_ms.unsigned_abs())),
    })
}

/// Executes the run, closes its log, and passes its outcome to the finisher.
pub(super) async fn execute(state: &SchedulerState, prepared: PreparedRun) {
    let PreparedRun { id, run, call, is_disabled } = prepared;
    let result = match call {
        _ if is_disabled => Err(RunFailure::Cancelled),
        Ok(call) => call_runner(state, &run, call).await,
        Err(message) => Err(RunFailure::refused(message)),
    };
    let mut outcome = outcome_of(id, run, result);
    if is_disabled && outcome.status == RunStatus::Cancelled {
        outcome.error_text = Some(JOB_DISABLED.to_owned());
    }
    outcome.run.log.close();
    store_log(&state.jobs.runs, &outcome.run.log).await;
    // The receiver lives as long as the scheduler.
    let _ = state.outcomes.send(outcome);
}

/// Passes a run's output to its log, and records when its time limit starts.
struct AttemptOutput {
    log: Arc<RunLog>,
    started: Notify,
}

impl RunOutput for AttemptOutput {
    fn started(&self) {
        self.started.notify_one();
    }

    fn log(&self, level: LineLevel, message: &str, fields: Value) {
        self.log.log(level, message, fields);
    }

    fn lines_dropped(&self, count: u64, reason: &str) {
        self.log.drop_lines(count, reason);
    }

    fn progress(&self, done: u64, total: Option<u64>, message: &str) {
        self.log.set_progress(done, total, message);
    }

    fn progress_note(&self, note: &str) {
        self.log.set_progress_note(note);
    }
}

async fn call_runner(state: &SchedulerState, run: &ActiveRun, call: RunCall) -> Result<RunReport, RunFailure> {
    let timeout = call.timeout + STOP_GRACE;
    let output = Arc::new(AttemptOutput { log: run.log.clone(), started: Notify::new() });
    let runner_output: Arc<dyn RunOutput> = output.clone();
    let running = AssertUnwindSafe(state.jobs.runner.run(call, runner_output, run.stop.clone())).catch_unwind();
    let timed_out = async {
        output.started.notified().await;
        tokio::time::sleep(timeout).await;
    };
    let upload = async {
        loop {
            tokio::time::sleep(UPLOAD_INTERVAL).await;
            store_log(&state.jobs.runs, &run.log).await;
        }
    };
    let stopped = async {
        run.stop.cancelled().await;
        tokio::time::sleep(STOP_GRACE).await;
    };
    tokio::select! {
        biased;
        result = running => result.unwrap_or_else(|_| {
            Err(RunFailure::temporary("the run panicked"))
        }),
        () = stopped => Err(RunFailure::Cancelled),
        () = timed_out => Err(RunFailure::TimedOut),
        () = upload => Err(RunFailure::TimedOut),
    }
}

fn outcome_of(id: Uuid, run: Arc<ActiveRun>, result: Result<RunReport, RunFailure>) -> Outcome {
    use RunStatus::{Cancelled, Fail, Success, Timeout};
    let (status, error_text, details, retryable) = match (result, run.stop_reason()) {
        (Ok(report), _) => (Success, None, Some(report.result), false),
        // A stopped run that did not succeed ends for the reason of the stop, even if the runner returns another error.
        (Err(_), Some(StopReason::Cancelled)) => (Cancelled, None, None, false),
        (Err(_), Some(StopReason::LeaseLost)) => (Fail, Some(LEASE_LOST.to_owned()), None, true),
        (Err(_), Some(StopReason::SchedulerStopped)) => (Fail, Some(SCHEDULER_STOPPED.to_owned()), None, true),
        (Err(RunFailure::Cancelled), None) => (Cancelled, None, None, false),
        (Err(RunFailure::TimedOut), None) => (Timeout, Some("it exceeded its time limit".to_owned()), None, true),
        (Err(RunFailure::Failed { message, details, retryable }), None) => (Fail, Some(message), details, retryable),
    };
    let redactor = run.log.redactor();
    let error_text = error_text.map(|text| truncate(redactor.text(&text), MAX_ERROR_BYTES));
    if let Some(reason) = &error_text {
        run.log.log_failure(reason);
    }
    let http_status = details.as_ref().and_then(|details| details.get("httpStatus")).and_then(Value::as_i64);
    let result = details.filter(|details| !details.is_null()).map(|details| redactor.json(details));
    let fits = result.as_ref().is_none_or(|result| result.to_string().len() <= MAX_RESULT_BYTES);
    if !fits {
        run.log.log(LineLevel::Warn, "the result was dropped because it is larger than 64 KiB", Value::Null);
    }
    Outcome {
        id,
        run,
        status,
        retryable,
        http_status: http_status.and_then(|status| i32::try_from(status).ok()),
        error_text,
        result: result.filter(|_| fits),
    }
}
