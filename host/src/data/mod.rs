//! Rows over HTTP: `/v1/db` for apps, and the same operations for the owner on the admin surface.
//!
//! [`pipeline`] takes a request through five stages. Each has one input type and one output type, and each can reject
//! the request:
//!
//! 1. [`request`] parses the query string and the JSON body. It does not know the schema.
//! 2. [`plan`] resolves every name against the [`schema`].
//! 3. [`render`] turns the plan into SQL, mostly one statement; values become bind parameters in `render/writer.rs`.
//! 4. [`execute`] runs the statement as the caller's role; it is the only stage with a connection.
//! 5. [`respond`] builds the response body. [`read_rows`] does so for the rows of a read while they arrive;
//!    [`json_values`] builds the JSON of each value from the bytes that Postgres sends; [`cut_values`] does so for
//!    values that may be cut.
//!
//! The owner's requests for one value ([`cell`]) and for several changes at once ([`changes`]) use the same plans and
//! SQL, on a connection of their own. [`exports`] builds the queries of exports in the same way, for `transfers`.
//!
//! No row of a response becomes a Rust value. No statement can return more than fits in a response
//! (`http::ResponseMemory`), except one value that [`cell`] streams. Identifiers reach SQL only in quotes, as names
//! found in the schema or as aliases. Values reach it only as parameters, and those of exports as settings.
//!
//! Deliberately absent: API keys and rate limits (`projects`, in front of this slice), grants (`tables`), DDL, and rows
//! of schemas other than `public`.

mod admin_routes;
mod named_routes;
mod routes;
mod table_request;

pub mod pipeline;

pub mod request;

mod limits;
pub mod plan;
pub mod schema;

pub mod render;

pub mod execute;

mod read_rows;
pub mod respond;

mod cell;
mod changes;
mod exports;

mod diagnose;
mod errors;
mod project_errors;
mod violations;

mod array_literal;
mod columns;
mod cursor;
mod cut_values;
mod json_input;
mod json_rows;
mod json_values;
mod message;

#[cfg(test)]
mod tests;

pub use execute::Identity;
pub use exports::ExportQuery;
pub use limits::DataLimits;
pub use pipeline::DataService;
pub use request::RowSelection;
pub use respond::RowsResponse;

pub(crate) use admin_routes::*;
pub(crate) use named_routes::*;
pub(crate) use routes::*;
