//! Jobs for the host's tests: `hostile` has jobs that misbehave in one way each, `floods` has jobs that make many calls
//! at once or keep resources, `exchanges` has jobs that stream HTTP bodies, `benign` and `data` have jobs that use
//! capabilities as intended.
//!
//! `cargo xtask plugin testing` builds the plugin. It is not signed and not part of the host's binary.

mod benign;
mod data;
mod exchanges;
mod floods;
mod hostile;

use atlashub_plugin_sdk::prelude::*;

/// Returns a scope in which one list allows everything.
fn allow_all(list: fn(&mut Scope) -> &mut Vec<String>) -> Scope {
    let mut scope = Scope::default();
    list(&mut scope).push("*".to_owned());
    scope
}

/// Describes the plugin.
pub fn plugin() -> Plugin {
    let plugin = Plugin::new("hostile", env!("CARGO_PKG_VERSION"), 1)
        .publisher("AtlasHub's tests")
        .description("Misbehaves in every way that the host must contain.")
        .capability(Capability::Databases, "To stop in the middle of a dump.", allow_all(|scope| &mut scope.databases))
        .capability(Capability::Objects, "To flood a store.", allow_all(|scope| &mut scope.stores))
        .capability(Capability::Http, "To send test requests.", allow_all(|scope| &mut scope.hosts))
        .capability(Capability::Secrets, "To open test secrets.", allow_all(|scope| &mut scope.secrets))
        .capability(Capability::Query, "To query databases.", allow_all(|scope| &mut scope.databases))
        .capability(Capability::State, "To fill its state.", allow_all(|scope| &mut scope.databases))
        .capability(Capability::Buckets, "To sign URLs.", allow_all(|scope| &mut scope.stores))
        .limits(Limits { memory_mib: 64, cpu_seconds: 60, host_call_mib: 64, ..Limits::default() });
    exchanges::jobs(data::jobs(benign::jobs(floods::jobs(hostile::jobs(plugin)))))
}

/// Exports the plugin without `export!`, whose jobs can only return valid JSON.
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
                return Ok("{\"this\": is not JSON".to_owned());
            }
            atlashub_plugin_sdk::plugin::run_exported(plugin(), context, params).await
        }
    }

    atlashub_plugin_sdk::bindings::export_plugin!(Exported with_types_in atlashub_plugin_sdk::bindings);
};
