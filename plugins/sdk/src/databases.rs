//! Databases by their logical names: `platform`, or `project:<id>`.

pub use crate::bindings::atlashub::plugin::databases::{Column, Database, DumpInfo, DumpOptions, Table, TableRows};
use crate::{
    Result,
    stream::{ByteStream, Outcome},
};

/// A dump that runs. Hand the archive on, then await the outcome, and keep what was stored only if that is a success.
pub struct Dump {
    /// In the custom format of `pg_dump`.
    pub archive: ByteStream,
    pub outcome: Outcome<DumpInfo>,
}

/// Those that the grant's scope covers, the platform first, then by name.
///
/// # Errors
/// `Denied`, `Unavailable`.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn list() -> Result<Vec<Database>> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::databases::list().await.map_err(crate::error::from_wit);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Databases, "databases.list", "", |state| {
        Ok(state.databases.iter().map(crate::testing::ScriptedDatabase::listed).collect())
    })
}

/// Begins a dump. Dropping it ends the dump.
///
/// # Errors
/// `Denied`, `NotFound`, `Unavailable`.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn dump(database: &str, options: DumpOptions) -> Result<Dump> {
    #[cfg(target_arch = "wasm32")]
    {
        let (archive, outcome) = crate::bindings::atlashub::plugin::databases::dump(database.to_owned(), options)
            .await
            .map_err(crate::error::from_wit)?;
        Ok(Dump {
            archive: ByteStream::from_reader(archive),
            outcome: Outcome::new(async move { outcome.await.map_err(crate::error::from_wit) }),
        })
    }
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Databases, "databases.dump", database, |state| {
        let _ = options;
        let (bytes, info) = state.database(database)?.dumped();
        let outcome = state.failure("databases.dump.outcome", database).map_or(Ok(info), Err);
        Ok(Dump {
            archive: ByteStream { pipe: crate::testing::full_pipe(bytes) },
            outcome: Outcome::new(async move { outcome }),
        })
    })
}

/// Tables of a database, without the system's own.
///
/// # Errors
/// `Denied`, `NotFound`, `Unavailable`.
#[cfg_attr(not(target_arch = "wasm32"), allow(clippy::unused_async))]
pub async fn tables(database: &str) -> Result<Vec<Table>> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::atlashub::plugin::databases::tables(database.to_owned())
        .await
        .map_err(crate::error::from_wit);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call(crate::plugin::Capability::Databases, "databases.tables", database, |state| {
        Ok(state.database(database)?.tables.clone())
    })
}
