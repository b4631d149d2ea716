//! The fixed SQL of restores.

use api_types::{Restore, RestorePlan, RestoreSource, RestoreState};
use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use uuid::Uuid;

type Result<T> = std::result::Result<T, sqlx::Error>;

#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct RestoreRow {
    pub id: Uuid,
    pub project_id: String,
    pub backup_id: Option<Uuid>,
    pub upload_id: Option<Uuid>,
    pub object_key: String,
    pub etag: Option<String>,
    pub sha256: Option<String>,
    pub state: RestoreState,
    pub plan: Json<RestorePlan>,
    pub previous_database: Option<String>,
    pub run_id: Option<Uuid>,
    pub error_text: Option<String>,
    pub left_out: Vec<String>,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
}

/// Selects restores as clients see them. If the process of an active restore was killed, its run has ended without
/// recording the end of the restore. Such a restore is shown as ended. A kept database that was dropped is not shown.
macro_rules! select_restores {
    ($rest:literal) => {
        concat!(
            "SELECT r.id, r.project_id, r.backup_id, r.upload_id, r.object_key, r.etag, r.sha256, r.plan,
                 d.datname::text AS previous_database, r.run_id, r.left_out, r.created_at,
                 CASE WHEN NOT a.abandoned THEN r.state WHEN r.previous_database IS NOT NULL THEN 'done'
                      WHEN run.status = 'cancelled' THEN 'cancelled' ELSE 'failed' END AS state,
                 coalesce(r.error_text, CASE WHEN a.abandoned THEN run.error_text END) AS error_text,
                 coalesce(r.finished_at, CASE WHEN a.abandoned THEN run.finished_at END) AS finished_at
             FROM restores r
             LEFT JOIN cron_job_runs run ON run.id = r.run_id
             LEFT JOIN pg_database d ON d.datname = r.previous_database
             CROSS JOIN LATERAL (SELECT r.state IN ('loading', 'checking', 'swapping')
                 AND (run.id IS NULL OR run.status NOT IN ('queued', 'running')) AS abandoned) a ",
            $rest
        )
    };
}

impl RestoreRow {
    pub(super) fn to_wire(&self) -> Restore {
        let source = match (self.backup_id, self.upload_id) {
            (Some(backup), _) => RestoreSource::Backup { backup_id: backup.to_string() },
            (None, upload) => RestoreSource::Upload { upload_id: upload.map(|id| id.to_string()).unwrap_or_default() },
        };
        Restore {
            id: self.id.to_string(),
            project_id: self.project_id.clone(),
            source,
            state: self.state,
            plan: self.plan.0.clone(),
            previous_database: self.previous_database.clone(),
            run_id: self.run_id.map(|id| id.to_string()),
            error_text: self.error_text.clone(),
            left_out: self.left_out.clone(),
            created_at: self.created_at,
            finished_at: self.finished_at,
        }
    }
}

pub(super) async fn insert(pool: &PgPool, row: &RestoreRow) -> Result<()> {
    sqlx::query(
        "INSERT INTO restores (id, project_id, backup_id, upload_id, object_key, etag, sha256, plan, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(row.id)
    .bind(&row.project_id)
    .bind(row.backup_id)
    .bind(row.upload_id)
    .bind(&row.object_key)
    .bind(&row.etag)
    .bind(&row.sha256)
    .bind(&row.plan)
    .bind(row.created_at)
    .execute(pool)
    .await
    .map(drop)
}

pub(super) async fn restore(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<RestoreRow>> {
    sqlx::query_as(select_restores!("WHERE r.id = $1")).bind(id).fetch_optional(db).await
}

/// Returns a page of restores, newest first. `before` is the creation time and the id of the last restore of the
/// previous page.
pub(super) async fn restores(
    pool: &PgPool,
    project: Option<&str>,
    limit: i64,
    before: Option<(DateTime<Utc>, Uuid)>,
) -> Result<Vec<RestoreRow>> {
    let (at, id) = before.unzip();
    sqlx::query_as(select_restores!(
        "WHERE ($1::timestamptz IS NULL OR (r.created_at, r.id) < ($1, $2)) AND ($4::text IS NULL OR r.project_id = $4)
         ORDER BY r.created_at DESC, r.id DESC LIMIT $3"
    ))
    .bind(at)
    .bind(id)
    .bind(limit)
    .bind(project)
    .fetch_all(pool)
    .await
}

/// Returns whether a project was deleted, or is being deleted.
pub(super) async fn is_deleted(pool: &PgPool, project: &str) -> Result<bool> {
    sqlx::query_scalar("SELECT NOT EXISTS (SELECT FROM projects WHERE id = $1 AND state <> 'deleting')")
        .bind(project)
        .fetch_one(pool)
        .await
}

/// Locks a restore for the transaction. Returns false if it does not exist.
pub(super) async fn lock(transaction: &mut PgConnection, id: Uuid) -> Result<bool> {
    let found = sqlx::query("SELECT FROM restores WHERE id = $1 FOR UPDATE").bind(id).execute(transaction).await?;
    Ok(found.rows_affected() > 0)
}

/// Records that a run works on a restore.
pub(super) async fn begin(transaction: &mut PgConnection, id: Uuid, run: Uuid, state: RestoreState) -> Result<()> {
    sqlx::query("UPDATE restores SET state = $3, run_id = $2, error_text = NULL WHERE id = $1")
        .bind(id)
        .bind(run)
        .bind(state)
        .execute(transaction)
        .await
        .map(drop)
}

/// Ends the restores of a project that are active although their run has ended. The next sweep drops their new
/// databases.
pub(super) async fn end_abandoned(transaction: &mut PgConnection, project: &str) -> Result<()> {
    sqlx::query(
        "UPDATE restores r SET error_text = coalesce(r.error_text, ended.error_text), finished_at = now(),
             state = CASE WHEN r.previous_database IS NOT NULL THEN 'done'
                          WHEN ended.status = 'cancelled' THEN 'cancelled' ELSE 'failed' END
         FROM (SELECT a.id, run.status, run.error_text FROM restores a LEFT JOIN cron_job_runs run ON run.id = a.run_id
               WHERE a.project_id = $1 AND a.state IN ('loading', 'checking', 'swapping')
                 AND (run.id IS NULL OR run.status NOT IN ('queued', 'running'))) AS ended
         WHERE ended.id = r.id",
    )
    .bind(project)
    .execute(transaction)
    .await
    .map(drop)
}

/// Returns the restore for which the run was started, if it is still in this state.
pub(super) async fn of_run(pool: &PgPool, id: Uuid, run: Uuid, state: RestoreState) -> Result<Option<RestoreRow>> {
    sqlx::query_as(select_restores!("WHERE r.id = $1 AND r.run_id = $2 AND r.state = $3"))
        .bind(id)
        .bind(run)
        .bind(state)
        .fetch_optional(pool)
        .await
}

/// Sets the state and the new database of an active restore. Returns false if the run no longer works on it.
pub(super) async fn advance(
    transaction: &mut PgConnection,
    id: Uuid,
    run: Uuid,
    state: RestoreState,
    new_database: &str,
) -> Result<bool> {
    let updated = sqlx::query(
        "UPDATE restores SET state = $3, new_database = $4
         WHERE id = $1 AND run_id = $2 AND state IN ('loading', 'checking', 'swapping')",
    )
    .bind(id)
    .bind(run)
    .bind(state)
    .bind(new_database)
    .execute(transaction)
    .await?;
    Ok(updated.rows_affected() > 0)
}

/// Records a swap. A rollback keeps the list of what the restore left out. Returns false if the run no longer works on
/// the restore.
pub(super) async fn record_swap(
    transaction: &mut PgConnection,
    id: Uuid,
    run: Uuid,
    state: RestoreState,
    kept: &str,
    left_out: Option<&[String]>,
) -> Result<bool> {
    let updated = sqlx::query(
        "UPDATE restores SET state = $3, previous_database = $4, new_database = NULL, error_text = NULL,
             left_out = coalesce($5, left_out), finished_at = now()
         WHERE id = $1 AND run_id = $2 AND state = 'swapping'",
    )
    .bind(id)
    .bind(run)
    .bind(state)
    .bind(kept)
    .bind(left_out)
    .execute(transaction)
    .await?;
    Ok(updated.rows_affected() > 0)
}

/// Records that the run of an active restore did not succeed. After a failed rollback, the state is `done`, as before.
pub(super) async fn fail(pool: &PgPool, id: Uuid, run: Uuid, state: RestoreState, error: Option<&str>) -> Result<()> {
    sqlx::query(
        "UPDATE restores SET state = CASE WHEN previous_database IS NULL THEN $3 ELSE 'done' END, error_text = $4,
             finished_at = now()
         WHERE id = $1 AND run_id = $2 AND state IN ('loading', 'checking', 'swapping')",
    )
    .bind(id)
    .bind(run)
    .bind(state)
    .bind(error)
    .execute(pool)
    .await
    .map(drop)
}

/// Cancels a restore that is only planned.
pub(super) async fn cancel_plan(transaction: &mut PgConnection, id: Uuid) -> Result<()> {
    sqlx::query("UPDATE restores SET state = 'cancelled', finished_at = now() WHERE id = $1 AND state = 'planned'")
        .bind(id)
        .execute(transaction)
        .await
        .map(drop)
}

pub(super) async fn forget_previous_database(transaction: &mut PgConnection, id: Uuid) -> Result<()> {
    sqlx::query("UPDATE restores SET previous_database = NULL WHERE id = $1")
        .bind(id)
        .execute(transaction)
        .await
        .map(drop)
}

/// A database that a restore or rollback replaced and keeps.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct KeptDatabase {
    pub restore: Uuid,
    pub state: RestoreState,
    pub name: String,
    pub bytes: i64,
}

/// Returns kept databases whose restore or rollback ended at least `days` days ago, the oldest first.
pub(super) async fn kept_databases(pool: &PgPool, days: i32, limit: i64) -> Result<Vec<KeptDatabase>> {
    sqlx::query_as(
        "SELECT r.id AS restore, r.state, d.datname::text AS name, pg_database_size(d.oid) AS bytes
         FROM restores r JOIN pg_database d ON d.datname = r.previous_database
         WHERE r.state IN ('done', 'rolledBack') AND r.finished_at <= now() - make_interval(days => $1)
         ORDER BY r.finished_at LIMIT $2",
    )
    .bind(days)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// A new database that was created for a restore whose run has ended.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Leftover {
    pub id: Uuid,
    pub project_id: String,
    pub new_database: String,
}

pub(super) async fn leftovers(pool: &PgPool) -> Result<Vec<Leftover>> {
    sqlx::query_as(
        "SELECT r.id, r.project_id, r.new_database FROM restores r LEFT JOIN cron_job_runs run ON run.id = r.run_id
         WHERE r.new_database IS NOT NULL AND (run.id IS NULL OR run.status NOT IN ('queued', 'running'))",
    )
    .fetch_all(pool)
    .await
}

pub(super) async fn forget_new_database(pool: &PgPool, id: Uuid, name: &str) -> Result<()> {
    sqlx::query("UPDATE restores SET new_database = NULL WHERE id = $1 AND new_database = $2")
        .bind(id)
        .bind(name)
        .execute(pool)
        .await
        .map(drop)
}

/// An archive that was uploaded, or that will be uploaded to a signed URL.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct UploadRow {
    pub id: Uuid,
    pub project_id: String,
    pub size_bytes: i64,
    pub object_key: String,
}

pub(super) async fn insert_upload(pool: &PgPool, row: &UploadRow, file_name: &str) -> Result<()> {
    sqlx::query(
        "INSERT INTO restore_uploads (id, project_id, file_name, size_bytes, object_key) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(row.id)
    .bind(&row.project_id)
    .bind(file_name)
    .bind(row.size_bytes)
    .bind(&row.object_key)
    .execute(pool)
    .await
    .map(drop)
}

pub(super) async fn upload(pool: &PgPool, id: Uuid) -> Result<Option<UploadRow>> {
    sqlx::query_as("SELECT id, project_id, size_bytes, object_key FROM restore_uploads WHERE id = $1")
        .bind(id)
        .fetch_optional(pool)
        .await
}

/// Records that an upload was signed again, so that it is kept for another day. Returns whether it still exists.
pub(super) async fn renew_upload(pool: &PgPool, id: Uuid) -> Result<bool> {
    let updated = sqlx::query("UPDATE restore_uploads SET created_at = now() WHERE id = $1").bind(id).execute(pool);
    Ok(updated.await?.rows_affected() > 0)
}

/// Returns uploads that were signed more than a day ago and that no active restore reads. If the process of a restore
/// was killed, the restore is not active, although its row says so.
pub(super) async fn expired_uploads(pool: &PgPool) -> Result<Vec<UploadRow>> {
    sqlx::query_as(
        "SELECT u.id, u.project_id, u.size_bytes, u.object_key FROM restore_uploads u
         WHERE u.created_at < now() - interval '1 day'
           AND NOT EXISTS (SELECT FROM restores r JOIN cron_job_runs run ON run.id = r.run_id
                           WHERE r.upload_id = u.id AND r.state IN ('loading', 'checking', 'swapping')
                             AND run.status IN ('queued', 'running'))",
    )
    .fetch_all(pool)
    .await
}

/// Returns whether an active restore reads an upload.
pub(super) async fn is_upload_read(transaction: &mut PgConnection, upload: Uuid) -> Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM restores r JOIN cron_job_runs run ON run.id = r.run_id
                        WHERE r.upload_id = $1 AND r.state IN ('loading', 'checking', 'swapping')
                          AND run.status IN ('queued', 'running'))",
    )
    .bind(upload)
    .fetch_one(transaction)
    .await
}

/// Deletes the row of an upload, and cancels the planned restores that need the upload.
pub(super) async fn delete_upload(transaction: &mut PgConnection, id: Uuid) -> Result<()> {
    sqlx::query(
        "UPDATE restores SET state = 'cancelled', error_text = 'The uploaded archive was removed.', finished_at = now()
         WHERE upload_id = $1 AND state = 'planned'",
    )
    .bind(id)
    .execute(&mut *transaction)
    .await?;
    sqlx::query("DELETE FROM restore_uploads WHERE id = $1").bind(id).execute(transaction).await.map(drop)
}

/// Returns those of the given extensions that a restore can't create, because the server lacks them or only a superuser
/// may create them.
pub(super) async fn unavailable_extensions(pool: &PgPool, names: &[String]) -> Result<Vec<String>> {
    sqlx::query_scalar(
        "SELECT name FROM unnest($1::text[]) AS name
         WHERE NOT EXISTS (SELECT FROM pg_available_extension_versions v WHERE v.name = name.name AND v.trusted)",
    )
    .bind(names)
    .fetch_all(pool)
    .await
}

/// Returns whether a run works on a restore of the project.
pub(super) async fn has_active(transaction: &mut PgConnection, project: &str) -> Result<bool> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM restores
                        WHERE project_id = $1 AND state IN ('loading', 'checking', 'swapping'))",
    )
    .bind(project)
    .fetch_one(transaction)
    .await
}
