//! The fixed SQL that reads projects from the platform database.

use sqlx::PgPool;

use super::ProjectRef;

pub(super) async fn project(pool: &PgPool, id: &str) -> Result<Option<ProjectRef>, sqlx::Error> {
    crate::db::platform::retry_stale(|| {
        sqlx::query_as(
            "SELECT id, name, state, cors_origins, created_at, updated_at, delete_after_run, delete_problem,
             protected, note
             FROM projects WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(pool)
    })
    .await
}

/// Returns all projects, newest first.
pub(super) async fn all_projects(pool: &PgPool) -> Result<Vec<ProjectRef>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, name, state, cors_origins, created_at, updated_at, delete_after_run, delete_problem,
             protected, note
         FROM projects ORDER BY created_at DESC, id DESC",
    )
    .fetch_all(pool)
    .await
}

/// Returns projects that are being created or deleted, oldest first.
pub(super) async fn unfinished_projects(pool: &PgPool) -> Result<Vec<ProjectRef>, sqlx::Error> {
    sqlx::query_as(
        "SELECT id, name, state, cors_origins, created_at, updated_at, delete_after_run, delete_problem,
             protected, note
         FROM projects WHERE state <> 'ready' ORDER BY created_at",
    )
    .fetch_all(pool)
    .await
}

/// Returns the ids of ready projects.
pub(super) async fn ready_projects(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM projects WHERE state = 'ready' ORDER BY id").fetch_all(pool).await
}

/// Returns the id, name and database size in bytes of each of the projects that is ready and has a database.
pub(super) async fn project_databases(
    pool: &PgPool,
    ids: &[String],
) -> Result<Vec<(String, String, i64)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT p.id, p.name, pg_database_size(d.oid) FROM projects p JOIN pg_database d ON d.datname = 'proj_' || p.id
         WHERE p.state = 'ready' AND p.id = ANY($1) ORDER BY p.id",
    )
    .bind(ids)
    .fetch_all(pool)
    .await
}
