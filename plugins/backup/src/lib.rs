//! Dumps databases to storage, and keeps as many backups as the owner wants.
//!
//! The archive goes from `pg_dump` to the store without entering this plugin's memory. It becomes an object only after the dump
//! ended well, then its manifest is written beside it, then the catalogue learns of it: what the catalogue has is complete.
//!
//! Reading order: [`backup`] is one database, [`run`] all that a run was asked for, [`retention`] what is kept, [`layout`] the names
//! of objects, [`manifest`] what lies beside a dump, [`verify`] whether backups can be restored. Deliberately absent: restoring
//! itself. It is the host's alone.

mod backup;
mod layout;
mod manifest;
mod retention;
mod run;
mod time;
mod verify;

use atlashub_plugin_sdk::prelude::*;

/// The plugin.
pub fn plugin() -> Plugin {
    Plugin::new("backup", env!("CARGO_PKG_VERSION"), 1)
        .publisher("AtlasHub")
        .description("Dumps databases to storage, and keeps as many backups as wanted.")
        .job(
            "backup",
            "Backs up the platform, one project, or all; then applies the retention, if there is one.",
            run::backup,
        )
        .job("prune", "Removes backups that the retention doesn't keep.", run::prune)
        .job("verify", "Restores backups into a scratch database, and compares their rows.", verify::verify)
        .asks(
            Capability::Databases,
            "To dump the databases.",
            Scope { databases: vec!["*".to_owned()], ..Scope::default() },
        )
        .asks(
            Capability::Objects,
            "To store dumps and their manifests in the platform's own bucket.",
            Scope { stores: vec![layout::STORE.to_owned()], ..Scope::default() },
        )
        .asks(
            Capability::Backups,
            "To record backups, to verify them, and to remove those that the retention doesn't keep.",
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
