use async_trait::async_trait;

use super::{
    AuthState,
    login::{ids_of, session_ended},
    queries,
};
use crate::{
    error::ApiResult,
    projects::{SessionCheck, UserClaims},
};

#[async_trait]
impl SessionCheck for AuthState {
    async fn check_session(&self, project: &str, user: &UserClaims) -> ApiResult<()> {
        let (user, session) = ids_of(user)?;
        match queries::session_exists(&self.database, project, user, session).await? {
            true => Ok(()),
            false => Err(session_ended()),
        }
    }
}
