//! System information: version, configuration facts, migrations.

pub(super) mod routes;

use chrono::{DateTime, Utc};

/// Facts that do not change while the process runs.
#[derive(Debug, Clone)]
pub struct SystemFacts {
    pub environment: crate::config::Environment,
    pub role: crate::config::Role,
    pub embedded: bool,
    pub started_at: DateTime<Utc>,
    pub public_url: String,
    pub storage_public_endpoint: String,
}
