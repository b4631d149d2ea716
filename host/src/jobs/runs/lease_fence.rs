//! Checks that a run still holds its lease, so that a run that lost it changes nothing.

use sqlx::PgConnection;
use uuid::Uuid;

use super::queries;
use crate::{error::ApiResult, jobs::Runs};

impl Runs {
    /// Returns whether the run holds its lease at this moment.
    ///
    /// Use this for work on behalf of a run that can't be one transaction. In practice, the run still holds its lease
    /// during work that follows immediately, because a run is stopped before its lease expires.
    ///
    /// # Errors
    /// Returns 503 if Postgres is not available.
    pub async fn lease_is_valid(&self, run: Uuid, lease: Uuid) -> ApiResult<bool> {
        Ok(queries::lease_is_valid(&self.platform, run, lease).await?)
    }

    /// Returns whether the run holds its lease. If so, the run keeps it until the transaction ends. An expired lease is
    /// still held until a scheduler ends the run for this reason.
    ///
    /// Use this in a transaction that writes on behalf of a run. The transaction must be short, because the lease is
    /// not renewed while it is open.
    ///
    /// # Errors
    /// Returns the error of the query.
    pub async fn lock_lease(transaction: &mut PgConnection, run: Uuid, lease: Uuid) -> Result<bool, sqlx::Error> {
        queries::lock_lease(transaction, run, lease).await
    }
}
