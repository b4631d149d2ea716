//! HTTP plumbing that both surfaces share.
//!
//! - `request_id`: the outermost layer: request id, error bodies, logging; `request_metrics` counts and times.
//! - `client_address`, `limits`: the address of the client; concurrency and time limits.
//! - `body`: extractors whose rejections are `ApiError`s; `paging`: pages with a cursor.
//! - `audit_extensions`: what a handler adds to its audit entry.

mod audit_extensions;
mod body;
mod client_address;
mod limits;
mod paging;
mod request_id;
mod request_metrics;

pub use audit_extensions::{AuditDetails, AuditTarget};
pub use body::{ApiJson, ApiPath, ApiQuery, NoQuery};
pub use client_address::{ClientAddress, add_client_address};
pub use limits::{RequestLimits, limit_requests};
pub use paging::PageRequest;
pub use request_id::{RequestId, finish_response};
