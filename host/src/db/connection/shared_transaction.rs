//! Runs several statements in one transaction, in one round trip.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, LazyLock},
    task::Poll,
    time::Duration,
};

use futures_util::future::{MaybeDone, maybe_done};
use tokio::time::timeout;
use tokio_postgres::{
    Row,
    error::{Severity, SqlState},
};

use super::{Connection, InFlight, SET_CLAIMS_TEXT, sending::send};
use crate::db::{
    DbError, RowSink, Statement,
    failure::is_connection_lost,
    prepared::Prepared,
    wire::{BEGIN_SHARED, END_SHARED, is_not_run},
    writes::{Apart, FailedWrite, NoResults, WrittenRows},
};

/// Maximum time for which a statement waits for a lock. While it waits, it holds up the other statements, and the rows
/// that these have changed stay locked.
const LOCK_TIMEOUT: &str = "20ms";

/// Time for which a statement may be prepared. Preparing waits for changes of the table's definition.
const PREPARE_TIMEOUT: Duration = Duration::from_millis(50);

static BEGIN: LazyLock<Statement> = LazyLock::new(|| {
    let mut statement = Statement::of_catalogue(BEGIN_SHARED);
    statement.push(Some(LOCK_TIMEOUT));
    statement
});
static END: LazyLock<Statement> = LazyLock::new(|| Statement::of_catalogue(END_SHARED));

/// A read with the claims of a signed-in user.
pub(in crate::db) struct UserRead<'a> {
    pub(in crate::db) claims: Arc<str>,
    pub(in crate::db) statement: Statement,
    pub(in crate::db) rows: &'a mut dyn RowSink,
}

/// Discards the rows of claims and of the markers of a shared transaction. Only [`END_SHARED`] returns a row.
#[derive(Clone)]
struct NoRows;

impl RowSink for NoRows {
    fn clear(&mut self) {}

    fn add(&mut self, _: Row) -> Result<(), DbError> {
        Ok(())
    }
}

impl Connection {
    /// Runs writes in one transaction. Returns the rows of each, or the error because of which they were not received.
    ///
    /// # Errors
    /// Fails if a statement or the commit fails, or if the connection is lost.
    pub(in crate::db) async fn fetch_together(
        self: &Arc<Self>,
        statements: &[Statement],
    ) -> Result<Vec<WrittenRows>, NoResults> {
        let in_flight = InFlight::begin(self, 1, true);
        let prepared = self.prepare_together(statements).await?;
        let mut rows = vec![Vec::new(); statements.len()];
        let runs = prepared
            .iter()
            .zip(statements)
            .zip(&mut rows)
            .map(|((prepared, statement), rows)| self.run(prepared, statement, rows))
            .collect();
        let results = self.send_together(runs).await;
        self.forget_failed(&results, |position| &statements[position].text);
        in_flight.finish();
        let errors = results?;
        Ok(rows.into_iter().zip(errors).map(written_rows).collect())
    }

    /// Runs reads of several users in one transaction, each with the claims of its user. Passes on the rows of each.
    ///
    /// # Errors
    /// Fails if a read fails, or if the connection is lost. Nothing is known about the other reads then.
    pub(in crate::db) async fn fetch_reads_together(
        self: &Arc<Self>,
        reads: &mut [UserRead<'_>],
    ) -> Result<(), NoResults> {
        let in_flight = InFlight::begin(self, reads.len(), false);
        // Each read follows its claims, so that it runs with no others.
        let (mut statements, mut sinks) = (Vec::new(), Vec::<&mut dyn RowSink>::new());
        let mut no_rows = vec![NoRows; reads.len()];
        for (read, no_rows) in reads.iter_mut().zip(&mut no_rows) {
            let mut claims = Statement::of_catalogue(SET_CLAIMS_TEXT.clone());
            claims.push(Some(read.claims.clone()));
            statements.extend([claims, read.statement.clone()]);
            sinks.extend([no_rows as &mut dyn RowSink, &mut *read.rows]);
        }
        let prepared = self.prepare_together(&statements).await?;
        let runs = prepared
            .iter()
            .zip(&statements)
            .zip(sinks)
            .map(|((prepared, statement), rows)| self.run(prepared, statement, rows))
            .collect();
        let results = self.send_together(runs).await;
        self.forget_failed(&results, |position| &statements[position].text);
        in_flight.finish();
        match results?.into_iter().flatten().next() {
            None => Ok(()),
            Some(_) => Err(NoResults::Undone { failed: None }),
        }
    }

    async fn prepare_together(self: &Arc<Self>, statements: &[Statement]) -> Result<Vec<Prepared>, NoResults> {
        let mut prepared = Vec::<Prepared>::with_capacity(statements.len());
        // The positions of the different texts. The statements of many users have the same two texts.
        let mut different = Vec::<usize>::new();
        for (position, statement) in statements.iter().enumerate() {
            let is_same = |earlier: &&usize| Arc::ptr_eq(&statements[**earlier].text, &statement.text);
            if let Some(earlier) = different.iter().find(is_same) {
                prepared.push(prepared[*earlier].clone());
                continue;
            }
            different.push(position);
            let failed = |apart| NoResults::Undone { failed: Some(FailedWrite { position, apart }) };
            let preparing = timeout(PREPARE_TIMEOUT, self.prepare(statement)).await;
            let result = preparing.map_err(|_| failed(Apart::Yes))?;
            prepared.push(result.map_err(|error| failed(apart(&error)))?);
        }
        Ok(prepared)
    }

    /// Forgets the prepared form of a statement that failed: it may be older than a change of the schema.
    fn forget_failed<'a, T>(&self, results: &Result<T, NoResults>, text: impl Fn(usize) -> &'a Arc<str>) {
        if let Err(NoResults::Undone { failed: Some(FailedWrite { position, .. }) }) = results {
            self.statements().pop(text(*position));
        }
    }

    /// Sends all statements at once, as one transaction. Returns the errors that did not make the transaction fail, by
    /// position: those of rows that were not received.
    async fn send_together<F>(self: &Arc<Self>, runs: Vec<F>) -> Result<Vec<Option<DbError>>, NoResults>
    where
        F: Future<Output = Result<(), DbError>>,
    {
        let not_prepared = |_| NoResults::Undone { failed: None };
        let (begin, end) = (self.prepare(&BEGIN).await, self.prepare(&END).await);
        let (begin, end) = (begin.map_err(not_prepared)?, end.map_err(not_prepared)?);
        let (mut begin_rows, mut end_rows) = (NoRows, NoRows);
        let mut begin = pin!(maybe_done(self.run(&begin, &BEGIN, &mut begin_rows)));
        let mut end = pin!(maybe_done(self.run(&end, &END, &mut end_rows)));
        let mut runs: Vec<_> = runs.into_iter().map(|run| Box::pin(maybe_done(run))).collect();
        // No other statement may come between these.
        poll_fn(|context| {
            let _sending = self.sending.lock();
            let is_sent = send(begin.as_mut(), context)
                && runs.iter_mut().all(|run| send(run.as_mut(), context))
                && send(end.as_mut(), context);
            if !is_sent {
                // A statement could not be sent. `wire` closes the connection, and nothing is committed.
                let _ = pin!(self.client.simple_query("")).poll(context);
            }
            Poll::Ready(())
        })
        .await;
        begin.as_mut().await;
        let mut errors = Vec::with_capacity(runs.len());
        for run in &mut runs {
            run.as_mut().await;
            errors.push(error_of(run.as_mut()));
        }
        end.as_mut().await;
        match (error_of(begin), error_of(end)) {
            (None, None) => Ok(errors),
            (begin, end) => {
                let all = || begin.iter().chain(errors.iter().flatten()).chain(&end);
                if all().any(is_outcome_unknown) {
                    return Err(NoResults::Unknown);
                }
                let failed = errors.iter().enumerate().find_map(|(position, error)| {
                    let error = error.as_ref().filter(|error| !is_not_run(error))?;
                    Some(FailedWrite { position, apart: apart(error) })
                });
                Err(NoResults::Undone { failed })
            }
        }
    }
}

/// Returns how a statement that failed in a shared transaction must be sent again. If it waited for a lock, it needs a
/// connection of its own, so that others don't wait behind it. A statement that failed for another reason did not
/// wait, so it gets none: there are few of these connections.
fn apart(error: &DbError) -> Apart {
    let waited = [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED];
    match error.as_db_error() {
        Some(error) if waited.contains(error.code()) => Apart::Yes,
        _ => Apart::No,
    }
}

/// Returns whether Postgres may have committed in spite of the error: the session or the server ended.
fn is_outcome_unknown(error: &DbError) -> bool {
    let severity = error.as_db_error().map(|error| error.parsed_severity());
    severity != Some(Some(Severity::Error)) || is_connection_lost(error)
}

fn written_rows((rows, error): (Vec<Row>, Option<DbError>)) -> WrittenRows {
    match error {
        None => Ok(rows),
        Some(error) => Err(error),
    }
}

/// Returns the error of a run that has ended.
fn error_of<F: Future<Output = Result<(), DbError>>>(run: Pin<&mut MaybeDone<F>>) -> Option<DbError> {
    run.take_output()?.err()
}
