//! A query of a plugin while it runs: its columns, its rows as JSON, and its outcome.

use std::{any::Any, collections::BTreeSet, io, pin::pin, time::Duration};

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_postgres::{RowStream, SimpleQueryMessage};

use super::QueryError;
use crate::{
    db::{ExclusiveClient, PrepareError, TextParam},
    error::count,
};

/// Number of bytes that are collected in a chunk.
const CHUNK_BYTES: usize = 64 << 10;
/// Maximum number of chunks that wait to be read.
const MAX_QUEUED_CHUNKS: usize = 2;

/// A query of a plugin.
#[derive(Debug, Clone)]
pub struct Query {
    pub sql: String,
    /// Values in Postgres's text format.
    pub parameters: Vec<Option<String>>,
    /// Time limit for the query and for reading its rows.
    pub timeout: Duration,
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryColumn {
    pub name: String,
    /// In Postgres's notation, for example `numeric(10,2)`.
    pub data_type: String,
}

/// A query that was started.
pub struct RunningQuery {
    pub columns: Vec<QueryColumn>,
    /// One JSON object per row, each followed by a line feed. The stream also ends if the query fails. Dropping it
    /// cancels the query.
    pub rows: BoxStream<'static, io::Result<Bytes>>,
    /// Completes once all rows were read from Postgres, or once the query has failed.
    pub outcome: BoxFuture<'static, Result<QueryOutcome, QueryError>>,
}

/// The properties of a complete result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryOutcome {
    pub row_count: u64,
    /// Time from the start of the query to its last row.
    pub duration: Duration,
}

/// Starts a query on a connection of [`QuerySessions`](super::QuerySessions). `permit` is dropped when the connection
/// is closed.
///
/// # Errors
/// Fails if the query can't be started. [`RunningQuery::outcome`] reports later problems.
pub async fn start(
    mut client: ExclusiveClient,
    query: &Query,
    permit: Box<dyn Any + Send>,
) -> Result<RunningQuery, QueryError> {
    let started = Instant::now();
    let deadline = started + query.timeout;
    client.mark_busy();
    let begun = timeout_at(deadline, begin(&client, query)).await;
    let (columns, rows) = begun.map_err(|_| QueryError::Timeout)??;
    let (sender, mut receiver) = mpsc::channel::<Bytes>(MAX_QUEUED_CHUNKS);
    let (send_outcome, outcome) = oneshot::channel();
    tokio::spawn(async move {
        let _permit = permit;
        let outcome = tokio::select! {
            outcome = read(rows, &sender) => outcome,
            () = sender.closed() => Err(QueryError::Abandoned),
            // Postgres's own timeout does not end a statement whose rows are not read.
            () = sleep_until(deadline) => Err(QueryError::Timeout),
        };
        if outcome.is_ok() {
            client.mark_idle();
        }
        let outcome = outcome.map(|row_count| QueryOutcome { row_count, duration: started.elapsed() });
        // The outcome is sent before the stream ends, so that it is available to whoever has read the whole stream.
        let _ = send_outcome.send(outcome);
        drop(sender);
    });
    let rows = stream::poll_fn(move |cx| receiver.poll_recv(cx).map(|chunk| chunk.map(Ok)));
    let outcome = async move { outcome.await.unwrap_or(Err(QueryError::Abandoned)) };
    Ok(RunningQuery { columns, rows: rows.boxed(), outcome: outcome.boxed() })
}

/// Begins the transaction, checks the query and executes it.
async fn begin(client: &ExclusiveClient, query: &Query) -> Result<(Vec<QueryColumn>, RowStream), QueryError> {
    let failed = QueryError::from_postgres;
    // `SELECT 1` takes the transaction's snapshot. After that, Postgres refuses to make the transaction read-write.
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1").await.map_err(failed)?;
    // Preparing the unchanged text ensures that it is one statement, and that errors report an exact position.
    let described = client.prepare_submitted(&query.sql).await.map_err(|error| match error {
        PrepareError::Postgres(error) => failed(error),
        PrepareError::TooManyTypes => QueryError::Invalid(
            "the types of the parameters and columns consist of too many other types; cast them to text".to_owned(),
        ),
    })?;
    if described.params().len() != query.parameters.len() {
        return Err(QueryError::Invalid(format!(
            "the query has {}, but the request has {}",
            count(described.params().len(), "parameter", "parameters"),
            count(query.parameters.len(), "value", "values")
        )));
    }
    if described.columns().is_empty() {
        return Err(not_a_query());
    }
    let mut names = BTreeSet::new();
    if let Some(column) = described.columns().iter().find(|column| !names.insert(column.name())) {
        return Err(QueryError::Invalid(format!(
            "the result has two columns named `{}`; rename one with AS",
            column.name()
        )));
    }
    let columns = columns(client, &described).await?;
    // The line break after the query ends a comment in it. `.*` names the row even if a column has the same name.
    let sql = query.sql.trim_end_matches(|character: char| character.is_ascii_whitespace() || character == ';');
    let text =
        format!("SELECT pg_catalog.row_to_json(atlashub_row.*)::pg_catalog.text FROM (\n{sql}\n) AS atlashub_row");
    let statement = client.prepare_typed(&text, described.params()).await.map_err(|error| {
        let is_syntax = error.code().is_some_and(|code| code.code() == "42601" || code.code() == "0A000");
        if is_syntax { not_a_query() } else { failed(error) }
    })?;
    let parameters = query.parameters.iter().map(|value| TextParam(value.as_deref()));
    Ok((columns, client.query_raw(&statement, parameters).await.map_err(failed)?))
}

fn not_a_query() -> QueryError {
    QueryError::Invalid("only a single query that returns columns can be run: SELECT, VALUES, TABLE or WITH".to_owned())
}

/// Returns names and types of the result's columns.
async fn columns(
    client: &ExclusiveClient,
    described: &tokio_postgres::Statement,
) -> Result<Vec<QueryColumn>, QueryError> {
    let types: Vec<String> = described
        .columns()
        .iter()
        .map(|column| {
            format!("pg_catalog.format_type({}::pg_catalog.oid, {})", column.type_().oid(), column.type_modifier())
        })
        .collect();
    let messages = client.simple_query(&format!("SELECT {}", types.join(", "))).await;
    let messages = messages.map_err(QueryError::from_postgres)?;
    let row = messages.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let columns = described.columns().iter().enumerate().map(|(index, column)| QueryColumn {
        name: column.name().to_owned(),
        data_type: row.as_ref().and_then(|row| row.get(index)).unwrap_or_else(|| column.type_().name()).to_owned(),
    });
    Ok(columns.collect())
}

/// Reads all rows, sends them as chunks of JSON, and returns their number.
async fn read(rows: RowStream, sender: &mpsc::Sender<Bytes>) -> Result<u64, QueryError> {
    let mut rows = pin!(rows);
    let (mut count, mut chunk) = (0, BytesMut::new());
    while let Some(row) = rows.next().await {
        let row = row.map_err(QueryError::from_postgres)?;
        let json: &str = row.try_get(0).map_err(QueryError::from_postgres)?;
        // Values of type `json` keep their line breaks. In JSON, line breaks occur only outside of strings, so they can
        // be replaced.
        chunk.extend(json.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
        chunk.put_u8(b'\n');
        count += 1;
        if chunk.len() >= CHUNK_BYTES {
            sender.send(chunk.split().freeze()).await.map_err(|_| QueryError::Abandoned)?;
        }
    }
    if !chunk.is_empty() {
        sender.send(chunk.freeze()).await.map_err(|_| QueryError::Abandoned)?;
    }
    Ok(count)
}
