use std::sync::Arc;

use futures_util::StreamExt as _;
use plugin_manifest::{Capability, Scope};
use wasmtime::component::{FutureReader, StreamReader};

use super::begin_call;
use crate::{
    db::{
        DatabaseName, DbError,
        dump::{Dump, DumpError, DumpInfo, DumpOptions},
    },
    plugins::runtime::{
        Accessor, CallError, Host, RunScope, RunState,
        bindings::{
            databases,
            types::{self, ErrorCode},
        },
        streams::{self, ByteStream},
    },
};

/// What a dump hands to the guest.
type Dumped = (StreamReader<u8>, FutureReader<Result<databases::DumpInfo, types::Error>>);

impl databases::Host for RunState {}

impl databases::HostWithStore<RunState> for Host {
    async fn list(accessor: &Accessor) -> Result<Vec<databases::Database>, CallError> {
        let run = begin_call(accessor, 0)?;
        let reach = &run.scope(Capability::Databases).databases;
        let listed = run.services.databases.list().await.map_err(|error| DbError::Unreachable(error.into()))?;
        let reached = listed.into_iter().filter(|entry| Scope::reaches(reach, &entry.name.to_string()));
        Ok(reached
            .map(|entry| databases::Database {
                name: entry.name.to_string(),
                title: entry.title,
                size_bytes: entry.size,
            })
            .collect())
    }

    async fn dump(accessor: &Accessor, database: String, options: databases::DumpOptions) -> Result<Dumped, CallError> {
        let run = begin_call(accessor, database.len())?;
        let name = reached(&run, &database)?;
        if options.compression.is_some_and(|level| level > 9) {
            return Err(CallError::invalid("`compression` is 0 to 9"));
        }
        let transfer = accessor.with(|mut access| access.get().begin_transfer())?;
        let options = DumpOptions { compression: options.compression };
        let Dump { bytes, outcome } = run.services.databases.dump(&name, options).await?;
        // The dump is open for as long as anybody reads it.
        let bytes: ByteStream = Box::pin(bytes.map(move |chunk| {
            let _open = &transfer;
            chunk
        }));
        let outcome = async move {
            match outcome.await {
                Ok(info) => Ok(to_wit(info)),
                Err(error) => Err(error_to_wit(error)),
            }
        };
        accessor
            .with(|mut access| Ok((streams::send(&mut access, bytes)?, streams::send_outcome(&mut access, outcome)?)))
    }

    async fn tables(accessor: &Accessor, database: String) -> Result<Vec<databases::Table>, CallError> {
        let run = begin_call(accessor, database.len())?;
        let name = reached(&run, &database)?;
        let tables = run.services.databases.tables(&name).await?;
        Ok(tables
            .into_iter()
            .map(|table| databases::Table {
                schema: table.schema,
                name: table.name,
                estimated_rows: table.estimated_rows,
                columns: table
                    .columns
                    .into_iter()
                    .map(|column| databases::Column {
                        name: column.name,
                        data_type: column.data_type,
                        nullable: column.nullable,
                    })
                    .collect(),
            })
            .collect())
    }
}

/// The database, if the grant reaches it.
fn reached(run: &Arc<RunScope>, database: &str) -> Result<DatabaseName, CallError> {
    let name: DatabaseName = database.parse().map_err(|error| CallError::invalid(format!("{error}")))?;
    if !Scope::reaches(&run.scope(Capability::Databases).databases, database) {
        return Err(run.denied(Capability::Databases, &format!("database `{name}`")));
    }
    Ok(name)
}

fn to_wit(info: DumpInfo) -> databases::DumpInfo {
    databases::DumpInfo {
        server_version: info.server_version,
        dump_version: info.dump_version,
        size_bytes: info.size_bytes,
        tables: info
            .tables
            .into_iter()
            .map(|table| databases::TableRows { schema: table.schema, table: table.table, rows: table.rows })
            .collect(),
    }
}

impl From<DumpError> for CallError {
    fn from(error: DumpError) -> Self {
        let code = match &error {
            DumpError::Gone => ErrorCode::NotFound,
            error if error.is_passing() => ErrorCode::Unavailable,
            _ => ErrorCode::Failed,
        };
        if let DumpError::Unreachable(cause) | DumpError::NotRun(cause) = &error {
            tracing::warn!(cause = format!("{cause:#}"), "a plugin's dump failed");
        }
        let message = match error {
            // The cause names addresses and paths.
            DumpError::NotRun(_) => "pg_dump could not be run; the server's log has the cause".to_owned(),
            error => error.to_string(),
        };
        Self::new(code, message)
    }
}

/// The error as a value, for whoever awaits the outcome.
fn error_to_wit(error: DumpError) -> types::Error {
    CallError::from(error).into_wit().unwrap_or_else(|trap| types::Error {
        code: ErrorCode::Failed,
        message: trap.to_string(),
        details: None,
    })
}

impl From<DbError> for CallError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Gone => Self::not_found("there is no such project"),
            DbError::Timeout => Self::new(ErrorCode::Timeout, "the database took too long"),
            error => {
                tracing::warn!(
                    error = format!("{:#}", anyhow::Error::from(error)),
                    "a plugin's call to a database failed"
                );
                Self::unavailable("the database can't be reached, or refused; the server's log has the cause")
            }
        }
    }
}
