//! The services of the host that capabilities use.

use std::sync::Arc;

use sqlx::PgPool;

use super::{BackupCatalogue, ReplacedDatabases, TransferService};
use crate::{
    auth::AuthState,
    config::{AgeRecipients, Secret},
    egress::Egress,
    jobs::Runs,
    notifications::Notifier,
    object_store::ObjectStore,
    projects::{Databases, PluginQueries, Projects},
    secrets::{SealedColumn, Sealer},
    storage::StorageState,
};

/// Services of the host that capabilities use. All runs share them.
pub struct Services {
    pub platform: PgPool,
    pub egress: Egress,
    pub notifier: Notifier,
    /// URL of the platform database, for its migrations.
    pub database_url: Secret,
    pub databases: Databases,
    pub queries: PluginQueries,
    pub projects: Projects,
    /// Recipients to which dumps are encrypted. If the list is empty, dumps are not encrypted.
    pub backup_recipients: AgeRecipients,
    pub store: ObjectStore,
    pub storage: StorageState,
    pub auth: AuthState,
    pub backups: Arc<dyn BackupCatalogue>,
    pub replaced_databases: Arc<dyn ReplacedDatabases>,
    pub transfers: Arc<dyn TransferService>,
    /// Maximum size of a plugin's state for one project or for the platform, in KiB.
    pub state_kib: u32,
    /// The history of runs, for checking leases and removing old runs.
    pub runs: Runs,
    /// Has the master keys. The manifest of a backup names the key that its sealed values need.
    pub sealer: Sealer,
    /// The columns of the platform database that are sealed with a master key.
    pub sealed_columns: Vec<SealedColumn>,
}
