//! Signs access tokens with the project's newest key.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use api_types::{User, UserRole};
use dashmap::DashMap;
use jsonwebtoken::{Algorithm, Header};
use serde::Serialize;
use sqlx::PgPool;

use super::methods::{Assurance, MethodUse};
use crate::{
    error::{ApiError, ApiResult},
    projects::{SigningKey, signing_key},
    secrets::Sealer,
};

/// Maximum age of a cached key. After another node has rotated the key, this node signs with the previous one for at
/// most this long. Tokens of the previous key stay valid for much longer.
const MAX_CACHE_AGE: Duration = Duration::from_secs(5);

/// The claim `role` of every access token. `auth.role()` returns it.
const ROLE: &str = "authenticated";

/// Claims of an access token.
#[derive(Debug, Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: i64,
    exp: i64,
    role: &'static str,
    app_role: UserRole,
    email: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
    aal: &'static str,
    amr: &'a [MethodUse],
}

/// The values of an access token's claims that do not come from the user's row.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenFacts<'a> {
    pub project: &'a str,
    pub issuer: &'a str,
    /// `None` only for claims that are not signed.
    pub session: Option<&'a str>,
    pub assurance: &'a Assurance,
    /// Time of issue, in seconds since 1970. For tokens that are signed, by the clock of the database.
    pub issued_at: i64,
    /// Time of expiry, in seconds since 1970.
    pub expires_at: i64,
}

impl<'a> TokenFacts<'a> {
    fn claims(self, user: &'a User) -> Claims<'a> {
        Claims {
            iss: self.issuer,
            aud: self.project,
            sub: &user.id,
            iat: self.issued_at,
            exp: self.expires_at,
            role: ROLE,
            app_role: user.role,
            email: &user.email,
            session_id: self.session,
            aal: self.assurance.level(),
            amr: &self.assurance.methods,
        }
    }

    /// Returns the claims of a token as JSON, without signing it.
    pub(super) fn claims_json(self, user: &User) -> ApiResult<String> {
        serde_json::to_string(&self.claims(user)).map_err(ApiError::internal)
    }
}

/// Signs access tokens.
#[derive(Clone)]
pub(super) struct TokenSigner {
    platform: PgPool,
    sealer: Sealer,
    keys: Arc<DashMap<String, (Instant, Arc<SigningKey>)>>,
}

impl TokenSigner {
    pub(super) fn new(platform: PgPool, sealer: Sealer) -> Self {
        Self { platform, sealer, keys: Arc::default() }
    }

    /// Returns a signed access token, a JWT.
    pub(super) async fn sign(&self, facts: TokenFacts<'_>, user: &User) -> ApiResult<String> {
        let key = self.key(facts.project).await?;
        let header = Header { kid: Some(key.kid.clone()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &facts.claims(user), &key.key).map_err(ApiError::internal)
    }

    /// Removes a project's key from the cache.
    pub(super) fn forget(&self, project: &str) {
        self.keys.remove(project);
    }

    async fn key(&self, project: &str) -> ApiResult<Arc<SigningKey>> {
        if let Some(entry) = self.keys.get(project)
            && entry.0.elapsed() < MAX_CACHE_AGE
        {
            return Ok(entry.1.clone());
        }
        let read_at = Instant::now();
        let key = Arc::new(signing_key(&self.platform, &self.sealer, project).await?);
        self.keys.insert(project.to_owned(), (read_at, key.clone()));
        Ok(key)
    }
}
