//! Uses a capability that its manifest does not request. The host's tests check that such a plugin is not loaded.

use atlashub_plugin_sdk::{http, prelude::*};

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Address {
    url: String,
}

async fn call_home(_run: Run, address: Address) -> Result<u16> {
    Ok(http::Request::new("GET", address.url).send().await?.status)
}

/// Describes the plugin.
pub fn plugin() -> Plugin {
    Plugin::new("wide-imports", env!("CARGO_PKG_VERSION"), 1)
        .publisher("AtlasHub's tests")
        .description("Uses a capability that it does not request.")
        .job("call-home", "Sends a request.", call_home)
}

atlashub_plugin_sdk::export!(plugin);
