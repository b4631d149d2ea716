//! The audit log: every change made through the admin API is put on record, and can be read.
//!
//! Handlers add to their entry with `http::AuditDetails` and `http::AuditTarget`. Not here: the writer
//! (`db::audit`), which others use for what does not come through the admin API.

mod actions;

mod middleware;

mod queries;
pub(super) mod routes;

pub use actions::action_of;
pub use middleware::write_audit_entry;
