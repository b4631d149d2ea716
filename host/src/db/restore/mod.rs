//! Restoring an archive into a scratch database, to see whether it can be and what is in it then.
//!
//! **An archive is arbitrary SQL.** So a [`Restorer`] never runs it as the platform: each archive gets a database of its
//! own and, as the only one who may connect to it, a role that can do nothing anywhere else. What is in the database is
//! looked at as that role too: planning a query may call functions that the archive brought.
//!
//! The archive comes as a stream and goes to `pg_restore`'s standard input. Its head is kept until the list of what it holds
//! is read, since some of it is left out ([`contents`]). Nothing but that list touches a disk. Dropping a restore at any
//! point kills `pg_restore` and removes database and role in the background; what a killed process leaves is found by its
//! name ([`Restorer::leftovers`]).
//!
//! Deliberately absent: restoring over something, a shell, arguments that a caller chooses, and what the result is
//! compared with (`backups`).
//!
//! Reading order: `restorer` (the whole), `scratch` (database and role), `contents` (what is restored of an archive),
//! `program` (the child process), `error`.

mod contents;
mod error;
mod program;
mod restorer;
mod scratch;

pub use error::RestoreError;
pub use restorer::{Archive, Restored, Restorer};
pub use scratch::ScratchName;
