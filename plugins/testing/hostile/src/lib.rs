//! For the host's tests: jobs that misbehave, each in one way, and some that behave, each using one thing.
//!
//! Signed by nobody and inside no binary; `cargo xtask plugin testing` builds it.

mod benign;
mod hostile;

use atlashub_plugin_sdk::prelude::*;

fn all_of(scope: fn(&mut Scope) -> &mut Vec<String>) -> Scope {
    let mut all = Scope::default();
    scope(&mut all).push("*".to_owned());
    all
}

/// The plugin.
pub fn plugin() -> Plugin {
    let plugin = Plugin::new("hostile", env!("CARGO_PKG_VERSION"), 1)
        .publisher("AtlasHub's tests")
        .description("Misbehaves in every way that the host must hold.")
        .asks(Capability::Databases, "To end in the middle of a dump.", all_of(|scope| &mut scope.databases))
        .asks(Capability::Objects, "To flood a store.", all_of(|scope| &mut scope.stores))
        .asks(Capability::Http, "To send what it is told.", all_of(|scope| &mut scope.hosts))
        .asks(Capability::Secrets, "To open what it is told.", all_of(|scope| &mut scope.secrets))
        .limits(Limits { memory_mib: 64, cpu_seconds: 60, ..Limits::default() });
    benign::jobs(hostile::jobs(plugin))
}

/// Not by `export!`: that can only answer JSON.
#[cfg(target_arch = "wasm32")]
const _: () = {
    use atlashub_plugin_sdk::bindings::{
        atlashub::plugin::types::Error as WitError,
        exports::atlashub::plugin::job::{Guest, RunContext},
    };

    struct Exported;

    impl Guest for Exported {
        async fn run(context: RunContext, params: String) -> std::result::Result<String, WitError> {
            if context.job == "invalid-json-result" {
                return Ok("{\"this\": is no JSON".to_owned());
            }
            atlashub_plugin_sdk::plugin::run_exported(plugin(), context, params).await
        }
    }

    atlashub_plugin_sdk::bindings::export_plugin!(Exported with_types_in atlashub_plugin_sdk::bindings);
};
