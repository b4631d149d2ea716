//! Exports of tables, queries and databases to files.
//!
//! `create` checks a request and starts its run. `content` opens the content of the file: with `pg_dump` for a
//! database, else with `COPY` (`copy`). `selection` returns the filter, order and columns of an export of a table; the
//! slice `data` checks them and builds the query. `rows` converts the copied rows to the format of the file. `files`
//! creates the names of files. `queries` is the fixed SQL, `routes` the API.

mod content;
mod copy;
mod create;
mod files;
pub(super) mod queries;
pub(super) mod routes;
mod rows;
mod selection;

pub(super) use content::open;
pub(super) use files::{PREFIX, content_type, id_of_key};
