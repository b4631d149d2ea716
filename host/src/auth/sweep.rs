//! Removes expired sessions, tokens and challenges from projects' databases.

use super::{
    AuthState,
    database::{Bind as _, write},
};
use crate::error::ApiResult;

/// Maximum number of rows that one statement removes, apart from the refresh tokens of removed sessions. It bounds how
/// long their locks are held.
const BATCH_ROWS: u64 = 1000;

/// Statements that remove expired sessions, refresh tokens, mailed tokens and challenges of second factors.
const REMOVE: [&str; 4] = [
    "DELETE FROM auth.sessions WHERE id IN (SELECT id FROM auth.sessions WHERE expires_at < pg_catalog.now()
         ORDER BY expires_at LIMIT $1::pg_catalog.int8) RETURNING true",
    "DELETE FROM auth.refresh_tokens WHERE hash IN (
         SELECT hash FROM auth.refresh_tokens WHERE expires_at < pg_catalog.now()
         ORDER BY expires_at LIMIT $1::pg_catalog.int8) RETURNING true",
    "DELETE FROM auth.mailed_tokens WHERE hash IN (
         SELECT hash FROM auth.mailed_tokens WHERE expires_at < pg_catalog.now()
         ORDER BY expires_at LIMIT $1::pg_catalog.int8) RETURNING true",
    "DELETE FROM auth.mfa_challenges WHERE hash IN (
         SELECT hash FROM auth.mfa_challenges WHERE expires_at < pg_catalog.now()
         ORDER BY expires_at LIMIT $1::pg_catalog.int8) RETURNING true",
];

/// The result of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SweptSessions {
    pub removed: u64,
    /// Whether there may be more to remove.
    pub more: bool,
}

/// Removes a limited number of expired sessions, tokens and challenges of every project whose login is on.
///
/// # Errors
/// Fails if the list of projects can't be read. Logs the errors of single projects.
pub async fn sweep_ended_sessions(state: &AuthState) -> ApiResult<SweptSessions> {
    let projects: Vec<String> = sqlx::query_scalar(
        "SELECT s.project_id FROM auth_settings s JOIN projects p ON p.id = s.project_id
         WHERE s.enabled AND p.state = 'ready' ORDER BY s.project_id",
    )
    .fetch_all(&state.projects.platform)
    .await?;
    let mut swept = SweptSessions::default();
    for project in projects {
        for text in REMOVE {
            let statement = write(text).bind(BATCH_ROWS.to_string());
            // A project whose database can't be reached must not prevent the removal in other projects.
            match state.database.rows(&project, &statement).await {
                Ok(rows) => {
                    swept.removed += rows.len() as u64;
                    swept.more |= rows.len() as u64 >= BATCH_ROWS;
                }
                Err(error) => {
                    tracing::warn!(project, cause = error.cause(), "could not remove expired sessions of a project");
                    break;
                }
            }
        }
    }
    Ok(swept)
}
