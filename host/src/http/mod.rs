//! HTTP plumbing that both surfaces share, in these modules:
//!
//! - `request_id`: the outermost middleware: request id, error bodies and logging. `request_metrics`: counts and
//!   durations.
//! - `path`: converts paths to their normal form before they are routed.
//! - `responses`: limits on the size of each response, and of all responses together.
//! - `connections`: the listeners, which accept connections and limit their number.
//! - `client_address`: the IP address of the client.
//! - `limits`: limits on the number, duration and body size of requests, divided into shares.
//! - `body`: extractors whose rejections are `ApiError`s, with `decode`; `paging`: pages with a cursor.
//! - `event_stream`: responses of server-sent events.
//! - `audit_extensions`: the values that a handler adds to its audit entry.

mod audit_extensions;
mod body;
mod client_address;
mod connections;
mod decode;
mod event_stream;
mod limits;
mod paging;
mod path;
mod request_id;
mod request_metrics;
mod responses;

pub use audit_extensions::{AuditDetails, AuditTarget, ChangeMade, NothingChanged};
pub use body::{ApiJson, ApiPath, ApiQuery, JsonBody, NoFields, NoQuery, OptionalJson};
pub use client_address::{ClientAddress, add_client_address, client_network};
pub use connections::{HeldUntilWritten, ListenerLimits, raise_open_file_limit, serve_connections};
pub use decode::json_syntax_error;
pub use event_stream::{HEARTBEAT, HEARTBEAT_INTERVAL, event_stream, write_event};
pub use limits::{Holder, RequestLimits, ShareHolder, limit_requests};
pub use paging::PageRequest;
pub use path::with_normal_paths;
pub use request_id::{RequestId, finish_response};
pub use responses::{Recipient, ResponseBuffer, ResponseError, ResponseLimits, ResponseMemory, limit_responses};
