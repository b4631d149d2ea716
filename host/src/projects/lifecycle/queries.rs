//! The fixed SQL that creates, changes and deletes projects.

use api_types::ProjectState;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use crate::{db::DbRole, projects::ProjectRef};

pub(super) async fn insert_project(db: impl PgExecutor<'_>, id: &str, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO projects (id, name) VALUES ($1, $2)").bind(id).bind(name).execute(db).await.map(drop)
}

/// Returns the ids of the ready projects.
pub(super) async fn ready_projects(pool: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM projects WHERE state = 'ready' ORDER BY id").fetch_all(pool).await
}

pub(super) async fn insert_bucket(
    db: impl PgExecutor<'_>,
    project: &str,
    name: &str,
    max_object_bytes: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO buckets (project_id, name, max_object_bytes) VALUES ($1, $2, $3)")
        .bind(project)
        .bind(name)
        .bind(max_object_bytes)
        .execute(db)
        .await
        .map(drop)
}

pub(super) async fn insert_credential(
    db: impl PgExecutor<'_>,
    project: &str,
    role: DbRole,
    sealed: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO project_db_creds (project_id, role, sealed) VALUES ($1, $2, $3)")
        .bind(project)
        .bind(role.suffix())
        .bind(sealed)
        .execute(db)
        .await
        .map(drop)
}

pub(super) async fn credential(pool: &PgPool, project: &str, role: DbRole) -> Result<Option<Vec<u8>>, sqlx::Error> {
    crate::db::platform::retry_stale(|| {
        sqlx::query_scalar("SELECT sealed FROM project_db_creds WHERE project_id = $1 AND role = $2")
            .bind(project)
            .bind(role.suffix())
            .fetch_optional(pool)
    })
    .await
}

/// Sets the state of a project and returns the project, or `None` if there is none.
pub(super) async fn set_state(
    db: impl PgExecutor<'_>,
    id: &str,
    state: ProjectState,
) -> Result<Option<ProjectRef>, sqlx::Error> {
    sqlx::query_as(
        "UPDATE projects SET state = $2, updated_at = now() WHERE id = $1
         RETURNING id, name, state, cors_origins, created_at, updated_at, delete_after_run, delete_problem",
    )
    .bind(id)
    .bind(state)
    .fetch_optional(db)
    .await
}

pub(super) async fn update_project(
    pool: &PgPool,
    id: &str,
    name: Option<&str>,
    cors_origins: Option<&[String]>,
) -> Result<Option<ProjectRef>, sqlx::Error> {
    sqlx::query_as(
        "UPDATE projects SET name = coalesce($2, name), cors_origins = coalesce($3, cors_origins), updated_at = now()
         WHERE id = $1 AND state = 'ready'
         RETURNING id, name, state, cors_origins, created_at, updated_at, delete_after_run, delete_problem",
    )
    .bind(id)
    .bind(name)
    .bind(cors_origins)
    .fetch_optional(pool)
    .await
}

pub(super) async fn delete_project(db: impl PgExecutor<'_>, id: &str) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM projects WHERE id = $1").bind(id).execute(db).await.map(drop)
}

/// Statistics of a project that are in the platform database.
#[derive(sqlx::FromRow)]
pub(super) struct ProjectTotals {
    pub object_count: i64,
    pub object_bytes: i64,
    pub active_key_count: i64,
}

pub(super) async fn project_totals(pool: &PgPool, id: &str) -> Result<ProjectTotals, sqlx::Error> {
    sqlx::query_as(
        "SELECT (SELECT count(*) FROM file_metadata WHERE project_id = $1 AND state = 'stored') AS object_count,
                (SELECT coalesce(sum(size), 0)::bigint FROM file_metadata WHERE project_id = $1 AND state = 'stored')
                    AS object_bytes,
                (SELECT count(*) FROM api_keys WHERE project_id = $1 AND revoked_at IS NULL
                    AND (expires_at IS NULL OR expires_at > now())) AS active_key_count",
    )
    .bind(id)
    .fetch_one(pool)
    .await
}

/// Returns the run that a ready project's deletion waits for, and locks the row for the transaction. Other tables can
/// still insert references to the row. `None` if the project is not ready.
pub(super) async fn lock_ready_project(
    transaction: &mut PgConnection,
    id: &str,
) -> Result<Option<Option<Uuid>>, sqlx::Error> {
    sqlx::query_scalar("SELECT delete_after_run FROM projects WHERE id = $1 AND state = 'ready' FOR NO KEY UPDATE")
        .bind(id)
        .fetch_optional(transaction)
        .await
}

/// Lets the project's deletion wait for the run of its final backup.
pub(super) async fn set_delete_after_run(db: impl PgExecutor<'_>, id: &str, run: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE projects SET delete_after_run = $2, delete_problem = NULL, updated_at = now() WHERE id = $1")
        .bind(id)
        .bind(run)
        .execute(db)
        .await
        .map(drop)
}

/// Starts the deletion of a project that waits for the run. Returns whether it still waited.
pub(super) async fn begin_deletion(db: impl PgExecutor<'_>, id: &str, run: Uuid) -> Result<bool, sqlx::Error> {
    let result = sqlx::query(
        "UPDATE projects SET state = 'deleting', updated_at = now()
         WHERE id = $1 AND state = 'ready' AND delete_after_run = $2",
    )
    .bind(id)
    .bind(run)
    .execute(db)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// Cancels the deletion of a project that waits for the run. Returns whether it still waited.
pub(super) async fn cancel_deletion(
    db: impl PgExecutor<'_>,
    id: &str,
    run: Uuid,
    problem: &str,
) -> Result<bool, sqlx::Error> {
    let result = sqlx::query(
        "UPDATE projects SET delete_after_run = NULL, delete_problem = $3, updated_at = now()
         WHERE id = $1 AND state = 'ready' AND delete_after_run = $2",
    )
    .bind(id)
    .bind(run)
    .bind(problem)
    .execute(db)
    .await?;
    Ok(result.rows_affected() > 0)
}
