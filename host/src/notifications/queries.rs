//! The fixed SQL of channels and of the outbox.

use chrono::{DateTime, Utc};
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use super::notification::{Notification, event_name};

/// Equal notifications within so many seconds after a message make one further message.
const FOLD_SECONDS: f64 = 600.0;
/// Deliveries that may wait for one channel.
const MOST_WAITING: i64 = 1000;
/// Deliveries that are over are kept so long, to look at.
const KEPT_DAYS: i32 = 7;

#[derive(sqlx::FromRow)]
pub(super) struct ChannelRow {
    pub id: Uuid,
    pub name: String,
    pub kind: String,
    pub events: Vec<String>,
    pub enabled: bool,
    pub sealed: Vec<u8>,
    pub last_sent_at: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Channels in the order in which they were made.
pub(super) async fn channels(pool: &PgPool, limit: i64, after: Option<Uuid>) -> Result<Vec<ChannelRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, name, kind, events, enabled, sealed, last_sent_at, last_error, created_at, updated_at
         FROM notification_channels WHERE $1::uuid IS NULL OR id > $1 ORDER BY id LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(pool)
    .await
}

pub(super) async fn channel(pool: &PgPool, id: Uuid) -> Result<Option<ChannelRow>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, name, kind, events, enabled, sealed, last_sent_at, last_error, created_at, updated_at
         FROM notification_channels WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(pool)
    .await
}

/// What is stored of a channel's form.
pub(super) struct ChannelForm<'a> {
    pub name: &'a str,
    pub events: &'a [&'static str],
    pub enabled: bool,
    pub sealed: &'a [u8],
}

pub(super) async fn insert_channel(
    pool: &PgPool,
    id: Uuid,
    kind: &str,
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

/// Changes the channel where its settings are still those that the change was made from; none where they are not, or
/// where it is gone. What waits for a channel that is switched off is given up.
pub(super) async fn update_channel(
    pool: &PgPool,
    id: Uuid,
    sealed_before: &[u8],
    form: &ChannelForm<'_>,
) -> Result<Option<ChannelRow>, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let row = sqlx::query_as(
        "UPDATE notification_channels
         SET name = $2, events = $3, enabled = $4, sealed = $5, updated_at = now(),
             last_error = CASE WHEN sealed = $5 THEN last_error END
         WHERE id = $1 AND sealed = $6
         RETURNING id, name, kind, events, enabled, sealed, last_sent_at, last_error, created_at, updated_at",
    )
    .bind(id)
    .bind(form.name)
    .bind(form.events)
    .bind(form.enabled)
    .bind(form.sealed)
    .bind(sealed_before)
    .fetch_optional(&mut *transaction)
    .await?;
    if !form.enabled && row.is_some() {
        sqlx::query(
            "UPDATE notification_deliveries
             SET state = 'failed', error = 'The channel was switched off.', finished_at = now()
             WHERE channel_id = $1 AND state = 'pending' AND NOT in_flight",
        )
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await?;
    Ok(row)
}

pub(super) async fn delete_channel(pool: &PgPool, id: Uuid) -> Result<Option<(String, String)>, sqlx::Error> {
    sqlx::query_as("DELETE FROM notification_channels WHERE id = $1 RETURNING name, kind")
        .bind(id)
        .fetch_optional(pool)
        .await
}

/// How a test ended.
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

/// Adds a notification to the outbox of every channel that wants it. One that repeats what still waits is counted
/// there; one that repeats what was just sent waits until ten minutes have passed. A channel that a thousand wait for
/// gets no more of them: answers how many channels those are.
pub(super) async fn enqueue(pool: &PgPool, notification: &Notification) -> Result<u64, sqlx::Error> {
    let (event, fold_key) = (event_name(notification.event), notification.fold_key());
    let mut transaction = pool.begin().await?;
    // Two nodes that say the same at once take turns.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('notification ' || $1, 0))")
        .bind(&fold_key)
        .execute(&mut *transaction)
        .await?;
    let folded: Vec<Uuid> = sqlx::query_scalar(
        "UPDATE notification_deliveries d SET occurrences = d.occurrences + 1, last_at = now(), notification = $3
         FROM notification_channels c
         WHERE c.id = d.channel_id AND c.enabled AND $1 = ANY (c.events)
           AND d.fold_key = $2 AND d.state = 'pending' AND NOT d.in_flight
         RETURNING d.channel_id",
    )
    .bind(event)
    .bind(&fold_key)
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
    .bind(&fold_key)
    .bind(Json(notification))
    .bind(&folded)
    .bind(FOLD_SECONDS)
    .bind(MOST_WAITING)
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    let wanting: i64 =
        sqlx::query_scalar("SELECT count(*) FROM notification_channels WHERE enabled AND $1 = ANY (events)")
            .bind(event)
            .fetch_one(&mut *transaction)
            .await?;
    transaction.commit().await?;
    Ok((wanting as u64).saturating_sub(folded.len() as u64 + added))
}

/// Claims up to `limit` channels that something is due for, each for `lease_seconds`.
pub(super) async fn claim_channels(
    pool: &PgPool,
    claim: Uuid,
    limit: i64,
    lease_seconds: f64,
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
    .bind(lease_seconds)
    .fetch_all(pool)
    .await
}

/// A delivery that was begun, with its channel.
#[derive(sqlx::FromRow)]
pub(super) struct BegunDelivery {
    pub id: Uuid,
    pub notification: Json<Notification>,
    pub project_name: Option<String>,
    pub occurrences: i32,
    pub first_at: DateTime<Utc>,
    pub last_at: DateTime<Utc>,
    pub attempts: i32,
    pub kind: String,
    pub sealed: Vec<u8>,
}

/// Begins what has been due longest for a claimed channel; none where nothing is due, or the claim is lost.
pub(super) async fn begin_delivery(
    pool: &PgPool,
    channel: Uuid,
    claim: Uuid,
) -> Result<Option<BegunDelivery>, sqlx::Error> {
    sqlx::query_as(
        "UPDATE notification_deliveries d SET in_flight = true, attempts = d.attempts + 1
         FROM notification_channels c
         WHERE c.id = d.channel_id AND c.claim = $2 AND d.state = 'pending'
           AND d.id = (SELECT id FROM notification_deliveries
                       WHERE channel_id = $1 AND state = 'pending' AND due_at <= now() ORDER BY due_at, id LIMIT 1)
         RETURNING d.id, d.notification, d.occurrences, d.first_at, d.last_at, d.attempts, c.kind, c.sealed,
                   (SELECT p.name FROM projects p WHERE p.id = d.notification ->> 'project') AS project_name",
    )
    .bind(channel)
    .bind(claim)
    .fetch_optional(pool)
    .await
}

/// How a try ended.
pub(super) struct Settlement<'a> {
    pub state: &'static str,
    pub error: Option<&'a str>,
    /// Until the next try, where there is one.
    pub retry_seconds: f64,
    /// How long the channel as a whole is left alone.
    pub pause_seconds: Option<f64>,
    /// The try doesn't count, since the channel only asked for patience.
    pub uncounted: bool,
}

/// Records how a try ended and gives the channel back. Changes nothing where the claim was lost: then another node is
/// at it.
pub(super) async fn settle(
    pool: &PgPool,
    channel: Uuid,
    claim: Uuid,
    delivery: Uuid,
    settlement: &Settlement<'_>,
) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let held = sqlx::query(
        "UPDATE notification_channels
         SET claim = NULL, busy_until = now() + make_interval(secs => $3), last_error = $4,
             last_sent_at = CASE WHEN $5 = 'sent' THEN now() ELSE last_sent_at END
         WHERE id = $1 AND claim = $2",
    )
    .bind(channel)
    .bind(claim)
    .bind(settlement.pause_seconds)
    .bind(settlement.error)
    .bind(settlement.state)
    .execute(&mut *transaction)
    .await?
    .rows_affected();
    if held == 1 {
        sqlx::query(
            "UPDATE notification_deliveries
             SET in_flight = false, state = $2, error = $3, due_at = now() + make_interval(secs => $4),
                 attempts = attempts - CASE WHEN $5 THEN 1 ELSE 0 END,
                 finished_at = CASE WHEN $2 = 'pending' THEN NULL ELSE now() END
             WHERE id = $1",
        )
        .bind(delivery)
        .bind(settlement.state)
        .bind(settlement.error)
        .bind(settlement.retry_seconds)
        .bind(settlement.uncounted)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}

/// Gives a channel back for which nothing was due after all.
pub(super) async fn release(pool: &PgPool, channel: Uuid, claim: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE notification_channels SET claim = NULL, busy_until = NULL WHERE id = $1 AND claim = $2")
        .bind(channel)
        .bind(claim)
        .execute(pool)
        .await
        .map(drop)
}

/// Seconds until something is due, by the database's clock; none where nothing waits.
pub(super) async fn seconds_until_due(pool: &PgPool) -> Result<Option<f64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT extract(epoch FROM min(greatest(d.due_at, c.busy_until)) - now())::float8
         FROM notification_deliveries d JOIN notification_channels c ON c.id = d.channel_id
         WHERE d.state = 'pending' AND c.enabled",
    )
    .fetch_one(pool)
    .await
}

/// Removes up to 1000 deliveries that have been over for a week.
pub(super) async fn remove_old_deliveries(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let removed = sqlx::query(
        "DELETE FROM notification_deliveries WHERE id IN (
             SELECT id FROM notification_deliveries WHERE finished_at < now() - make_interval(days => $1) LIMIT 1000)",
    )
    .bind(KEPT_DAYS)
    .execute(pool)
    .await?;
    Ok(removed.rows_affected())
}

pub(super) async fn condition_is_known(pool: &PgPool, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM notification_conditions WHERE name = $1)")
        .bind(name)
        .fetch_one(pool)
        .await
}

pub(super) async fn remember_condition(pool: &PgPool, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO notification_conditions (name) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(name)
        .execute(pool)
        .await
        .map(drop)
}

/// True where it was known.
pub(super) async fn forget_condition(pool: &PgPool, name: &str) -> Result<bool, sqlx::Error> {
    let forgotten = sqlx::query("DELETE FROM notification_conditions WHERE name = $1").bind(name).execute(pool).await?;
    Ok(forgotten.rows_affected() > 0)
}
