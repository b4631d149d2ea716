use std::{collections::VecDeque, sync::Arc};

use futures_util::{StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::OwnedSemaphorePermit,
};
use tokio_postgres::AsyncMessage;

/// Notices kept per connection; the oldest are dropped first.
const MAX_NOTICES: usize = 100;

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
    /// The connection's share of the budget, released when the socket is closed. None outside the budget.
    pub(super) permit: Option<OwnedSemaphorePermit>,
    /// Receives the server's notices. None discards them.
    pub(super) notices: Option<Notices>,
}

impl ConnectionDriver {
    pub(super) fn spawn<S, T>(self, mut connection: tokio_postgres::Connection<S, T>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        tokio::spawn(async move {
            let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
            while let Some(message) = messages.next().await {
                match (message, &self.notices) {
                    (Ok(AsyncMessage::Notice(notice)), Some(notices)) => keep_notice(notices, &notice),
                    (Ok(_), _) => {}
                    (Err(error), _) => {
                        tracing::debug!(%error, "a connection to Postgres failed");
                        break;
                    }
                }
            }
            // The socket goes first: the permit stands for a connection that may still be open.
            drop(messages);
            drop(self.permit);
        });
    }
}

fn keep_notice(notices: &Notices, notice: &tokio_postgres::error::DbError) {
    let mut notices = notices.lock();
    if notices.len() == MAX_NOTICES {
        notices.pop_front();
    }
    notices.push_back(Notice { severity: notice.severity().to_owned(), message: notice.message().to_owned() });
}
