//! The contents of one run's wasmtime store, and the types that capabilities build on.
//!
//! Modules in reading order:
//! - [`bindings`]: generated from `wit/`. [`resources`] and [`call_error`] are the Rust types of its resources and
//!   errors.
//! - [`state`]: the store's data.
//! - [`run_scope`]: the run's identity, grants and denials. [`grants`] contains the permissions, settings and secrets
//!   of the run's plugin.
//! - [`call`]: the first steps of every host call.
//! - [`call_limits`]: limits of calls in progress, and of the memory held for them. [`shared_permits`] are shared by
//!   the runs of all plugins.
//! - [`failures`]: causes of failed calls, each kind logged once per run.
//! - [`transfers`]: permits for large transfers.
//! - [`streams`]: bytes between guest and host. [`idle`] closes streams that the guest does not read.
//! - [`limits`], [`metering`]: memory and processor time.
//! - [`services`]: shared between runs. Modules on higher floors implement [`backup_catalogue`], [`replaced_databases`]
//!   and [`transfer_service`].
//!
//! Most types are generic over the services, `S`. The default is [`Services`]. A test of a single capability can use
//! fewer services, for example `()`.
//!
//! Deliberately absent: the capabilities themselves and the runtime. Nothing here imports them.

mod backup_catalogue;
pub mod bindings;
mod call;
mod call_error;
mod call_limits;
mod failures;
mod grants;
mod idle;
mod limits;
mod metering;
mod replaced_databases;
mod resources;
mod run_scope;
mod services;
mod shared_permits;
mod state;
pub mod streams;
mod transfer_service;
mod transfers;

pub use backup_catalogue::{
    BackupCatalogue, BackupVerification, CatalogueEntry, CatalogueError, CopiedObjects, NewBackup, OnObject, RunLease,
    TableDifference,
};
pub(super) use call::{Call, begin_call, charge_result, check_lease};
pub use call_error::CallError;
pub(super) use call_limits::CallLimits;
pub use call_limits::{HeldMemory, RunCalls, max_postgres_connections};
pub use failures::{FailureCause, LoggedFailures};
pub use grants::Grants;
pub use limits::LimitReached;
pub(super) use limits::{MAX_INSTANCES, MAX_MEMORIES, MAX_TABLE_ELEMENTS, MemoryLimiter, SharedMemory};
pub use metering::HostTime;
pub(super) use metering::Metered;
pub use replaced_databases::{DroppedDatabases, ReplacedDatabases};
pub use resources::{OpenSecret, OpenUpload, UncommittedUpload};
pub use run_scope::{AuditedDenials, RunScope};
pub use services::Services;
pub(super) use shared_permits::{Permits, SharedPermits, share_of};
pub(super) use state::MAX_HANDLES;
pub use state::{Accessor, Host, RunState};
pub use transfer_service::{
    ExportOutcome, ImportFile, LoadMethod, LoadedImport, OpenExport, StoredExport, TransferError, TransferProgress,
    TransferService,
};
pub use transfers::Transfer;
