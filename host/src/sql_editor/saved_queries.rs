//! The fixed SQL of saved queries.

use api_types::SavedQuery;
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

#[derive(sqlx::FromRow)]
struct QueryRow {
    id: Uuid,
    name: String,
    sql: String,
    version: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<QueryRow> for SavedQuery {
    fn from(row: QueryRow) -> Self {
        let QueryRow { id, name, sql, version, created_at, updated_at } = row;
        Self { id: id.to_string(), name, sql, version, created_at, updated_at }
    }
}

/// Name and id of the last query of the previous page.
pub(super) type After = (String, Uuid);

/// Returns queries, sorted by name.
pub(super) async fn list(
    platform: &PgPool,
    project: &str,
    after: Option<&After>,
    limit: i64,
) -> Result<Vec<SavedQuery>, sqlx::Error> {
    let rows: Vec<QueryRow> = sqlx::query_as(
        "SELECT id, name, sql, version, created_at, updated_at FROM saved_queries
         WHERE project_id = $1 AND ($2::text IS NULL OR (name, id) > ($2, $3)) ORDER BY name, id LIMIT $4",
    )
    .bind(project)
    .bind(after.map(|after| &after.0))
    .bind(after.map(|after| after.1))
    .bind(limit)
    .fetch_all(platform)
    .await?;
    Ok(rows.into_iter().map(SavedQuery::from).collect())
}

pub(super) async fn get(platform: &PgPool, project: &str, id: Uuid) -> Result<Option<SavedQuery>, sqlx::Error> {
    let row: Option<QueryRow> = sqlx::query_as(
        "SELECT id, name, sql, version, created_at, updated_at FROM saved_queries WHERE project_id = $1 AND id = $2",
    )
    .bind(project)
    .bind(id)
    .fetch_optional(platform)
    .await?;
    Ok(row.map(SavedQuery::from))
}

pub(super) async fn insert(platform: &PgPool, project: &str, name: &str, sql: &str) -> Result<SavedQuery, sqlx::Error> {
    let row: QueryRow = sqlx::query_as(
        "INSERT INTO saved_queries (id, project_id, name, sql) VALUES ($1, $2, $3, $4)
         RETURNING id, name, sql, version, created_at, updated_at",
    )
    .bind(Uuid::now_v7())
    .bind(project)
    .bind(name)
    .bind(sql)
    .fetch_one(platform)
    .await?;
    Ok(row.into())
}

/// Changes a query if its version is in `versions`, or if `versions` is `None`. Returns `None` if the query has another
/// version or does not exist.
pub(super) async fn update(
    platform: &PgPool,
    project: &str,
    id: Uuid,
    versions: Option<&[i64]>,
    name: Option<&str>,
    sql: Option<&str>,
) -> Result<Option<SavedQuery>, sqlx::Error> {
    let row: Option<QueryRow> = sqlx::query_as(
        "UPDATE saved_queries
         SET name = coalesce($4, name), sql = coalesce($5, sql), version = version + 1, updated_at = now()
         WHERE project_id = $1 AND id = $2 AND ($3::bigint[] IS NULL OR version = ANY ($3))
         RETURNING id, name, sql, version, created_at, updated_at",
    )
    .bind(project)
    .bind(id)
    .bind(versions)
    .bind(name)
    .bind(sql)
    .fetch_optional(platform)
    .await?;
    Ok(row.map(SavedQuery::from))
}

/// Removes a query if its version is in `versions`, or if `versions` is `None`. Returns its name, or `None` if it was
/// not removed.
pub(super) async fn delete(
    platform: &PgPool,
    project: &str,
    id: Uuid,
    versions: Option<&[i64]>,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(
        "DELETE FROM saved_queries
         WHERE project_id = $1 AND id = $2 AND ($3::bigint[] IS NULL OR version = ANY ($3)) RETURNING name",
    )
    .bind(project)
    .bind(id)
    .bind(versions)
    .fetch_optional(platform)
    .await
}
