//! The fixed SQL that creates, changes and deletes projects.

use api_types::ProjectState;
use sqlx::{PgConnection, PgExecutor, PgPool};
use uuid::Uuid;

use crate::{db::DbRole, projects::ProjectRef};

pub(super) async fn insert_project(db: impl PgExecutor<'_>, id: &str, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO projects (id, name) VALUES ($1, $2)").bind(id).bind(name).execute(db).await.map(drop)
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

/// Inserts a credential unless there is one.
pub(super) async fn insert_missing_credential(
    db: impl PgExecutor<'_>,
    project: &str,
    role: DbRole,
    sealed: &[u8],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO project_db_creds (project_id, role, sealed) SELECT id, $2, $3 FROM projects WHERE id = $1
         ON CONFLICT DO NOTHING",
    )
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

/// Returns the id of the project in state `creating` that has the name, ignoring case.
pub(super) async fn creating_project(db: impl PgExecutor<'_>, name: &str) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT id FROM projects WHERE lower(name) = lower($1) AND state = 'creating'")
        .bind(name)
        .fetch_optional(db)
        .await
}

/// Gives a project in state `creating` another name, so that its own is free. Returns whether there is such a project.
pub(super) async fn free_name(db: impl PgExecutor<'_>, id: &str) -> Result<bool, sqlx::Error> {
    let result = sqlx::query(
        "UPDATE projects SET name = id || ' (not created)', updated_at = now() WHERE id = $1 AND state = 'creating'",
    )
    .bind(id)
    .execute(db)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// Sets the state of a project and returns the project, or `None` if there is none.
pub(super) async fn set_state(
    db: impl PgExecutor<'_>,
    id: &str,
    state: ProjectState,
) -> Result<Option<ProjectRef>, sqlx::Error> {
    sqlx::query_as(
        "UPDATE projects SET state = $2, updated_at = now() WHERE id = $1
         RETURNING id, name, state, cors_origins, created_at, updated_at, delete_after_run, delete_problem,
             protected, note",
    )
    .bind(id)
    .bind(state)
    .fetch_optional(db)
    .await
}

/// Changes to a project. Fields without a value stay as they are.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProjectChange<'a> {
    pub name: Option<&'a str>,
    pub cors_origins: Option<&'a [String]>,
    pub protected: Option<bool>,
    pub note: Option<&'a str>,
    pub dismiss_delete_problem: bool,
}

/// Changes a ready project, and returns it. Returns `None` if the project is not ready, or if the change would protect
/// a project whose deletion waits for its final backup.
pub(super) async fn update_project(
    pool: &PgPool,
    id: &str,
    change: ProjectChange<'_>,
) -> Result<Option<ProjectRef>, sqlx::Error> {
    sqlx::query_as(
        "UPDATE projects SET name = coalesce($2, name), cors_origins = coalesce($3, cors_origins),
             protected = coalesce($4, protected), note = coalesce($5, note),
             delete_problem = CASE WHEN $6 THEN NULL ELSE delete_problem END, updated_at = now()
         WHERE id = $1 AND state = 'ready' AND (delete_after_run IS NULL OR $4 IS NOT TRUE)
         RETURNING id, name, state, cors_origins, created_at, updated_at, delete_after_run, delete_problem,
             protected, note",
    )
    .bind(id)
    .bind(change.name)
    .bind(change.cors_origins)
    .bind(change.protected)
    .bind(change.note)
    .bind(change.dismiss_delete_problem)
    .fetch_optional(pool)
    .await
}

/// Deletes a project, and its buckets before it. An upload that is being signed locks the bucket before the project. In
/// the other order, the upload and the deletion could wait for each other.
pub(super) async fn delete_project(transaction: &mut PgConnection, id: &str) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM buckets WHERE project_id = $1").bind(id).execute(&mut *transaction).await?;
    sqlx::query("DELETE FROM projects WHERE id = $1").bind(id).execute(transaction).await.map(drop)
}

/// Marks a project as being deleted. Returns false if it no longer exists, or is protected and not yet being deleted.
pub(super) async fn begin_deletion_now(db: impl PgExecutor<'_>, id: &str) -> Result<bool, sqlx::Error> {
    let result = sqlx::query(
        "UPDATE projects SET state = 'deleting', updated_at = now()
         WHERE id = $1 AND (state = 'deleting' OR NOT protected)",
    )
    .bind(id)
    .execute(db)
    .await?;
    Ok(result.rows_affected() > 0)
}

/// The columns of a project that a deletion with a final backup depends on.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct LockedProject {
    /// The run that a deletion already waits for.
    pub delete_after_run: Option<Uuid>,
    pub protected: bool,
}

/// Locks the row of a ready project for the transaction and returns it. Returns `None` if the project is not ready.
/// Rows that reference the project can still be inserted.
pub(super) async fn lock_ready_project(
    transaction: &mut PgConnection,
    id: &str,
) -> Result<Option<LockedProject>, sqlx::Error> {
    sqlx::query_as(
        "SELECT delete_after_run, protected FROM projects WHERE id = $1 AND state = 'ready' FOR NO KEY UPDATE",
    )
    .bind(id)
    .fetch_optional(transaction)
    .await
}

/// Makes the project's deletion wait for the run of its final backup.
pub(super) async fn set_delete_after_run(db: impl PgExecutor<'_>, id: &str, run: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE projects SET delete_after_run = $2, delete_problem = NULL, updated_at = now() WHERE id = $1")
        .bind(id)
        .bind(run)
        .execute(db)
        .await
        .map(drop)
}

/// Starts the deletion of a project that waits for the run. Returns whether the project still waited.
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

/// Cancels the deletion of a project that waits for the run. Returns whether the project still waited.
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
