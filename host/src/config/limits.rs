use std::time::Duration;

use super::{ConfigError, Vars};

/// What a caller may ask for, and how much of it at once.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    pub body_bytes: usize,
    pub request_timeout: Duration,
    pub concurrent_requests: usize,
    /// Requests per second and project; 0 for no limit.
    pub publishable_per_second: u32,
    pub secret_per_second: u32,
    pub rows_default: u32,
    pub rows_max: u32,
    /// Connections to projects' databases, all together.
    pub project_connections: usize,
    /// Connections of one project and role.
    pub pool_size: usize,
}

impl LimitsConfig {
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigError> {
        let rows_max = vars.number_or("ATLASHUB_ROWS_MAX_LIMIT", 1000, 1, 100_000)? as u32;
        let rows_default =
            vars.number_or("ATLASHUB_ROWS_DEFAULT_LIMIT", 100.min(u64::from(rows_max)), 1, 100_000)? as u32;
        if rows_default > rows_max {
            return Err(ConfigError::new(
                "ATLASHUB_ROWS_DEFAULT_LIMIT",
                format!("is `{rows_default}`, above ATLASHUB_ROWS_MAX_LIMIT"),
                format!("set it to at most {rows_max}"),
            ));
        }
        Ok(Self {
            body_bytes: vars.number_or("ATLASHUB_BODY_LIMIT_BYTES", 1 << 20, 1024, 1 << 30)? as usize,
            request_timeout: Duration::from_secs(vars.number_or("ATLASHUB_REQUEST_TIMEOUT_SECONDS", 15, 1, 600)?),
            concurrent_requests: vars.number_or("ATLASHUB_MAX_CONCURRENT_REQUESTS", 512, 1, 100_000)? as usize,
            publishable_per_second: vars.number_or("ATLASHUB_RATE_LIMIT_PUBLISHABLE", 50, 0, 1_000_000)? as u32,
            secret_per_second: vars.number_or("ATLASHUB_RATE_LIMIT_SECRET", 1000, 0, 1_000_000)? as u32,
            rows_default,
            rows_max,
            project_connections: vars.number_or("ATLASHUB_PROJECT_CONNECTIONS", 80, 5, 10_000)? as usize,
            pool_size: vars.number_or("ATLASHUB_POOL_SIZE", 5, 1, 50)? as usize,
        })
    }
}
