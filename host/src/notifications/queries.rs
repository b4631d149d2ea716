//! The SQL of channels, of the outbox, and of conditions. A condition is a state that the owner was notified of and
//! that still lasts, for example a nearly full disk.

use api_types::{ChannelKind, DeliveryState, NotificationEvent};
use chrono::{DateTime, Utc};
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use super::{
    notification::Notification,
    recipients::{RecipientResult, insert_deliveries},
};

/// Seconds after a message within which equal notifications are merged into one further message.
const MERGE_SECONDS: f64 = 600.0;
/// Maximum number of pending deliveries per channel.
const MAX_PENDING: i64 = 1000;
/// Days after which finished deliveries are removed.
const RETENTION_DAYS: i32 = 7;

#[derive(sqlx::FromRow)]
pub(super) struct ChannelRow {
    pub id: Uuid,
    pub name: String,
    pub kind: ChannelKind,
    pub events: Vec<NotificationEvent>,
    pub enabled: bool,
    pub sealed: Vec<u8>,
    pub last_sent_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Returns channels, oldest first.
pub(super) async fn list_channels(
    pool: &PgPool,
    limit: i64,
    after: Option<Uuid>,
) -> Result<Vec<ChannelRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, name, kind, events, enabled, sealed, last_sent_at, last_error, created_at, updated_at
         FROM notification_channels WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(pool)
    .await
}

pub(super) async fn get_channel(pool: &PgPool, id: Uuid) -> Result<Option<ChannelRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, name, kind, events, enabled, sealed, last_sent_at, last_error, created_at, updated_at
         FROM notification_channels WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}

/// The columns of a new channel.
pub(super) struct ChannelForm<'a> {
    pub name: &'a str,
    pub events: &'a [NotificationEvent],
    pub enabled: bool,
    pub sealed: &'a [u8],
}

pub(super) async fn insert_channel(
    pool: &PgPool,
    id: Uuid,
    kind: ChannelKind,
    form: &ChannelForm<'_>,
) -> Result<ChannelRow, sqlx::Error> {
    sqlx::query_as(
        "INSERT INTO notification_channels (id, kind, name, events, enabled, sealed) VALUES ($1, $2, $3, $4, $5, $6)
         RETURNING id, name, kind, events, enabled, sealed, last_sent_at, last_error, created_at, updated_at",
    )
    .bind(id)
    .bind(kind)
    .bind(form.name)
    .bind(form.events)
    .bind(form.enabled)
    .bind(form.sealed)
    .fetch_one(pool)
    .await
}

/// Changes to the columns of a channel. `None` leaves a column as it is, even if another request changes it meanwhile.
pub(super) struct ChannelChange<'a> {
    pub name: Option<&'a str>,
    pub events: Option<&'a [NotificationEvent]>,
    pub enabled: Option<bool>,
    /// The sealed settings from which the new ones were made, and the new ones.
    pub sealed: Option<(&'a [u8], &'a [u8])>,
}

/// Updates a channel. Returns `None` if the channel does not exist, or if the change contains settings and another
/// request has replaced the settings from which they were made. Pending deliveries of a disabled channel fail, except
/// the one that is being sent.
pub(super) async fn update_channel(
    pool: &PgPool,
    id: Uuid,
    change: &ChannelChange<'_>,
) -> Result<Option<ChannelRow>, sqlx::Error> {
    let (previous_sealed, sealed) = change.sealed.unzip();
    let mut transaction = pool.begin().await?;
    let row: Option<ChannelRow> = sqlx::query_as(
        "UPDATE notification_channels
         SET name = coalesce($2, name), events = coalesce($3, events), enabled = coalesce($4, enabled),
             sealed = coalesce($5, sealed), updated_at = clock_timestamp(),
             last_error = CASE WHEN $5::bytea IS NULL OR sealed = $5 THEN last_error END
         WHERE id = $1 AND ($6::bytea IS NULL OR sealed = $6)
         RETURNING id, name, kind, events, enabled, sealed, last_sent_at, last_error, created_at, updated_at",
    )
    .bind(id)
    .bind(change.name)
    .bind(change.events)
    .bind(change.enabled)
    .bind(sealed)
    .bind(previous_sealed)
    .fetch_optional(&mut *transaction)
    .await?;
    if row.as_ref().is_some_and(|row| !row.enabled) {
        sqlx::query(
            "UPDATE notification_deliveries
             SET state = 'failed', error = 'The channel was disabled.', finished_at = now()
             WHERE channel_id = $1 AND state = 'pending' AND NOT in_flight",
        )
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(row)
}

pub(super) async fn delete_channel(pool: &PgPool, id: Uuid) -> Result<Option<(String, ChannelKind)>, sqlx::Error> {
    sqlx::query_as("DELETE FROM notification_channels WHERE id = $1 RETURNING name, kind")
        .bind(id)
        .fetch_optional(pool)
        .await
}

/// Records the result of a test.
pub(super) async fn record_test(pool: &PgPool, id: Uuid, error: Option<&str>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE notification_channels
         SET last_error = $2, last_sent_at = CASE WHEN $2 IS NULL THEN now() ELSE last_sent_at END WHERE id = $1",
    )
    .bind(id)
    .bind(error)
    .execute(pool)
    .await
    .map(drop)
}

/// Adds a notification to the outbox of every enabled channel that subscribes to its event. Returns the number of
/// channels that have too many pending deliveries to accept the notification.
///
/// Notifications are equal if they have the same merge key. If an equal notification is pending, the new one replaces
/// its content and increments its count. If several are pending, this applies to the newest. If an equal one is being
/// sent, the new one is due in ten minutes. If an equal one finished less than ten minutes ago, the new one is due ten
/// minutes after the earlier one finished.
pub(super) async fn enqueue(pool: &PgPool, notification: &Notification) -> Result<u64, sqlx::Error> {
    let (event, merge_key) = (notification.event, notification.merge_key());
    let mut transaction = pool.begin().await?;
    // Equal notifications from several nodes are written one after the other.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('notification ' || $1, 0))")
        .bind(&merge_key)
        .execute(&mut *transaction)
        .await?;
    // Several can be pending: one was queued while another was being sent, and that attempt failed.
    let merged: Vec<Uuid> = sqlx::query_scalar(
        "UPDATE notification_deliveries d SET occurrences = d.occurrences + 1, last_at = now(), notification = $3
         FROM notification_channels c
         WHERE c.id = d.channel_id AND c.enabled AND $1 = ANY (c.events)
           AND d.fold_key = $2 AND d.state = 'pending' AND NOT d.in_flight
           AND d.id = (SELECT n.id FROM notification_deliveries n
                       WHERE n.channel_id = c.id AND n.fold_key = $2 AND n.state = 'pending' AND NOT n.in_flight
                       ORDER BY n.first_at DESC, n.id LIMIT 1)
         RETURNING d.channel_id",
    )
    .bind(event)
    .bind(&merge_key)
    .bind(Json(notification))
    .fetch_all(&mut *transaction)
    .await?;
    let added = sqlx::query(
        "INSERT INTO notification_deliveries (id, channel_id, fold_key, notification, due_at)
         SELECT gen_random_uuid(), c.id, $2, $3,
                coalesce((SELECT max(coalesce(d.finished_at, now())) + make_interval(secs => $5)
                          FROM notification_deliveries d
                          WHERE d.channel_id = c.id AND d.fold_key = $2
                            AND (d.in_flight OR d.finished_at > now() - make_interval(secs => $5))), now())
         FROM notification_channels c WHERE c.enabled AND $1 = ANY (c.events) AND c.id <> ALL ($4)
           AND (SELECT count(*) FROM notification_deliveries d
                WHERE d.channel_id = c.id AND d.state = 'pending') < $6",
    )
    .bind(event)
    .bind(&merge_key)
    .bind(Json(notification))
    .bind(&merged)
    .bind(MERGE_SECONDS)
    .bind(MAX_PENDING)
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    let subscribed: i64 =
        sqlx::query_scalar("SELECT count(*) FROM notification_channels WHERE enabled AND $1 = ANY (events)")
            .bind(event)
            .fetch_one(&mut *transaction)
            .await?;
    transaction.commit().await?;
    Ok((subscribed as u64).saturating_sub(merged.len() as u64 + added))
}

/// Claims up to `limit` channels with due deliveries, each for `claim_seconds`.
pub(super) async fn claim_channels(
    pool: &PgPool,
    claim: Uuid,
    limit: i64,
    claim_seconds: f64,
) -> Result<Vec<Uuid>, sqlx::Error> {
    sqlx::query_scalar(
        "UPDATE notification_channels SET claim = $1, busy_until = now() + make_interval(secs => $3)
         WHERE id IN (
             SELECT c.id FROM notification_channels c
             WHERE c.enabled AND (c.busy_until IS NULL OR c.busy_until <= now())
               AND EXISTS (SELECT FROM notification_deliveries d
                           WHERE d.channel_id = c.id AND d.state = 'pending' AND d.due_at <= now())
             ORDER BY c.busy_until NULLS FIRST, c.id LIMIT $2 FOR UPDATE SKIP LOCKED)
         RETURNING id",
    )
    .bind(claim)
    .bind(limit)
    .bind(claim_seconds)
    .fetch_all(pool)
    .await
}

/// An attempt at a delivery, with the settings of its channel.
#[derive(sqlx::FromRow)]
pub(super) struct Attempt {
    pub id: Uuid,
    pub notification: Json<Notification>,
    pub project_name: Option<String>,
    pub occurrences: i32,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub attempts: i32,
    /// The only address to send to, if the delivery is for a single address of an e-mail channel.
    pub recipient: Option<String>,
    pub kind: ChannelKind,
    pub sealed: Vec<u8>,
}

/// Starts an attempt at the delivery of a claimed channel that has been due for the longest time. Returns `None` if
/// nothing is due or the claim was lost.
pub(super) async fn start_attempt(pool: &PgPool, channel: Uuid, claim: Uuid) -> Result<Option<Attempt>, sqlx::Error> {
    sqlx::query_as(
        "UPDATE notification_deliveries d SET in_flight = true, attempts = d.attempts + 1
         FROM notification_channels c
         WHERE c.id = d.channel_id AND c.claim = $2 AND d.state = 'pending'
           AND d.id = (SELECT id FROM notification_deliveries
                       WHERE channel_id = $1 AND state = 'pending' AND due_at <= now() ORDER BY due_at, id LIMIT 1)
         RETURNING d.id, d.notification, d.occurrences, d.first_at, d.last_at, d.attempts, d.recipient,
                   c.kind, c.sealed,
                   (SELECT p.name FROM projects p WHERE p.id = d.notification ->> 'project') AS project_name",
    )
    .bind(channel)
    .bind(claim)
    .fetch_optional(pool)
    .await
}

/// Result of an attempt.
pub(super) struct AttemptResult<'a> {
    pub state: DeliveryState,
    pub error: Option<&'a str>,
    /// Seconds until the next attempt, if the delivery is pending.
    pub retry_seconds: f64,
    /// Seconds for which the whole channel pauses.
    pub pause_seconds: Option<f64>,
    /// Whether the channel asked to wait. The attempt is then not counted.
    pub rate_limited: bool,
}

/// Records the result of an attempt, adds a delivery for each address in `recipients`, and releases the channel.
/// Changes nothing if the claim was lost, because then another node serves the channel.
pub(super) async fn record_attempt(
    pool: &PgPool,
    channel: Uuid,
    claim: Uuid,
    delivery: &Attempt,
    result: &AttemptResult<'_>,
    recipients: &[RecipientResult<'_>],
) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let held = sqlx::query(
        "UPDATE notification_channels
         SET claim = NULL, busy_until = now() + make_interval(secs => $3),
             -- A delivery to one address keeps the lines about others.
             last_error = CASE WHEN $6::text IS NULL THEN $4 ELSE nullif(concat_ws(E'\\n',
                 (SELECT string_agg(line, E'\\n') FROM unnest(string_to_array(last_error, E'\\n')) AS line
                  WHERE NOT starts_with(line, $6 || ': ')), $4), '') END,
             last_sent_at = CASE WHEN $5 = 'sent' THEN now() ELSE last_sent_at END
         WHERE id = $1 AND claim = $2",
    )
    .bind(channel)
    .bind(claim)
    .bind(result.pause_seconds)
    .bind(result.error)
    .bind(result.state.as_str())
    .bind(&delivery.recipient)
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    if held == 1 {
        insert_deliveries(&mut transaction, delivery.id, recipients).await?;
        sqlx::query(
            "UPDATE notification_deliveries
             SET in_flight = false, state = $2, error = $3, due_at = now() + make_interval(secs => $4),
                 attempts = attempts - CASE WHEN $5 THEN 1 ELSE 0 END,
                 finished_at = CASE WHEN $2 = 'pending' THEN NULL ELSE now() END
             WHERE id = $1",
        )
        .bind(delivery.id)
        .bind(result.state.as_str())
        .bind(result.error)
        .bind(result.retry_seconds)
        .bind(result.rate_limited)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}

/// Releases a channel without a due delivery.
pub(super) async fn release_channel(pool: &PgPool, channel: Uuid, claim: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE notification_channels SET claim = NULL, busy_until = NULL WHERE id = $1 AND claim = $2")
        .bind(channel)
        .bind(claim)
        .execute(pool)
        .await
        .map(drop)
}

/// Returns the seconds, by the database's clock, until a delivery of an enabled channel is due and its channel is not
/// busy. Negative if that time has passed. `None` if no enabled channel has a pending delivery.
pub(super) async fn seconds_until_due(pool: &PgPool) -> Result<Option<f64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT extract(epoch FROM min(greatest(d.due_at, c.busy_until)) - now())::float8
         FROM notification_deliveries d JOIN notification_channels c ON c.id = d.channel_id
         WHERE d.state = 'pending' AND c.enabled",
    )
    .fetch_one(pool)
    .await
}

/// Removes up to 1000 deliveries that finished more than [`RETENTION_DAYS`] days ago.
pub(super) async fn remove_old_deliveries(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let removed = sqlx::query(
        "DELETE FROM notification_deliveries WHERE id IN (
             SELECT id FROM notification_deliveries WHERE finished_at < now() - make_interval(days => $1) LIMIT 1000)",
    )
    .bind(RETENTION_DAYS)
    .execute(pool)
    .await?;
    Ok(removed.rows_affected())
}

pub(super) async fn condition_exists(pool: &PgPool, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM notification_conditions WHERE name = $1)")
        .bind(name)
        .fetch_one(pool)
        .await
}

pub(super) async fn insert_condition(pool: &PgPool, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO notification_conditions (name) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(name)
        .execute(pool)
        .await
        .map(drop)
}

/// Deletes a condition. Returns false if it did not exist.
pub(super) async fn delete_condition(pool: &PgPool, name: &str) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query("DELETE FROM notification_conditions WHERE name = $1").bind(name).execute(pool).await?;
    Ok(deleted.rows_affected() > 0)
}
