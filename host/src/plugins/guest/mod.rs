//! What one run's wasmtime store holds, and what capabilities are written against.
//!
//! In reading order: [`bindings`] (generated from `wit/`) with [`resources`] and [`call_error`] (the Rust types behind
//! its resources and errors), [`state`] (the store's data), [`run_scope`] (the run's identity, grants and denials),
//! [`grants`], [`call`] (the first steps of every host call), [`transfers`] (permits for large transfers), [`streams`]
//! (bytes between guest and host), [`limits`] and [`metering`] (memory and processor time), [`services`] (shared
//! between runs) with [`backup_catalogue`].
//!
//! Most types are generic over `S`, the services. It defaults to [`Services`]; a test of a single capability can use
//! less, for example `()`.
//!
//! Deliberately absent: the capabilities themselves and the runtime. Nothing here imports them.

mod backup_catalogue;
pub mod bindings;
mod call;
mod call_error;
mod grants;
mod limits;
mod metering;
mod resources;
mod run_scope;
mod services;
mod state;
pub mod streams;
mod transfers;

pub use backup_catalogue::{
    BackupCatalogue, BackupVerification, CatalogueEntry, CatalogueError, NewBackup, RunLease, TableDifference,
};
pub(super) use call::{begin_call, check_lease};
pub use call_error::CallError;
pub use grants::Grants;
pub use limits::LimitReached;
pub(super) use limits::{MAX_INSTANCES, MAX_MEMORIES, MAX_TABLE_ELEMENTS, MemoryLimiter, SharedMemory};
pub use metering::HostTime;
pub(super) use metering::Metered;
pub use resources::{OpenSecret, OpenUpload};
pub use run_scope::{AuditedDenials, RunScope};
pub use services::Services;
pub(super) use state::MAX_HANDLES;
pub use state::{Accessor, Host, RunState};
pub use transfers::Transfer;
