//! The check of a user's session, which the slice `auth` implements.

use async_trait::async_trait;

use super::UserClaims;
use crate::error::ApiResult;

/// Checks sessions for projects that have switched this check on. The slice `auth` implements it. That slice depends on
/// this one, so the gate can't call it directly.
#[async_trait]
pub trait SessionCheck: Send + Sync {
    /// Checks that the session of a verified access token has not ended and the user is not disabled.
    ///
    /// # Errors
    /// Returns 401 if the session has ended, the user is disabled or the token names no session, and 503 if the
    /// project's database can't be reached or its schema `auth` can't be prepared.
    async fn check_session(&self, project: &str, user: &UserClaims) -> ApiResult<()>;
}
