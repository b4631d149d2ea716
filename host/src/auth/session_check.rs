//! Checks for the gate whether a user's session has ended.

use async_trait::async_trait;

use super::{
    AuthState,
    login::{ids_of, session_ended},
    queries,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    projects::{SessionCheck, UserClaims},
};

#[async_trait]
impl SessionCheck for AuthState {
    async fn check_session(&self, project: &str, user: &UserClaims) -> ApiResult<()> {
        let (user, session) = ids_of(user)?;
        match queries::session_exists(&self.database, project, user, session).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(session_ended()),
            // Schema `auth` can't be prepared. The caller must not get 409 for that, because its request conflicts with
            // nothing.
            Err(error) if error.code() == Code::Conflict => Err(ApiError::unavailable("End-user login", error)),
            Err(error) => Err(error),
        }
    }
}
