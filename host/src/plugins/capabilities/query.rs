//! The interface `query`: reads rows of projects' databases with SQL.

use std::time::Duration;

use futures_util::StreamExt as _;
use plugin_manifest::{Capability, Scope};
use wasmtime::component::{FutureReader, Linker, StreamReader};

use crate::{
    db::{
        DatabaseName,
        query::{Query, QueryError, QueryOutcome, RunningQuery},
    },
    error::describe_cause,
    plugins::guest::{
        Accessor, CallError, Host, RunScope, RunState, begin_call,
        bindings::{
            query,
            types::{self, ErrorCode},
        },
        charge_result,
        streams::{self, ByteStream},
    },
};

/// Memory held for a query: one row as received and as text, and the chunks that wait to be read.
const QUERY_BYTES: usize = 3 << 20;
/// Maximum length of a query, in bytes. The memory that Postgres needs for a query is many times the size of its text.
const MAX_SQL_BYTES: usize = 128 << 10;
/// Maximum number of parameters.
const MAX_PARAMETERS: usize = 1000;

/// Columns of a result, its rows, and its properties once all rows were read.
type QueryStream = (Vec<query::Column>, StreamReader<u8>, FutureReader<Result<query::QueryInfo, types::Error>>);

pub(super) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    query::add_to_linker::<_, Host>(linker, |state| state)
}

impl query::Host for RunState {}

impl query::HostWithStore<RunState> for Host {
    async fn open(
        accessor: &Accessor,
        database: String,
        statement: query::Statement,
    ) -> Result<QueryStream, CallError> {
        let query::Statement { sql, parameters, timeout_ms } = statement;
        let values: usize = parameters.iter().map(|value| 32 + value.as_ref().map_or(0, String::len)).sum();
        let run = begin_call(accessor, database.len() + sql.len() + values)?;
        let project = check_scope(&run, &database)?;
        if sql.len() > MAX_SQL_BYTES {
            return Err(CallError::too_large(format!(
                "a query can have at most {} KiB; use parameters",
                MAX_SQL_BYTES >> 10
            )));
        }
        if parameters.len() > MAX_PARAMETERS {
            let message = format!("a query can have at most {MAX_PARAMETERS} parameters; pass an array as one of them");
            return Err(CallError::too_large(message));
        }
        let max_timeout = run.services.queries.max_timeout();
        let timeout = timeout_ms.map_or(max_timeout, |timeout| Duration::from_millis(timeout.into()).min(max_timeout));
        if timeout.is_zero() {
            return Err(CallError::invalid("`timeout-ms` must be at least 1"));
        }
        let transfer = accessor.with(|mut access| access.get().begin_transfer())?;
        let held = run.calls.hold(QUERY_BYTES)?;
        let _permit = run.enter().await;
        let permit = Box::new(run.calls.begin_query().await);
        let query = Query { sql, parameters, timeout };
        let started = run.services.queries.start(&project, &query, permit).await;
        let RunningQuery { columns, rows, outcome } = started.map_err(|error| failed(&run, error))?;
        charge_result(accessor, columns.iter().map(|column| column.name.len() + column.data_type.len()).sum())?;
        let columns = columns
            .into_iter()
            .map(|column| query::Column { name: column.name, data_type: column.data_type })
            .collect();
        let rows: ByteStream = Box::pin(rows.map(move |chunk| {
            let _transfer = (&transfer, &held);
            chunk
        }));
        let scope = run.share();
        let outcome = async move {
            match outcome.await {
                Ok(QueryOutcome { row_count, duration }) => {
                    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
                    Ok(query::QueryInfo { row_count, duration_ms })
                }
                Err(error) => {
                    let error = failed(&scope, error);
                    scope.log_failure(&error);
                    Err(error.into_wit_value())
                }
            }
        };
        accessor.with(|mut access| {
            Ok((columns, streams::send(&mut access, rows)?, streams::send_outcome(&mut access, outcome)?))
        })
    }
}

/// Checks that the grant includes the database, and returns the id of its project.
fn check_scope(run: &RunScope, database: &str) -> Result<String, CallError> {
    let name: DatabaseName = database.parse().map_err(|error| CallError::invalid(format!("{error}")))?;
    if !Scope::reaches(&run.scope(Capability::Query).databases, database) {
        return Err(run.deny(Capability::Query, &format!("database `{name}`")));
    }
    match name {
        DatabaseName::Project(id) => Ok(id),
        DatabaseName::Platform => Err(CallError::invalid("the platform database can't be queried; name a project's")),
    }
}

/// Converts an error. An attempt to read something that the role may not read is recorded like a call outside the
/// grant.
fn failed(run: &RunScope, error: QueryError) -> CallError {
    let message = error.to_string();
    match error {
        QueryError::Gone => CallError::not_found("project not found"),
        QueryError::Invalid(_) => CallError::invalid(message),
        QueryError::Forbidden(_) => {
            run.record_denial(Capability::Query, &message);
            CallError::new(
                ErrorCode::Denied,
                format!(
                    "{message}; a query can read the tables and views of schema `public`, except those whose privilege \
                     the owner revoked"
                ),
            )
        }
        QueryError::RowTooLarge => CallError::too_large(message),
        QueryError::Timeout => CallError::new(ErrorCode::Timeout, message),
        QueryError::Abandoned => CallError::unavailable(format!(
            "the query was stopped before its end: the stream of its rows was dropped, not read for {} s, or read too \
             slowly",
            run.calls.stream_idle().as_secs()
        )),
        QueryError::Unprepared => CallError::unavailable("the database is not prepared for queries; try again"),
        QueryError::Unreachable(cause) => {
            CallError::unavailable(message).caused_by("query", describe_cause(cause.as_ref()))
        }
    }
}
