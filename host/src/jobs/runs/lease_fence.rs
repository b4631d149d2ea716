use sqlx::PgConnection;
use uuid::Uuid;

use super::queries;
use crate::{error::ApiResult, jobs::Runs};

impl Runs {
    /// Returns whether the run holds its lease at this moment.
    ///
    /// For work on behalf of a run that can't be one transaction. Work that follows immediately is fenced in practice,
    /// because a run is stopped before its lease expires.
    ///
    /// # Errors
    /// 503 if Postgres is not available.
    pub async fn lease_is_valid(&self, run: Uuid, lease: Uuid) -> ApiResult<bool> {
        Ok(queries::lease_is_valid(&self.platform, run, lease).await?)
    }

    /// Returns whether the run holds its lease. If so, the run keeps it until the transaction ends.
    ///
    /// For a transaction that writes on behalf of a run. It must be short, because the lease is not renewed while the
    /// transaction is open.
    ///
    /// # Errors
    /// The error of the query.
    pub async fn lock_lease(transaction: &mut PgConnection, run: Uuid, lease: Uuid) -> Result<bool, sqlx::Error> {
        queries::lock_lease(transaction, run, lease).await
    }
}
