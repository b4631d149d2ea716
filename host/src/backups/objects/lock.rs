//! The lock between backups and the sweep of one project's copies: an advisory lock of Postgres, held by a connection
//! of its own. Backups share the lock. The sweep holds it alone, so that it never removes a copy to which a backup in
//! progress is about to refer.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, PgPool};

use super::ObjectsError;

/// Pause between a backup's attempts to take the lock while a sweep holds it. All pauses together are longer than most
/// sweeps.
const PAUSE: Duration = Duration::from_secs(1);
const MAX_ATTEMPTS: u32 = 600;

/// A held lock. Dropping it closes the connection, which releases the lock.
pub(super) struct CopiesLock(PgConnection);

impl CopiesLock {
    /// Takes the lock for a backup. Waits up to ten minutes while a sweep holds it.
    pub(super) async fn share(platform: &PgPool, project: &str) -> Result<Self, ObjectsError> {
        let mut connection = platform.acquire().await?.detach();
        for _ in 0..MAX_ATTEMPTS {
            let is_held: bool = sqlx::query_scalar(
                "SELECT pg_try_advisory_lock_shared(hashtextextended('atlashub object copies ' || $1, 0))",
            )
            .bind(project)
            .fetch_one(&mut connection)
            .await?;
            if is_held {
                return Ok(Self(connection));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(ObjectsError::Busy)
    }

    /// Takes the lock for a sweep. Returns `None` while a backup or another sweep holds it.
    pub(super) async fn take(platform: &PgPool, project: &str) -> Result<Option<Self>, ObjectsError> {
        let mut connection = platform.acquire().await?.detach();
        let is_held: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtextextended('atlashub object copies ' || $1, 0))")
                .bind(project)
                .fetch_one(&mut connection)
                .await?;
        Ok(is_held.then_some(Self(connection)))
    }

    /// Checks that the lock is still held.
    pub(super) async fn check(&mut self) -> Result<(), ObjectsError> {
        sqlx::query("SELECT 1").execute(&mut self.0).await.map(drop).map_err(ObjectsError::LockLost)
    }

    /// Releases the lock.
    pub(super) async fn release(mut self) {
        // Closing the connection alone does not wait until Postgres has released the lock. If the connection is broken,
        // Postgres releases the lock anyway.
        drop(sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut self.0).await);
        drop(self.0.close().await);
    }
}
