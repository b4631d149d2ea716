//! The state of channels' deliveries, for the overview.

use api_types::NotificationEvent;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

/// The facts about a channel that decide whether it needs the owner's attention.
#[derive(Debug, sqlx::FromRow)]
pub struct ChannelHealth {
    pub id: Uuid,
    pub name: String,
    pub events: Vec<NotificationEvent>,
    pub enabled: bool,
    /// Error of the newest attempt to deliver or to test, if it failed.
    pub last_error: Option<String>,
    /// Time at which the first of the recorded deliveries failed after the last success.
    pub failing_since: Option<DateTime<Utc>>,
}

/// Returns all channels, oldest first.
///
/// # Errors
/// Returns the error of the query.
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
