//! Dumps databases with `pg_dump`.
//!
//! [`Dumper::dump`] takes a database's logical name and returns the dump as a stream of bytes, and separately a
//! [`DumpOutcome`]. The end of the stream doesn't mean success: the bytes are a complete dump only if the outcome is
//! `Ok`. Rows are counted in the snapshot that is dumped. Dropping the stream or the outcome kills `pg_dump`.
//!
//! A dump is an archive in custom format, which the `pg_restore` of the same and of newer versions reads, or an SQL
//! script.
//!
//! Deliberately absent: a shell, arguments chosen by callers, passwords on a command line, files on disk, and storing
//! the bytes (`object_store::Upload`). `db::restore` restores archives; it shares the programs, the list of tables and
//! `stderr`.
//!
//! Reading order: `dumper` (the entry point), `snapshot` (the transaction that is dumped and counted), `unqualified`
//! and `reading_checks` (functions and constraints that can stop a plain `pg_restore`), `program` (the child process),
//! `stream` (its output), `stderr` (its error messages), `error`.

mod dumper;
mod error;
pub(super) mod program;
mod reading_checks;
pub(super) mod snapshot;
pub(super) mod stderr;
mod stream;
mod unqualified;

pub use dumper::{Dump, DumpInfo, DumpOutcome, Dumper};
pub use error::DumpError;
pub use program::{DumpFormat, DumpOptions};
pub use reading_checks::ReadingCheck;
pub use snapshot::TableRows;
pub use stream::DumpBytes;
pub use unqualified::UnqualifiedFunction;
