//! Runs jobs natively against a simulated host, for the tests of a plugin.
//!
//! ```
//! use atlashub_plugin_sdk::{http::Response, prelude::*, testing::TestHost};
//! # #[derive(Deserialize, JsonSchema)]
//! # struct NoParams {}
//! # async fn ping(_run: Run, _params: NoParams) -> Result<u16> {
//! #     Ok(atlashub_plugin_sdk::http::Request::new("GET", "https://example.com").send().await?.status)
//! # }
//! # fn plugin() -> Plugin {
//! #     Plugin::new("ping", "1.0.0", 1)
//! #         .job("ping", "Pings.", ping)
//! #         .capability(Capability::Http, "To ping.", Scope::default())
//! # }
//!
//! let host = TestHost::new(plugin()).handle_http(|_| Ok(Response { status: 204, ..Response::default() }));
//! assert_eq!(host.run("ping", json!({})).unwrap(), json!(204));
//! assert_eq!(host.requests()[0].url, "https://example.com");
//! ```
//!
//! A test sets up the responses of the host, runs a job, and inspects what the job did. Capabilities that the manifest
//! does not request are denied. The sandbox is not simulated: limits, scopes, traps and signatures are only enforced by
//! the real host.

mod executor;
mod host;

pub use crate::backend::native::records::{LogLine, ProgressReport, SentQuery, SentRequest, SentValue};
pub use host::TestHost;
