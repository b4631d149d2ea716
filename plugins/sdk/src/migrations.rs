//! Migrations of the platform database that are inside the host's binary.

use crate::Result;
pub use crate::bindings::atlashub::plugin::migrations::Migration;

/// All of them, in order.
///
/// # Errors
/// `Denied`, `Unavailable`.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn status() -> Result<Vec<Migration>> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::migrations::status().await.map_err(crate::error::from_wit);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Migrations, "migrations.status", "", |state| {
        Ok(state.migrations.clone())
    })
}

/// Applies what is pending, in order; answers what it applied.
///
/// # Errors
/// `Denied`, `Unavailable`, or what the migration itself failed with.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn apply() -> Result<Vec<Migration>> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::migrations::apply().await.map_err(crate::error::from_wit);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Migrations, "migrations.apply", "", |state| {
        let now = state.now;
        let pending = state.migrations.iter_mut().filter(|migration| !migration.applied);
        Ok(pending
            .map(|migration| {
                migration.applied = true;
                migration.applied_at = Some(now);
                migration.clone()
            })
            .collect())
    })
}
