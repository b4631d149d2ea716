//! The SQL editor: one statement, in one project's database, as `proj_<id>_owner`.
//!
//! What keeps a statement inside its project is that role's privileges. Reading the text first is a courtesy
//! that answers early and in words ([`refusals`] says what is left out). Not here: saved queries and history
//! (the dashboard's), import and export (`transfers`), the tables' rows (`data`).

mod statement;
mod syntax_tree;

mod command_tag;
mod refusals;

mod session;

mod answer;
mod errors;
mod values;

mod routes;

use crate::db::ProjectPools;

pub(crate) use routes::*;

/// What the editor needs of the process.
#[derive(Clone)]
pub struct SqlEditorState {
    pub pools: ProjectPools,
    /// `CREATE EXTENSION` is let through; Postgres still allows the trusted ones alone.
    pub allow_create_extension: bool,
}
