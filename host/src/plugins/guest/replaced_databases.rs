//! The databases that restores have replaced, as plugins use them: a trait and its result.

use async_trait::async_trait;

use crate::error::ApiResult;

/// The databases that restores have replaced, kept for a rollback. Implemented by `backups`, which is on a higher
/// floor.
#[async_trait]
pub trait ReplacedDatabases: Send + Sync + 'static {
    /// Drops databases whose restore ended at least `days` days ago, the oldest first. One call drops a limited number.
    ///
    /// # Errors
    /// Returns an error if the platform database can't be reached. A database that can't be dropped is skipped.
    async fn drop_older(&self, days: i32) -> ApiResult<DroppedDatabases>;
}

/// Result of one call of [`ReplacedDatabases::drop_older`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DroppedDatabases {
    pub count: u64,
    /// Disk space that the databases used, in bytes.
    pub bytes: u64,
    /// Whether another call may drop more. False after a failure, so that callers don't repeat it endlessly.
    pub more: bool,
}
