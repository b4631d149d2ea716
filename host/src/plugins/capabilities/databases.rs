use std::sync::Arc;

use futures_util::StreamExt as _;
use plugin_manifest::{Capability, Scope};
use wasmtime::component::{FutureReader, Linker, StreamReader};

use crate::{
    db::{
        DatabaseName, DbError,
        dump::{Dump, DumpError, DumpInfo, DumpOptions},
    },
    error::describe_cause,
    plugins::guest::{
        Accessor, CallError, Host, RunScope, RunState, begin_call,
        bindings::{
            databases,
            types::{self, ErrorCode},
        },
        streams::{self, ByteStream},
    },
};

/// `pg_dump`'s highest compression level.
const MAX_COMPRESSION: u8 = 9;

/// The archive, and the outcome of the dump.
type DumpStream = (StreamReader<u8>, FutureReader<Result<databases::DumpInfo, types::Error>>);

pub(super) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    databases::add_to_linker::<_, Host>(linker, |state| state)
}

impl databases::Host for RunState {}

impl databases::HostWithStore<RunState> for Host {
    async fn list(accessor: &Accessor) -> Result<Vec<databases::Database>, CallError> {
        let run = begin_call(accessor, 0)?;
        let scope = &run.scope(Capability::Databases).databases;
        let listed = run.services.databases.list().await.map_err(|error| DbError::Unreachable(error.into()))?;
        let in_scope = listed.into_iter().filter(|entry| Scope::reaches(scope, &entry.name.to_string()));
        Ok(in_scope
            .map(|entry| databases::Database {
                name: entry.name.to_string(),
                title: entry.title,
                size_bytes: entry.size,
            })
            .collect())
    }

    async fn dump(
        accessor: &Accessor,
        database: String,
        options: databases::DumpOptions,
    ) -> Result<DumpStream, CallError> {
        let run = begin_call(accessor, database.len())?;
        let name = check_scope(&run, &database)?;
        if options.compression.is_some_and(|level| level > MAX_COMPRESSION) {
            return Err(CallError::invalid(format!("`compression` must be 0 to {MAX_COMPRESSION}")));
        }
        let transfer = accessor.with(|mut access| access.get().begin_transfer())?;
        let options = DumpOptions { compression: options.compression };
        let Dump { bytes, outcome } = run.services.databases.dump(&name, options).await?;
        // The stream holds the permit until it is dropped.
        let bytes: ByteStream = Box::pin(bytes.map(move |chunk| {
            let _transfer = &transfer;
            chunk
        }));
        let outcome = async move {
            match outcome.await {
                Ok(info) => Ok(to_wit(info)),
                Err(error) => Err(CallError::from(error).into_wit_value()),
            }
        };
        accessor
            .with(|mut access| Ok((streams::send(&mut access, bytes)?, streams::send_outcome(&mut access, outcome)?)))
    }

    async fn tables(accessor: &Accessor, database: String) -> Result<Vec<databases::Table>, CallError> {
        let run = begin_call(accessor, database.len())?;
        let name = check_scope(&run, &database)?;
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

/// Parses the name of a database and checks that the grant includes it.
fn check_scope(run: &Arc<RunScope>, database: &str) -> Result<DatabaseName, CallError> {
    let name: DatabaseName = database.parse().map_err(|error| CallError::invalid(format!("{error}")))?;
    if !Scope::reaches(&run.scope(Capability::Databases).databases, database) {
        return Err(run.deny(Capability::Databases, &format!("database `{name}`")));
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
            error if error.is_retryable() => ErrorCode::Unavailable,
            _ => ErrorCode::Failed,
        };
        if let DumpError::Unreachable(cause) | DumpError::NotRun(cause) = &error {
            tracing::warn!(cause = describe_cause(cause.as_ref()), "a plugin's dump failed");
        }
        let message = match error {
            // The cause contains addresses and paths.
            DumpError::NotRun(_) => "pg_dump could not be started; see the server's log".to_owned(),
            error => error.to_string(),
        };
        Self::new(code, message)
    }
}

impl From<DbError> for CallError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Gone => Self::not_found("project not found"),
            DbError::Timeout => Self::new(ErrorCode::Timeout, "the database did not respond in time"),
            error => {
                tracing::warn!(cause = describe_cause(&error), "a plugin's call to a database failed");
                Self::unavailable("the database can't be reached or returned an error; see the server's log")
            }
        }
    }
}
