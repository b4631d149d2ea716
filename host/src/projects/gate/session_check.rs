//! Checks that the session of a verified access token still exists, for projects that have switched this check on.

use super::UserClaims;
use crate::{
    db::{DbRole, ProjectPools, Statement},
    error::{ApiError, ApiResult, Code},
};

const SESSION_EXISTS: &str = "SELECT FROM auth.sessions s JOIN auth.users u ON u.id = s.user_id
     WHERE s.id = $1::pg_catalog.uuid AND u.id = $2::pg_catalog.uuid AND u.disabled_at IS NULL";

/// Checks that the user's session has not ended and the user is not disabled.
///
/// # Errors
/// 401 if the session has ended or the user is disabled, and the errors of [`ProjectPools::fetch`].
pub(super) async fn check_session(pools: &ProjectPools, project: &str, user: &UserClaims) -> ApiResult<()> {
    let is_id = |text: &str| text.parse::<uuid::Uuid>().is_ok();
    let Some(session) = user.session_id.as_deref().filter(|session| is_id(session) && is_id(&user.sub)) else {
        return Err(session_ended());
    };
    let mut statement = Statement::of_catalogue(SESSION_EXISTS);
    statement.push(Some(session));
    statement.push(Some(user.sub.as_str()));
    match pools.fetch(project, DbRole::Auth, &statement).await?.is_empty() {
        true => Err(session_ended()),
        false => Ok(()),
    }
}

fn session_ended() -> ApiError {
    ApiError::new(Code::Unauthorized, "The session has ended.").with_hint("Sign in again.")
}
