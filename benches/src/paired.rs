//! Compares this build with an older one on the same machine, if `ATLASHUB_BENCH_OLD_BIN` names the older binary.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;

use crate::{
    CONNECTIONS, Case, ROWS, cases,
    load::Load,
    platform::Platform,
    statistics::{REPETITIONS, median},
};

/// Results of one kind of request, as medians.
pub struct Figures {
    pub name: &'static str,
    /// Requests per second of the older build.
    pub old_rate: f64,
    /// Requests per second of this build.
    pub new_rate: f64,
    /// 99th percentile of the older build's latency, at half of `old_rate` requests per second.
    pub old_p99: Duration,
    /// 99th percentile of this build's latency, at the same rate.
    pub new_p99: Duration,
}

/// Starts the older binary with a Postgres of its own. Returns `None` if the variable is not set.
pub async fn start() -> Result<Option<Platform>> {
    let Some(binary) = std::env::var_os("ATLASHUB_BENCH_OLD_BIN").map(PathBuf::from) else { return Ok(None) };
    let old = Platform::start(&binary).await?;
    old.create_tables(ROWS).await?;
    Ok(Some(old))
}

/// Measures both builds in turn, for each kind of request that has a goal relative to PostgREST (`peer_goal`).
pub async fn measure(old: &Platform, new: &Platform, duration: Duration) -> Result<Vec<Figures>> {
    // The case of signed-in users has no `peer_goal`, so it needs no tokens.
    let with_goal = |platform| cases(platform, &[]).into_iter().filter(|case: &Case| case.peer_goal.is_some());
    let mut figures = Vec::new();
    for (old_case, new_case) in with_goal(old).zip(with_goal(new)) {
        let load = |platform: &Platform, case: &Case| Load::new(platform.gateway_address(), &case.atlashub);
        let (mut old_rates, mut new_rates) = (Vec::new(), Vec::new());
        for _ in 0..REPETITIONS {
            old_rates.push(load(old, &old_case).run(CONNECTIONS, duration).await?.per_second());
            new_rates.push(load(new, &new_case).run(CONNECTIONS, duration).await?.per_second());
        }
        let (old_rate, new_rate) = (median(old_rates), median(new_rates));
        let (mut old_p99s, mut new_p99s) = (Vec::new(), Vec::new());
        for _ in 0..REPETITIONS {
            for (platform, case, p99s) in [(old, &old_case, &mut old_p99s), (new, &new_case, &mut new_p99s)] {
                let outcome = load(platform, case).run_paced(CONNECTIONS, duration, old_rate / 2.0)?;
                p99s.push(outcome.percentile(0.99).as_secs_f64());
            }
        }
        figures.push(Figures {
            name: new_case.name,
            old_rate,
            new_rate,
            old_p99: Duration::from_secs_f64(median(old_p99s)),
            new_p99: Duration::from_secs_f64(median(new_p99s)),
        });
    }
    Ok(figures)
}
