//! A thousand jobs that are due in the same second: how soon they begin, and how many begin a second.
//!
//! Each runs the plugin `migrations`, job `status`: a real component that asks Postgres one thing.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::{backup::psql_on, platform::Platform};

const JOBS: u32 = 1000;
const PATIENCE: Duration = Duration::from_secs(120);

/// Of the runs' `started_at` against their fire time.
pub struct Lateness {
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Runs that began, a second, from the fire time to the last one.
    pub per_second: f64,
}

pub async fn measure(platform: &Platform) -> Result<Lateness> {
    let begin = format!(
        "WITH due AS (SELECT date_trunc('second', now()) + interval '4 s' AS at)
         INSERT INTO cron_jobs (id, name, type, schedule_cron, plugin, plugin_job, next_run_at)
         SELECT gen_random_uuid(), 'due ' || n, 'platform', to_char(at AT TIME ZONE 'UTC', 'SS MI HH24') || ' * * *', 'migrations', 'status', at
         FROM due, generate_series(1, {JOBS}) AS n; SELECT pg_notify('atlashub_jobs', 'jobs')"
    );
    psql_on(platform, "platform", &begin).await?;
    let deadline = Instant::now() + PATIENCE;
    let ended = "SELECT count(*) FROM cron_job_runs r JOIN cron_jobs j ON j.id = r.job_id WHERE j.name LIKE 'due %' AND r.status = 'success'";
    while psql_on(platform, "platform", ended).await?.trim().parse::<u32>()? < JOBS {
        if Instant::now() > deadline {
            bail!("the jobs did not all succeed in {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let figures = psql_on(
        platform,
        "platform",
        "SELECT concat_ws(' ', percentile_cont(0.5) WITHIN GROUP (ORDER BY late), percentile_cont(0.99) WITHIN GROUP (ORDER BY late), count(*) / max(late))
         FROM (SELECT extract(epoch FROM r.started_at - r.scheduled_for)::float8 AS late
               FROM cron_job_runs r JOIN cron_jobs j ON j.id = r.job_id WHERE j.name LIKE 'due %') AS runs",
    )
    .await?;
    psql_on(platform, "platform", "DELETE FROM cron_jobs WHERE name LIKE 'due %'").await?;
    let figures: Vec<f64> = figures.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [p50, p99, per_second] = figures[..] else { bail!("psql printed {figures:?}") };
    Ok(Lateness { p50_ms: p50 * 1e3, p99_ms: p99 * 1e3, per_second })
}
