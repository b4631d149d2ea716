//! A connection that one caller uses alone, outside of the pools.

use std::{
    future::poll_fn,
    ops::{Deref, DerefMut},
    pin::pin,
    task::Poll,
};

use tokio_postgres::{Client, Statement};

use super::{
    connect::ServerAddress,
    driver::{Notice, Notices},
};

/// Maximum number of times that preparing a statement waits for Postgres.
///
/// The library looks up types that it does not know, and the types of which these consist, recursively. A type that is
/// nested thousands of levels deep would overflow the stack, which aborts the process. Each level takes at least one
/// round trip, so this is also the maximum depth. The threads of the runtime have enough stack for it.
const MAX_WAITS: u32 = 4000;

/// The reason why a statement can't be prepared.
#[derive(Debug)]
pub enum PrepareError {
    Postgres(tokio_postgres::Error),
    /// The types of the statement's parameters and columns consist of too many others.
    TooManyTypes,
}

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

    /// Prepares SQL that the project's owner or a plugin wrote. Unlike [`Client::prepare`], it fails if the library
    /// would look up too many types.
    ///
    /// # Errors
    /// Returns the error of Postgres, or [`PrepareError::TooManyTypes`].
    pub async fn prepare_submitted(&self, sql: &str) -> Result<Statement, PrepareError> {
        let mut preparing = pin!(self.client.prepare(sql));
        let mut waits = 0;
        poll_fn(|cx| match preparing.as_mut().poll(cx) {
            Poll::Ready(prepared) => Poll::Ready(prepared.map_err(PrepareError::Postgres)),
            Poll::Pending if waits >= MAX_WAITS => Poll::Ready(Err(PrepareError::TooManyTypes)),
            Poll::Pending => {
                waits += 1;
                Poll::Pending
            }
        })
        .await
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
