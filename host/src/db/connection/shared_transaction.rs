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
use tokio_postgres::{Row, error::Severity};

use super::{Connection, InFlight};
use crate::db::{
    DbError, Statement,
    failure::is_connection_lost,
    prepared::Prepared,
    wire::{BEGIN_SHARED, END_SHARED, is_not_run},
    writes::{NoResults, WrittenRows},
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
        let in_flight = InFlight::begin(self);
        let nothing_sent = |failed| move |_| NoResults::Undone { failed };
        let begin = self.prepare(&BEGIN).await.map_err(nothing_sent(None))?;
        let end = self.prepare(&END).await.map_err(nothing_sent(None))?;
        let mut prepared = Vec::with_capacity(statements.len());
        for (position, statement) in statements.iter().enumerate() {
            let preparing = timeout(PREPARE_TIMEOUT, self.prepare(statement)).await;
            let result = preparing.map_err(|_| NoResults::Undone { failed: Some(position) })?;
            prepared.push(result.map_err(nothing_sent(Some(position)))?);
        }
        let results = self.send_together(&begin, &end, &prepared, statements).await;
        if let Err(NoResults::Undone { failed: Some(position) }) = &results {
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
        // A request is sent when its future is polled first. No other statement may come between these.
        poll_fn(|context| {
            let _sending = self.sending.lock();
            let mut is_sent = begin.as_mut().poll(context).is_pending();
            for run in &mut runs {
                is_sent = is_sent && run.as_mut().poll(context).is_pending();
            }
            if !is_sent || end.as_mut().poll(context).is_ready() {
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
                let is_cause = |error: &Option<DbError>| error.as_ref().is_some_and(|error| !is_not_run(error));
                Err(NoResults::Undone { failed: errors.iter().position(is_cause) })
            }
        }
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
