//! Exports tables, queries and databases to files, and imports files into tables.
//!
//! The host reads and writes the databases. This plugin moves the bytes between the databases and the store without
//! reading them, reports progress, and loads a file a second time if the fast method fails. The file of an export
//! becomes visible only after the host has confirmed that it is complete. An import is one transaction of the host.
//!
//! Reading order: [`export`] contains the job `export`, [`import`] contains the job `import`, and [`watch`] reports the
//! progress of a call.

mod export;
mod import;
mod watch;

use atlashub_plugin_sdk::prelude::*;

/// Describes the plugin.
pub fn plugin() -> Plugin {
    Plugin::new("import-export", env!("CARGO_PKG_VERSION"), 1)
        .publisher("AtlasHub")
        .description("Exports tables, queries and databases to files, and imports files into tables.")
        .job("export", "Writes the file of an export that the owner started.", export::export)
        .job("import", "Imports a file that the owner uploaded into its table.", import::import)
        .capability(
            Capability::Transfers,
            "To read the databases that the owner exports, and to write the tables into which the owner imports.",
            Scope { databases: vec!["*".to_owned()], ..Scope::default() },
        )
        .capability(
            Capability::Objects,
            "To store the files of exports, and to read and remove those of imports.",
            Scope { stores: vec![export::STORE.to_owned(), import::STORE.to_owned()], ..Scope::default() },
        )
        .limits(Limits { memory_mib: 32, wall_seconds: 24 * 3600, concurrent_runs: 2, ..Limits::default() })
}

atlashub_plugin_sdk::export!(plugin);
