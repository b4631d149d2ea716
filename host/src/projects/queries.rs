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

/// Returns the id and name of each ready project whose database does not exist.
pub(super) async fn projects_without_database(pool: &PgPool) -> Result<Vec<(String, String)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT p.id, p.name FROM projects p
         WHERE p.state = 'ready' AND NOT EXISTS (SELECT FROM pg_database d WHERE d.datname = 'proj_' || p.id)
         ORDER BY p.id",
    )
    .fetch_all(pool)
    .await
}

/// Returns the names of the databases that are named like those of projects, but whose project does not exist.
pub(super) async fn databases_without_project(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT d.datname::text FROM pg_database d
         WHERE d.datname ~ '^proj_[a-z][a-z0-9]{7,23}(_|$)'
           AND NOT EXISTS (SELECT FROM projects p WHERE p.id = split_part(d.datname, '_', 2))
         ORDER BY 1",
    )
    .fetch_all(pool)
    .await
}
