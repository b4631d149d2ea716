//! For the benches: a job that does nothing, so that what surrounds a run can be measured.

use atlashub_plugin_sdk::prelude::*;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoParams {}

async fn nothing(_run: Run, _params: NoParams) -> Result<()> {
    Ok(())
}

/// The plugin.
pub fn plugin() -> Plugin {
    Plugin::new("nothing", env!("CARGO_PKG_VERSION"), 1)
        .publisher("AtlasHub's benches")
        .description("Does nothing.")
        .job("nothing", "Does nothing.", nothing)
        .limits(Limits { memory_mib: 16, concurrent_runs: 64, ..Limits::default() })
}

atlashub_plugin_sdk::export!(plugin);
