//! Reserves a connection for one caller until its statement ends.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::{DbError, ServerAddress, connection::Connection, pool::Pool};

/// A connection reserved for one statement or transaction. If dropped before [`Self::put_back`] or [`Self::close`], its
/// statement is cancelled and the connection is closed.
pub(super) struct Checkout<'a> {
    pool: &'a Pool,
    connection: Option<Arc<Connection>>,
    /// The pool's epoch when the connection was taken.
    epoch: u64,
    server: ServerAddress,
    _permit: OwnedSemaphorePermit,
}

impl<'a> Checkout<'a> {
    pub(super) fn new(
        pool: &'a Pool,
        connection: Arc<Connection>,
        epoch: u64,
        server: ServerAddress,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self { pool, connection: Some(connection), epoch, server, _permit: permit }
    }

    pub(super) fn connection(&self) -> Result<&Arc<Connection>, DbError> {
        self.connection.as_ref().ok_or(DbError::Overloaded)
    }

    /// Closes the connection. No statement may be running on it.
    pub(super) fn close(&mut self) {
        self.connection = None;
    }

    /// Replaces the connection. No statement may be running on the previous one.
    pub(super) fn replace(&mut self, connection: Arc<Connection>) {
        self.connection = Some(connection);
    }

    /// Returns the connection to its pool, or closes it if the pool was closed meanwhile.
    pub(super) fn put_back(mut self) {
        if let Some(connection) = self.connection.take() {
            self.pool.put_back(connection, self.epoch);
        }
    }
}

impl Drop for Checkout<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && connection.is_usable()
        {
            let (server, token) = (self.server.clone(), connection.client().cancel_token());
            tokio::spawn(async move {
                server.cancel(token).await;
                drop(connection);
            });
        }
    }
}
