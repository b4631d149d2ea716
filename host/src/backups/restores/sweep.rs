//! Removes what restores left behind: the new databases of runs that ended without success, old uploads, and
//! identities that no run took. For a plugin with the grant, also removes databases that were kept for a rollback.

use async_trait::async_trait;

use super::{Restores, queries};
use crate::{
    error::ApiResult,
    plugins::{DroppedDatabases, ReplacedDatabases},
};

/// Maximum number of databases that one call of a plugin drops. Dropping a database takes as long as deleting its
/// files.
const KEPT_DATABASES_PER_CALL: i64 = 10;

impl Restores {
    /// Drops the new databases of restores whose run ended without success. Removes uploads that were signed more than
    /// a day ago and that no active restore reads, and identities that no run took within an hour. Safe to call at any
    /// time, and on several nodes at once.
    ///
    /// # Errors
    /// Fails if the platform database can't be reached. Other failures are logged, and the next sweep tries again.
    pub async fn sweep(&self) -> Result<(), sqlx::Error> {
        for leftover in queries::leftovers(&self.platform).await? {
            let name = &leftover.new_database;
            match self.drop_new_database(leftover.id, &leftover.project_id, name).await {
                Ok(()) => tracing::info!(database = name, "removed the database of an interrupted restore"),
                Err(error) => tracing::warn!(database = name, %error, "the database of a restore could not be dropped"),
            }
        }
        for upload in queries::expired_uploads(&self.platform).await? {
            if let Err(error) = self.remove_upload(upload.id, &upload.object_key).await {
                tracing::warn!(upload = %upload.id, %error, "an uploaded archive could not be removed");
            }
        }
        self.identities.remove_old().await
    }
}

#[async_trait]
impl ReplacedDatabases for Restores {
    async fn drop_older(&self, days: i32) -> ApiResult<DroppedDatabases> {
        let kept = queries::kept_databases(&self.platform, days, KEPT_DATABASES_PER_CALL).await?;
        let mut dropped = DroppedDatabases::default();
        for database in &kept {
            match self.remove(database.restore, Some(database.state)).await {
                Ok(_) => {
                    dropped.count += 1;
                    dropped.bytes += database.bytes.unsigned_abs();
                    tracing::info!(database = database.name, "dropped a database that was kept for a rollback");
                }
                Err(error) => {
                    tracing::warn!(database = database.name, %error, "a kept database could not be dropped");
                }
            }
        }
        // After a failure, the rest waits for the next run. If the run continued, it could repeat the failure
        // endlessly.
        dropped.more = kept.len() as i64 == KEPT_DATABASES_PER_CALL && dropped.count == kept.len() as u64;
        Ok(dropped)
    }
}
