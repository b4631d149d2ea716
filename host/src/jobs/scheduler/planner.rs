//! When: turns fire times into queued runs, and sleeps until the next one.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::TimeDelta;
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{PATIENCE, Shared};
use crate::jobs::{
    Schedule, ScheduleError,
    names::{parse_catch_up, trigger_text},
    queries::{self, DueJob, FiredRun, JobCursor},
    schedule::due,
};

/// Jobs handled in one transaction: few enough that what is planned first starts while the rest is planned.
const BATCH: i64 = 125;
/// A fire time this old was missed, when a scheduler has just begun: had another one been there, it would have had it.
const ON_TIME_AT_START: TimeDelta = TimeDelta::seconds(1);
/// And while it runs: it may be slow, and Postgres away for a moment.
const ON_TIME: TimeDelta = TimeDelta::seconds(10);
/// In case that a notification was lost, or the clock was changed.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// Due, and locked by another scheduler.
const SHORTEST_SLEEP: Duration = Duration::from_millis(20);
/// Beyond, they are read anew.
const MOST_SCHEDULES: usize = 2000;
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// How long a job whose schedule can't be read any more is left alone.
const UNREADABLE: TimeDelta = TimeDelta::hours(1);

/// Schedules as they were read, by expression and zone: many jobs have the same, and all are asked for again.
type Schedules = HashMap<(String, String), Result<Schedule, ScheduleError>>;

pub(super) async fn plan(shared: Arc<Shared>) {
    let mut on_time = ON_TIME_AT_START;
    let mut schedules = Schedules::new();
    while !shared.stopping.is_cancelled() {
        let sleep = match pass(&shared, on_time, &mut schedules).await {
            Ok(planned) => {
                on_time = ON_TIME;
                if planned == BATCH as usize {
                    continue;
                }
                until_due(&shared).await
            }
            Err(error) => {
                tracing::warn!(%error, "due jobs could not be queued; trying again");
                AFTER_ERROR
            }
        };
        tokio::select! {
            () = shared.stopping.cancelled() => {}
            () = shared.plan.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

async fn until_due(shared: &Shared) -> Duration {
    match shared.planning.run(PATIENCE, queries::seconds_until_due).await {
        Ok(seconds) => seconds.map_or(LONGEST_SLEEP, |seconds| {
            // Rounded up: to wake too early costs a round trip.
            Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_SLEEP.as_secs_f64()) + 0.001).max(SHORTEST_SLEEP)
        }),
        Err(error) => {
            tracing::warn!(%error, "the next due job could not be found out; trying again");
            AFTER_ERROR
        }
    }
}

/// Queues what is due now; answers how many jobs were.
async fn pass(shared: &Shared, on_time: TimeDelta, schedules: &mut Schedules) -> Result<usize, sqlx::Error> {
    let (planned, counts) =
        shared.planning.run(PATIENCE, async |connection| plan_due(connection, on_time, schedules).await).await?;
    if planned > 0 {
        shared.claim.notify_one();
    }
    for (status, count) in counts {
        if status == "skipped" {
            metrics::counter!("atlashub_jobs_runs_total", "status" => "skipped").increment(count.unsigned_abs());
        }
    }
    Ok(planned)
}

/// In one transaction; answers also how many runs of each status there are now.
async fn plan_due(
    connection: &mut PgConnection,
    on_time: TimeDelta,
    schedules: &mut Schedules,
) -> Result<(usize, Vec<(String, i64)>), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let jobs = queries::due_jobs(&mut transaction, BATCH).await?;
    if jobs.is_empty() {
        transaction.rollback().await?;
        return Ok((0, Vec::new()));
    }
    if schedules.len() > MOST_SCHEDULES {
        schedules.clear();
    }
    let (mut runs, mut cursors) = (Vec::new(), Vec::new());
    for job in &jobs {
        let schedule = schedules
            .entry((job.schedule_cron.clone(), job.timezone.clone()))
            .or_insert_with(|| Schedule::parse(&job.schedule_cron, &job.timezone));
        cursors.push(plan_job(job, schedule, on_time, &mut runs));
    }
    let counts = queries::record_due(&mut transaction, &runs, &cursors).await?;
    transaction.commit().await?;
    Ok((jobs.len(), counts))
}

fn plan_job(
    job: &DueJob,
    schedule: &Result<Schedule, ScheduleError>,
    on_time: TimeDelta,
    runs: &mut Vec<FiredRun>,
) -> JobCursor {
    let schedule = match schedule {
        Ok(schedule) => schedule,
        Err(error) => {
            tracing::error!(job = %job.id, %error, "a job's schedule can't be read; it does not run");
            return JobCursor {
                id: job.id,
                scheduled_until: job.scheduled_until,
                next_run_at: Some(job.now + UNREADABLE),
            };
        }
    };
    let due = due(schedule, job.scheduled_until, job.now, on_time, parse_catch_up(&job.catch_up));
    runs.extend(due.fire_times.iter().map(|fire| FiredRun {
        id: Uuid::now_v7(),
        job_id: job.id,
        fire_at: fire.at,
        trigger: trigger_text(fire.trigger),
    }));
    JobCursor { id: job.id, scheduled_until: due.scheduled_until, next_run_at: due.next_run_at }
}
