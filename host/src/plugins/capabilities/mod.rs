//! The host functions that plugins can call, in one module per imported interface of `wit/`, except `types`.
//!
//! `log`, `progress`, `clock`, `config` and the shared `types` need no grant. Every other interface is linked only with
//! a grant. If its grants have a scope, its calls are checked against the scope.
//!
//! Each module owns its limits, its per-run state ([`RunState::capability_state`]) and its linker hook
//! (`add_to_linker`), so that a host can link any subset. A capability only checks the scope, counts the bytes and
//! converts types. Modules on lower floors, such as `egress`, `db` and `object_store`, do the work.
//!
//! Every capability follows the same pattern:
//! - A plain `func` is implemented in the interface's generated trait `Host`, for [`RunState`]. An `async func` is
//!   implemented in the generated trait `HostWithStore`, for the type [`Host`], and gets an accessor to the store's
//!   data.
//! - First charge the bytes of the arguments ([`begin_call`] or [`RunState::charge`]). Then check the scope with
//!   [`RunScope::scope`] and [`RunScope::deny`]. Then wait for a permit ([`Call::enter`]), and only then do the work.
//!   In `http`, `egress` checks the scope, because redirects can lead to other hosts.
//! - Reserve the memory that the host holds for the call with [`RunCalls::hold`] before using it. Charge a large result
//!   with [`charge_result`].
//! - Attach the cause of an error with [`CallError::caused_by`]. It is written to the server's log, once per run and
//!   kind.
//! - Call [`check_lease`] right before changing the platform.
//! - A call's future can be dropped at any await. Then it must undo what it started, or leave it in a state that a
//!   sweep repairs.
//!
//! No capability gives a guest connection strings, secret values, paths, sockets or a shell.
//!
//! [`Call::enter`]: super::guest::Call::enter
//! [`CallError::caused_by`]: super::guest::CallError::caused_by
//! [`RunCalls::hold`]: super::guest::RunCalls::hold
//! [`begin_call`]: super::guest::begin_call
//! [`charge_result`]: super::guest::charge_result
//! [`check_lease`]: super::guest::check_lease
//! [`Host`]: super::guest::Host
//! [`RunScope::deny`]: super::guest::RunScope::deny
//! [`RunScope::scope`]: super::guest::RunScope::scope
//! [`RunState`]: super::guest::RunState
//! [`RunState::capability_state`]: super::guest::RunState::capability_state
//! [`RunState::charge`]: super::guest::RunState::charge

mod backups;
mod buckets;
mod clock;
mod config;
mod databases;
mod http;
mod log;
mod maintenance;
mod migrations;
mod notify;
mod objects;
mod progress;
mod query;
mod secrets;
mod state;
mod transfers;

use plugin_manifest::Capability;
use wasmtime::component::Linker;

pub(super) use log::LogBudget;

use super::guest::{Host, RunState, bindings::types};

/// Creates a linker with the interfaces that need no grant, and those of the granted capabilities. A component that
/// imports anything else can't be linked.
pub(super) fn new_linker(
    engine: &wasmtime::Engine,
    granted: impl IntoIterator<Item = Capability>,
) -> wasmtime::Result<Linker<RunState>> {
    let mut linker = Linker::new(engine);
    types::add_to_linker::<_, Host>(&mut linker, |state| state)?;
    log::add_to_linker(&mut linker)?;
    progress::add_to_linker(&mut linker)?;
    clock::add_to_linker(&mut linker)?;
    config::add_to_linker(&mut linker)?;
    let mut has_secrets = false;
    for capability in granted {
        has_secrets |= capability == Capability::Secrets;
        let add_to_linker = match capability {
            Capability::Secrets => secrets::add_to_linker,
            Capability::Http => http::add_to_linker,
            Capability::Databases => databases::add_to_linker,
            Capability::Objects => objects::add_to_linker,
            Capability::Backups => backups::add_to_linker,
            Capability::Maintenance => maintenance::add_to_linker,
            Capability::Migrations => migrations::add_to_linker,
            Capability::Notify => notify::add_to_linker,
            Capability::Transfers => transfers::add_to_linker,
            Capability::Query => query::add_to_linker,
            Capability::State => state::add_to_linker,
            Capability::Buckets => buckets::add_to_linker,
        };
        add_to_linker(&mut linker)?;
    }
    if !has_secrets {
        // The signature of `http` names the type `secret`. Without the grant, a guest can't obtain a value of the type.
        secrets::add_type_to_linker(&mut linker)?;
    }
    Ok(linker)
}

#[cfg(test)]
mod tests;
