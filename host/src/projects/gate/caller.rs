//! The sender of a request on the public surface, and its extractors.

use std::sync::Arc;

use api_types::KeyType;
use axum::{extract::FromRequestParts, http::request::Parts};
use uuid::Uuid;

use crate::{
    db::DbRole,
    error::{ApiError, ApiResult, Code},
    http::{Holder, ShareHolder},
    projects::ProjectRef,
};

/// The sender of a request on the public surface: project, key and user. Only [`super::authenticate`] creates one.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The project, without its fields for the owner: `delete_after_run`, `delete_problem`, `protected` and `note` have
    /// their default values.
    pub project: Arc<ProjectRef>,
    pub key_type: KeyType,
    pub key_id: Uuid,
    /// The signed-in user, if the request contains a valid access token.
    pub user: Option<Arc<UserClaims>>,
}

/// Claims of a verified access token, or of a user as whom the owner reads rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserClaims {
    /// Id of the user.
    pub sub: String,
    /// Id of the session, if the token names one.
    pub session_id: Option<String>,
    /// All claims, as a JSON object.
    pub json: String,
}

impl Caller {
    /// Returns whether the caller has the full rights of the secret key: no user's token narrows them.
    pub fn is_secret(&self) -> bool {
        self.key_type == KeyType::Secret && self.user.is_none()
    }

    /// Returns the role that the caller's statements run as.
    pub fn db_role(&self) -> DbRole {
        match (&self.user, self.key_type) {
            (Some(_), _) => DbRole::User,
            (None, KeyType::Secret) => DbRole::App,
            (None, KeyType::Publishable) => DbRole::Anon,
        }
    }

    /// Checks that the caller has the full rights of the secret key.
    ///
    /// # Errors
    /// Returns 403 for any other caller.
    pub fn require_secret(&self) -> ApiResult<()> {
        if self.is_secret() {
            return Ok(());
        }
        Err(ApiError::new(Code::Forbidden, "This needs the project's secret key.")
            .with_hint("Call it from a server, with the secret key and without a user's token."))
    }
}

impl ShareHolder for Caller {
    fn holder(&self) -> Holder<'_> {
        Holder::Project(&self.project.id)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        // Missing only if a route was mounted outside of the gate: deny.
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| ApiError::internal(anyhow::anyhow!("a route is mounted without authentication")))
    }
}

/// Extracts a caller with the full rights of the secret key. Responds to any other caller with 403, before the
/// request's parameters are read.
#[derive(Debug, Clone)]
pub struct SecretCaller(pub Caller);

impl<S: Send + Sync> FromRequestParts<S> for SecretCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.require_secret()?;
        Ok(Self(caller))
    }
}

/// Extracts a caller with a signed-in user. Responds to any other caller with 401, before the request's parameters are
/// read.
#[derive(Debug, Clone)]
pub struct SignedInCaller {
    pub project: Arc<ProjectRef>,
    /// The verified claims. The user or the session may no longer exist, unless the project's settings require the gate
    /// to check the session.
    pub user: Arc<UserClaims>,
}

impl<S: Send + Sync> FromRequestParts<S> for SignedInCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Caller { project, user, .. } = Caller::from_request_parts(parts, state).await?;
        let user = user.ok_or_else(|| {
            ApiError::new(Code::Unauthorized, "This needs a signed-in user.")
                .with_hint("Send the user's access token as `authorization: Bearer <access token>`.")
        })?;
        Ok(Self { project, user })
    }
}
