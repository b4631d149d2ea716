//! Opens a connection for a query of a plugin, as a role that can only read.

use std::{sync::Arc, time::Duration};

use tokio_postgres::error::SqlState;

use super::QueryError;
use crate::{
    config::Secret,
    db::{
        Credentials, DbError, DbRole, ExclusiveClient, ServerAddress,
        connect::{Login, LoginError},
        driver::{ConnectionDriver, Notices},
        session_settings,
    },
};

/// Maximum size of a row, as JSON. A larger row is not received.
pub(super) const MAX_ROW_BYTES: usize = 1 << 20;

/// Options in addition to those of an app's session.
const OPTIONS: &str = "-c default_transaction_read_only=on -c lock_timeout=5000 -c max_parallel_workers_per_gather=0";

/// Selects whether the role may use schema `public`, which it may once the database is prepared for queries.
const IS_PREPARED: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace n
     WHERE n.nspname OPERATOR(pg_catalog.=) 'public' AND pg_catalog.has_schema_privilege(n.oid, 'USAGE'))";

/// Opens connections for queries. They don't count towards the pools' budget, which is for apps' requests.
#[derive(Clone)]
pub struct QuerySessions {
    address: ServerAddress,
    credentials: Arc<dyn Credentials>,
}

impl QuerySessions {
    /// Prepares connections to the server of the platform database, whose URL is `database_url`, but opens none.
    ///
    /// # Errors
    /// Fails if the URL is invalid, or if its root certificates can't be loaded.
    pub fn new(database_url: &Secret, credentials: Arc<dyn Credentials>) -> anyhow::Result<Self> {
        let address = ServerAddress::from_url(database_url.expose())?.with_max_row_bytes(MAX_ROW_BYTES);
        Ok(Self { address, credentials })
    }

    /// Opens a connection to a project's database. Postgres cancels statements that exceed the timeout.
    ///
    /// # Errors
    /// Returns [`QueryError::Unprepared`] if the role doesn't exist or has no access, or if its password isn't the
    /// stored one. Returns [`QueryError::Gone`] if the database doesn't exist. Otherwise returns the error of reading
    /// the password, of the login or of Postgres.
    pub async fn open(&self, project: &str, timeout: Duration) -> Result<ExclusiveClient, QueryError> {
        let password = match self.credentials.password(project, DbRole::Query).await {
            Ok(password) => password,
            // The project exists, so only the role's password is missing.
            Err(DbError::Gone) => return Err(QueryError::Unprepared),
            Err(error) => return Err(QueryError::Unreachable(error.into())),
        };
        let login = Login::for_project(project, DbRole::Query, &password);
        let options = format!("{} {OPTIONS}", session_settings::session_options(timeout));
        let client = self.address.log_in(&login, &options, ConnectionDriver::default()).await;
        let client = client.map_err(|(error, _)| login_failed(error))?;
        let mut client = ExclusiveClient::new(client, Notices::default(), self.address.clone());
        client.mark_busy();
        let is_prepared: bool = client
            .query_one(IS_PREPARED, &[])
            .await
            .and_then(|row| row.try_get(0))
            .map_err(QueryError::from_postgres)?;
        client.mark_idle();
        if is_prepared { Ok(client) } else { Err(QueryError::Unprepared) }
    }
}

fn login_failed(error: LoginError) -> QueryError {
    if error.is_unknown_database() {
        QueryError::Gone
    } else if error.is_refused() || error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        QueryError::Unprepared
    } else {
        QueryError::Unreachable(error.into())
    }
}
