//! The life cycle of projects.
//!
//! - `provisioning`: creates a project completely or not at all. Removal and recovery use its function that undoes the
//!   work.
//! - `database`: the statements that create and drop a project's database and roles.
//! - `extensions`: prevents a project's SQL from creating extensions, unless the configuration allows it.
//! - `removal`: deletes a project, at once or after a final backup.
//! - `recovery`: removes projects whose creation or deletion a crash or an error interrupted; creates missing resources
//!   of a project.
//! - `replacement`: replaces a project's database with a restored one.
//! - `credentials`: the sealed passwords of projects' roles.
//! - `auth_role`: the role of end-user login. `auth_tables`: makes it the owner of the tables in schema `auth`.
//! - `optional_role`: creates a role that only some projects have.
//! - `plugin_queries`: queries of plugins, and their role.
//! - `databases`: every database by its logical name, for lists, connections and dumps.
//! - `routes`, `queries`: the handlers, and the fixed SQL that changes projects.

mod auth_role;
mod auth_tables;
mod credentials;
mod database;
mod databases;
mod extensions;
mod optional_role;
mod plugin_queries;
mod provisioning;
mod queries;
mod recovery;
mod removal;
mod replacement;
pub(super) mod routes;

pub(super) use credentials::SEALED_PASSWORD;

pub use auth_role::{AuthResources, prepare_auth_role, take_over_restored};
pub use auth_tables::{AuthTables, RESTORED, auth_grants};
pub use credentials::SealedCredentials;
pub use database::{close_shared_databases, privileges_of_public};
pub use databases::{DatabaseColumn, DatabaseEntry, DatabaseTable, Databases, parse_tables};
pub use extensions::apply_extension_setting;
pub use plugin_queries::PluginQueries;
pub use recovery::{
    DatabaseDifferences, UnfinishedProject, compare_databases, ensure_resources, finish_unfinished_projects,
    unfinished_projects,
};
pub use removal::{delete_after_run, keep_after_run};
pub use replacement::{
    NewProjectSql, OnSwapped, RecordSwap, ReplacementError, Replacements, Swap, TakeOverAuth, restore_uploads_prefix,
};
