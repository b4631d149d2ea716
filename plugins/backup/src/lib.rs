//! Backs up databases to object storage, verifies backups, and removes old ones.
//!
//! The archive is streamed from `pg_dump` to the store without entering this plugin's memory. The upload is committed
//! only after the dump succeeded. Then the host copies the project's objects, if the job includes them. Finally, the
//! manifest is stored next to the dump, and the backup is added to the catalogue. So every backup in the catalogue is
//! complete.
//!
//! Reading order: [`run`] (the jobs `backup` and `prune`), [`backup`] (backs up one database), [`manifest`] (stored
//! next to each dump), [`layout`] (the keys of objects), [`retention`] (decides which backups to keep), [`time`]
//! (divides time into days and weeks) and [`verify`] (the job `verify`). The plugin itself restores nothing: for the
//! job `verify`, the host restores a backup into a temporary database.

mod backup;
mod layout;
mod manifest;
mod retention;
mod run;
mod time;
mod verify;

use atlashub_plugin_sdk::prelude::*;

/// Describes the plugin.
pub fn plugin() -> Plugin {
    Plugin::new("backup", env!("CARGO_PKG_VERSION"), 2)
        .publisher("AtlasHub")
        .description("Backs up databases to object storage, verifies backups, and removes old ones.")
        .job(
            "backup",
            "Backs up the platform, one project or all databases, then applies the retention policy if there is one.",
            run::backup,
        )
        .job("prune", "Removes the backups that the retention policy does not keep.", run::prune)
        .job("verify", "Restores backups into a temporary database and compares the row counts.", verify::verify)
        .capability(
            Capability::Databases,
            "To list and dump databases.",
            Scope { databases: vec!["*".to_owned()], ..Scope::default() },
        )
        .capability(
            Capability::Objects,
            "To store dumps and their manifests in the platform's bucket.",
            Scope { stores: vec![layout::STORE.to_owned()], ..Scope::default() },
        )
        .capability(
            Capability::Backups,
            "To record, verify and remove backups, and to copy the objects of projects into them.",
            Scope { databases: vec!["*".to_owned()], ..Scope::default() },
        )
        .limits(Limits {
            memory_mib: 64,
            wall_seconds: 24 * 3600,
            host_call_mib: 256,
            concurrent_runs: 2,
            ..Limits::default()
        })
}

atlashub_plugin_sdk::export!(plugin);
