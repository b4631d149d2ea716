//! The fixed SQL of deleting a project after a last backup.

use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

/// The run that a ready project waits for; the row stays as it is until the transaction ends. Other tables may go on
/// referring to it meanwhile.
pub(super) async fn lock_ready(transaction: &mut PgConnection, id: &str) -> Result<Option<Option<Uuid>>, sqlx::Error> {
    sqlx::query_scalar("SELECT delete_after_run FROM projects WHERE id = $1 AND state = 'ready' FOR NO KEY UPDATE")
        .bind(id)
        .fetch_optional(transaction)
        .await
}

pub(super) async fn wait_for(db: impl PgExecutor<'_>, id: &str, run: Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE projects SET delete_after_run = $2, delete_problem = NULL, updated_at = now() WHERE id = $1")
        .bind(id)
        .bind(run)
        .execute(db)
        .await
        .map(drop)
}

/// False where the project doesn't wait for the run any more.
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

/// The same.
pub(super) async fn keep(db: impl PgExecutor<'_>, id: &str, run: Uuid, problem: &str) -> Result<bool, sqlx::Error> {
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
