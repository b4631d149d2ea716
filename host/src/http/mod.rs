//! What every request passes through, on both surfaces: its id, its limits, its body, its errors.

mod audit_notes;
mod body;
mod client_address;
mod limits;
mod paging;
mod request_id;
mod request_metrics;

pub use audit_notes::{AuditDetails, AuditTarget};
pub use body::{ApiJson, ApiPath, ApiQuery};
pub use client_address::{ClientAddress, note_client_address};
pub use limits::{RequestLimits, limit_requests};
pub use paging::PageRequest;
pub use request_id::{RequestId, finish_response};
