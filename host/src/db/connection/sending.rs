//! Sends requests that must follow each other on a connection.

use std::{pin::Pin, task::Context};

use futures_util::future::MaybeDone;

use crate::db::DbError;

/// Polls [`Connection::run`](super::Connection) for the first time, which sends its request. Returns whether the
/// request was sent.
///
/// The response may arrive within the same poll, if the thread is suspended between sending and waiting for the
/// response. So a run that is ready may have been sent, too. A run that is pending was sent: before the library sends a
/// request, it waits for nothing. In particular, its channels are not those of tokio, which let a task wait after many
/// operations.
pub(super) fn send<F>(mut run: Pin<&mut MaybeDone<F>>, context: &mut Context<'_>) -> bool
where
    F: Future<Output = Result<(), DbError>>,
{
    let _ = run.as_mut().poll(context);
    match run.output_mut() {
        None | Some(Ok(())) => true,
        Some(Err(error)) => is_response(error),
    }
}

/// Returns whether Postgres responded: it rejected the request, or sent rows that are not received.
fn is_response(error: &DbError) -> bool {
    error.as_db_error().is_some() || error.ends_early()
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        pin::pin,
        task::Waker,
    };

    use futures_util::future::maybe_done;

    use super::*;

    fn is_sent(run: impl Future<Output = Result<(), DbError>>) -> bool {
        send(pin!(maybe_done(run)), &mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn request_was_sent_if_its_response_arrived_at_once() {
        assert!(is_sent(pending()));
        assert!(is_sent(ready(Ok(()))));
        assert!(is_sent(ready(Err(DbError::RowTooLarge))));
        assert!(!is_sent(ready(Err(DbError::Unreachable(anyhow::anyhow!("the connection is closed"))))));
    }
}
