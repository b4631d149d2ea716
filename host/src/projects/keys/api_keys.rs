//! Creates, changes, rotates and revokes API keys.

use api_types::{ApiKey, CreateApiKey, CreatedApiKey, KeyType, RotateApiKey, UpdateApiKey};
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::queries;
use crate::{
    error::{ApiError, ApiResult, Code},
    projects::ProjectsState,
    secrets,
};

const PUBLISHABLE_PREFIX: &str = "ah_pub_";
const SECRET_PREFIX: &str = "ah_sec_";
/// Number of random characters of a key: 32 bytes in base64url.
const RANDOM_CHARS: usize = 43;
/// Number of characters of a key that are stored and shown: the prefix and five of the 43 random ones.
const SHOWN_CHARS: usize = 12;
const MAX_OVERLAP_SECONDS: u32 = 30 * 24 * 3600;
const MAX_NAME_CHARS: usize = 64;

pub(in crate::projects) fn generate_key(key_type: KeyType) -> String {
    secrets::random_token(match key_type {
        KeyType::Publishable => PUBLISHABLE_PREFIX,
        KeyType::Secret => SECRET_PREFIX,
    })
}

/// Returns whether the string has the format of a key. Other strings are not looked up.
pub(super) fn is_well_formed(key: &str) -> bool {
    let random = key.strip_prefix(PUBLISHABLE_PREFIX).or_else(|| key.strip_prefix(SECRET_PREFIX));
    random.is_some_and(|random| {
        random.len() == RANDOM_CHARS
            && random.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    })
}

/// Returns the row to store for a new key.
pub(in crate::projects) fn new_key<'a>(
    project: &'a str,
    key_type: KeyType,
    name: &'a str,
    key: &'a str,
    expires_at: Option<DateTime<Utc>>,
) -> queries::NewKey<'a> {
    queries::NewKey {
        id: Uuid::now_v7(),
        project,
        key_type,
        name,
        prefix: &key[..SHOWN_CHARS],
        hash: secrets::sha256(key.as_bytes()),
        expires_at,
        replaces: None,
    }
}

pub(super) async fn create(state: &ProjectsState, project: &str, request: &CreateApiKey) -> ApiResult<CreatedApiKey> {
    let name = check_name(&request.name, "name")?;
    check_expiry(request.expires_at, "Leave it out for a key that does not expire.")?;
    let key = generate_key(request.key_type);
    let row = new_key(project, request.key_type, name, &key, request.expires_at);
    let api_key = queries::insert_key(&state.platform, &row).await?;
    Ok(CreatedApiKey { api_key, key })
}

/// Changes the name or the expiry of a valid key.
pub(super) async fn update(
    state: &ProjectsState,
    project: &str,
    id: Uuid,
    request: &UpdateApiKey,
) -> ApiResult<ApiKey> {
    let name = request.name.as_deref().map(|name| check_name(name, "name")).transpose()?;
    let expires_at = request.expires_at;
    check_expiry(expires_at.flatten(), "Send null for a key that does not expire, or revoke the key.")?;
    let mut transaction = state.platform.begin().await?;
    let mut key = lock_valid_key(&mut transaction, project, id).await?;
    if let Some(name) = name {
        name.clone_into(&mut key.name);
    }
    if let Some(expires_at) = expires_at {
        key.expires_at = expires_at;
    }
    let hash = queries::update_key(&mut *transaction, id, &key.name, key.expires_at).await?;
    queries::notify_key_changed(&mut *transaction, &hash).await?;
    transaction.commit().await?;
    state.keys.forget(&hash);
    Ok(key)
}

fn check_expiry(expires_at: Option<DateTime<Utc>>, hint: &'static str) -> ApiResult<()> {
    if expires_at.is_some_and(|at| at <= Utc::now()) {
        return Err(ApiError::invalid("`expiresAt` is in the past.").with_hint(hint));
    }
    Ok(())
}

/// Creates a successor of a key. The old key stays valid for the overlap, unless it expires earlier.
pub(super) async fn rotate(
    state: &ProjectsState,
    project: &str,
    id: Uuid,
    request: &RotateApiKey,
) -> ApiResult<CreatedApiKey> {
    if request.overlap_seconds > MAX_OVERLAP_SECONDS {
        return Err(ApiError::invalid(format!("`overlapSeconds` is above {MAX_OVERLAP_SECONDS} (30 days).")));
    }
    let mut transaction = state.platform.begin().await?;
    let old = lock_valid_key(&mut transaction, project, id).await?;
    let key = generate_key(old.key_type);
    // The successor of a key that expires has the same lifetime, counted from now.
    let lifetime = queries::lifetime(&mut *transaction, id).await?;
    let expires_at =
        lifetime.map(|lifetime| Utc::now().checked_add_signed(lifetime).unwrap_or(DateTime::<Utc>::MAX_UTC));
    let row = queries::NewKey { replaces: Some(id), ..new_key(project, old.key_type, &old.name, &key, expires_at) };
    let api_key = queries::insert_key(&mut *transaction, &row).await?;
    let ends_at = Utc::now() + TimeDelta::seconds(i64::from(request.overlap_seconds));
    let hash = queries::expire_key(&mut *transaction, id, ends_at).await?;
    queries::notify_key_changed(&mut *transaction, &hash).await?;
    transaction.commit().await?;
    state.keys.forget(&hash);
    Ok(CreatedApiKey { api_key, key })
}

async fn lock_valid_key(connection: &mut PgConnection, project: &str, id: Uuid) -> ApiResult<ApiKey> {
    let key =
        queries::key_for_update(&mut *connection, project, id).await?.ok_or_else(|| ApiError::not_found("key"))?;
    let ended = key.revoked_at.is_some() || key.expires_at.is_some_and(|at| at <= Utc::now());
    if ended {
        return Err(
            ApiError::new(Code::Conflict, "The key is revoked or expired.").with_hint("Create a new key instead.")
        );
    }
    Ok(key)
}

/// Revokes a key. This node rejects it at once, and every other node within a second.
pub(super) async fn revoke(state: &ProjectsState, project: &str, id: Uuid) -> ApiResult<queries::RevokedKey> {
    let mut transaction = state.platform.begin().await?;
    let key = queries::revoke_key(&mut *transaction, project, id).await?.ok_or_else(|| ApiError::not_found("key"))?;
    queries::notify_key_changed(&mut *transaction, &key.hash).await?;
    transaction.commit().await?;
    state.keys.forget(&key.hash);
    Ok(key)
}

/// Returns the name without spaces around it.
///
/// # Errors
/// Returns 400 unless it has 1 to 64 characters, none of them a control character.
pub(in crate::projects) fn check_name<'a>(name: &'a str, field: &str) -> ApiResult<&'a str> {
    let name = name.trim();
    let count = name.chars().count();
    if count == 0 || count > MAX_NAME_CHARS {
        return Err(ApiError::invalid(format!("`{field}` must be 1 to {MAX_NAME_CHARS} characters long.")));
    }
    if name.chars().any(char::is_control) {
        return Err(ApiError::invalid(format!("`{field}` must not contain control characters.")));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_keys_are_well_formed_and_unique() {
        for key_type in [KeyType::Publishable, KeyType::Secret] {
            let key = generate_key(key_type);
            assert!(is_well_formed(&key), "{key}");
            assert_ne!(key, generate_key(key_type));
        }
        assert!(generate_key(KeyType::Publishable).starts_with("ah_pub_"));
        assert!(generate_key(KeyType::Secret).starts_with("ah_sec_"));
        for wrong in ["", "ah_sec_", "ah_sec_abc", "sk_live_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"] {
            assert!(!is_well_formed(wrong), "{wrong}");
        }
    }
}
