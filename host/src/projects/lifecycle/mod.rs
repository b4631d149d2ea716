//! The life cycle of projects.
//!
//! - `provisioning`: creates a project completely or not at all. Removal and recovery use its undo too.
//! - `database`: the statements that create and drop a project's database and roles.
//! - `extensions`: whether a project's SQL may create extensions.
//! - `removal`: deletes a project, at once or after a final backup.
//! - `recovery`: removes projects whose creation or deletion a crash interrupted.
//! - `credentials`: the sealed passwords of projects' roles.
//! - `databases`: every database by its logical name, for dumps and lists.
//! - `routes`, `queries`: the handlers, and the fixed SQL that changes projects.

mod credentials;
mod database;
mod databases;
mod extensions;
mod provisioning;
mod queries;
mod recovery;
mod removal;
pub(super) mod routes;

pub(super) use credentials::SEALED_PASSWORD;

pub use credentials::SealedCredentials;
pub use database::close_shared_databases;
pub use databases::{DatabaseColumn, DatabaseEntry, DatabaseTable, Databases, parse_tables};
pub use extensions::apply_extension_setting;
pub use recovery::{UnfinishedProject, finish_unfinished_projects, unfinished_projects};
pub use removal::{delete_after_run, keep_after_run};
