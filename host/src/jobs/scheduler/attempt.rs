//! One run, from its claim to its outcome. Whatever the runner does, an outcome comes of it.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use serde_json::Value;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    Shared,
    finisher::Outcome,
    live::{LiveRun, StopReason},
};
use crate::jobs::{
    LineLevel, RunCall, RunFailure, RunOutput, RunReport,
    catalogue::sealed,
    queries::ClaimedRow,
    redact::Redactor,
    runs::output::{RunLog, shortened},
};

/// What a runner gets to end by itself, after its time was up or it was told to stop; then it is dropped.
pub(super) const GRACE: Duration = Duration::from_millis(200);
/// How often a long log is put into storage while it grows.
const UPLOAD_INTERVAL: Duration = Duration::from_secs(5);
const MAX_RESULT_BYTES: usize = 64 << 10;
const MAX_ERROR_BYTES: usize = 4 << 10;

/// A claimed run with everything that it takes; or why it can't be run.
pub(super) struct Prepared {
    id: Uuid,
    live: Arc<LiveRun>,
    call: Result<RunCall, String>,
}

/// Opens the run's secrets, and makes it known as running.
pub(super) fn prepare(shared: &Shared, row: ClaimedRow) -> Prepared {
    let (id, lease) = (row.id, row.lease_token);
    let job = row.job_id.map_or_else(|| "none".to_owned(), |job| job.to_string());
    let object_key = format!("logs/{job}/{id}.ndjson");
    let call = call(shared, row).map_err(|error| {
        tracing::error!(run = %id, %error, "a run's secrets can't be opened");
        format!("the job's secrets can't be opened: {error}")
    });
    let redactor = call.as_ref().map(|call| Redactor::new(&call.secrets)).unwrap_or_default();
    let live = Arc::new(LiveRun::new(lease, Arc::new(RunLog::new(redactor, object_key))));
    shared.live.insert(id, live.clone());
    Prepared { id, live, call }
}

fn call(shared: &Shared, row: ClaimedRow) -> anyhow::Result<RunCall> {
    let (headers, body) = (row.http_headers_json.as_deref(), row.http_body_json.as_deref());
    let (secrets, header_names) = match row.job_id {
        Some(job) => shared.jobs.open_secrets(job, headers, body)?,
        None => Default::default(),
    };
    let params = if row.job_type.as_deref() == Some("http") {
        let (url, method) = (row.http_url.as_deref().unwrap_or_default(), row.http_method.as_deref().unwrap_or("GET"));
        sealed::http_params(url, method, &header_names, body.is_some(), row.timeout_ms)
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

/// Runs it, and hands its outcome over. Its log is closed then.
pub(super) async fn run(shared: &Shared, prepared: Prepared) {
    let Prepared { id, live, call } = prepared;
    let result = match call {
        Ok(call) => execute(shared, &live, call).await,
        Err(message) => Err(RunFailure::Failed { message, details: None, retryable: false }),
    };
    let outcome = outcome(id, live, result);
    outcome.live.log.close();
    shared.jobs.store_log(&outcome.live.log).await;
    // The receiver lives as long as the scheduler.
    let _ = shared.ended.send(outcome);
}

/// What a run tells, and since when it runs.
struct Timed {
    log: Arc<RunLog>,
    begun: Notify,
}

impl RunOutput for Timed {
    fn begun(&self) {
        self.begun.notify_one();
    }

    fn log(&self, level: LineLevel, message: &str, fields: Value) {
        self.log.log(level, message, fields);
    }

    fn progress(&self, done: u64, total: Option<u64>, message: &str) {
        self.log.progress(done, total, message);
    }
}

async fn execute(shared: &Shared, live: &LiveRun, call: RunCall) -> Result<RunReport, RunFailure> {
    let timeout = call.timeout + GRACE;
    let output = Arc::new(Timed { log: live.log.clone(), begun: Notify::new() });
    let told: Arc<dyn RunOutput> = output.clone();
    let running = AssertUnwindSafe(shared.jobs.runner.run(call, told, live.stop.clone())).catch_unwind();
    let timed_out = async {
        output.begun.notified().await;
        tokio::time::sleep(timeout).await;
    };
    let upload = async {
        loop {
            tokio::time::sleep(UPLOAD_INTERVAL).await;
            shared.jobs.store_log(&live.log).await;
        }
    };
    let stopped = async {
        live.stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        result = running => result.unwrap_or_else(|_| {
            Err(RunFailure::Failed { message: "the run panicked".to_owned(), details: None, retryable: true })
        }),
        () = stopped => Err(RunFailure::Cancelled),
        () = timed_out => Err(RunFailure::TimedOut),
        () = upload => Err(RunFailure::TimedOut),
    }
}

fn outcome(id: Uuid, live: Arc<LiveRun>, result: Result<RunReport, RunFailure>) -> Outcome {
    let reason = live.reason();
    let (status, error_text, details, retryable) = match result {
        Ok(report) => ("success", None, Some(report.result), false),
        // Whatever it says when it is told to stop, that is why.
        Err(_) if reason == Some(StopReason::Cancelled) => ("cancelled", None, None, false),
        Err(_) if reason == Some(StopReason::LeaseLost) => {
            ("fail", Some("its scheduler lost touch with the database".to_owned()), None, true)
        }
        Err(_) if reason == Some(StopReason::SchedulerStopped) => {
            ("fail", Some("its scheduler stopped".to_owned()), None, true)
        }
        Err(RunFailure::Cancelled) => ("cancelled", None, None, false),
        Err(RunFailure::TimedOut) => ("timeout", Some("it took longer than its time limit".to_owned()), None, true),
        Err(RunFailure::Failed { message, details, retryable }) => ("fail", Some(message), details, retryable),
    };
    let redactor = live.log.redactor();
    let error_text = error_text.map(|text| shortened(redactor.text(&text), MAX_ERROR_BYTES));
    let http_status = details.as_ref().and_then(|details| details.get("httpStatus")).and_then(Value::as_i64);
    let result = details.filter(|details| !details.is_null()).map(|details| redactor.json(details));
    let fits = result.as_ref().is_none_or(|result| result.to_string().len() <= MAX_RESULT_BYTES);
    if !fits {
        live.log.log(LineLevel::Warn, "the result is larger than 64 KiB and was left out", Value::Null);
    }
    Outcome {
        id,
        live,
        status,
        retryable,
        http_status: http_status.and_then(|status| i32::try_from(status).ok()),
        error_text,
        result: result.filter(|_| fits),
    }
}
