//! The SQL editor: runs SQL in one project's database, as `proj_<id>_owner`.
//!
//! The privileges of that role confine a statement to its project. Checking the SQL first only gives earlier and
//! clearer errors; [`restrictions`] lists the statements that the editor rejects. A script is split here, and each
//! statement is checked and sent to Postgres on its own.
//!
//! [`statement`] parses a statement ([`syntax_tree`], [`command_tag`]), and [`restrictions`] checks it. [`script`]
//! splits SQL into statements and describes them, with the objects that they destroy ([`destroys`]). [`changed_tables`]
//! names tables for the audit log. [`check`] applies all of these to a request. [`session`] runs one statement,
//! [`script_run`] those of a script, both within [`limits`]; [`running`] finds a run to cancel; [`background`] runs
//! scripts for `sql_runs`, and [`query_check`] checks queries for `transfers`. [`result_rows`] writes rows into the
//! response as JSON [`values`]. [`errors`] maps errors.
//!
//! [`saved_routes`] serves the [`saved_queries`] and the [`history`], both in the platform database.
//!
//! Deliberately absent: import and export (`transfers`), rows of tables (`data`), the names for completion (`data`).

mod routes;
mod saved_routes;

mod background;
mod query_check;

mod check;
mod script;
mod statement;

mod changed_tables;
mod command_tag;
mod destroys;
mod syntax_tree;

mod restrictions;

mod limits;
mod running;
mod script_run;
mod session;

mod result_rows;
mod values;

mod errors;

mod history;
mod saved_queries;

use std::sync::Arc;

use sqlx::PgPool;

use crate::{db::ProjectPools, http::ResponseMemory};

pub use background::{CheckedScript, ScriptEnd, ScriptError, ScriptRequest};
pub(crate) use routes::*;
pub use running::RunningQueries;
pub(crate) use saved_routes::*;
pub use script_run::StatementDone;

/// Called with the project's id after SQL that may have changed its schema.
pub type SchemaChanged = Arc<dyn Fn(&str) + Send + Sync>;

/// The state of the routes.
#[derive(Clone)]
pub struct SqlEditorState {
    /// For saved queries and the history.
    pub platform: PgPool,
    pub pools: ProjectPools,
    pub responses: ResponseMemory,
    pub running: RunningQueries,
    /// Whether `CREATE EXTENSION` may run. Postgres allows it only for trusted extensions.
    pub allow_create_extension: bool,
    pub schema_changed: SchemaChanged,
}
