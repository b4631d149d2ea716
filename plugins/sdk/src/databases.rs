//! Lists, inspects and dumps databases. Databases are addressed by logical names: `platform` or `project:<id>`.
//!
//! Requires the capability [`Databases`](crate::plugin::Capability::Databases). Its scope lists the databases.

pub use crate::bindings::atlashub::plugin::databases::{Column, Database, DumpInfo, DumpOptions, Table, TableRows};
use crate::{
    Result, backend,
    stream::{ByteStream, Outcome},
};

/// A dump in progress. Dropping it stops the dump.
///
/// Consume the archive first, then await the outcome. Keep what you stored only if the outcome is a success.
pub struct Dump {
    /// The archive in the custom format of `pg_dump`.
    pub archive: ByteStream,
    /// Whether the dump is complete, and its properties.
    pub outcome: Outcome<DumpInfo>,
}

/// Lists the databases in the grant's scope: the platform database first, then those of projects by project id.
///
/// # Errors
/// Returns `Denied` in native tests whose manifest does not request the capability, and `Unavailable` if Postgres
/// cannot be reached.
pub async fn list() -> Result<Vec<Database>> {
    backend::databases::list().await
}

/// Starts a dump of a database.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the database, `NotFound` if it does not exist, `Invalid` if the name is
/// malformed or an option is out of range, `TooLarge` if the run already has the maximum number of open transfers,
/// `Failed` if the dump cannot be started or encrypted, and `Unavailable` if Postgres cannot be reached.
pub async fn dump(database: &str, options: DumpOptions) -> Result<Dump> {
    backend::databases::dump(database, options).await
}

/// Lists the tables of a database, without system tables.
///
/// # Errors
/// Returns `Denied` if the grant does not cover the database, `NotFound` if it does not exist, `Invalid` if its name is
/// malformed, and `Unavailable` if Postgres cannot be reached.
pub async fn tables(database: &str) -> Result<Vec<Table>> {
    backend::databases::tables(database).await
}
