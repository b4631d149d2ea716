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
//! - Every future may be dropped at any await, and undoes what it began.
//!
//! Deliberately absent: connection strings, secrets' values, paths, sockets, a shell.
//!
//! [`RunState`]: super::runtime::RunState
//! [`RunState::charge`]: super::runtime::RunState::charge
//! [`RunScope::scope`]: super::runtime::RunScope::scope
//! [`RunScope::denied`]: super::runtime::RunScope::denied
//! [`Host`]: super::runtime::Host

pub mod clock;
pub mod config;
pub mod http;
pub mod log;
pub mod objects;
pub mod progress;
pub mod secrets;

use plugin_manifest::Capability;
use sqlx::PgPool;
use wasmtime::component::Linker;

use crate::egress::Egress;

use super::runtime::{Host, RunState, bindings};

/// What capabilities share between runs.
pub struct Services {
    /// The platform database, for the audit log.
    pub audit: PgPool,
    pub egress: Egress,
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
            _ => {}
        }
    }
    if !secrets {
        // `http` names the type; without the grant there is no way to get one.
        secrets::add_type_to_linker(&mut linker)?;
    }
    Ok(linker)
}
