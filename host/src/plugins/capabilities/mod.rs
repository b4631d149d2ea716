//! What a plugin can do, one file per interface of `wit/`: `types`, `log`, `progress`, `clock` and `config` are free, each
//! other is there only with a grant, and reaches no further than the grant's scope.
//!
//! A file holds what the interface shares between runs (a field of [`Services`]), what it keeps per run, and the
//! functions themselves. The mechanisms lie below, in `egress`, `db` and `object_store`: a capability checks the scope,
//! counts the bytes, and translates.
//!
//! The pattern, to be followed by each:
//! - A plain `func` is a method of the interface's `Host` for [`RunState`]; an `async func` one of `HostWithStore` for
//!   [`Host`], with an accessor. `Accessor::with` is never held over an await.
//! - First [`RunState::charge`] the bytes that came in, then look up the scope with [`RunScope::scope`] and refuse with
//!   [`RunScope::denied`], then work on an `Arc` of the service that was cloned out.
//! - What changes something of the platform first asks [`check_lease`].
//! - Every future may be dropped at any await, and undoes what it began.
//!
//! Deliberately absent: connection strings, secrets' values, paths, sockets, a shell.
//!
//! [`RunState`]: super::runtime::RunState
//! [`RunState::charge`]: super::runtime::RunState::charge
//! [`RunScope::scope`]: super::runtime::RunScope::scope
//! [`RunScope::denied`]: super::runtime::RunScope::denied
//! [`Host`]: super::runtime::Host

pub mod backups;
pub mod clock;
pub mod config;
pub mod databases;
pub mod http;
pub mod log;
pub mod maintenance;
pub mod migrations;
pub mod notify;
pub mod objects;
pub mod progress;
pub mod secrets;

use std::sync::Arc;

use plugin_manifest::Capability;
use sqlx::PgPool;
use wasmtime::component::Linker;

use super::{
    BackupCatalogue,
    runtime::{
        Accessor, CallError, Host, RunScope, RunState,
        bindings::{self, types::ErrorCode},
    },
};
use crate::{
    config::Secret, egress::Egress, jobs::Runs, notifications::Notifier, object_store::ObjectStore,
    projects::Databases, storage::StorageState,
};

/// What capabilities share between runs.
pub struct Services {
    pub platform: PgPool,
    pub egress: Egress,
    pub notifier: Notifier,
    /// Of the platform database, for its migrations.
    pub database_url: Secret,
    pub databases: Databases,
    pub store: ObjectStore,
    pub storage: StorageState,
    pub backups: Arc<dyn BackupCatalogue>,
    /// The history of runs, for what clears it away.
    pub runs: Runs,
    /// Names the master key that seals now.
    pub master_key_id: String,
}

/// What every call that waits begins with: its bytes are counted, and the run is cloned out of the accessor.
fn begin_call(accessor: &Accessor, bytes: usize) -> wasmtime::Result<Arc<RunScope>> {
    accessor.with(|mut access| {
        let state = access.get();
        state.charge(bytes)?;
        Ok(Arc::clone(&state.run))
    })
}

/// Refuses a run that doesn't hold its lease any more: somebody else may have it. Every call that changes something of
/// the platform asks for this right before it does, where the change can't be one transaction with
/// [`Runs::lock_lease`].
async fn check_lease(run: &RunScope) -> Result<(), CallError> {
    if run.services.runs.lease_is_valid(run.call.run_id, run.call.lease).await? {
        return Ok(());
    }
    Err(CallError::new(ErrorCode::Conflict, "the run doesn't hold its lease any more, so nothing was changed"))
}

/// A linker with the free interfaces and those that are granted; anything else a component imports is missing from it.
pub(super) fn link(
    engine: &wasmtime::Engine,
    granted: impl IntoIterator<Item = Capability>,
) -> wasmtime::Result<Linker<RunState>> {
    let mut linker = Linker::new(engine);
    bindings::types::add_to_linker::<_, Host>(&mut linker, |state| state)?;
    bindings::log::add_to_linker::<_, Host>(&mut linker, |state| state)?;
    bindings::progress::add_to_linker::<_, Host>(&mut linker, |state| state)?;
    bindings::clock::add_to_linker::<_, Host>(&mut linker, |state| state)?;
    bindings::config::add_to_linker::<_, Host>(&mut linker, |state| state)?;
    let mut secrets = false;
    for capability in granted {
        match capability {
            Capability::Secrets => {
                secrets = true;
                bindings::secrets::add_to_linker::<_, Host>(&mut linker, |state| state)?;
            }
            Capability::Http => bindings::http::add_to_linker::<_, Host>(&mut linker, |state| state)?,
            Capability::Databases => bindings::databases::add_to_linker::<_, Host>(&mut linker, |state| state)?,
            Capability::Objects => bindings::objects::add_to_linker::<_, Host>(&mut linker, |state| state)?,
            Capability::Backups => bindings::backups::add_to_linker::<_, Host>(&mut linker, |state| state)?,
            Capability::Maintenance => bindings::maintenance::add_to_linker::<_, Host>(&mut linker, |state| state)?,
            Capability::Migrations => bindings::migrations::add_to_linker::<_, Host>(&mut linker, |state| state)?,
            Capability::Notify => bindings::notify::add_to_linker::<_, Host>(&mut linker, |state| state)?,
        }
    }
    if !secrets {
        // `http` names the type; without the grant there is no way to get one.
        secrets::add_type_to_linker(&mut linker)?;
    }
    Ok(linker)
}
