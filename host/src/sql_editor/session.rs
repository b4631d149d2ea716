//! One statement on a connection of its own.
//!
//! Rows come by the simple query protocol, since only it answers every type in Postgres's own text: with the
//! extended protocol the client library asks for binary values, and could turn only the types it knows into
//! text. The types come from preparing the same text first, which also makes the server's parser confirm that
//! it is one statement, and gives errors of syntax and names with their exact position before anything ran.
//!
//! The protocol has no limit on rows. A plain query therefore runs through a cursor and is fetched in batches,
//! until the answer is full. A change runs to its end, whatever part of its rows is shown: stopping it would
//! undo it. Neither holds more than the answer in memory, as what is not kept is read and let go row by row.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use api_types::{SqlColumn, SqlNotice, SqlResult};
use futures_util::TryStreamExt;
use tokio::time::timeout;
use tokio_postgres::{SimpleQueryMessage, types::Type};

use super::{
    answer::Answer,
    errors::Failure,
    statement::{Statement, Way},
};
use crate::db::ExclusiveClient;

/// What Postgres gives a statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// When the host stops it: a statement can lift Postgres's limit with `set_config`, not this one.
const HOST_TIMEOUT: Duration = Duration::from_millis(5250);
/// Rows fetched from a cursor at a time.
const BATCH: usize = 200;
const CURSOR: &str = "DECLARE atlashub_editor NO SCROLL CURSOR FOR ";

/// What to run, and how much of it to show.
pub(super) struct Run {
    pub(super) sql: String,
    /// None where the grammar here can't read the text: the server says what is wrong with it.
    pub(super) statement: Option<Statement>,
    pub(super) read_only: bool,
    pub(super) explain: bool,
    pub(super) max_rows: usize,
}

/// Runs the statement, for at most [`HOST_TIMEOUT`]. Dropping the future stops the statement in Postgres.
pub(super) async fn run(client: ExclusiveClient, run: &Run) -> Result<SqlResult, Failure> {
    let session = Session(Some(client));
    let Some(client) = session.0.as_ref() else { return Err(Failure::Timeout) };
    match timeout(HOST_TIMEOUT, execute(client, run)).await {
        Ok(outcome) => {
            session.close();
            outcome
        }
        Err(_elapsed) => Err(Failure::Timeout),
    }
}

/// The connection while a statement may be running on it. Dropped, it stops the statement first.
struct Session(Option<ExclusiveClient>);

impl Session {
    /// Nothing runs any more.
    fn close(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            tokio::spawn(stop(client));
        }
    }
}

/// Cancels until the connection answers again: a request to cancel that overtakes its statement is lost.
async fn stop(client: ExclusiveClient) {
    for _ in 0..10 {
        client.cancel().await;
        if timeout(Duration::from_millis(500), client.simple_query("")).await.is_ok() {
            return;
        }
    }
    tracing::warn!("a statement of the SQL editor did not stop when cancelled; its connection is closed");
}

async fn execute(client: &ExclusiveClient, run: &Run) -> Result<SqlResult, Failure> {
    client
        .batch_execute(&format!(
            // A plan for all rows, as EXPLAIN shows it, not for the first tenth.
            "SET statement_timeout = {}; SET cursor_tuple_fraction = 1",
            STATEMENT_TIMEOUT.as_millis()
        ))
        .await
        .map_err(Failure::Own)?;
    let explain = if run.explain { "EXPLAIN (FORMAT JSON) " } else { "" };
    let text = format!("{explain}{}", run.sql);
    let prepared = client.prepare(&text).await.map_err(|error| Failure::statement(error, explain))?;
    let Some(statement) = &run.statement else { return Err(Failure::UnknownGrammar) };
    if !prepared.params().is_empty() {
        return Err(Failure::Parameters);
    }
    let types: Vec<Type> = prepared.columns().iter().map(|column| column.type_().clone()).collect();
    let mut answer = Answer::new(run.max_rows, types);
    answer.columns = columns(client, &prepared).await?;
    // What preparing had to say is said again when running.
    client.take_notices();

    let started = Instant::now();
    let begin = if run.read_only { "BEGIN READ ONLY" } else { "BEGIN" };
    let row_count = if statement.way == Way::Cursor && !run.explain {
        client.batch_execute(begin).await.map_err(Failure::postgres)?;
        let prefix_and_text = format!("{CURSOR}{}", run.sql);
        client.batch_execute(&prefix_and_text).await.map_err(|error| Failure::statement(error, CURSOR))?;
        fetch(client, &mut answer).await?;
        client.batch_execute("COMMIT").await.map_err(Failure::postgres)?;
        answer.rows.len() as u64
    } else {
        // A transaction of ours only where it is asked for: some statements (VACUUM, CREATE INDEX
        // CONCURRENTLY, procedures that commit) refuse to run inside one.
        if run.read_only {
            client.batch_execute(begin).await.map_err(Failure::postgres)?;
        }
        let affected = collect(client, &text, &mut answer).await.map_err(|error| Failure::statement(error, explain))?;
        if run.read_only {
            client.batch_execute("COMMIT").await.map_err(Failure::postgres)?;
        }
        if answer.columns.is_empty() { affected.unwrap_or(0) } else { answer.seen.max(affected.unwrap_or(0)) }
    };
    let duration_ms = started.elapsed().as_secs_f64() * 1e3;

    let mut notices: Vec<SqlNotice> = client
        .take_notices()
        .into_iter()
        .map(|notice| SqlNotice { severity: notice.severity, message: notice.message })
        .collect();
    notices.extend(answer.cut_by_size.then(Answer::size_notice));
    Ok(SqlResult {
        columns: answer.columns,
        rows: answer.rows,
        row_count,
        truncated: answer.truncated,
        duration_ms,
        notices,
        command: if run.explain { "EXPLAIN".to_owned() } else { statement.command.clone() },
    })
}

/// Fetches from the cursor until it ends or the answer is full.
async fn fetch(client: &ExclusiveClient, answer: &mut Answer) -> Result<(), Failure> {
    loop {
        // One more than is shown, to learn whether there are more.
        let batch = BATCH.min(answer.room() + 1);
        let before = answer.seen;
        let fetch = format!("FETCH FORWARD {batch} FROM atlashub_editor");
        collect(client, &fetch, answer).await.map_err(Failure::postgres)?;
        if answer.truncated || answer.seen - before < batch as u64 {
            return Ok(());
        }
    }
}

/// Runs the text and adds its rows to the answer; the count of its command tag.
async fn collect(
    client: &ExclusiveClient,
    text: &str,
    answer: &mut Answer,
) -> Result<Option<u64>, tokio_postgres::Error> {
    let mut messages = pin!(client.simple_query_raw(text).await?);
    let mut affected = None;
    let mut results = 0;
    while let Some(message) = messages.try_next().await? {
        match message {
            SimpleQueryMessage::RowDescription(_) => results += 1,
            // A rewrite rule may add results of its own; the statement's are the first.
            SimpleQueryMessage::Row(row) if results <= 1 => answer.add(&row),
            SimpleQueryMessage::CommandComplete(count) => affected = affected.or(Some(count)),
            _ => {}
        }
    }
    Ok(affected)
}

/// Names and types of the result, types as Postgres writes them: `numeric(10,2)`, `text[]`.
async fn columns(client: &ExclusiveClient, prepared: &tokio_postgres::Statement) -> Result<Vec<SqlColumn>, Failure> {
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
        "SELECT pg_catalog.format_type(c.type, c.modifier) FROM (VALUES {}) AS c (number, type, modifier) ORDER BY number",
        values.join(", ")
    );
    let messages = client.simple_query(&lookup).await.map_err(Failure::Own)?;
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
