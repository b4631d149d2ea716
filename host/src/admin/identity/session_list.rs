//! Lists and ends the sessions of the dashboard, at the owner's request.

use api_types::AdminSession;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::sessions::SessionHash;

/// Number of leading bytes of a session's hash that form its id. The id reveals nothing about the cookie.
const ID_BYTES: usize = 16;

/// Returns the id of a session.
pub(super) fn session_id(hash: &SessionHash) -> String {
    hex::encode(&hash[..ID_BYTES])
}

#[derive(sqlx::FromRow)]
struct SessionRow {
    id: String,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
    expires_at: DateTime<Utc>,
    address: Option<String>,
    user_agent: Option<String>,
}

/// Returns the sessions that have not expired, newest first. `before` is the creation time and id of the previous
/// page's last session.
pub(super) async fn sessions(
    pool: &PgPool,
    current: Option<&str>,
    before: Option<(DateTime<Utc>, String)>,
    limit: i64,
) -> Result<Vec<AdminSession>, sqlx::Error> {
    let (at, id) = before.unzip();
    let rows: Vec<SessionRow> = sqlx::query_as(
        "SELECT id, created_at, last_used_at, expires_at, address, user_agent
         FROM admin_sessions, LATERAL (SELECT encode(substring(hash FROM 1 FOR $1), 'hex') AS id) AS named
         WHERE kind = 'session' AND expires_at > now()
           AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3))
         ORDER BY created_at DESC, id DESC LIMIT $4",
    )
    .bind(ID_BYTES as i32)
    .bind(at)
    .bind(id)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    let sessions = rows.into_iter().map(|row| AdminSession {
        current: current == Some(row.id.as_str()),
        id: row.id,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        expires_at: row.expires_at,
        address: row.address,
        user_agent: row.user_agent,
    });
    Ok(sessions.collect())
}

/// Ends a session. Returns whether there was one with this id.
pub(super) async fn end(pool: &PgPool, id: &str) -> Result<bool, sqlx::Error> {
    if id.len() != 2 * ID_BYTES || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(false);
    }
    sqlx::query(
        "DELETE FROM admin_sessions
         WHERE kind = 'session' AND encode(substring(hash FROM 1 FOR $1), 'hex') = $2 AND expires_at > now()",
    )
    .bind(ID_BYTES as i32)
    .bind(id)
    .execute(pool)
    .await
    .map(|done| done.rows_affected() > 0)
}

/// Ends every session except `kept`. Returns the number of those that had not expired.
pub(super) async fn end_others(pool: &PgPool, kept: Option<&SessionHash>) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "WITH ended AS (DELETE FROM admin_sessions WHERE kind = 'session' AND ($1::bytea IS NULL OR hash <> $1)
                        RETURNING expires_at)
         SELECT count(*) FROM ended WHERE expires_at > now()",
    )
    .bind(kept.map(SessionHash::as_slice))
    .fetch_one(pool)
    .await
}
