//! Runs one statement on a separate connection.
//!
//! Rows are fetched with the simple query protocol, because only it returns every type in Postgres's text format. (With
//! the extended protocol the client library requests binary values, and can convert only the types it knows.) The types
//! of the columns come from preparing the same SQL first. Preparing also ensures that the SQL is one statement, and
//! reports syntax errors and unknown names with their exact position before anything runs.
//!
//! The simple query protocol has no row limit. So a query runs through a cursor and is fetched in batches until the
//! result is full. A change is completed, because stopping it would undo it; its excess rows are read and dropped
//! one by one. In both cases only the returned rows are held in memory.

use std::{pin::pin, time::Instant};

use api_types::{Explain, SqlColumn, SqlNotice};
use futures_util::TryStreamExt;
use tokio_postgres::{SimpleQueryMessage, types::Type};

use super::{
    errors::Failure,
    result_rows::{ResultEnd, ResultRows},
    statement::{FetchMode, Statement},
};
use crate::{
    db::{ExclusiveClient, is_row_too_large},
    http::ResponseBuffer,
};

/// Rows per fetch from a cursor.
const BATCH_ROWS: usize = 200;
/// Begins a read-only transaction. The query takes the transaction's first snapshot: until then, Postgres would allow a
/// statement to make the transaction read-write.
pub(super) const BEGIN_READ_ONLY: &str = "BEGIN READ ONLY; SELECT 1";
/// Precedes a query that runs through a cursor.
const DECLARE_CURSOR: &str = "DECLARE atlashub_editor NO SCROLL CURSOR FOR ";

/// A statement to run, and its options.
pub(super) struct StatementRun<'a> {
    pub(super) sql: &'a str,
    /// `None` if the host's parser rejects the SQL. Such SQL does not run: the failure is Postgres's error, or
    /// [`Failure::UnknownGrammar`] if Postgres accepts it.
    pub(super) statement: Option<&'a Statement>,
    pub(super) explain: Explain,
    pub(super) transaction: Transaction,
    pub(super) max_rows: usize,
    /// Maximum size of the response up to its last row.
    pub(super) max_bytes: usize,
    /// Positions in the script, for the response.
    pub(super) range: Option<(u32, u32)>,
}

/// The transaction in which a statement runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transaction {
    /// The statement's own transaction. `BEGIN` is sent only for a cursor and for `EXPLAIN`, because some statements
    /// (`VACUUM`, `CREATE INDEX CONCURRENTLY`, procedures that commit) fail after it.
    Own,
    OwnReadOnly,
    /// The script's transaction.
    Enclosing,
}

/// A statement that was carried out.
pub(super) struct Success {
    /// An [`api_types::SqlResult`].
    pub(super) response: ResponseBuffer,
    pub(super) command: String,
    pub(super) row_count: u64,
    pub(super) duration_ms: f64,
}

/// Runs the statement. The result is written to `response`.
pub(super) async fn execute(
    client: &ExclusiveClient,
    run: &StatementRun<'_>,
    response: ResponseBuffer,
) -> Result<Success, Failure> {
    let explain = match run.explain {
        Explain::No => "",
        Explain::Plan => "EXPLAIN (FORMAT JSON, SETTINGS) ",
        Explain::Analyze => "EXPLAIN (ANALYZE, BUFFERS, SETTINGS, FORMAT JSON) ",
    };
    let text = format!("{explain}{}", run.sql);
    let prepared = client.prepare_submitted(&text).await.map_err(|error| Failure::preparing(error, explain))?;
    let Some(statement) = run.statement else { return Err(Failure::UnknownGrammar) };
    if !prepared.params().is_empty() {
        return Err(Failure::Parameters);
    }
    let types: Vec<Type> = prepared.columns().iter().map(|column| column.type_().clone()).collect();
    let mut result = ResultRows::new(response, run.max_bytes, run.max_rows, types);
    result.begin(&describe_columns(client, &prepared).await?).map_err(Failure::Response)?;
    // Running the statement repeats the notices that preparing it sent.
    client.take_notices();

    let started = Instant::now();
    let uses_cursor = statement.fetch_mode == FetchMode::Cursor && run.explain == Explain::No;
    let (begin, end) = match run.transaction {
        Transaction::Enclosing => (None, if uses_cursor { Some("CLOSE atlashub_editor") } else { None }),
        // The planner calls functions that are marked as immutable, even if they write.
        Transaction::Own | Transaction::OwnReadOnly if run.explain == Explain::Plan => {
            (Some(BEGIN_READ_ONLY), Some("ROLLBACK"))
        }
        // ANALYZE runs the statement, so its changes are rolled back.
        Transaction::Own if run.explain == Explain::Analyze => (Some("BEGIN"), Some("ROLLBACK")),
        Transaction::OwnReadOnly if run.explain == Explain::Analyze => (Some(BEGIN_READ_ONLY), Some("ROLLBACK")),
        Transaction::Own if !uses_cursor => (None, None),
        Transaction::Own => (Some("BEGIN"), Some("COMMIT")),
        Transaction::OwnReadOnly => (Some(BEGIN_READ_ONLY), Some("COMMIT")),
    };
    if let Some(begin) = begin {
        client.batch_execute(begin).await.map_err(Failure::postgres)?;
    }
    let row_count = if uses_cursor {
        let prefix_and_text = format!("{DECLARE_CURSOR}{}", run.sql);
        client.batch_execute(&prefix_and_text).await.map_err(|error| Failure::statement(error, DECLARE_CURSOR))?;
        fetch(client, &mut result).await?;
        result.returned as u64
    } else {
        let affected = collect(client, &text, &mut result).await.map_err(|error| Failure::statement(error, explain))?;
        if result.has_columns { result.received.max(affected.unwrap_or(0)) } else { affected.unwrap_or(0) }
    };
    if let Some(end) = end {
        client.batch_execute(end).await.map_err(Failure::postgres)?;
    }
    let duration_ms = started.elapsed().as_secs_f64() * 1e3;

    let mut notices: Vec<SqlNotice> = client
        .take_notices()
        .into_iter()
        .map(|notice| SqlNotice { severity: notice.severity, message: notice.message })
        .collect();
    notices.extend(result.truncation_notice());
    let command = if run.explain == Explain::No { statement.command.clone() } else { "EXPLAIN".to_owned() };
    let end = ResultEnd {
        row_count,
        truncated: result.is_truncated(),
        duration_ms,
        notices,
        command: command.clone(),
        rolled_back: run.explain == Explain::Analyze,
        start: run.range.map(|range| range.0),
        end: run.range.map(|range| range.1),
    };
    let response = result.finish(&end).map_err(|error| match run.transaction {
        // The script fails, so its transaction is rolled back.
        Transaction::Enclosing => Failure::Response(error),
        Transaction::Own | Transaction::OwnReadOnly => {
            let error = error.with_hint("The statement was carried out. Only its result is lost.");
            Failure::ResultLost { error, command: command.clone(), row_count }
        }
    })?;
    Ok(Success { response, command, row_count, duration_ms })
}

/// Fetches from the cursor until it ends or the result is full.
async fn fetch(client: &ExclusiveClient, result: &mut ResultRows) -> Result<(), Failure> {
    loop {
        // The batch has one row more than is returned, to detect whether there are more.
        let batch = BATCH_ROWS.min(result.remaining() + 1);
        let previously_received = result.received;
        let fetch = format!("FETCH FORWARD {batch} FROM atlashub_editor");
        collect(client, &fetch, result).await.map_err(Failure::postgres)?;
        if result.is_truncated() || result.received - previously_received < batch as u64 {
            return Ok(());
        }
    }
}

/// Runs the SQL, adds its rows to the result, and returns the count in its command tag.
async fn collect(
    client: &ExclusiveClient,
    text: &str,
    result: &mut ResultRows,
) -> Result<Option<u64>, tokio_postgres::Error> {
    let mut messages = pin!(client.simple_query_raw(text).await?);
    let mut affected = None;
    let mut results = 0;
    loop {
        let message = match messages.try_next().await {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(affected),
            // The statement continues, because ending it would undo its changes.
            Err(error) if is_row_too_large(&error) => {
                result.drop_large();
                continue;
            }
            Err(error) => return Err(error),
        };
        match message {
            SimpleQueryMessage::RowDescription(_) => results += 1,
            // Rewrite rules may add results. The first result is that of the statement.
            SimpleQueryMessage::Row(row) if results <= 1 => result.add(&row),
            SimpleQueryMessage::CommandComplete(count) => affected = affected.or(Some(count)),
            _ => {}
        }
    }
}

/// Returns names and types of the result's columns. Types are written as in Postgres: `numeric(10,2)`, `text[]`.
async fn describe_columns(
    client: &ExclusiveClient,
    prepared: &tokio_postgres::Statement,
) -> Result<Vec<SqlColumn>, Failure> {
    if prepared.columns().is_empty() {
        return Ok(Vec::new());
    }
    let values: Vec<String> = prepared
        .columns()
        .iter()
        .enumerate()
        .map(|(number, column)| {
            format!("({number}, {}::pg_catalog.oid, {})", column.type_().oid(), column.type_modifier())
        })
        .collect();
    let lookup = format!(
        "SELECT pg_catalog.format_type(c.type, c.modifier)
         FROM (VALUES {}) AS c (number, type, modifier) ORDER BY number",
        values.join(", ")
    );
    let messages = client.simple_query(&lookup).await.map_err(Failure::Internal)?;
    let mut names = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
        _ => None,
    });
    let column = |column: &tokio_postgres::Column| SqlColumn {
        name: column.name().to_owned(),
        data_type: names.next().unwrap_or_else(|| column.type_().name().to_owned()),
    };
    Ok(prepared.columns().iter().map(column).collect())
}
