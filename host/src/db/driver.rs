//! Drives the socket of a connection, and keeps the notices that Postgres sends.

use std::{collections::VecDeque, sync::Arc};

use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, oneshot},
};
use tokio_postgres::AsyncMessage;

use super::Availability;
use crate::error::describe_cause;

/// Maximum number of notices kept per connection; the oldest are dropped first.
const MAX_NOTICES: usize = 100;
/// Maximum number of bytes of a notice's text that are kept.
const MAX_NOTICE_BYTES: usize = 4096;

/// A message that Postgres sends in addition to the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, …
    pub severity: String,
    pub message: String,
}

pub(super) type Notices = Arc<Mutex<VecDeque<Notice>>>;

/// The task that reads and writes a connection's socket until the connection is closed.
#[derive(Default)]
pub(super) struct ConnectionDriver {
    /// The connection's share of the budget, released when the socket is closed. `None` outside the budget.
    pub(super) permit: Option<OwnedSemaphorePermit>,
    /// Receives the server's notices. `None` discards them.
    pub(super) notices: Option<Notices>,
    /// Closes the connection when the server does not respond, so that statements in flight fail at once.
    pub(super) availability: Option<Availability>,
    /// Dropped when the connection is closed.
    pub(super) on_end: Option<oneshot::Sender<()>>,
}

impl ConnectionDriver {
    pub(super) fn spawn<S, T>(self, mut connection: tokio_postgres::Connection<S, T>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { permit, notices, availability, on_end } = self;
        let (alive, ended) = oneshot::channel::<()>();
        let reading = tokio::spawn(async move {
            // These values are dropped after the socket, because the connection uses its permit until the socket is
            // closed.
            let _held = (permit, on_end, alive);
            let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
            while let Some(message) = messages.next().await {
                match (message, &notices) {
                    (Ok(AsyncMessage::Notice(notice)), Some(notices)) => keep_notice(notices, &notice),
                    (Ok(_), _) => {}
                    (Err(error), _) => {
                        tracing::debug!(cause = describe_cause(&error), "a connection to Postgres failed");
                        break;
                    }
                }
            }
        });
        if let Some(availability) = availability {
            // A separate task, so that reading from the socket does not also check the availability.
            tokio::spawn(async move {
                tokio::select! {
                    () = availability.wait_until_down() => reading.abort(),
                    _ = ended => {}
                }
            });
        }
    }
}

fn keep_notice(notices: &Notices, notice: &tokio_postgres::error::DbError) {
    let mut notices = notices.lock();
    if notices.len() == MAX_NOTICES {
        notices.pop_front();
    }
    let text = notice.message();
    let message = match text.get(..text.floor_char_boundary(MAX_NOTICE_BYTES)) {
        Some(beginning) if beginning.len() < text.len() => format!("{beginning}…"),
        _ => text.to_owned(),
    };
    notices.push_back(Notice { severity: notice.severity().to_owned(), message });
}
