//! For the tests of a plugin's author: jobs run natively, against a platform that the test scripts.
//!
//! ```
//! use atlashub_plugin_sdk::{http::Response, prelude::*, testing::TestHost};
//! # #[derive(Deserialize, JsonSchema)]
//! # struct Nothing {}
//! # async fn ping(_run: Run, _nothing: Nothing) -> Result<u16> {
//! #     Ok(atlashub_plugin_sdk::http::Request::new("GET", "https://example.com").send().await?.status)
//! # }
//! # fn plugin() -> Plugin {
//! #     Plugin::new("ping", "1.0.0", 1).job("ping", "Pings.", ping).asks(Capability::Http, "To ping.", Scope::default())
//! # }
//!
//! let host = TestHost::new(plugin()).answer_http(|_| Ok(Response { status: 204, ..Response::default() }));
//! assert_eq!(host.run("ping", json!({})).unwrap(), json!(204));
//! assert_eq!(host.requests()[0].url, "https://example.com");
//! ```
//!
//! Parts in reading order: [`host`](TestHost) is what a test holds, `state` what the capabilities look at, `pipe` the streams,
//! `executor` what drives a job. Deliberately absent: the sandbox. Limits, traps and signatures are the real host's.

mod executor;
mod host;
mod pipe;
mod request;
mod state;

pub use host::TestHost;
pub use request::{SentRequest, SentValue};
pub use state::{Line, Progress};

pub(crate) use pipe::{PipeReader, PipeWriter, full_pipe, pipe};
pub(crate) use state::{PendingObject, ScriptedDatabase, call, with};
