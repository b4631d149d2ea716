use api_types::{ApprovePlugin, Plugin, TrustedKey};
use sqlx::PgPool;

use super::{
    PluginError,
    approvals::{self, approvable},
    first_party::FirstParty,
    folder::{Pair, PluginFolder},
    listing,
    slots::{Found, Slots},
    survey::{Surveyed, survey, survey_folder},
    trust::{Origin, SignedFile},
    trust_store, trusted_keys,
};
use crate::secrets::Sealer;

/// Plugins as the command line sees them: looked at once, never loaded. A running server hears of what is changed
/// here, and acts on it.
pub struct PluginTools {
    pub platform: PgPool,
    pub sealer: Sealer,
    pub folder: PluginFolder,
    pub first_party: FirstParty,
}

impl PluginTools {
    /// Every plugin by name; `active` means that a server loads it. Of what does not compile, only a server knows.
    pub async fn list(&self) -> Result<Vec<Plugin>, PluginError> {
        let slots = self.look().await?;
        Ok(slots.by_name.iter().map(|(name, slot)| listing::plugin(name, slot, &slots.trust, None)).collect())
    }

    /// Approves the plugin as it lies there now.
    pub async fn approve(&self, name: &str, request: &ApprovePlugin, by: &str) -> Result<Plugin, PluginError> {
        let slots = self.look().await?;
        let unknown = || PluginError::UnknownPlugin(name.to_owned());
        let slot = slots.by_name.get(name).ok_or_else(unknown)?;
        approvable(name, slot.refusal.as_ref())?;
        let inspected = slot.inspected.as_ref().ok_or_else(unknown)?;
        let before = slots.trust.approvals.get(name);
        approvals::approve(&self.platform, &self.sealer, inspected, before, request, by).await?;
        let slots = self.look().await?;
        let slot = slots.by_name.get(name).ok_or_else(unknown)?;
        Ok(listing::plugin(name, slot, &slots.trust, None))
    }

    /// Stops a plugin and the file that is there.
    pub async fn revoke(&self, name: &str) -> Result<(), PluginError> {
        let slots = self.look().await?;
        let file = slots.by_name.get(name).and_then(|slot| slot.sighting.sha256);
        match approvals::revoke(&self.platform, name, file).await? {
            true => Ok(()),
            // Revoking twice is no mistake.
            false if file.is_some() || slots.trust.approvals.contains_key(name) => Ok(()),
            false => Err(PluginError::UnknownPlugin(name.to_owned())),
        }
    }

    pub async fn trust_key(&self, name: &str, public_key: &str) -> Result<TrustedKey, PluginError> {
        trusted_keys::add(&self.platform, name, public_key).await
    }

    pub async fn revoke_key(&self, id: &str) -> Result<(), PluginError> {
        trusted_keys::revoke(&self.platform, id).await
    }

    /// Stops a file by its SHA-256 in hexadecimal, wherever it turns up.
    pub async fn revoke_file(&self, sha256: &str) -> Result<(), PluginError> {
        let wrong = || PluginError::Invalid(format!("`{sha256}` is no SHA-256: write its 64 hexadecimal digits."));
        let digits = sha256
            .as_bytes()
            .chunks_exact(2)
            .filter(|pair| pair.iter().all(u8::is_ascii_hexdigit))
            .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()));
        let hash: Option<Vec<u8>> = digits.collect();
        let hash = hash.filter(|_| sha256.len() == 64).and_then(|hash| hash.try_into().ok()).ok_or_else(wrong)?;
        approvals::revoke_file(&self.platform, hash).await
    }

    async fn look(&self) -> Result<Slots, PluginError> {
        let trust = trust_store::load(&self.platform, &self.first_party).await?;
        let mut slots = Slots::new(trust.into());
        let pairs = self.folder.list().map_err(|error| {
            PluginError::Invalid(format!("The folder {} can't be read ({error}).", self.folder.path().display()))
        })?;
        for file in self.first_party.files() {
            let SignedFile { origin, name, .. } = file.clone();
            let found = survey(file, &slots.trust);
            put(&mut slots, &name, origin, Pair::default(), found);
        }
        for (name, pair) in pairs {
            if self.first_party.names().any(|own| own == name) {
                continue;
            }
            let found = survey_folder(&self.folder, &name, &slots.trust);
            put(&mut slots, &name, Origin::Folder, pair, found);
        }
        Ok(slots)
    }
}

fn put(slots: &mut Slots, name: &str, origin: Origin, pair: Pair, found: Surveyed) {
    let Surveyed { sighting, inspected, outcome } = found;
    let version = slots.trust.version;
    slots.put(name, origin, pair, Found { sighting, inspected, refusal: outcome.err() }, version);
}
