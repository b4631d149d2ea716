//! Whether channels deliver, for the overview.

use api_types::NotificationEvent;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

/// What concerns the owner about a channel.
#[derive(Debug, sqlx::FromRow)]
pub struct ChannelHealth {
    pub id: Uuid,
    pub name: String,
    pub events: Vec<NotificationEvent>,
    pub enabled: bool,
    /// Why the newest delivery failed.
    pub last_error: Option<String>,
    /// When the oldest of the deliveries failed that are still kept, since the last one that succeeded.
    pub failing_since: Option<DateTime<Utc>>,
}

/// Returns all channels, oldest first.
pub async fn channel_health(pool: &PgPool) -> Result<Vec<ChannelHealth>, sqlx::Error> {
    sqlx::query_as(
        "SELECT c.id, c.name, c.events, c.enabled, c.last_error,
             (SELECT min(d.finished_at) FROM notification_deliveries d
              WHERE d.channel_id = c.id AND d.state = 'failed'
                AND (c.last_sent_at IS NULL OR d.finished_at > c.last_sent_at)) AS failing_since
         FROM notification_channels c ORDER BY c.id",
    )
    .fetch_all(pool)
    .await
}
