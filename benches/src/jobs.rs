//! A thousand jobs that are due in the same second: how soon they begin, and how many begin a second.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::{backup::psql_on, platform::Platform, plugins::component};

const JOBS: u32 = 1000;
/// How often; of each figure the median counts.
const TURNS: usize = 5;
/// Until the jobs are due: enough for whatever inserting them left to be done.
const AHEAD: Duration = Duration::from_secs(4);
/// They are not looked at before: whoever asks takes processor time from them.
const LOOK_AFTER: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(120);

/// Of the runs' `started_at` against their fire time.
#[derive(Debug, Clone, Copy)]
pub struct Lateness {
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Runs that began, a second, from the fire time to the last one.
    pub per_second: f64,
}

/// What the jobs run, both real components.
pub struct Figures {
    /// One that does nothing: what is measured is the scheduler.
    pub nothing: Lateness,
    /// `migrations`, job `status`, which asks Postgres one thing and answers 1 KiB.
    pub status: Lateness,
}

pub async fn measure(platform: &Platform) -> Result<Figures> {
    let nothing = component("nothing").map_err(|error| anyhow::anyhow!("{error:#}"))?;
    platform.install_plugin("nothing", &nothing).await?;
    // One scheduler, as in a deployment; that of the other process would be another.
    let _paused = platform.pause_provider()?;
    Ok(Figures {
        nothing: median_of(platform, "nothing", "nothing").await?,
        status: median_of(platform, "migrations", "status").await?,
    })
}

async fn median_of(platform: &Platform, plugin: &str, job: &str) -> Result<Lateness> {
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let turn = once(platform, plugin, job).await?;
        let Lateness { p50_ms, p99_ms, per_second } = turn;
        eprintln!("bench: due jobs, {plugin}: p50 {p50_ms:.0} ms, p99 {p99_ms:.0} ms, {per_second:.0}/s");
        turns.push(turn);
    }
    turns.sort_unstable_by(|a, b| a.p99_ms.total_cmp(&b.p99_ms));
    turns.get(TURNS / 2).copied().context("a turn")
}

async fn once(platform: &Platform, plugin: &str, job: &str) -> Result<Lateness> {
    let begin = format!(
        "WITH due AS (SELECT date_trunc('second', now()) + interval '{} s' AS at)
         INSERT INTO cron_jobs (id, name, type, schedule_cron, plugin, plugin_job, next_run_at)
         SELECT gen_random_uuid(), 'due ' || n, 'platform', to_char(at AT TIME ZONE 'UTC', 'SS MI HH24') || ' * * *', '{plugin}', '{job}', at
         FROM due, generate_series(1, {JOBS}) AS n; SELECT pg_notify('atlashub_jobs', 'jobs')",
        AHEAD.as_secs()
    );
    psql_on(platform, "platform", &begin).await?;
    tokio::time::sleep(AHEAD + LOOK_AFTER).await;
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
