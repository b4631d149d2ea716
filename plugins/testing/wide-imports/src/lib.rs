//! For the host's tests: calls a capability that its manifest doesn't ask for. The host must not load it.

use atlashub_plugin_sdk::{http, prelude::*};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Address {
    url: String,
}

async fn call_home(_run: Run, address: Address) -> Result<u16> {
    Ok(http::Request::new("GET", address.url).send().await?.status)
}

/// The plugin.
pub fn plugin() -> Plugin {
    Plugin::new("wide-imports", env!("CARGO_PKG_VERSION"), 1)
        .publisher("AtlasHub's tests")
        .description("Imports what it doesn't ask for.")
        .job("call-home", "Sends a request.", call_home)
}

atlashub_plugin_sdk::export!(plugin);
