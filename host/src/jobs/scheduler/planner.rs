//! Turns fire times into queued runs, and sleeps until the next fire time.

use std::{collections::HashMap, sync::Arc, time::Duration};

use api_types::RunStatus;
use chrono::TimeDelta;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{
    queries::{self, DueJob, FiredRun, JobCursor},
    state::{STATEMENT_TIMEOUT, SchedulerState, sleep_until_due},
};
use crate::jobs::{Schedule, ScheduleError, schedule::due_runs};

/// Maximum number of jobs that are planned in one transaction. It is small, so that the first runs start while the next
/// jobs are planned.
const BATCH_SIZE: i64 = 125;
/// Age at which a fire time counts as missed when the scheduler has just started: any other scheduler would have
/// handled it on time.
const MISSED_AFTER_AT_START: TimeDelta = TimeDelta::seconds(1);
/// Age at which a fire time counts as missed while the scheduler runs: the scheduler can be slow, or Postgres
/// unavailable, for a moment.
const MISSED_AFTER: TimeDelta = TimeDelta::seconds(10);
/// Minimum sleep, so that a due job that another scheduler has locked does not cause a busy loop.
const MIN_SLEEP: Duration = Duration::from_millis(20);
const MAX_CACHED_SCHEDULES: usize = 2000;
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Time until a job with an invalid schedule is tried again.
const INVALID_SCHEDULE_INTERVAL: TimeDelta = TimeDelta::hours(1);

/// Parsed schedules by expression and zone. Many jobs have the same schedule, and each schedule is needed again.
type Schedules = HashMap<(String, String), Result<Schedule, ScheduleError>>;

pub(super) async fn plan_runs(state: Arc<SchedulerState>) {
    let mut missed_after = MISSED_AFTER_AT_START;
    let mut schedules = Schedules::new();
    while !state.stopping.is_cancelled() {
        let sleep = match plan_batch(&state, missed_after, &mut schedules).await {
            Ok(planned) => {
                missed_after = MISSED_AFTER;
                if planned == BATCH_SIZE as usize {
                    continue;
                }
                time_until_due(&state).await
            }
            Err(error) => {
                tracing::warn!(%error, "failed to queue due jobs; retrying");
                RETRY_INTERVAL
            }
        };
        tokio::select! {
            () = state.stopping.cancelled() => {}
            () = state.wake_planner.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

async fn time_until_due(state: &SchedulerState) -> Duration {
    match state.planner.run(STATEMENT_TIMEOUT, queries::seconds_until_due).await {
        Ok(seconds) => sleep_until_due(seconds).max(MIN_SLEEP),
        Err(error) => {
            tracing::warn!(%error, "failed to read when the next job is due; retrying");
            RETRY_INTERVAL
        }
    }
}

/// Queues the runs that are due. Returns the number of jobs that were due.
async fn plan_batch(
    state: &SchedulerState,
    missed_after: TimeDelta,
    schedules: &mut Schedules,
) -> Result<usize, sqlx::Error> {
    let plan =
        async |connection: &mut PgConnection| plan_due_jobs(connection, &state.worker, missed_after, schedules).await;
    let (planned, counts) = state.planner.run(STATEMENT_TIMEOUT, plan).await?;
    if planned > 0 {
        state.wake_claimer.notify_one();
    }
    for (status, count) in counts {
        if status == RunStatus::Skipped {
            metrics::counter!("atlashub_jobs_runs_total", "status" => status.as_str()).increment(count.unsigned_abs());
        }
    }
    Ok(planned)
}

/// Plans a batch of due jobs in one transaction. Returns the number of jobs, and of new runs by status.
async fn plan_due_jobs(
    connection: &mut PgConnection,
    worker: &str,
    missed_after: TimeDelta,
    schedules: &mut Schedules,
) -> Result<(usize, Vec<(RunStatus, i64)>), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let jobs = queries::lock_due_jobs(&mut transaction, BATCH_SIZE).await?;
    if jobs.is_empty() {
        transaction.rollback().await?;
        return Ok((0, Vec::new()));
    }
    if schedules.len() > MAX_CACHED_SCHEDULES {
        schedules.clear();
    }
    let (mut runs, mut cursors) = (Vec::new(), Vec::new());
    for job in &jobs {
        let schedule = schedules
            .entry((job.schedule_cron.clone(), job.timezone.clone()))
            .or_insert_with(|| Schedule::parse(&job.schedule_cron, &job.timezone));
        cursors.push(plan_job(job, schedule, missed_after, &mut runs));
    }
    let counts = queries::queue_due_runs(&mut transaction, &runs, &cursors, worker).await?;
    transaction.commit().await?;
    Ok((jobs.len(), counts))
}

/// Appends a job's due runs to `runs`, and returns its new cursor.
fn plan_job(
    job: &DueJob,
    schedule: &Result<Schedule, ScheduleError>,
    missed_after: TimeDelta,
    runs: &mut Vec<FiredRun>,
) -> JobCursor {
    let schedule = match schedule {
        Ok(schedule) => schedule,
        Err(error) => {
            tracing::error!(job = %job.id, %error, "a job has an invalid schedule and does not run");
            return JobCursor {
                id: job.id,
                scheduled_until: job.scheduled_until,
                next_run_at: Some(job.now + INVALID_SCHEDULE_INTERVAL),
            };
        }
    };
    let due = due_runs(schedule, job.scheduled_until, job.now, missed_after, job.catch_up);
    runs.extend(due.fire_times.iter().map(|fire| FiredRun {
        id: Uuid::now_v7(),
        job_id: job.id,
        fire_at: fire.at,
        trigger: fire.trigger,
    }));
    JobCursor { id: job.id, scheduled_until: due.scheduled_until, next_run_at: due.next_run_at }
}
