use std::{
    collections::VecDeque,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{StreamExt, stream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_postgres::{AsyncMessage, Client};

use super::connect::{Driver, ServerAddress};

/// Notices kept of one connection; the oldest go first.
const NOTICES: usize = 100;

/// What Postgres said besides the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, …
    pub severity: String,
    pub message: String,
}

/// A connection for one caller alone, closed when dropped; what still runs on it is cancelled in Postgres.
pub struct ExclusiveClient {
    client: Client,
    notices: Notices,
    server: ServerAddress,
    running: bool,
}

pub(super) type Notices = Arc<Mutex<VecDeque<Notice>>>;

impl ExclusiveClient {
    pub(super) fn new(client: Client, notices: Notices, server: ServerAddress) -> Self {
        Self { client, notices, server, running: false }
    }

    /// Takes the notices that came since the last call.
    pub fn take_notices(&self) -> Vec<Notice> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }

    /// Says that a statement runs from now on: dropped before [`Self::settled`], the connection cancels it.
    pub fn running(&mut self) {
        self.running = true;
    }

    /// Says that nothing runs any more.
    pub fn settled(&mut self) {
        self.running = false;
    }

    /// Asks Postgres to stop the running statement, and waits until the request was delivered.
    pub async fn cancel(&self) {
        self.server.cancel(self.client.cancel_token()).await;
    }
}

impl Deref for ExclusiveClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl std::ops::DerefMut for ExclusiveClient {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Drop for ExclusiveClient {
    fn drop(&mut self) {
        if self.running && !self.client.is_closed() {
            let (server, token) = (self.server.clone(), self.client.cancel_token());
            tokio::spawn(async move { server.cancel(token).await });
        }
    }
}

/// Drives the socket, keeps notices.
pub(super) struct NoticeDriver {
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) notices: Notices,
}

impl Driver for NoticeDriver {
    fn spawn<S, T>(self, mut connection: tokio_postgres::Connection<S, T>)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        tokio::spawn(async move {
            let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
            while let Some(message) = messages.next().await {
                match message {
                    Ok(AsyncMessage::Notice(notice)) => {
                        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
                        if notices.len() == NOTICES {
                            notices.pop_front();
                        }
                        notices.push_back(Notice {
                            severity: notice.severity().to_owned(),
                            message: notice.message().to_owned(),
                        });
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::debug!(%error, "an exclusive connection ended");
                        break;
                    }
                }
            }
            drop(self.permit);
        });
    }
}
