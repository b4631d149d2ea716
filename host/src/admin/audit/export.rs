//! The audit log as a file of JSON lines.

use axum::{
    body::Body,
    http::{HeaderName, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use futures_util::stream;
use sqlx::PgPool;
use uuid::Uuid;

use super::queries::{self, AuditFilter, AuditRow};
use crate::error::ApiResult;

/// Number of entries per query.
const BATCH_SIZE: i64 = 1000;

/// The position of the next batch of an export.
struct Position {
    pool: PgPool,
    filter: AuditFilter,
    after: Option<(DateTime<Utc>, Uuid)>,
}

/// Returns a response that contains the entries. They are read in batches, so that the memory use does not grow with
/// the log. No database connection is held between two batches, so a slow client blocks none.
///
/// # Errors
/// Fails if the first batch can't be read. If a later one can't be read, the response ends early, which clients report
/// as a failed download.
pub(super) async fn response(pool: PgPool, filter: AuditFilter) -> ApiResult<Response> {
    let name = format!("audit-{}.ndjson", Utc::now().format("%Y%m%d-%H%M%S"));
    let headers: [(HeaderName, String); 3] = [
        (header::CONTENT_TYPE, "application/x-ndjson".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    let (first, next) = batch(Position { pool, filter, after: None }).await?;
    let batches = stream::try_unfold(Some((first, next)), |state| async move {
        let Some((lines, next)) = state else { return Ok::<_, sqlx::Error>(None) };
        let following = match next {
            Some(position) => Some(batch(position).await?),
            None => None,
        };
        Ok(Some((lines, following)))
    });
    Ok((headers, Body::from_stream(batches)).into_response())
}

/// Returns the lines of a batch, and the position of the next one.
async fn batch(mut position: Position) -> Result<(String, Option<Position>), sqlx::Error> {
    let rows = queries::entries(&position.pool, &position.filter, position.after, BATCH_SIZE).await?;
    let last = rows.last().map(|row| (row.at, row.id)).filter(|_| rows.len() as i64 == BATCH_SIZE);
    let mut lines = String::new();
    for entry in rows.into_iter().map(AuditRow::into_wire) {
        lines.push_str(&serde_json::to_string(&entry).unwrap_or_default());
        lines.push('\n');
    }
    position.after = last;
    Ok((lines, last.is_some().then_some(position)))
}
