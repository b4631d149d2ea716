//! The audit log: records every change made through the admin API, and lists the records.
//!
//! `middleware` writes an entry for each change; `request_entry` contains its steps. `actions` names the action of each
//! request, and lists the requests that are not recorded although their method allows changes. `routes` lists the
//! entries, and `export` returns them as a file. Handlers add details to their entry with `http::AuditDetails` and
//! `http::AuditTarget`. Deliberately absent: inserting an entry (`db::audit`), which other slices use for changes that
//! do not come through the admin API.

mod actions;

mod middleware;
mod request_entry;

mod export;
mod queries;
pub(super) mod routes;

pub use actions::{action_of, is_read, listed_requests, without_parameter_names};
pub use middleware::write_audit_entry;
pub(crate) use request_entry::RequestEntry;
