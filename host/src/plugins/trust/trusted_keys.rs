//! Keys that sign plugins: this binary's own key, and keys that the owner trusted, that files propose, or that were
//! revoked permanently.

use std::collections::BTreeMap;

use api_types::TrustedKey;
use sqlx::{PgConnection, PgPool};

use super::{
    TrustView,
    queries::{self, KeyRow, NewKey},
};
use crate::plugins::{
    PluginError,
    package::{FirstParty, PluginKey, folder::ProposedKey},
};

/// Name of this binary's own key in the list of keys.
const FIRST_PARTY_NAME: &str = "AtlasHub";
const MAX_NAME_LENGTH: usize = 120;
/// Digits of a minisign key id.
const KEY_ID_LENGTH: usize = 16;

/// A key to trust, with a valid name.
#[derive(Debug, Clone)]
pub struct KeyToTrust {
    name: String,
    key: PluginKey,
}

impl KeyToTrust {
    /// Parses a key. `public_key` is its line of base64, or the content of a `.pub` file.
    ///
    /// # Errors
    /// Returns an error if the name or the key is invalid.
    pub(in crate::plugins) fn new(name: &str, public_key: &str) -> Result<Self, PluginError> {
        let name = name.trim();
        let length = name.chars().count();
        if length == 0 || length > MAX_NAME_LENGTH || name.chars().any(plugin_manifest::is_deceptive) {
            return Err(PluginError::Invalid(format!(
                "`name` must be 1 to {MAX_NAME_LENGTH} characters long, without control characters and characters \
                 that change the direction of text."
            )));
        }
        Ok(Self { name: name.to_owned(), key: PluginKey::parse(public_key)? })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the id of the key.
    pub fn id(&self) -> &str {
        self.key.id()
    }

    /// Returns whether the key is trusted already.
    ///
    /// # Errors
    /// Returns an error if the key was revoked, or if another key with its id is trusted.
    pub(in crate::plugins) fn is_trusted(&self, trust: &TrustView) -> Result<bool, PluginError> {
        if trust.revoked_keys.contains(self.id()) {
            return Err(PluginError::KeyRevoked(self.id().to_owned()));
        }
        match trust.keys.get(self.id()) {
            Some(known) if known.line() != self.key.line() => Err(PluginError::KeyIdTaken(self.id().to_owned())),
            known => Ok(known.is_some()),
        }
    }

    /// Adds the key to a snapshot of the trust data, to show what trusting it would change.
    pub(in crate::plugins) fn add_to(&self, trust: &mut TrustView) {
        trust.keys.insert(self.id().to_owned(), self.key.clone());
        trust.key_names.insert(self.id().to_owned(), self.name.clone());
    }
}

/// Trusts a key.
///
/// # Errors
/// Returns an error if the name or key is invalid, if the key is already trusted or was revoked, if another key with
/// its id is known, or if the platform database is unavailable.
pub(in crate::plugins) async fn add(
    platform: &PgPool,
    name: &str,
    public_key: &str,
) -> Result<TrustedKey, PluginError> {
    let key = KeyToTrust::new(name, public_key)?;
    let mut transaction = platform.begin().await?;
    queries::record_trust_change(&mut transaction).await?;
    let row = insert(&mut transaction, &key).await?;
    transaction.commit().await?;
    Ok(to_wire(row))
}

/// Trusts a key in a transaction that records the change of the trust data.
///
/// # Errors
/// Returns an error if the key is already trusted or was revoked, if another key with its id is known, or if the
/// platform database is unavailable.
pub(super) async fn insert(connection: &mut PgConnection, key: &KeyToTrust) -> Result<KeyRow, PluginError> {
    let KeyToTrust { name, key } = key;
    let new = NewKey { id: key.id(), name, public_key: key.line(), first_party: false };
    if let Some(row) = queries::insert_key(&mut *connection, new).await? {
        return Ok(row);
    }
    let existing = queries::find_key(&mut *connection, key.id()).await?;
    Err(match existing {
        Some(existing) if existing.revoked_at.is_some() => PluginError::KeyRevoked(existing.id),
        Some(existing) if existing.public_key != key.line() => PluginError::KeyIdTaken(existing.id),
        _ => PluginError::KeyExists(key.id().to_owned()),
    })
}

/// Revokes a key permanently and returns its name. Plugins that it signed no longer run. Revoking a key again has no
/// effect. `is_confirmed` receives the name of a key that signs AtlasHub's own plugins.
///
/// # Errors
/// Returns [`PluginError::UnknownKey`] if there is no such key, [`PluginError::OwnKey`] if the key signs AtlasHub's own
/// plugins and this is not confirmed, and [`PluginError::Database`] if the platform database is unavailable.
pub(in crate::plugins) async fn revoke(
    platform: &PgPool,
    id: &str,
    is_confirmed: impl FnOnce(&str) -> bool,
) -> Result<String, PluginError> {
    // minisign prints ids without leading zeros.
    let id = format!("{:0>KEY_ID_LENGTH$}", id.to_ascii_uppercase());
    let mut transaction = platform.begin().await?;
    queries::record_trust_change(&mut transaction).await?;
    let is_changed = queries::revoke_key(&mut *transaction, &id).await?;
    let Some(key) = queries::find_key(&mut *transaction, &id).await? else {
        return Err(PluginError::UnknownKey(id.chars().take(40).collect()));
    };
    if is_changed && key.first_party && !is_confirmed(&key.name) {
        return Err(PluginError::OwnKey(key.name));
    }
    if is_changed {
        transaction.commit().await?;
    }
    Ok(key.name)
}

/// Lists trusted, revoked and proposed keys by id.
pub(in crate::plugins) async fn list(
    platform: &PgPool,
    first_party: &FirstParty,
    proposed: BTreeMap<String, ProposedKey>,
) -> Result<Vec<TrustedKey>, PluginError> {
    let first_party_id = first_party.key.as_ref().map(PluginKey::id);
    let rows = queries::list_keys(platform).await?;
    let mut keys: BTreeMap<String, TrustedKey> = rows
        .into_iter()
        // First-party keys of other binaries have no effect here, unless they were revoked.
        .filter(|row| !row.first_party || row.revoked_at.is_some() || first_party_id == Some(row.id.as_str()))
        .map(|row| (row.id.clone(), to_wire(row)))
        .collect();
    for (id, proposal) in proposed {
        keys.entry(id.clone()).or_insert_with(|| TrustedKey {
            id,
            name: proposal.name,
            public_key: proposal.key.line().to_owned(),
            first_party: false,
            created_at: proposal.modified_at,
            revoked_at: None,
            proposed: true,
        });
    }
    Ok(keys.into_values().collect())
}

/// Adds this binary's own key to the table, unless the table already contains it.
pub(in crate::plugins) async fn register_first_party_key(
    platform: &PgPool,
    first_party: &FirstParty,
) -> Result<(), PluginError> {
    if let Some(key) = &first_party.key {
        let new = NewKey { id: key.id(), name: FIRST_PARTY_NAME, public_key: key.line(), first_party: true };
        queries::insert_key(platform, new).await?;
    }
    Ok(())
}

fn to_wire(row: KeyRow) -> TrustedKey {
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
