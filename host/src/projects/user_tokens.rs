//! Access tokens of end users: the project's signing keys, and the verification of what they signed.
//!
//! Issuing tokens is `auth`'s.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use dashmap::DashMap;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{UserClaims, provisioning::ProvisionError};
use crate::{
    error::{ApiError, ApiResult, Code},
    secrets::Sealer,
};

/// Clocks may differ by this.
const LEEWAY_SECONDS: u64 = 5;
/// An unknown `kid` asks the database again no sooner than this.
const REFRESH_FLOOR: Duration = Duration::from_secs(1);
/// Keys are read again after this, so that a key removed elsewhere stops verifying.
const MAX_AGE: Duration = Duration::from_secs(60);

/// What a sealed private key is bound to.
pub(super) fn identity(project: &str, id: Uuid) -> String {
    format!("signing_keys/{project}/{id}")
}

/// Makes a P-256 key for the project's tokens.
pub(super) async fn insert_signing_key(
    db: &mut PgConnection,
    sealer: &Sealer,
    project: &str,
) -> Result<Uuid, ProvisionError> {
    let failed = |_| ProvisionError::SigningKey(anyhow::anyhow!("no key could be generated"));
    let id = Uuid::now_v7();
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
    let pkcs8 = key.to_pkcs8v1().map_err(failed)?;
    // An uncompressed point: 4, x, y.
    let point = key.public_key().as_ref();
    let public_jwk = serde_json::json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": id.to_string(),
        "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..65]),
    });
    sqlx::query("INSERT INTO signing_keys (id, project_id, public_jwk, sealed) VALUES ($1, $2, $3, $4)")
        .bind(id)
        .bind(project)
        .bind(public_jwk)
        .bind(sealer.seal(pkcs8.as_ref(), &identity(project, id))?)
        .execute(db)
        .await?;
    Ok(id)
}

/// The key that signs new tokens.
pub struct SigningKey {
    pub kid: String,
    pub key: EncodingKey,
}

/// Opens a project's newest signing key.
pub async fn signing_key(platform: &PgPool, sealer: &Sealer, project: &str) -> ApiResult<SigningKey> {
    let (id, sealed): (Uuid, Vec<u8>) = sqlx::query_as(
        "SELECT id, sealed FROM signing_keys WHERE project_id = $1 AND retired_at IS NULL ORDER BY id DESC LIMIT 1",
    )
    .bind(project)
    .fetch_optional(platform)
    .await?
    .ok_or_else(|| ApiError::internal(anyhow::anyhow!("project {project} has no signing key")))?;
    let pkcs8: Zeroizing<Vec<u8>> = sealer.open(&sealed, &identity(project, id)).map_err(ApiError::internal)?;
    Ok(SigningKey { kid: id.to_string(), key: EncodingKey::from_ec_der(&pkcs8) })
}

struct ProjectKeys {
    keys: HashMap<String, DecodingKey>,
    read_at: Instant,
}

/// Verifies access tokens against their project's keys.
#[derive(Clone)]
pub struct UserTokens {
    platform: PgPool,
    /// Prefix of `iss`, which ends with the project's id.
    issuer: Arc<str>,
    keys: Arc<DashMap<String, Arc<ProjectKeys>>>,
}

impl UserTokens {
    pub fn new(platform: PgPool, public_url: &str) -> Self {
        Self { platform, issuer: format!("{public_url}/v1/auth/").into(), keys: Arc::default() }
    }

    /// `iss` of a project's tokens; `aud` is the project's id.
    pub fn issuer(&self, project: &str) -> String {
        format!("{}{project}", self.issuer)
    }

    /// The claims of a valid token of this project; else 401.
    pub(super) async fn verify(&self, project: &str, token: &str) -> ApiResult<UserClaims> {
        let header = jsonwebtoken::decode_header(token).map_err(refused)?;
        let kid = header.kid.filter(|_| header.alg == Algorithm::ES256).ok_or_else(|| refused("no ES256 key id"))?;
        let keys = self.project_keys(project, &kid).await?;
        let key = keys.keys.get(&kid).ok_or_else(|| refused("unknown key id"))?;
        let mut validation = Validation::new(Algorithm::ES256);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation.set_audience(&[project]);
        validation.set_issuer(&[self.issuer(project)]);
        let claims = jsonwebtoken::decode::<serde_json::Map<String, serde_json::Value>>(token, key, &validation)
            .map_err(refused)?
            .claims;
        let sub = claims.get("sub").and_then(|sub| sub.as_str()).ok_or_else(|| refused("no subject"))?.to_owned();
        let json = serde_json::to_string(&claims).map_err(ApiError::internal)?;
        Ok(UserClaims { sub, json })
    }

    async fn project_keys(&self, project: &str, kid: &str) -> ApiResult<Arc<ProjectKeys>> {
        if let Some(keys) = self.keys.get(project) {
            let age = keys.read_at.elapsed();
            if age < MAX_AGE && (keys.keys.contains_key(kid) || age < REFRESH_FLOOR) {
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
        let keys = Arc::new(ProjectKeys { keys, read_at: Instant::now() });
        self.keys.insert(project.to_owned(), keys.clone());
        Ok(keys)
    }
}

fn refused(why: impl std::fmt::Display) -> ApiError {
    ApiError::new(Code::Unauthorized, "The access token is not valid.")
        .with_hint("Sign in again, or refresh the token.")
        .with_cause(anyhow::anyhow!("access token refused: {why}"))
}
