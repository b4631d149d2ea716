//! The fixed SQL of jobs: `jobs` (what there is), `runs` (history), `queue` (who runs what), `ending` (how runs end),
//! `retention` (what is kept).
//!
//! Times that decide anything are the database's: nodes' clocks may differ. Deliberately absent: statements made at
//! run time.

macro_rules! job_columns {
    () => {
        "id, project_id, name, type, schedule_cron, timezone, http_url, http_method, http_headers_json, http_body_json, \
         plugin, plugin_job, params, enabled, timeout_ms, retries, retry_backoff_ms, overlap, catch_up, \
         scheduled_until, next_run_at, created_at, updated_at"
    };
}

macro_rules! run_columns {
    () => {
        "id, job_id, project_id, plugin, plugin_job, status, trigger, attempt, scheduled_for, created_at, started_at, \
         finished_at, duration_ms, http_status, error_text, progress, result, log_object_key"
    };
}

mod ending;
mod jobs;
mod queue;
mod retention;
mod runs;

pub(super) use ending::{EndedRow, EndingRun, HeldLease, finish, reap, release};
pub(super) use jobs::{
    DueJob, FiredRun, JobChange, JobCursor, JobFilter, JobRow, delete_job, due_jobs, insert_job, job, jobs, last_runs,
    now, record_due, seconds_until_due, update_job,
};
pub(super) use queue::{
    ClaimedRow, OutputPart, Renewal, claim, lease_is_held, lease_lasts, renew, seconds_until_queued, write_output,
};
pub(super) use retention::{RemovedRun, existing_runs, remove_old_runs, remove_surplus_runs};
pub(super) use runs::{
    NewRunRow, RunFilter, RunRow, begin_job_run, begin_run, cancel, cancel_queued, log_part, run, running_of_job, runs,
};

/// What schedulers hear: `jobs` (a schedule changed), `queued` (there is work), `cancel:<run>`.
pub(super) const CHANNEL: &str = "atlashub_jobs";

/// One field of many rows, as a parameter for `unnest`.
fn column<'a, Row, Field>(rows: &'a [Row], field: impl Fn(&'a Row) -> Field) -> Vec<Field> {
    rows.iter().map(field).collect()
}
