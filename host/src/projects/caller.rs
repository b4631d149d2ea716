use std::sync::Arc;

use api_types::KeyType;
use axum::{extract::FromRequestParts, http::request::Parts};
use uuid::Uuid;

use super::ProjectRef;
use crate::{
    db::DbRole,
    error::{ApiError, ApiResult, Code},
};

/// Who makes a request of the public surface. Only [`super::authenticate`] makes one.
#[derive(Debug, Clone)]
pub struct Caller {
    pub project: Arc<ProjectRef>,
    pub key_type: KeyType,
    pub key_id: Uuid,
    /// The signed-in user, where the request carries a valid access token.
    pub user: Option<Arc<UserClaims>>,
}

/// Claims of a verified access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserClaims {
    /// The user's id.
    pub sub: String,
    /// All claims, a JSON object.
    pub json: String,
}

impl Caller {
    /// The whole power of the secret key: not narrowed to a signed-in user.
    pub fn is_secret(&self) -> bool {
        self.key_type == KeyType::Secret && self.user.is_none()
    }

    /// The role that the caller's statements run as.
    pub fn db_role(&self) -> DbRole {
        match (&self.user, self.key_type) {
            (Some(_), _) => DbRole::User,
            (None, KeyType::Secret) => DbRole::App,
            (None, KeyType::Publishable) => DbRole::Anon,
        }
    }

    /// 403 for anyone but the secret key itself.
    pub fn require_secret(&self) -> ApiResult<()> {
        if self.is_secret() {
            return Ok(());
        }
        Err(ApiError::new(Code::Forbidden, "This needs the project's secret key.")
            .with_hint("Call it from a server, with the secret key and without a user's token."))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        // Missing only where a route was mounted outside of the gate: deny.
        parts
            .extensions
            .get::<Self>()
            .cloned()
            .ok_or_else(|| ApiError::internal(anyhow::anyhow!("a route is mounted without authentication")))
    }
}

/// The secret key itself; whoever else calls is refused before anything of the request is looked at.
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
