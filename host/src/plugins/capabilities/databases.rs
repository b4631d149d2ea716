//! The interface `databases`: lists, dumps and describes databases.

use bytes::Bytes;
use futures_util::StreamExt as _;
use plugin_manifest::{Capability, Scope};
use wasmtime::component::{FutureReader, Linker, StreamReader};

use super::progress::SizeNote;
use crate::{
    db::{
        DatabaseName, DbError,
        dump::{Dump, DumpError, DumpInfo, DumpOptions},
    },
    error::{describe_cause, is_disk_full},
    jobs::LineLevel,
    plugins::guest::{
        Accessor, CallError, Host, RunScope, RunState, begin_call,
        bindings::{
            databases,
            types::{self, ErrorCode},
        },
        charge_result,
        streams::{self, ByteStream},
    },
    projects::parse_tables,
    secrets::{KeyId, age_file, find_needed_key},
};

/// `pg_dump`'s highest compression level.
const MAX_COMPRESSION: u8 = 9;
/// Memory held for a dump: the bytes that its stream has read and not passed on.
const DUMP_BYTES: usize = 512 << 10;
/// Memory held for a list of databases, and for a list of tables until its size is known.
const LIST_BYTES: usize = 256 << 10;

/// The master key that the run's latest dump needs. `None` before the first dump.
#[derive(Debug, Default)]
pub(super) struct DumpedKey(pub(super) Option<KeyId>);

/// The archive, and the dump's properties once the archive is complete.
type DumpStream = (StreamReader<u8>, FutureReader<Result<databases::DumpInfo, types::Error>>);

pub(super) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    databases::add_to_linker::<_, Host>(linker, |state| state)
}

impl databases::Host for RunState {}

impl databases::HostWithStore<RunState> for Host {
    async fn list(accessor: &Accessor) -> Result<Vec<databases::Database>, CallError> {
        let run = begin_call(accessor, 0)?;
        let scope = &run.scope(Capability::Databases).databases;
        if scope.is_empty() {
            return Ok(Vec::new());
        }
        let _permit = run.enter().await;
        let _result = run.calls.hold(LIST_BYTES)?;
        let is_in_scope = |name: &DatabaseName| Scope::reaches(scope, &name.to_string());
        let listed = run.services.databases.list(is_in_scope).await;
        let listed = listed.map_err(|error| DbError::Unreachable(error.into()))?;
        let listed: Vec<_> = listed
            .into_iter()
            .map(|entry| databases::Database {
                name: entry.name.to_string(),
                title: entry.title,
                size_bytes: entry.size,
            })
            .collect();
        charge_result(
            accessor,
            listed.iter().map(|it| it.name.len() + it.title.as_ref().map_or(0, String::len)).sum(),
        )?;
        Ok(listed)
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
        let held = run.calls.hold(DUMP_BYTES)?;
        let _permit = run.enter().await;
        let options = DumpOptions { compression: options.compression, ..DumpOptions::default() };
        let permit = Box::new(run.calls.begin_dump().await);
        // The key is determined before the dump, because the dump may contain values as they were before they were
        // re-sealed.
        let needed = match &name {
            DatabaseName::Platform => {
                let services = &run.services;
                find_needed_key(&services.platform, &services.sealer, &services.sealed_columns)
                    .await
                    .map_err(|error| DbError::Unreachable(error.into()))?
            }
            DatabaseName::Project(_) => run.services.sealer.current_key(),
        };
        accessor.with(|mut access| access.get().capability_state::<DumpedKey>().0 = Some(needed));
        let Dump { bytes, outcome } = run.services.databases.dump(&name, options, permit).await?;
        for function in outcome.unqualified() {
            let fields = serde_json::json!({ "database": database, "function": function.function });
            run.output.log(LineLevel::Warn, &function.warning(), fields);
        }
        for check in outcome.reading_checks() {
            let fields = serde_json::json!({ "database": database, "constraint": check.constraint });
            run.output.log(LineLevel::Warn, &check.warning(), fields);
        }
        let recipients = &run.services.backup_recipients;
        let is_encrypted = !recipients.is_empty();
        let bytes = if is_encrypted { age_file::encrypt(recipients, bytes) } else { Ok(bytes.boxed()) };
        let bytes = bytes.map_err(|error| {
            CallError::new(ErrorCode::Failed, "the dump can't be encrypted; see the server's log")
                .caused_by("dump", error.to_string())
        })?;
        // The stream holds its transfer permit and memory until it is dropped.
        let mut size = SizeNote::new(run.output.clone());
        let bytes: ByteStream = Box::pin(bytes.inspect(move |chunk| {
            let _transfer = (&transfer, &held);
            size.add(chunk.as_ref().map_or(0, Bytes::len));
        }));
        let scope = run.share();
        let outcome = async move {
            match outcome.await {
                Ok(info) => Ok(to_wit(info, is_encrypted)),
                Err(DumpError::Abandoned) => {
                    let idle = scope.calls.stream_idle();
                    let message = format!(
                        "the dump was stopped before its end: its stream was dropped, not read for {} s, or read too \
                         slowly",
                        idle.as_secs()
                    );
                    Err(CallError::unavailable(message).into_wit_value())
                }
                Err(error) => {
                    let error = CallError::from(error);
                    scope.log_failure(&error);
                    Err(error.into_wit_value())
                }
            }
        };
        accessor
            .with(|mut access| Ok((streams::send(&mut access, bytes)?, streams::send_outcome(&mut access, outcome)?)))
    }

    async fn tables(accessor: &Accessor, database: String) -> Result<Vec<databases::Table>, CallError> {
        let run = begin_call(accessor, database.len())?;
        let name = check_scope(&run, &database)?;
        let _permit = run.enter().await;
        let mut held = run.calls.hold(LIST_BYTES)?;
        let text = run.services.databases.tables_json(&name).await?;
        charge_result(accessor, text.len())?;
        // Four times the length of the JSON text is an estimate for the text, the same data as Rust values, and the
        // values of the guest's types.
        held.resize(&run.calls, text.len().saturating_mul(4))?;
        Ok(parse_tables(&text)?
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
fn check_scope(run: &RunScope, database: &str) -> Result<DatabaseName, CallError> {
    let name: DatabaseName = database.parse().map_err(|error| CallError::invalid(format!("{error}")))?;
    if !Scope::reaches(&run.scope(Capability::Databases).databases, database) {
        return Err(run.deny(Capability::Databases, &format!("database `{name}`")));
    }
    Ok(name)
}

fn to_wit(info: DumpInfo, encrypted: bool) -> databases::DumpInfo {
    databases::DumpInfo {
        server_version: info.server_version,
        dump_version: info.dump_version,
        size_bytes: info.size_bytes,
        encrypted,
        tables: info
            .tables
            .into_iter()
            .map(|table| databases::TableRows { schema: table.schema, table: table.table, rows: table.rows })
            .collect(),
    }
}

/// Returns the message for an error whose cause plugins don't see. A full disk is named, because the owner has to act.
pub(super) fn problem(otherwise: &str, cause: &(dyn std::error::Error + 'static)) -> String {
    if is_disk_full(cause) { "the disk of the Postgres server is full".to_owned() } else { otherwise.to_owned() }
}

impl From<DumpError> for CallError {
    fn from(error: DumpError) -> Self {
        let code = match &error {
            DumpError::Gone => ErrorCode::NotFound,
            error if error.is_retryable() => ErrorCode::Unavailable,
            _ => ErrorCode::Failed,
        };
        match error {
            DumpError::NotRun(cause) => Self::new(code, "pg_dump could not be run; see the server's log")
                .caused_by("dump", describe_cause(cause.as_ref())),
            DumpError::Unreachable(cause) => Self::new(code, problem("Postgres can't be reached", cause.as_ref()))
                .caused_by("dump", describe_cause(cause.as_ref())),
            error => Self::new(code, error.to_string()),
        }
    }
}

impl From<DbError> for CallError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Gone => Self::not_found("project not found"),
            DbError::Timeout => Self::new(ErrorCode::Timeout, "the database did not respond in time"),
            error => {
                let message =
                    problem("the database can't be reached or returned an error; see the server's log", &error);
                Self::unavailable(message).caused_by("database", describe_cause(&error))
            }
        }
    }
}
