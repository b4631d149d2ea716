//! Restores an archive into a scratch database and counts its rows, to verify a backup.
//!
//! **An archive is arbitrary SQL.** So a [`Restorer`] never runs it as the platform's role. Each archive gets its own
//! database, and its own role that has no privileges anywhere else. No other role may connect to the database. Rows are
//! counted as that role too, because planning a query may call functions of the archive.
//!
//! The archive is a stream that is written to `pg_restore`'s standard input. Its head is buffered until `pg_restore`
//! has listed the archive's entries, because some entries are skipped (`archive_list`). Only that list is written to a
//! file. Dropping a restore kills `pg_restore` and removes the database and the role in the background. If the process
//! is killed, [`Restorer::list_leftovers`] finds them by name.
//!
//! Deliberately absent: restoring over an existing database, a shell, arguments chosen by callers, and comparing the
//! result (`backups`).
//!
//! Reading order: `restorer` (the entry point), `target_server` (connections to the server), `scratch` (database and
//! role), `archive_list` (the entries to restore), `program` (the child process), `search_path` (lets functions be
//! called during a restore), `error`.

mod archive_list;
mod error;
mod program;
mod restorer;
mod scratch;
mod search_path;
mod target_server;

pub use error::RestoreError;
pub use restorer::{Archive, Restored, Restorer};
pub use scratch::ScratchName;
