//! Keys whose signatures count: added by the owner, proposed by files, revoked for good.

use std::collections::BTreeMap;

use api_types::TrustedKey;
use sqlx::PgPool;

use super::{
    PluginError,
    first_party::FirstParty,
    folder::ProposedKey,
    queries::{self, KeyRow},
    trust::PluginKey,
};

/// Name of the binary's own key in the list.
const FIRST_PARTY_NAME: &str = "AtlasHub";

/// Trusts a key.
pub(super) async fn add(platform: &PgPool, name: &str, public_key: &str) -> Result<TrustedKey, PluginError> {
    let name = name.trim();
    let length = name.chars().count();
    if length == 0 || length > 120 || name.chars().any(char::is_control) {
        return Err(PluginError::Invalid(
            "`name` must be 1 to 120 characters long, without control characters.".to_owned(),
        ));
    }
    let key = PluginKey::parse(public_key)?;
    let mut transaction = platform.begin().await?;
    queries::trust_changed(&mut transaction).await?;
    let Some(row) = queries::add_key(&mut *transaction, key.id(), name, key.line(), false).await? else {
        let known = queries::key(&mut *transaction, key.id()).await?;
        return Err(match known {
            Some(known) if known.revoked_at.is_some() => PluginError::KeyRevoked(known.id),
            Some(known) if known.public_key != key.line() => PluginError::KeyIdTaken(known.id),
            _ => PluginError::KeyExists(key.id().to_owned()),
        });
    };
    transaction.commit().await?;
    Ok(wire(row))
}

/// Revokes a key for good: nothing that it signed runs from then on.
pub(super) async fn revoke(platform: &PgPool, id: &str) -> Result<(), PluginError> {
    // minisign prints ids without leading zeros.
    let id = format!("{:0>16}", id.to_ascii_uppercase());
    let mut transaction = platform.begin().await?;
    queries::trust_changed(&mut transaction).await?;
    if !queries::revoke_key(&mut *transaction, &id).await? {
        // Revoking twice is no mistake.
        return match queries::key(&mut *transaction, &id).await? {
            Some(_) => Ok(()),
            None => Err(PluginError::UnknownKey(id.chars().take(40).collect())),
        };
    }
    transaction.commit().await?;
    Ok(())
}

/// Keys by id: those that count, those that were revoked, and those that are only proposed.
pub(super) async fn list(
    platform: &PgPool,
    first_party: &FirstParty,
    proposed: BTreeMap<String, ProposedKey>,
) -> Result<Vec<TrustedKey>, PluginError> {
    let ours = first_party.key.as_ref().map(PluginKey::id);
    let rows = queries::keys(platform).await?;
    let mut keys: BTreeMap<String, TrustedKey> = rows
        .into_iter()
        // Another binary's own key says nothing here, unless it was revoked.
        .filter(|row| !row.first_party || row.revoked_at.is_some() || ours == Some(row.id.as_str()))
        .map(|row| (row.id.clone(), wire(row)))
        .collect();
    for (id, proposal) in proposed {
        keys.entry(id.clone()).or_insert_with(|| TrustedKey {
            id,
            name: proposal.name,
            public_key: proposal.key.line().to_owned(),
            first_party: false,
            created_at: proposal.at,
            revoked_at: None,
            proposed: true,
        });
    }
    Ok(keys.into_values().collect())
}

/// Puts the binary's own key into the list at the first start.
pub(super) async fn note_first_party(platform: &PgPool, first_party: &FirstParty) -> Result<(), PluginError> {
    if let Some(key) = &first_party.key {
        queries::add_key(platform, key.id(), FIRST_PARTY_NAME, key.line(), true).await?;
    }
    Ok(())
}

fn wire(row: KeyRow) -> TrustedKey {
    TrustedKey {
        id: row.id,
        name: row.name,
        public_key: row.public_key,
        first_party: row.first_party,
        created_at: row.created_at,
        revoked_at: row.revoked_at,
        proposed: false,
    }
}
