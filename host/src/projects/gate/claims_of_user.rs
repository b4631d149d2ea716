//! The interface through which handlers get the claims of a user who sent no access token. The slice `auth` implements
//! it.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use super::UserClaims;
use crate::error::ApiResult;

/// Makes claims of users for the owner, who can read rows as a user. The slice `auth` implements it. `data` can't call
/// that slice directly, because both are on the same floor.
#[async_trait]
pub trait ClaimsOfUser: Send + Sync {
    /// Returns the claims that a new access token of the user would contain, but without a session.
    ///
    /// # Errors
    /// Returns 404 if there is no such user, 404 `auth_disabled` if login is off, 409 if schema `auth` can't be
    /// prepared, 422 if the user is disabled, and 503 if the project's database can't be reached.
    async fn claims_of_user(&self, project: &str, user: Uuid) -> ApiResult<UserClaims>;
}

/// The maker of claims, as handlers extract it.
pub type ClaimsMaker = Arc<dyn ClaimsOfUser>;
