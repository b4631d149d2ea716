//! The history of a channel: its deliveries, until they are removed.

use api_types::{DeliveryState, NotificationDelivery};
use chrono::{DateTime, Utc};
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use super::notification::Notification;

/// A delivery in the history of a channel.
#[derive(sqlx::FromRow)]
pub(super) struct DeliveryRow {
    pub(super) id: Uuid,
    notification: Json<Notification>,
    project_name: Option<String>,
    state: DeliveryState,
    occurrences: i32,
    pub(super) first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
    attempts: i32,
    due_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    error: Option<String>,
    recipient: Option<String>,
}

/// Returns the deliveries of a channel, newest first. `before` is the time and id of the last one of the previous page.
pub(super) async fn deliveries(
    pool: &PgPool,
    channel: Uuid,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> Result<Vec<DeliveryRow>, sqlx::Error> {
    let (at, id) = before.unzip();
    sqlx::query_as(
        "SELECT d.id, d.notification, p.name AS project_name, d.state, d.occurrences, d.first_at, d.last_at, d.attempts,
                d.due_at, d.finished_at, d.error, d.recipient
         FROM notification_deliveries d LEFT JOIN projects p ON p.id = d.notification ->> 'project'
         WHERE d.channel_id = $1 AND ($2::timestamptz IS NULL OR (d.first_at, d.id) < ($2, $3))
         ORDER BY d.first_at DESC, d.id DESC LIMIT $4",
    )
    .bind(channel)
    .bind(at)
    .bind(id)
    .bind(limit)
    .fetch_all(pool)
    .await
}

impl DeliveryRow {
    pub(super) fn into_wire(self) -> NotificationDelivery {
        let Notification { event, project, title, .. } = self.notification.0;
        NotificationDelivery {
            id: self.id.to_string(),
            event,
            project_id: project,
            project_name: self.project_name,
            title,
            state: self.state,
            occurrences: self.occurrences,
            first_at: self.first_at,
            last_at: self.last_at,
            attempts: self.attempts,
            next_attempt_at: (self.state == DeliveryState::Pending).then_some(self.due_at),
            finished_at: self.finished_at,
            error: self.error.filter(|error| !error.is_empty()),
            recipient: self.recipient,
        }
    }
}
