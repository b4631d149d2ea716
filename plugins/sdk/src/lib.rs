//! What a plugin of AtlasHub is written with: jobs as async functions, typed capabilities, a manifest, tests.
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
//! [`plugin::Plugin`] says what the plugin is; [`export!`] makes it the component's `job`. Each capability is a module of
//! its name; what a plugin doesn't call is not in its component, and needs no grant. [`testing`] runs jobs natively.
//!
//! Deliberately absent: files, sockets, threads, environment variables. A component has none of them.

pub mod backups;
#[doc(hidden)]
pub mod bindings;
pub mod clock;
pub mod config;
pub mod databases;
mod error;
pub mod http;
pub mod log;
pub mod maintenance;
pub mod migrations;
pub mod notify;
pub mod objects;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod panic;
pub mod plugin;
pub mod progress;
pub mod secrets;
pub mod stream;
pub mod task;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use plugin_manifest as manifest;
pub use schemars;

pub use error::{Error, ErrorCode, Result};

/// What nearly every plugin needs.
pub mod prelude {
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
    pub use serde_json::json;

    pub use crate::{
        Error, ErrorCode, Result, debug, error, info,
        plugin::{Capability, Limits, Plugin, Run, Scope},
        warn,
    };
}
