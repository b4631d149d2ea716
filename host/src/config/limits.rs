//! Limits on requests, responses, rows, uploads and connections to projects' databases.

use std::time::Duration;

use super::{ConfigError, Vars};

/// Limits on requests, responses, rows, uploads and connections to projects' databases.
#[derive(Debug, Clone)]
pub struct LimitsConfig {
    /// Maximum size of a JSON body.
    pub body_bytes: usize,
    /// Time limit for receiving a request's body.
    pub body_timeout: Duration,
    /// Maximum size of all request bodies of one surface in memory.
    pub body_bytes_in_flight: usize,
    /// Time limit of a request after its body has arrived.
    pub request_timeout: Duration,
    /// Maximum number of concurrent requests of one surface.
    pub concurrent_requests: usize,
    /// Maximum number of concurrent requests of one project.
    pub concurrent_requests_per_project: usize,
    /// Maximum number of requests per second and project with publishable keys; 0 for no limit.
    pub publishable_per_second: u32,
    /// The same for secret keys.
    pub secret_per_second: u32,
    /// Maximum number of rows of a list without `limit`.
    pub rows_default: u32,
    /// Maximum number of rows of any list.
    pub rows_max: u32,
    /// Whether reads of one row by a unique key that wait at the same moment may share statements.
    pub share_lookups: bool,
    /// Whether inserts of a few rows that wait at the same moment may share transactions.
    pub share_inserts: bool,
    /// Maximum size of one response with rows.
    pub response_bytes: usize,
    /// Maximum size of all responses with rows that are in memory.
    pub response_bytes_in_flight: usize,
    /// Maximum number of connections to all projects' databases.
    pub project_connections: usize,
    /// Maximum number of shared connections of one project and role. The same number again can be opened for
    /// statements that need a connection of their own.
    pub pool_size: usize,
    /// Maximum number of signed uploads that have not ended, per publishable key and per signed-in user.
    pub open_uploads: u32,
    /// The same for multipart uploads.
    pub open_multipart_uploads: u32,
}

impl LimitsConfig {
    /// Reads the limits.
    ///
    /// # Errors
    /// Fails if a variable is invalid. The error describes the first such variable.
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigError> {
        let rows_max = vars.number("ATLASHUB_ROWS_MAX_LIMIT", 1..=100_000)? as u32;
        let mut rows_default = vars.number("ATLASHUB_ROWS_DEFAULT_LIMIT", 1..=100_000)? as u32;
        if !vars.is_set("ATLASHUB_ROWS_DEFAULT_LIMIT") {
            rows_default = rows_default.min(rows_max);
        }
        if rows_default > rows_max {
            return Err(ConfigError::new(
                "ATLASHUB_ROWS_DEFAULT_LIMIT",
                format!("is `{rows_default}`, above ATLASHUB_ROWS_MAX_LIMIT"),
                format!("set it to at most {rows_max}"),
            ));
        }
        let response_bytes = vars.number("ATLASHUB_RESPONSE_LIMIT_BYTES", 65_536..=1 << 29)? as usize;
        // Half of this memory is the share of one project. A response of the maximum size must fit into that share
        // twice, because bytes are counted twice while one response is appended to another.
        let response_bytes_in_flight = (vars.number("ATLASHUB_MAX_RESPONSE_BYTES_IN_FLIGHT", 65_536..=1 << 40)?
            as usize)
            .max(response_bytes.saturating_mul(4));
        let body_bytes = vars.number("ATLASHUB_BODY_LIMIT_BYTES", 1024..=1 << 30)? as usize;
        // A few bodies of the maximum size must fit.
        let body_bytes_in_flight = (vars.number("ATLASHUB_MAX_BODY_BYTES_IN_FLIGHT", 1024..=1 << 40)? as usize)
            .max(body_bytes.saturating_mul(4));
        let concurrent_requests = vars.number("ATLASHUB_MAX_CONCURRENT_REQUESTS", 1..=100_000)?;
        let concurrent_requests_per_project = vars.number_or(
            "ATLASHUB_MAX_CONCURRENT_REQUESTS_PER_PROJECT",
            (concurrent_requests / 2).max(1),
            1,
            100_000,
        )?;
        Ok(Self {
            body_bytes,
            body_timeout: Duration::from_secs(vars.number("ATLASHUB_BODY_TIMEOUT_SECONDS", 1..=3600)?),
            body_bytes_in_flight,
            request_timeout: Duration::from_secs(vars.number("ATLASHUB_REQUEST_TIMEOUT_SECONDS", 1..=600)?),
            concurrent_requests: concurrent_requests as usize,
            concurrent_requests_per_project: concurrent_requests_per_project as usize,
            publishable_per_second: vars.number("ATLASHUB_RATE_LIMIT_PUBLISHABLE", 0..=1_000_000)? as u32,
            secret_per_second: vars.number("ATLASHUB_RATE_LIMIT_SECRET", 0..=1_000_000)? as u32,
            rows_default,
            rows_max,
            share_lookups: vars.flag("ATLASHUB_SHARE_LOOKUPS")?,
            share_inserts: vars.flag("ATLASHUB_SHARE_INSERTS")?,
            response_bytes,
            response_bytes_in_flight,
            project_connections: vars.number("ATLASHUB_PROJECT_CONNECTIONS", 5..=10_000)? as usize,
            pool_size: vars.number("ATLASHUB_POOL_SIZE", 1..=50)? as usize,
            open_uploads: vars.number("ATLASHUB_MAX_OPEN_UPLOADS", 1..=1_000_000)? as u32,
            open_multipart_uploads: vars.number("ATLASHUB_MAX_OPEN_MULTIPART_UPLOADS", 1..=100_000)? as u32,
        })
    }
}
