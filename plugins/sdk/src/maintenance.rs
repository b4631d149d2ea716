//! What the platform clears away.

use crate::Result;
pub use crate::bindings::atlashub::plugin::maintenance::{Report, Sweep};

/// Does at most a bounded piece of work; call it again while the report says that there is more.
///
/// # Errors
/// `Denied`, `Unavailable`, `Failed`.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn run(sweep: Sweep) -> Result<Report> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::maintenance::run(sweep).await.map_err(crate::error::from_wit);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Maintenance, "maintenance.run", &format!("{sweep:?}"), |state| {
        let key = format!("{sweep:?}");
        state.sweeps_run.push(key.clone());
        let scripted = state.sweeps.get_mut(&key).and_then(std::collections::VecDeque::pop_front);
        Ok(scripted.unwrap_or(Report { removed: 0, freed_bytes: 0, more: false }))
    })
}
