//! Plugins for the command line.

use api_types::{ApprovePlugin, Plugin};
use sqlx::PgPool;

use super::{
    FirstParty, KeyToTrust, PluginError, PluginFolder, listing,
    loading::{Slots, inspect_candidate, list_candidates},
    service::nothing_to_revoke,
    trust::{
        approvals::{self, ApprovalRequest, check_approvable},
        store::load_trust,
        trusted_keys,
    },
};
use crate::secrets::Sealer;

/// Plugins as the command line sees them: inspected, never loaded. Changes notify the running servers, which apply
/// them.
pub struct PluginTools {
    pub platform: PgPool,
    pub sealer: Sealer,
    pub folder: PluginFolder,
    pub first_party: FirstParty,
}

impl PluginTools {
    /// Lists the plugins in the binary and in the plugin folder, by name. `active` means that a server would load the
    /// plugin; only a server knows whether it can be compiled.
    ///
    /// # Errors
    /// Returns an error if the folder can't be read or the platform database is unavailable.
    pub async fn list(&self) -> Result<Vec<Plugin>, PluginError> {
        self.list_with_key(None).await
    }

    /// Like [`Self::list`], as if the given key were trusted.
    ///
    /// # Errors
    /// Returns an error if the folder can't be read or the platform database is unavailable.
    pub async fn list_with_key(&self, key: Option<&KeyToTrust>) -> Result<Vec<Plugin>, PluginError> {
        let slots = self.inspect_all(key).await?;
        Ok(slots.by_name.values().map(|slot| listing::to_wire(slot, &slots.trust, &self.folder, None)).collect())
    }

    /// Approves the plugin's current file, and trusts the given key. If the approval fails, the key is not trusted.
    ///
    /// # Errors
    /// Returns an error if the plugin is unknown or can't be approved, if its file changed, if the request is invalid,
    /// if a secret can't be sealed, if the key can't be trusted, if the folder can't be read, or if the platform
    /// database is unavailable.
    pub async fn approve(
        &self,
        name: &str,
        request: &ApprovePlugin,
        key: Option<&KeyToTrust>,
        by: &str,
    ) -> Result<Plugin, PluginError> {
        let slots = self.inspect_all(key).await?;
        let unknown = || PluginError::UnknownPlugin(name.to_owned());
        let slot = slots.by_name.get(name).ok_or_else(unknown)?;
        check_approvable(name, slot.refusal())?;
        let plugin = slot.inspection.plugin.as_ref().ok_or_else(unknown)?;
        let previous = slots.trust.approvals.get(name);
        let approval = ApprovalRequest { plugin, previous, request, key, approved_by: by };
        approvals::approve(&self.platform, &self.sealer, approval).await?;
        let slots = self.inspect_all(None).await?;
        let slot = slots.by_name.get(name).ok_or_else(unknown)?;
        Ok(listing::to_wire(slot, &slots.trust, &self.folder, None))
    }

    /// Revokes a plugin and its current file. Revoking again has no effect.
    ///
    /// # Errors
    /// Returns [`PluginError::UnknownPlugin`] or [`PluginError::NothingToRevoke`] if there is neither a readable file
    /// nor an approval. Also returns an error if the folder can't be read or the platform database is unavailable.
    pub async fn revoke(&self, name: &str) -> Result<(), PluginError> {
        let slots = self.inspect_all(None).await?;
        let slot = slots.by_name.get(name);
        let file = slot.and_then(|slot| slot.inspection.sha256);
        let is_known = file.is_some() || slots.trust.approvals.contains_key(name);
        if approvals::revoke(&self.platform, name, file).await? || is_known {
            return Ok(());
        }
        Err(match slot {
            Some(slot) => nothing_to_revoke(name, slot),
            None => PluginError::UnknownPlugin(name.to_owned()),
        })
    }

    /// Checks a key that is to be trusted. Returns `None` if it is trusted already.
    ///
    /// # Errors
    /// Returns an error if the name or the key is invalid, if the key was revoked, if another key with its id is
    /// trusted, or if the platform database is unavailable.
    pub async fn check_key(&self, name: &str, public_key: &str) -> Result<Option<KeyToTrust>, PluginError> {
        let key = KeyToTrust::new(name, public_key)?;
        let trust = load_trust(&self.platform, &self.first_party).await?;
        Ok(if key.is_trusted(&trust)? { None } else { Some(key) })
    }

    /// Revokes a key permanently and returns its name.
    ///
    /// # Errors
    /// Returns [`PluginError::UnknownKey`] if there is no such key, [`PluginError::OwnKey`] if the key signs AtlasHub's
    /// own plugins and this is not `confirmed`, and [`PluginError::Database`] if the platform database is unavailable.
    pub async fn revoke_key(&self, id: &str, confirmed: bool) -> Result<String, PluginError> {
        trusted_keys::revoke(&self.platform, id, |_| confirmed).await
    }

    /// Revokes a file by its SHA-256 in hexadecimal. The name of the file does not matter.
    ///
    /// # Errors
    /// Returns [`PluginError::Invalid`] if `sha256` is not 64 hexadecimal digits, and [`PluginError::Database`] if the
    /// platform database is unavailable.
    pub async fn revoke_file(&self, sha256: &str) -> Result<(), PluginError> {
        let mut hash = [0; 32];
        hex::decode_to_slice(sha256, &mut hash).map_err(|_| {
            PluginError::Invalid(format!("`{sha256}` is not a SHA-256. Expected 64 hexadecimal digits."))
        })?;
        approvals::revoke_file(&self.platform, hash).await
    }

    /// Inspects all plugins, as if the given key were trusted.
    async fn inspect_all(&self, key: Option<&KeyToTrust>) -> Result<Slots, PluginError> {
        let mut trust = load_trust(&self.platform, &self.first_party).await?;
        if let Some(key) = key {
            key.add_to(&mut trust);
        }
        let mut slots = Slots::new(trust);
        let folder = self.folder.list().map_err(|error| {
            PluginError::Invalid(format!("The folder {} can't be read ({error}).", self.folder.path().display()))
        })?;
        for candidate in list_candidates(&self.first_party, &folder) {
            let (inspection, _) = inspect_candidate(&candidate, &self.first_party, &self.folder, &slots.trust);
            let trust_version = slots.trust.version;
            slots.record(candidate, inspection, trust_version);
        }
        Ok(slots)
    }
}
