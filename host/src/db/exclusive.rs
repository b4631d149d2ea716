//! A connection that one caller uses alone, outside of the pools.

use std::ops::{Deref, DerefMut};

use tokio_postgres::Client;

use super::{
    connect::ServerAddress,
    driver::{Notice, Notices},
};

/// A connection for a single caller, closed when dropped. If it is marked as busy then, its statement is cancelled.
pub struct ExclusiveClient {
    client: Client,
    notices: Notices,
    server: ServerAddress,
    is_busy: bool,
}

impl ExclusiveClient {
    pub(super) fn new(client: Client, notices: Notices, server: ServerAddress) -> Self {
        Self { client, notices, server, is_busy: false }
    }

    /// Takes the notices received since the last call.
    pub fn take_notices(&self) -> Vec<Notice> {
        self.notices.lock().drain(..).collect()
    }

    /// Marks the connection as running a statement. Dropping it before [`Self::mark_idle`] cancels the statement.
    pub fn mark_busy(&mut self) {
        self.is_busy = true;
    }

    /// Marks the connection as running no statement.
    pub fn mark_idle(&mut self) {
        self.is_busy = false;
    }

    /// Asks Postgres to cancel the running statement. Returns when the request was delivered or has failed.
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

impl DerefMut for ExclusiveClient {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Drop for ExclusiveClient {
    fn drop(&mut self) {
        if self.is_busy && !self.client.is_closed() {
            let (server, token) = (self.server.clone(), self.client.cancel_token());
            tokio::spawn(async move { server.cancel(token).await });
        }
    }
}
