//! Restores archives: into a scratch database to verify a backup, and into a database that becomes the database of a
//! project.
//!
//! **An archive is arbitrary SQL.** So a [`Restorer`] never runs it as the platform's role. A verification uses its own
//! database, and its own role that has no privileges anywhere else. A restore of a project uses a new database, and
//! runs as the project's role `_owner`, as which the SQL editor could run the same SQL. Besides the platform's role,
//! which creates these databases, only these roles and the project's role for dumps may connect to them. A restore of
//! the platform database loads rows only, as a role that may insert rows and set sequences, and nothing else.
//!
//! The archive is a stream that is written to `pg_restore`'s standard input. Its head is kept in memory, because
//! `pg_restore` reads it several times: first to list the archive's entries, of which some are skipped (`archive_list`,
//! `contents`), then to extract statements, and for each section. Only lists of entries are written to files. Entries
//! that name roles (policies, grants, default privileges) don't run as they are: their statements are translated to the
//! roles of the restored project (`translate`), and run last.
//!
//! Dropping a verification kills `pg_restore` and removes the database and the role in the background. If the process
//! is killed, [`Restorer::list_leftovers`] finds them by name. The caller of a restore removes its database.
//!
//! Deliberately absent: restoring over an existing database, a shell, arguments chosen by callers, comparing the result
//! (`backups`), and creating and swapping a project's databases (`projects::Replacements`).
//!
//! Reading order: `restorer` (verifies), `loader` (restores a project), `platform` (restores the platform database),
//! `target_server` (connections to the server), `scratch` (database and role), `archive_list` and `contents` (the
//! entries of an archive), `program` (starts `pg_restore`) and `program_end` (waits for its end), `search_path` (lets
//! functions be called during a restore), `check_constraints` (takes constraints out while rows are loaded),
//! `failed_objects` (leaves objects out), `translate` (policies and grants), `error`.

mod archive_list;
mod check_constraints;
mod contents;
mod error;
mod failed_objects;
mod loader;
mod platform;
mod program;
mod program_end;
mod restorer;
mod scratch;
mod search_path;
mod target_server;
mod translate;

pub use contents::{ArchiveContents, Privileges};
pub use error::RestoreError;
pub use failed_objects::FailedObjects;
pub use loader::{LOAD_CONNECTIONS, LoadTarget, Loaded};
pub use platform::LoadedPlatform;
pub use restorer::{Archive, Restored, Restorer};
pub use scratch::ScratchName;
