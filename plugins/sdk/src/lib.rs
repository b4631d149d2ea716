//! The SDK for AtlasHub plugins: jobs as async functions, typed capabilities, the manifest, and native tests.
//!
//! A plugin is a WebAssembly component that runs in a sandbox. It is described by a [`Plugin`](plugin::Plugin) and
//! exported with [`export!`]:
//!
//! ```no_run
//! use atlashub_plugin_sdk::prelude::*;
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(rename_all = "camelCase", deny_unknown_fields)]
//! struct Greeting {
//!     /// Whom to greet.
//!     name: String,
//! }
//!
//! #[derive(Serialize)]
//! struct Greeted {
//!     text: String,
//! }
//!
//! async fn greet(_run: Run, greeting: Greeting) -> Result<Greeted> {
//!     info!("Greeting {}", greeting.name);
//!     Ok(Greeted { text: format!("Hello, {}", greeting.name) })
//! }
//!
//! pub fn plugin() -> Plugin {
//!     Plugin::new("hello", env!("CARGO_PKG_VERSION"), 1)
//!         .publisher("Someone")
//!         .description("Greets people.")
//!         .job("greet", "Greets one person.", greet)
//! }
//!
//! atlashub_plugin_sdk::export!(plugin);
//! # fn main() {}
//! ```
//!
//! - [`plugin`] describes a plugin and its jobs.
//! - [`log`], [`progress`], [`clock`] and [`config`] are available to every plugin.
//! - [`http`], [`secrets`], [`databases`], [`objects`], [`notify`], [`backups`], [`maintenance`], [`migrations`],
//!   [`transfers`], [`query`], [`state`] and [`buckets`] are capabilities. A plugin requests them with
//!   [`Plugin::capability`](plugin::Plugin::capability), and the owner grants them. A component imports only the
//!   capabilities that its code calls.
//! - [`stream`] moves large data, and [`task`] runs several futures at once.
//! - [`date`], [`csv`] and [`random`] replace libraries that would make a component larger.
//! - `testing` runs jobs natively against a simulated host.
//!
//! A component has no files, sockets, threads or environment variables.
#![warn(missing_docs)]

mod backend;
pub mod backups;
#[doc(hidden)]
pub mod bindings;
pub mod buckets;
pub mod clock;
pub mod config;
mod count;
pub mod csv;
pub mod databases;
pub mod date;
mod error;
pub mod http;
pub mod log;
pub mod maintenance;
pub mod migrations;
pub mod notify;
pub mod objects;
pub mod plugin;
pub mod progress;
pub mod query;
pub mod random;
pub mod secrets;
pub mod state;
pub mod stream;
pub mod task;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod transfers;

pub use plugin_manifest as manifest;
pub use schemars;

pub use count::count;
pub use error::{Context, Error, ErrorCode, Result};

/// The items that nearly every plugin uses.
pub mod prelude {
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::json;

    pub use crate::{
        Context, Error, ErrorCode, Result, debug, error, info,
        plugin::{Capability, Limits, Plugin, Run, Scope},
        warn,
    };
}
