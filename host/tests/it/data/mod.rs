//! Rows over the public API.

pub mod access;
pub mod embeds;
pub mod filters;
pub mod lookups;
pub mod lookups_of_users;
pub mod mixed_inserts;
pub mod other_schemas;
pub mod paging;
pub mod prepared;
pub mod project_errors;
pub mod reads;
pub mod recreated_schema;
pub mod response_limits;
pub mod round_trips;
pub mod schema;
pub mod sessions;
pub mod shared_writes;
pub mod type_changes;
pub mod types;
pub mod unsupported;
pub mod writes;
