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

use super::{Connection, InFlight, sending::send};
use crate::db::{
    DbError, Statement,
    failure::is_connection_lost,
    prepared::Prepared,
    wire::{BEGIN_SHARED, END_SHARED, is_not_run},
    writes::{Apart, FailedWrite, NoResults, WrittenRows},
};

/// Time for which a statement waits for a lock. While it waits, it holds up the other statements, and locks rows that
/// these have changed.
const LOCK_TIMEOUT: &str = "20ms";

/// Time for which a statement may be prepared. Preparing waits for changes of the table's definition.
const PREPARE_TIMEOUT: Duration = Duration::from_millis(50);

static BEGIN: LazyLock<Statement> = LazyLock::new(|| {
    let mut statement = Statement::of_catalogue(BEGIN_SHARED);
    statement.push(Some(LOCK_TIMEOUT));
    statement
});
static END: LazyLock<Statement> = LazyLock::new(|| Statement::of_catalogue(END_SHARED));

impl Connection {
    /// Runs statements in one transaction. Returns the rows of each.
    ///
    /// # Errors
    /// Fails if a statement or the commit fails, or if the connection is lost.
    pub(in crate::db) async fn fetch_together(
        self: &Arc<Self>,
        statements: &[Statement],
    ) -> Result<Vec<WrittenRows>, NoResults> {
        let in_flight = InFlight::begin(self, true);
        let not_prepared = |_| NoResults::Undone { failed: None };
        let begin = self.prepare(&BEGIN).await.map_err(not_prepared)?;
        let end = self.prepare(&END).await.map_err(not_prepared)?;
        let mut prepared = Vec::with_capacity(statements.len());
        for (position, statement) in statements.iter().enumerate() {
            let failed = |apart| NoResults::Undone { failed: Some(FailedWrite { position, apart }) };
            let preparing = timeout(PREPARE_TIMEOUT, self.prepare(statement)).await;
            let result = preparing.map_err(|_| failed(Apart::Yes))?;
            prepared.push(result.map_err(|error| failed(apart(&error)))?);
        }
        let results = self.send_together(&begin, &end, &prepared, statements).await;
        if let Err(NoResults::Undone { failed: Some(FailedWrite { position, .. }) }) = &results {
            // The statement may have failed because it was prepared before a change of the schema.
            self.statements().pop(&statements[*position].text);
        }
        in_flight.finish();
        results
    }

    /// Sends all statements at once. `wire` makes one transaction of those between `begin` and `end`.
    async fn send_together(
        &self,
        begin: &Prepared,
        end: &Prepared,
        prepared: &[Prepared],
        statements: &[Statement],
    ) -> Result<Vec<WrittenRows>, NoResults> {
        let mut rows = vec![Vec::new(); statements.len()];
        let (mut begin_rows, mut end_rows) = (Vec::new(), Vec::new());
        let mut begin = pin!(maybe_done(self.run(begin, &BEGIN, &mut begin_rows)));
        let mut end = pin!(maybe_done(self.run(end, &END, &mut end_rows)));
        let mut runs: Vec<_> = prepared
            .iter()
            .zip(statements)
            .zip(&mut rows)
            .map(|((prepared, statement), rows)| Box::pin(maybe_done(self.run(prepared, statement, rows))))
            .collect();
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
        drop(runs);
        match (error_of(begin), error_of(end)) {
            (None, None) => Ok(rows.into_iter().zip(errors).map(written_rows).collect()),
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

/// Returns how to send a statement again that failed in a shared transaction. If it waited for a lock, it needs a
/// connection of its own, so that others don't wait behind it. There are few of these connections, so other failures,
/// which come at once, don't need one.
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
