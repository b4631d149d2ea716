//! Dumps: `pg_dump` as a capability with types.
//!
//! A [`Dumper`] takes a database's logical name and answers the archive (custom format, which any `pg_restore` reads) as a
//! stream, and apart from it how the dump ended. A stream has no way to say that it was cut short: only a good
//! [`DumpOutcome`] makes what was read a dump. Rows are counted in the very snapshot that is dumped. Dropping either
//! half kills `pg_dump`.
//!
//! Deliberately absent: a shell, arguments that a caller chooses, passwords on a command line, a file on disk, and
//! what is done with the bytes (`object_store::Upload`). `db::restore` is the other direction; it shares the programs, the
//! list of tables and the reading of last words.
//!
//! Reading order: `dumper` (the whole), `snapshot` (what is dumped, counted), `program` (the child process),
//! `stream` (its output), `complaint` (its last words), `error`.

pub(super) mod complaint;
mod dumper;
mod error;
pub(super) mod program;
pub(super) mod snapshot;
mod stream;

pub use dumper::{Dump, DumpInfo, DumpOptions, DumpOutcome, Dumper};
pub use error::DumpError;
pub use snapshot::TableRows;
pub use stream::DumpBytes;
