//! The catalogue of backups.

use crate::Result;
pub use crate::bindings::atlashub::plugin::backups::{Backup, Facts, NewBackup, TableDifference, Verification};

/// What a manifest needs and only the platform knows.
pub fn describe() -> Facts {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::backups::describe();
    #[cfg(not(target_arch = "wasm32"))]
    Facts { atlashub_version: "0.0.0".to_owned(), master_key_id: "test-key".to_owned() }
}

/// Adds a backup that is complete in the store; answers its id.
///
/// # Errors
/// `Denied`, `NotFound` where an object isn't there, `Conflict`, `Unavailable`.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn record(backup: NewBackup) -> Result<String> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::backups::record_backup(backup).await.map_err(crate::error::from_wit);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Backups, "backups.record", &backup.target.clone(), |state| {
        state.record_backup(backup)
    })
}

/// Newest first; of one target, or of all that the grant covers.
///
/// # Errors
/// `Denied`, `Unavailable`.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn list(target: Option<&str>) -> Result<Vec<Backup>> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::backups::list(target.map(str::to_owned))
        .await
        .map_err(crate::error::from_wit);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Backups, "backups.list", target.unwrap_or_default(), |state| {
        let mut backups: Vec<Backup> = state
            .backups
            .iter()
            .filter(|backup| target.is_none_or(|target| backup.target == target))
            .cloned()
            .collect();
        backups.sort_by_key(|backup| std::cmp::Reverse(backup.created_at));
        Ok(backups)
    })
}

/// Restores a backup into a scratch database, compares its rows with its manifest, and drops the database. What differs is in
/// the answer.
///
/// # Errors
/// `Denied`, `NotFound`, `Failed` where the dump is not the one that was made or can't be restored, `Unavailable`.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn verify(id: &str) -> Result<Verification> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::backups::verify(id.to_owned()).await.map_err(crate::error::from_wit);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Backups, "backups.verify", id, |state| state.verify_backup(id))
}

/// Removes a backup: dump, manifest, entry.
///
/// # Errors
/// `Denied`, `NotFound`, `Unavailable`.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn remove(id: &str) -> Result<()> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::backups::remove(id.to_owned()).await.map_err(crate::error::from_wit);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Backups, "backups.remove", id, |state| state.remove_backup(id))
}
