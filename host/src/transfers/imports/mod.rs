//! Imports of CSV and JSON files into a table.
//!
//! The owner uploads a file with a signed URL, requests a preview, and starts the import. The run's plugin passes the
//! file to [`run`], which loads it in one transaction. The transaction's id is recorded just before the commit. So it
//! can be determined afterwards whether the rows are in the table, even if the process was killed.
//!
//! Reading order: `create` (an import and its upload), `parse` (files into records), `detect` (the beginning of a
//! file), `target` (the table), `plan` (assigns fields to columns), `preview`, `start`, `load` (the rows), `run` (for
//! the plugin), `state` (of an import), `queries`, `routes`.

mod create;
mod detect;
mod load;
mod parse;
mod plan;
mod preview;
pub(super) mod queries;
pub(super) mod routes;
mod run;
mod start;
mod state;
mod target;

pub(super) use create::{PREFIX, id_of_key};
pub(super) use state::settle_commits;
