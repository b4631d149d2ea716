use std::time::Duration;

use super::{ConfigError, Vars};

/// How jobs are run, and how long their history is kept.
#[derive(Debug, Clone)]
pub struct JobsConfig {
    /// Runs at once in this process.
    pub concurrency: usize,
    /// A run whose scheduler was not heard of for so long is taken for dead.
    pub lease: Duration,
    /// Runs that ended so many days ago are removed; the newest of each job stays.
    pub run_retention_days: u32,
    /// Ended runs that are kept of one job.
    pub run_retention_per_job: u32,
}

impl JobsConfig {
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigError> {
        Ok(Self {
            concurrency: vars.number("ATLASHUB_JOB_CONCURRENCY", 1..=1000)? as usize,
            lease: Duration::from_secs(vars.number("ATLASHUB_JOB_LEASE_SECONDS", 1..=3600)?),
            run_retention_days: vars.number("ATLASHUB_RUN_RETENTION_DAYS", 1..=36_500)? as u32,
            run_retention_per_job: vars.number("ATLASHUB_RUN_RETENTION_PER_JOB", 1..=1_000_000)? as u32,
        })
    }
}
