//! The ES256 keys that sign a project's access tokens. Their private parts are stored sealed.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    error::{ApiError, ApiResult},
    secrets::{SealError, SealedColumn, Sealer},
};

/// Seconds for which a retired key verifies tokens. This is longer than the lifetime of any token that the key signed.
pub(super) const RETIRED_KEY_SECONDS: f64 = 25.0 * 3600.0;

/// Private part of a signing key.
pub(in crate::projects) const SEALED_SIGNING_KEY: SealedColumn = SealedColumn {
    table: "signing_keys",
    column: "sealed",
    key_columns: &["project_id", "id"],
    identity: "signing_keys/{project_id}/{id}",
};

/// The reason why a signing key could not be created.
#[derive(Debug, thiserror::Error)]
pub(in crate::projects) enum CreateSigningKeyError {
    #[error("the key could not be generated")]
    Generate,
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Generates a P-256 key for the project's tokens and stores it.
pub(in crate::projects) async fn create_signing_key(
    db: &mut PgConnection,
    sealer: &Sealer,
    project: &str,
) -> Result<Uuid, CreateSigningKeyError> {
    let id = Uuid::now_v7();
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| CreateSigningKeyError::Generate)?;
    let pkcs8 = key.to_pkcs8v1().map_err(|_| CreateSigningKeyError::Generate)?;
    // An uncompressed point: the byte 4, x, y.
    let point = key.public_key().as_ref();
    let public_jwk = serde_json::json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": id.to_string(),
        "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..65]),
    });
    let sealed = sealer.seal(pkcs8.as_ref(), &SEALED_SIGNING_KEY.identity(&[&project, &id]))?;
    sqlx::query("INSERT INTO signing_keys (id, project_id, public_jwk, sealed) VALUES ($1, $2, $3, $4)")
        .bind(id)
        .bind(project)
        .bind(public_jwk)
        .bind(sealed)
        .execute(db)
        .await?;
    Ok(id)
}

/// The key that signs new tokens.
pub struct SigningKey {
    pub kid: String,
    pub key: EncodingKey,
}

/// Returns a project's newest signing key, decrypted.
///
/// # Errors
/// Returns 503 if Postgres can't be reached, and 500 if the project has no key or the key can't be decrypted.
pub async fn signing_key(platform: &PgPool, sealer: &Sealer, project: &str) -> ApiResult<SigningKey> {
    let (id, sealed): (Uuid, Vec<u8>) = sqlx::query_as(
        "SELECT id, sealed FROM signing_keys WHERE project_id = $1 AND retired_at IS NULL ORDER BY id DESC LIMIT 1",
    )
    .bind(project)
    .fetch_optional(platform)
    .await?
    .ok_or_else(|| ApiError::internal(anyhow::anyhow!("project {project} has no signing key")))?;
    let pkcs8 = sealer.open(&sealed, &SEALED_SIGNING_KEY.identity(&[&project, &id])).map_err(ApiError::internal)?;
    Ok(SigningKey { kid: id.to_string(), key: EncodingKey::from_ec_der(&pkcs8) })
}

/// Replaces a project's signing key. The previous key verifies tokens for 25 more hours. Deletes keys that were
/// replaced more than 25 hours ago. Returns the id of the new key.
///
/// # Errors
/// Returns 503 if Postgres can't be reached, and 500 if the key can't be created.
pub async fn rotate_signing_key(platform: &PgPool, sealer: &Sealer, project: &str) -> ApiResult<String> {
    let mut transaction = platform.begin().await?;
    // Two rotations at once would leave two keys that sign.
    sqlx::query("SELECT FROM projects WHERE id = $1 FOR UPDATE").bind(project).execute(&mut *transaction).await?;
    sqlx::query("DELETE FROM signing_keys WHERE project_id = $1 AND retired_at < now() - make_interval(secs => $2)")
        .bind(project)
        .bind(RETIRED_KEY_SECONDS)
        .execute(&mut *transaction)
        .await?;
    sqlx::query("UPDATE signing_keys SET retired_at = now() WHERE project_id = $1 AND retired_at IS NULL")
        .bind(project)
        .execute(&mut *transaction)
        .await?;
    let id = create_signing_key(&mut transaction, sealer, project).await.map_err(ApiError::internal)?;
    transaction.commit().await?;
    Ok(id.to_string())
}
