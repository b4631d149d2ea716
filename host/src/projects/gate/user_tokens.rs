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

use super::UserClaims;
use crate::error::{ApiError, ApiResult, Code};

/// Tolerated difference between clocks.
const CLOCK_LEEWAY_SECONDS: u64 = 5;
/// An unknown `kid` causes a query at most this often.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(1);
/// Keys are read again after this time, so that tokens of a key that another node removed are refused.
const MAX_CACHE_AGE: Duration = Duration::from_secs(60);

struct CachedKeys {
    keys: HashMap<String, DecodingKey>,
    read_at: Instant,
}

/// Verifies access tokens with their project's public keys.
#[derive(Clone)]
pub struct UserTokens {
    platform: PgPool,
    /// Prefix of `iss`, which ends with the project's id.
    issuer: Arc<str>,
    keys: Arc<DashMap<String, Arc<CachedKeys>>>,
}

impl UserTokens {
    pub fn new(platform: PgPool, public_url: &str) -> Self {
        Self { platform, issuer: format!("{public_url}/v1/auth/").into(), keys: Arc::default() }
    }

    /// Returns the `iss` of a project's tokens. Their `aud` is the project's id.
    pub fn issuer(&self, project: &str) -> String {
        format!("{}{project}", self.issuer)
    }

    /// Returns the claims of a token of this project.
    ///
    /// # Errors
    /// 401 if the token is not valid.
    pub(super) async fn verify(&self, project: &str, token: &str) -> ApiResult<UserClaims> {
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
        validation.set_issuer(&[self.issuer(project)]);
        let claims = jsonwebtoken::decode::<serde_json::Map<String, serde_json::Value>>(token, key, &validation)
            .map_err(invalid_token)?
            .claims;
        let sub = claims.get("sub").and_then(|sub| sub.as_str()).ok_or_else(|| invalid_token("no subject"))?.to_owned();
        let json = serde_json::to_string(&claims).map_err(ApiError::internal)?;
        Ok(UserClaims { sub, json })
    }

    async fn project_keys(&self, project: &str, kid: &str) -> ApiResult<Arc<CachedKeys>> {
        if let Some(keys) = self.keys.get(project) {
            let age = keys.read_at.elapsed();
            if age < MAX_CACHE_AGE && (keys.keys.contains_key(kid) || age < MIN_REFRESH_INTERVAL) {
                return Ok(keys.clone());
            }
        }
        let rows: Vec<(Uuid, serde_json::Value)> = crate::db::platform::retry_stale(|| {
            sqlx::query_as("SELECT id, public_jwk FROM signing_keys WHERE project_id = $1")
                .bind(project)
                .fetch_all(&self.platform)
        })
        .await?;
        let mut keys = HashMap::with_capacity(rows.len());
        for (id, jwk) in rows {
            let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwk).map_err(ApiError::internal)?;
            keys.insert(id.to_string(), DecodingKey::from_jwk(&jwk).map_err(ApiError::internal)?);
        }
        let keys = Arc::new(CachedKeys { keys, read_at: Instant::now() });
        self.keys.insert(project.to_owned(), keys.clone());
        Ok(keys)
    }
}

fn invalid_token(reason: impl std::fmt::Display) -> ApiError {
    ApiError::new(Code::Unauthorized, "The access token is not valid.")
        .with_hint("Sign in again, or refresh the token.")
        .with_cause(anyhow::anyhow!("access token refused: {reason}"))
}
