//! Ends a run, also in Postgres, at its time limit, on request, or when the client disconnects.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::errors::Failure;
use crate::db::ExclusiveClient;

/// Time after the limit in which Postgres can report a timeout, before the host ends the run. A statement can raise
/// Postgres's limit with `set_config`, but not the host's.
const GRACE: Duration = Duration::from_millis(250);

/// Number of attempts to cancel a statement before its connection is closed.
const MAX_CANCEL_ATTEMPTS: usize = 10;
const CANCEL_RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

/// The limits of a run.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) timeout: Duration,
    /// Ends the run on request.
    pub(super) cancelled: CancellationToken,
    /// Name of the connection in `pg_stat_activity`.
    pub(super) name: String,
}

/// Runs `work`, which uses this connection, until it ends or a limit is reached. Dropping the future cancels the
/// statement in Postgres.
pub(super) async fn within<T>(
    client: &Arc<ExclusiveClient>,
    limits: &Limits,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let guard = CancelOnDrop(Some(client.clone()));
    let started = Instant::now();
    let run = async {
        let settings = format!(
            // Cursors are planned for all rows, as by EXPLAIN, instead of for the first tenth.
            "SET statement_timeout = {}; SET cursor_tuple_fraction = 1; SET application_name = {}",
            limits.timeout.as_millis().max(1),
            postgres_protocol::escape::escape_literal(&limits.name)
        );
        client.batch_execute(&settings).await.map_err(Failure::Internal)?;
        work.await
    };
    tokio::select! {
        biased;
        () = limits.cancelled.cancelled() => Err(Failure::Cancelled),
        outcome = timeout(limits.timeout + GRACE, run) => match outcome {
            Ok(outcome) => {
                guard.disarm();
                outcome.map_err(|failure| failure.classified(started.elapsed(), limits.timeout))
            }
            Err(_elapsed) => Err(Failure::Timeout),
        },
    }
}

/// A connection on which a statement may be running. Dropping it cancels the statement before closing the connection.
struct CancelOnDrop(Option<Arc<ExclusiveClient>>);

impl CancelOnDrop {
    /// Closes the connection without cancelling, because the statement has ended.
    fn disarm(mut self) {
        drop(self.0.take());
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            tokio::spawn(cancel(client));
        }
    }
}

/// Cancels until the connection responds again, up to [`MAX_CANCEL_ATTEMPTS`] times. A cancel request that arrives
/// before its statement has no effect, so it is repeated.
async fn cancel(client: Arc<ExclusiveClient>) {
    for _ in 0..MAX_CANCEL_ATTEMPTS {
        client.cancel().await;
        if timeout(CANCEL_RESPONSE_TIMEOUT, client.simple_query("")).await.is_ok() {
            return;
        }
    }
    tracing::warn!("could not cancel a statement of the SQL editor; closing its connection");
}
