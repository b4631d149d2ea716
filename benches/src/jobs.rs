//! Measures how late runs start when a thousand jobs are due in the same second.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::{backup::psql, platform::Platform, plugins::component, statistics::REPETITIONS};

const JOBS: u32 = 1000;
/// Maximum time from inserting the jobs until they are due. This time is enough for Postgres to finish the work that
/// inserting causes.
const DELAY_UNTIL_DUE: Duration = Duration::from_secs(4);
/// Minimum time from the fire time until the results are queried. Querying earlier would take processor time from the
/// runs.
const DELAY_UNTIL_QUERY: Duration = Duration::from_secs(3);
const RUNS_TIMEOUT: Duration = Duration::from_secs(120);

/// Time from the fire time of runs to their `started_at`.
#[derive(Debug, Clone, Copy)]
pub struct Lateness {
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Runs started per second, from the fire time to the last start.
    pub per_second: f64,
}

/// Lateness of the jobs of each plugin.
pub struct Figures {
    /// A component that does nothing, to measure the scheduler alone.
    pub nothing: Lateness,
    /// Job `status` of the plugin `migrations`, which queries Postgres and returns the list of migrations.
    pub status: Lateness,
}

pub async fn measure(platform: &Platform) -> Result<Figures> {
    let nothing = component("nothing").map_err(|error| anyhow::anyhow!("{error:#}"))?;
    platform.install_plugin("nothing", &nothing).await?;
    // Measure a single scheduler: the process that provides Postgres has one too.
    let _paused = platform.pause_provider()?;
    Ok(Figures {
        nothing: measure_plugin(platform, "nothing", "nothing").await?,
        status: measure_plugin(platform, "migrations", "status").await?,
    })
}

async fn measure_plugin(platform: &Platform, plugin: &str, job: &str) -> Result<Lateness> {
    let mut results = Vec::new();
    for _ in 0..REPETITIONS {
        let result = measure_once(platform, plugin, job).await?;
        let Lateness { p50_ms, p99_ms, per_second } = result;
        eprintln!("bench: due jobs, {plugin}: p50 {p50_ms:.0} ms, p99 {p99_ms:.0} ms, {per_second:.0}/s");
        results.push(result);
    }
    results.sort_unstable_by(|a, b| a.p99_ms.total_cmp(&b.p99_ms));
    results.get(REPETITIONS / 2).copied().context("no results")
}

async fn measure_once(platform: &Platform, plugin: &str, job: &str) -> Result<Lateness> {
    let insert = format!(
        "WITH due AS (SELECT date_trunc('second', now()) + interval '{} s' AS at)
         INSERT INTO cron_jobs (id, name, type, schedule_cron, plugin, plugin_job, next_run_at)
         SELECT gen_random_uuid(), 'due ' || n, 'platform',
                to_char(at AT TIME ZONE 'UTC', 'SS MI HH24') || ' * * *', '{plugin}', '{job}', at
         FROM due, generate_series(1, {JOBS}) AS n; SELECT pg_notify('atlashub_jobs', 'jobs')",
        DELAY_UNTIL_DUE.as_secs()
    );
    psql(platform, "platform", &insert).await?;
    tokio::time::sleep(DELAY_UNTIL_DUE + DELAY_UNTIL_QUERY).await;
    let deadline = Instant::now() + RUNS_TIMEOUT;
    let count_succeeded = "SELECT count(*) FROM cron_job_runs r JOIN cron_jobs j ON j.id = r.job_id
                           WHERE j.name LIKE 'due %' AND r.status = 'success'";
    while psql(platform, "platform", count_succeeded).await?.trim().parse::<u32>()? < JOBS {
        if Instant::now() > deadline {
            bail!("not all jobs succeeded within {RUNS_TIMEOUT:?}");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let figures = psql(
        platform,
        "platform",
        "SELECT concat_ws(' ', percentile_cont(0.5) WITHIN GROUP (ORDER BY late),
                          percentile_cont(0.99) WITHIN GROUP (ORDER BY late), count(*) / max(late))
         FROM (SELECT extract(epoch FROM r.started_at - r.scheduled_for)::float8 AS late
               FROM cron_job_runs r JOIN cron_jobs j ON j.id = r.job_id WHERE j.name LIKE 'due %') AS runs",
    )
    .await?;
    psql(platform, "platform", "DELETE FROM cron_jobs WHERE name LIKE 'due %'").await?;
    let figures: Vec<f64> = figures.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [p50, p99, per_second] = figures[..] else { bail!("unexpected output of psql: {figures:?}") };
    Ok(Lateness { p50_ms: p50 * 1e3, p99_ms: p99 * 1e3, per_second })
}
