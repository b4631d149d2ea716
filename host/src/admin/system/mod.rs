//! System information: version, configuration, services, the disk, nodes and migrations.
//!
//! `measure` checks the services and the disk, `nodes` keeps the list of running processes, and `routes` contains the
//! endpoints.

pub(super) mod measure;
mod nodes;
pub(super) mod routes;

use std::path::PathBuf;

use api_types::ConfigurationVariable;
use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use nodes::{leave, report_regularly};

/// Facts that do not change while the process runs.
#[derive(Debug, Clone)]
pub struct SystemFacts {
    pub environment: crate::config::Environment,
    pub role: crate::config::Role,
    pub embedded: bool,
    pub started_at: DateTime<Utc>,
    pub public_url: String,
    pub storage_public_endpoint: String,
    /// Id of this process in the list of nodes.
    pub node_id: Uuid,
    pub data_dir: PathBuf,
    pub plugin_dir: PathBuf,
    /// Free space, in percent, below which a disk counts as low. With 0, no disk counts as low.
    pub disk_low_percent: u8,
    pub configuration: Vec<ConfigurationVariable>,
}
