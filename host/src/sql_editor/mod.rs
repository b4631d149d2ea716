//! The SQL editor: runs one statement in one project's database, as `proj_<id>_owner`.
//!
//! The privileges of that role confine a statement to its project. Checking the text first only gives earlier and
//! clearer errors; [`restrictions`] lists what the editor rejects.
//!
//! [`statement`] parses the text ([`syntax_tree`], [`command_tag`]), [`restrictions`] checks it, [`session`] runs it,
//! and [`result_rows`] writes its rows into the response as JSON [`values`]. [`errors`] maps errors.
//!
//! Not here: saved queries and history (in the dashboard), import and export (`transfers`), rows of tables (`data`).

mod routes;

mod statement;

mod command_tag;
mod syntax_tree;

mod restrictions;

mod session;

mod result_rows;
mod values;

mod errors;

use crate::{db::ProjectPools, http::ResponseMemory};

pub(crate) use routes::*;

/// The state of the routes.
#[derive(Clone)]
pub struct SqlEditorState {
    pub pools: ProjectPools,
    pub responses: ResponseMemory,
    /// Whether `CREATE EXTENSION` may run. Postgres allows it only for trusted extensions.
    pub allow_create_extension: bool,
}
