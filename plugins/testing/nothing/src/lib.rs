//! A job that does nothing. Benchmarks use it to measure the overhead of a run.

use atlashub_plugin_sdk::prelude::*;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoParams {}

async fn nothing(_run: Run, _params: NoParams) -> Result<()> {
    Ok(())
}

/// Describes the plugin.
pub fn plugin() -> Plugin {
    Plugin::new("nothing", env!("CARGO_PKG_VERSION"), 1)
        .publisher("AtlasHub's benchmarks")
        .description("Does nothing.")
        .job("nothing", "Does nothing.", nothing)
        .limits(Limits { memory_mib: 16, concurrent_runs: 64, ..Limits::default() })
}

atlashub_plugin_sdk::export!(plugin);
