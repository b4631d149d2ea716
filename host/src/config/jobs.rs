//! Settings of jobs.

use std::time::Duration;

use super::{ConfigError, Vars};

/// Settings of the execution of jobs, and of the retention of their history.
#[derive(Debug, Clone)]
pub struct JobsConfig {
    /// Maximum number of concurrent runs in this process.
    pub concurrency: usize,
    /// Time without a renewal after which a run's lease expires and its scheduler counts as crashed.
    pub lease: Duration,
    /// Days after which ended runs are removed. The newest run of each job is kept, and so is the newest that was not
    /// skipped.
    pub run_retention_days: u32,
    /// Maximum number of ended runs that are kept per job. Skipped runs are counted separately, with the same maximum.
    pub run_retention_per_job: u32,
}

impl JobsConfig {
    /// Reads the variables of jobs.
    ///
    /// # Errors
    /// Fails if a variable is invalid. The error describes the first such variable.
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigError> {
        Ok(Self {
            concurrency: vars.number("ATLASHUB_JOB_CONCURRENCY", 1..=1000)? as usize,
            lease: Duration::from_secs(vars.number("ATLASHUB_JOB_LEASE_SECONDS", 1..=3600)?),
            run_retention_days: vars.number("ATLASHUB_RUN_RETENTION_DAYS", 1..=36_500)? as u32,
            run_retention_per_job: vars.number("ATLASHUB_RUN_RETENTION_PER_JOB", 1..=1_000_000)? as u32,
        })
    }
}
