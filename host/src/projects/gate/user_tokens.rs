//! Verification of end users' access tokens.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use dashmap::DashMap;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    UserClaims, signing_keys,
    verified_tokens::{TokenDigest, VerifiedToken, VerifiedTokens},
};
use crate::error::{ApiError, ApiResult, Code};

/// Tolerated difference between clocks.
const CLOCK_LEEWAY_SECONDS: u64 = 5;
/// Minimum interval between two queries because of an unknown `kid`.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_millis(100);
/// Time after which keys are read again, so that tokens of a key that another node removed are refused.
const MAX_CACHE_AGE: Duration = Duration::from_secs(60);
/// Time after which published keys are read again, so that a key that another node created is published within this
/// time.
const MAX_PUBLISHED_AGE: Duration = Duration::from_secs(1);

/// Maximum lifetime of a token whose expiry is exact, without the leeway. Such tokens are for tests.
const MAX_EXACT_LIFETIME_SECONDS: u64 = 30;

struct CachedKeys {
    keys: HashMap<String, DecodingKey>,
    /// The same keys for other verifiers (RFC 7517), newest first.
    jwks: Vec<serde_json::Value>,
    read_at: Instant,
}

/// Verifies access tokens with their project's public keys.
#[derive(Clone)]
pub struct UserTokens {
    platform: PgPool,
    /// Prefix of `iss`, which ends with the project's id.
    issuer: Arc<str>,
    keys: Arc<DashMap<String, Arc<CachedKeys>>>,
    verified: VerifiedTokens,
}

impl UserTokens {
    pub fn new(platform: PgPool, public_url: &str) -> Self {
        Self {
            platform,
            issuer: format!("{public_url}/v1/auth/").into(),
            keys: Arc::default(),
            verified: VerifiedTokens::default(),
        }
    }

    /// Returns the `iss` of a project's tokens. Their `aud` is the project's id.
    pub fn issuer(&self, project: &str) -> String {
        format!("{}{project}", self.issuer)
    }

    /// Returns the public keys of a project's tokens, newest first (RFC 7517).
    ///
    /// # Errors
    /// Returns 503 if Postgres can't be reached, and 500 if a key can't be read.
    pub async fn public_keys(&self, project: &str) -> ApiResult<Vec<serde_json::Value>> {
        match self.keys.get(project).map(|keys| keys.clone()) {
            Some(keys) if keys.read_at.elapsed() < MAX_PUBLISHED_AGE => Ok(keys.jwks.clone()),
            _ => Ok(self.read_keys(project).await?.jwks.clone()),
        }
    }

    /// Returns whether the keys of a project with this id were read before.
    pub(super) fn is_cached(&self, project: &str) -> bool {
        self.keys.contains_key(project)
    }

    /// Removes a project's keys from the cache.
    pub fn forget(&self, project: &str) {
        self.keys.remove(project);
    }

    /// Returns the claims of a token of this project. `issuer` is the issuer in the project's settings, if they contain
    /// one.
    ///
    /// # Errors
    /// Returns 401 if the token is not valid, 503 if Postgres can't be reached, and 500 if a key can't be read.
    pub(super) async fn verify(&self, project: &str, token: &str, issuer: Option<&str>) -> ApiResult<Arc<UserClaims>> {
        let digest = TokenDigest::new(project, issuer, token);
        if let Some(verified) = self.verified.get(&digest, jsonwebtoken::get_current_timestamp())
            && self.project_keys(project, &verified.kid).await?.keys.contains_key(&*verified.kid)
        {
            return Ok(verified.claims);
        }
        let verified = self.verify_signature(project, token, issuer).await?;
        let claims = verified.claims.clone();
        self.verified.insert(digest, verified);
        Ok(claims)
    }

    async fn verify_signature(&self, project: &str, token: &str, issuer: Option<&str>) -> ApiResult<VerifiedToken> {
        if token.starts_with("ah_pub_") || token.starts_with("ah_sec_") {
            return Err(ApiError::new(Code::Unauthorized, "The header `authorization` contains an API key.")
                .with_hint("Send the API key in `x-api-key` only; `authorization` is for a user's access token."));
        }
        let header = jsonwebtoken::decode_header(token).map_err(invalid_token)?;
        let kid =
            header.kid.filter(|_| header.alg == Algorithm::ES256).ok_or_else(|| invalid_token("no ES256 key id"))?;
        let keys = self.project_keys(project, &kid).await?;
        let key = keys.keys.get(&kid).ok_or_else(|| invalid_token("unknown key id"))?;
        let mut validation = Validation::new(Algorithm::ES256);
        validation.leeway = CLOCK_LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation.set_audience(&[project]);
        let default_issuer = self.issuer(project);
        validation.set_issuer(&[default_issuer.as_str(), issuer.unwrap_or(&default_issuer)]);
        let claims = jsonwebtoken::decode::<serde_json::Map<String, serde_json::Value>>(token, key, &validation)
            .map_err(invalid_token)?
            .claims;
        let sub = claims.get("sub").and_then(|sub| sub.as_str()).ok_or_else(|| invalid_token("no subject"))?.to_owned();
        let expires_at = expiry(&claims)?;
        let session_id = claims.get("session_id").and_then(|id| id.as_str()).map(str::to_owned);
        let json = serde_json::to_string(&claims).map_err(ApiError::internal)?;
        Ok(VerifiedToken { claims: Arc::new(UserClaims { sub, session_id, json }), kid: kid.into(), expires_at })
    }

    async fn project_keys(&self, project: &str, kid: &str) -> ApiResult<Arc<CachedKeys>> {
        if let Some(keys) = self.keys.get(project) {
            let age = keys.read_at.elapsed();
            if age < MAX_CACHE_AGE && (keys.keys.contains_key(kid) || age < MIN_REFRESH_INTERVAL) {
                return Ok(keys.clone());
            }
        }
        // Boxed, because most requests find the keys in the cache and don't need the future's space.
        Box::pin(self.read_keys(project)).await
    }

    async fn read_keys(&self, project: &str) -> ApiResult<Arc<CachedKeys>> {
        let rows: Vec<(Uuid, serde_json::Value)> = crate::db::platform::retry_stale(|| {
            sqlx::query_as(
                "SELECT id, public_jwk FROM signing_keys
                 WHERE project_id = $1 AND (retired_at IS NULL OR retired_at > now() - make_interval(secs => $2))
                 ORDER BY id DESC",
            )
            .bind(project)
            .bind(signing_keys::RETIRED_KEY_SECONDS)
            .fetch_all(&self.platform)
        })
        .await?;
        let mut keys = HashMap::with_capacity(rows.len());
        let mut jwks = Vec::with_capacity(rows.len());
        for (id, jwk) in rows {
            jwks.push(jwk.clone());
            let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwk).map_err(ApiError::internal)?;
            keys.insert(id.to_string(), DecodingKey::from_jwk(&jwk).map_err(ApiError::internal)?);
        }
        let keys = Arc::new(CachedKeys { keys, jwks, read_at: Instant::now() });
        self.keys.insert(project.to_owned(), keys.clone());
        Ok(keys)
    }
}

/// Returns the Unix time in seconds from which on a token has expired. Includes the leeway for clocks, except for
/// short-lived tokens.
///
/// # Errors
/// Returns 401 if the token has expired or has no expiry.
fn expiry(claims: &serde_json::Map<String, serde_json::Value>) -> ApiResult<u64> {
    let number = |name: &str| claims.get(name).and_then(serde_json::Value::as_f64).map(|seconds| seconds as u64);
    let expires_at = number("exp").ok_or_else(|| invalid_token("no expiry"))?;
    let is_short =
        number("iat").is_some_and(|issued_at| expires_at.saturating_sub(issued_at) <= MAX_EXACT_LIFETIME_SECONDS);
    let end = if is_short { expires_at } else { expires_at.saturating_add(CLOCK_LEEWAY_SECONDS + 1) };
    if jsonwebtoken::get_current_timestamp() >= end {
        return Err(invalid_token("expired"));
    }
    Ok(end)
}

fn invalid_token(reason: impl std::fmt::Display) -> ApiError {
    ApiError::new(Code::Unauthorized, "The access token is not valid.")
        .with_hint("Sign in again, or refresh the token.")
        .with_cause(anyhow::anyhow!("access token refused: {reason}"))
}
