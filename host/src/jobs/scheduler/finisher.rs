//! Writes how runs ended, many in one statement, and tells whoever wants to hear.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{PATIENCE, RunEnded, Shared, live::LiveRun};
use crate::jobs::{
    names::parse_status,
    queries::{self, EndedRow, EndingRun},
};

const BATCH: usize = 256;
/// While many runs end, what ends so soon after one another is written together.
const GATHERING: Duration = Duration::from_millis(3);
const AFTER_ERROR: Duration = Duration::from_millis(500);
/// After that, another scheduler has long taken the run for dead.
const LONGEST_WRITING: Duration = Duration::from_secs(600);

/// How a run ended.
pub(super) struct Outcome {
    pub(super) id: Uuid,
    pub(super) live: Arc<LiveRun>,
    pub(super) status: &'static str,
    pub(super) retryable: bool,
    pub(super) http_status: Option<i32>,
    pub(super) error_text: Option<String>,
    pub(super) result: Option<Value>,
}

pub(super) async fn finish(shared: Arc<Shared>, mut outcomes: mpsc::UnboundedReceiver<Outcome>) {
    let mut batch = Vec::with_capacity(BATCH);
    let mut backlog = false;
    while outcomes.recv_many(&mut batch, BATCH).await > 0 {
        if backlog {
            tokio::time::sleep(GATHERING).await;
            while batch.len() < BATCH
                && let Ok(outcome) = outcomes.try_recv()
            {
                batch.push(outcome);
            }
        }
        backlog = batch.len() > 1;
        write(&shared, &batch).await;
        for outcome in batch.drain(..) {
            // The leases were kept until here.
            shared.live.remove(&outcome.id);
        }
        // Runs of the same jobs may have waited for these.
        shared.claim.notify_one();
        shared.finished.notify_waiters();
    }
}

async fn write(shared: &Shared, batch: &[Outcome]) {
    let begun = Instant::now();
    loop {
        let runs: Vec<EndingRun> = batch.iter().map(ending).collect();
        match shared.writing.run(PATIENCE, async |connection| queries::finish(connection, &runs).await).await {
            Ok(ended) => return ended.iter().for_each(|row| shared.announce(row)),
            Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code.starts_with("22")) => {
                tracing::error!(%error, "an outcome holds what Postgres can't store");
                return write_each(shared, runs).await;
            }
            Err(error) if begun.elapsed() > LONGEST_WRITING => {
                tracing::error!(%error, runs = batch.len(), "how runs ended could not be written");
                return;
            }
            Err(error) => tracing::warn!(%error, "how runs ended could not be written; trying again"),
        }
        tokio::time::sleep(AFTER_ERROR).await;
    }
}

/// One outcome must not keep the others from being written.
async fn write_each(shared: &Shared, runs: Vec<EndingRun>) {
    let finish = async |run: &EndingRun| {
        let runs = std::slice::from_ref(run);
        shared.writing.run(PATIENCE, async |connection| queries::finish(connection, runs).await).await
    };
    for mut run in runs {
        let mut written = finish(&run).await;
        if written.is_err() {
            run.result = None;
            run.progress = None;
            run.log_text = String::new();
            run.log_bytes = 0;
            run.error_text = Some("what it told could not be stored".to_owned());
            written = finish(&run).await;
        }
        match written {
            Ok(ended) => ended.iter().for_each(|row| shared.announce(row)),
            Err(error) => tracing::error!(run = %run.id, %error, "how a run ended could not be written"),
        }
    }
}

fn ending(outcome: &Outcome) -> EndingRun {
    let part = outcome.live.log.last_part(outcome.id, outcome.live.lease);
    EndingRun {
        id: outcome.id,
        lease: outcome.live.lease,
        status: outcome.status,
        retryable: outcome.retryable,
        http_status: outcome.http_status,
        error_text: outcome.error_text.clone(),
        result: outcome.result.clone(),
        progress: part.progress,
        log_text: part.log_text,
        log_bytes: part.log_bytes,
        log_object_key: part.log_object_key,
    }
}

impl Shared {
    /// Counts an end, logs it, and passes it on.
    pub(super) fn announce(&self, row: &EndedRow) {
        let status = parse_status(&row.status);
        metrics::counter!("atlashub_jobs_runs_total", "status" => row.status.clone()).increment(1);
        tracing::info!(run = %row.id, job = row.job_name, plugin = row.plugin, status = row.status,
            duration_ms = row.duration_ms, retried = row.retried, "a run ended");
        if row.retried {
            self.claim.notify_one();
        }
        if let Some(observer) = &self.observer {
            observer.run_ended(&RunEnded {
                run_id: row.id,
                job_id: row.job_id,
                job_name: row.job_name.clone(),
                project_id: row.project_id.clone(),
                plugin: row.plugin.clone(),
                plugin_job: row.plugin_job.clone(),
                status,
                error_text: row.error_text.clone(),
                will_retry: row.retried,
                previous_status: row.previous_status.as_deref().map(parse_status),
            });
        }
    }
}
