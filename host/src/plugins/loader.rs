//! Looking at what is there and taking it into service: one look at a time, each step undone by the next look.
//!
//! A look may take minutes where a file takes as long to compile. What trust says meanwhile is heeded all the same:
//! the lock of [`Slots`] is held for moments, and what was compiled is checked again before it is taken in.

use std::{collections::BTreeMap, sync::Arc};

use chrono::Utc;
use tokio_util::sync::CancellationToken;

use super::{
    Grants, LoadedPlugin, PluginError, Plugins, approvals,
    approvals::plugin_secret_identity,
    folder::Pair,
    params::ParamsSchemas,
    queries,
    registry::{ActivePlugin, ActivePlugins},
    runtime::CompiledPlugin,
    slots::{Found, Slot, Slots},
    survey::{Surveyed, survey, survey_folder},
    trust::{
        Approval, InspectedPlugin, Origin, Powers, Refusal, Sighting, SignedFile, TrustView, VerifiedPlugin, inspect,
    },
    trust_store, trusted_keys,
};
use crate::{
    config::Secret,
    db::audit::{NewAuditEntry, record_or_log},
};

impl Plugins {
    /// Looks at the database's word and at the folder, and takes in what changed. After it, what runs is what may.
    ///
    /// # Errors
    /// Where the platform database does not answer; everything stays as it was then.
    pub async fn refresh(&self) -> Result<(), PluginError> {
        let _looking = self.0.looking.lock().await;
        // First of all what must end, ends: reading files may take a while.
        self.heed_trust().await?;
        let pairs = self.list_folder().await;
        for source in self.stale(pairs).await {
            self.take_in(source).await?;
        }
        self.tell_rejections().await;
        self.0.ready.send_replace(true);
        Ok(())
    }

    /// Holds what is loaded to the database's word as it is now. Waits for nothing but the database.
    ///
    /// # Errors
    /// Where the platform database does not answer; everything stays as it was then.
    pub(super) async fn heed_trust(&self) -> Result<(), PluginError> {
        let mut slots = self.0.slots.lock().await;
        let first = !*self.0.ready.borrow();
        if first {
            trusted_keys::note_first_party(&self.0.parts.platform, &self.0.parts.first_party).await?;
        }
        if self.read_trust(&mut slots, first).await? {
            self.reconsider(&mut slots);
        }
        Ok(())
    }

    /// What has to be looked at; what is no longer there is left out from now on.
    async fn stale(&self, pairs: BTreeMap<String, Pair>) -> Vec<Source> {
        let mut slots = self.0.slots.lock().await;
        slots.by_name.retain(|name, slot| slot.origin == Origin::BuiltIn || pairs.contains_key(name));
        self.change_active(&slots, |active| active.retain(|name, _| slots.by_name.contains_key(name)));
        let version = slots.trust.version;
        let outdated = |slot: &Slot| {
            // The last look may have ended before its end.
            let unsteady = matches!(slot.refusal, Some(Refusal::Changing(_) | Refusal::Compiling));
            unsteady || (slot.refusal.is_some() && slot.trust_version != version)
        };
        let own = self.0.parts.first_party.files().filter(|file| slots.by_name.get(&file.name).is_none_or(outdated));
        let mut stale: Vec<Source> = own.map(Source::BuiltIn).collect();
        stale.extend(pairs.into_iter().filter_map(|(name, pair)| {
            let stale = slots
                .by_name
                .get(&name)
                .is_none_or(|slot| slot.origin != Origin::BuiltIn && (slot.pair != pair || outdated(slot)));
            // A name of the binary's own that is looked at now is not the folder's.
            let own = self.0.parts.first_party.names().any(|own| own == name);
            (stale && !own).then_some(Source::Folder(name, pair))
        }));
        stale
    }

    fn change_active(&self, slots: &Slots, change: impl FnOnce(&mut ActivePlugins)) {
        let mut active = (*self.0.registry.all()).clone();
        change(&mut active);
        self.0.registry.replace(active);
        self.0.registry.end_revoked(&slots.trust);
    }

    /// Reads the database's word where it is another than before, and gives the host's own for its plugins. True where
    /// it changed.
    async fn read_trust(&self, slots: &mut Slots, first: bool) -> Result<bool, PluginError> {
        let parts = &self.0.parts;
        let version = queries::trust_version(&parts.platform).await?;
        if version == slots.trust.version && !first {
            return Ok(false);
        }
        let mut trust = trust_store::load(&parts.platform, &parts.first_party).await?;
        if self.approve_own(&trust).await? {
            trust = trust_store::load(&parts.platform, &parts.first_party).await?;
        }
        slots.trust = Arc::new(trust);
        Ok(true)
    }

    async fn approve_own(&self, trust: &TrustView) -> Result<bool, PluginError> {
        let mut changed = false;
        for file in self.0.parts.first_party.files() {
            let name = file.name.clone();
            let before = trust.approvals.get(&name);
            if before.is_some_and(|before| !before.by_default || before.revoked) {
                continue;
            }
            let view = trust.clone();
            let Ok((_, Ok(plugin))) = tokio::task::spawn_blocking(move || inspect(&file, &view)).await else {
                continue;
            };
            let fits = before.is_some() && !matches!(plugin.effective_powers(trust), Err(Refusal::WiderRequest(_)));
            if !fits && approvals::approve_by_default(&self.0.parts.platform, &plugin, before).await? {
                let mut entry = NewAuditEntry::new("system", "plugin.approve");
                entry.target = Some(name);
                entry.details = serde_json::json!({
                    "keyId": plugin.key_id(),
                    "serial": plugin.facts().manifest.serial,
                    "firstParty": true,
                });
                record_or_log(&self.0.parts.platform, &entry).await;
                changed = true;
            }
        }
        Ok(changed)
    }

    /// What runs goes on only by the new word, with the powers of the new word; and what waits is shown as revoked at
    /// once where it was.
    fn reconsider(&self, slots: &mut Slots) {
        let trust = Arc::clone(&slots.trust);
        let mut active = (*self.0.registry.all()).clone();
        for (name, slot) in &mut slots.by_name {
            let Some(running) = active.get(name) else {
                let revoked = slot.inspected.as_ref().and_then(|plugin| plugin.check_not_revoked(&trust).err());
                if let Some(refusal) = revoked {
                    slot.set_refusal(Some(refusal));
                }
                continue;
            };
            let again = running.inspected.effective_powers(&trust).and_then(|powers| {
                if trust.approvals.get(name) == Some(&running.approval) {
                    return Ok(Arc::clone(running));
                }
                let code = running.plugin.code.clone();
                self.loaded(&running.inspected, &powers, &trust, code, running.schemas.clone())
            });
            slot.set_refusal(again.as_ref().err().cloned());
            match again {
                Ok(plugin) => drop(active.insert(name.clone(), plugin)),
                Err(_) => drop(active.remove(name)),
            }
        }
        self.change_active(slots, |now| *now = active);
    }

    async fn list_folder(&self) -> BTreeMap<String, Pair> {
        let folder = self.0.parts.folder.clone();
        let listed = tokio::task::spawn_blocking(move || folder.list()).await;
        match listed.map_err(std::io::Error::other).and_then(|listed| listed) {
            Ok(pairs) => pairs,
            Err(error) => {
                // A disk that is away for a moment must not stop what runs.
                tracing::warn!(%error, folder = %self.0.parts.folder.path().display(),
                    "the plugin folder can't be read; what was loaded from it goes on");
                let slots = self.0.slots.lock().await;
                let known = slots.by_name.iter().filter(|(_, slot)| slot.origin == Origin::Folder);
                known.map(|(name, slot)| (name.clone(), slot.pair)).collect()
            }
        }
    }

    /// Reads a plugin, checks it, and puts it among the active ones where it may be.
    async fn take_in(&self, source: Source) -> Result<(), PluginError> {
        let (name, origin, pair) = source.place();
        let (folder, trust) = (self.0.parts.folder.clone(), Arc::clone(&self.0.slots.lock().await.trust));
        let view = Arc::clone(&trust);
        let found = tokio::task::spawn_blocking(move || match source {
            Source::BuiltIn(file) => survey(file, &view),
            Source::Folder(name, _) => survey_folder(&folder, &name, &view),
        });
        let Ok(Surveyed { sighting, inspected, outcome }) = found.await else { return Ok(()) };
        let mut found = Found { sighting, inspected, refusal: None };
        let prepared = match outcome {
            Ok(verified) => self.prepare(verified, origin, pair).await,
            Err(refusal) => Err(refusal),
        };
        let mut slots = self.0.slots.lock().await;
        let mut version = trust.version;
        match prepared {
            Ok(prepared) => {
                version = slots.trust.version;
                match self.ready_to_run(prepared, &slots.trust).await? {
                    Ok(plugin) => {
                        let manifest = Arc::clone(&plugin.plugin.manifest);
                        self.change_active(&slots, |active| drop(active.insert(name.clone(), plugin)));
                        let (version, serial) = (&manifest.version, manifest.serial);
                        tracing::info!(plugin = name, version, serial, "a plugin was loaded");
                    }
                    Err(refusal) => found.refusal = Some(refusal),
                }
            }
            Err(refusal) => found.refusal = Some(refusal),
        }
        if found.refusal.is_some() {
            self.change_active(&slots, |active| drop(active.remove(&name)));
        }
        slots.put(&name, origin, pair, found, version);
        Ok(())
    }

    /// Compiles what was verified. No lock is held: it may take minutes.
    async fn prepare(&self, verified: VerifiedPlugin, origin: Origin, pair: Pair) -> Result<Prepared, Refusal> {
        let inspected = Arc::clone(verified.plugin());
        let (name, sha256) = (&inspected.facts().manifest.name, inspected.sha256());
        let schemas = ParamsSchemas::compile(&inspected.facts().manifest)?;
        let (bytes, _) = verified.into_bytes();
        let before = self.0.registry.get(name).filter(|before| before.plugin.sha256 == sha256);
        if let Some(before) = before {
            // The same file written anew.
            return Ok(Prepared { code: before.plugin.code.clone(), schemas, inspected });
        }
        {
            let mut slots = self.0.slots.lock().await;
            if let Some(refusal) = slots.uncompilable(&sha256) {
                return Err(refusal.clone());
            }
            // Another file that lay there before, and what is known of it, is shown until this one can take its place.
            if slots.by_name.get(name).is_none_or(|slot| slot.sighting.sha256 == Some(sha256)) {
                let sighting = Sighting { sha256: Some(sha256), key_id: Some(inspected.key_id().to_owned()) };
                let (refusal, version) = (Some(Refusal::Compiling), slots.trust.version);
                let found = Found { sighting, inspected: Some(Arc::clone(&inspected)), refusal };
                slots.put(name, origin, pair, found, version);
            }
        }
        match self.0.parts.runtime.engine().compile(bytes).await {
            Ok(code) => Ok(Prepared { code, schemas, inspected }),
            Err(error) => {
                let refusal = Refusal::Compile(error.to_string());
                if error.is_of_the_file() {
                    self.0.slots.lock().await.note_uncompilable(sha256, refusal.clone());
                }
                Err(refusal)
            }
        }
    }

    /// What was compiled, where trust still lets it run.
    async fn ready_to_run(
        &self,
        prepared: Prepared,
        trust: &TrustView,
    ) -> Result<Result<Arc<ActivePlugin>, Refusal>, PluginError> {
        let Prepared { inspected, code, schemas } = prepared;
        let loaded =
            inspected.may_be_loaded(trust).and_then(|powers| self.loaded(&inspected, &powers, trust, code, schemas));
        let plugin = match loaded {
            Ok(plugin) => plugin,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if inspected.origin() == Origin::Folder
            && let Some(refusal) = self.note_serial(&inspected).await?
        {
            return Ok(Err(refusal));
        }
        Ok(Ok(plugin))
    }

    /// Another node may have run a newer one since trust was read.
    async fn note_serial(&self, plugin: &InspectedPlugin) -> Result<Option<Refusal>, PluginError> {
        let (name, serial) = (&plugin.facts().manifest.name, plugin.facts().manifest.serial);
        let stored = i64::try_from(serial).unwrap_or(i64::MAX);
        let newer = queries::note_serial(&self.0.parts.platform, name, stored, &plugin.sha256()).await?;
        Ok(newer.map(|newer| match u64::try_from(newer.serial) {
            Ok(highest) if highest > serial => Refusal::Downgrade { serial, highest },
            _ => Refusal::SameSerial(serial),
        }))
    }

    fn loaded(
        &self,
        inspected: &Arc<InspectedPlugin>,
        powers: &Powers,
        trust: &TrustView,
        code: CompiledPlugin,
        schemas: ParamsSchemas,
    ) -> Result<Arc<ActivePlugin>, Refusal> {
        let manifest = &inspected.facts().manifest;
        let approval = trust.approvals.get(&manifest.name).ok_or(Refusal::NotApproved)?;
        let grants = Grants {
            scopes: powers.clone(),
            config: approval.config.clone(),
            secrets: self.opened_secrets(&manifest.name, approval)?,
        };
        Ok(Arc::new(ActivePlugin {
            plugin: LoadedPlugin {
                manifest: Arc::new(manifest.clone()),
                sha256: inspected.sha256(),
                key_id: inspected.key_id().to_owned(),
                grants: Arc::new(grants),
                code,
            },
            schemas,
            revoked: CancellationToken::new(),
            loaded_at: Utc::now(),
            approval: approval.clone(),
            inspected: Arc::clone(inspected),
        }))
    }

    fn opened_secrets(&self, plugin: &str, approval: &Approval) -> Result<BTreeMap<String, Secret>, Refusal> {
        let mut secrets = BTreeMap::new();
        for (name, sealed) in &approval.secrets {
            let opened = self.0.parts.sealer.open(sealed, &plugin_secret_identity(plugin, name));
            let opened = opened.map_err(|error| Refusal::Grants(format!("secret `{name}`: {error}")))?;
            let text = std::str::from_utf8(&opened).map_err(|_| Refusal::Grants(format!("secret `{name}`")))?;
            secrets.insert(name.clone(), Secret::new(text));
        }
        Ok(secrets)
    }

    async fn tell_rejections(&self) {
        let untold = self.0.slots.lock().await.take_untold();
        for rejected in untold {
            tracing::warn!(plugin = rejected.name, reason = rejected.reason, "a plugin was rejected");
            let mut entry = NewAuditEntry::new("system", "plugin.reject");
            entry.target = Some(rejected.name.clone());
            entry.result = api_types::AuditResult::Denied;
            entry.details = serde_json::json!({
                "reason": rejected.reason,
                "sha256": rejected.sha256,
                "keyId": rejected.key_id,
            });
            record_or_log(&self.0.parts.platform, &entry).await;
            (self.0.parts.on_rejected)(&rejected);
        }
    }
}

/// A plugin that was compiled from the bytes that were checked.
struct Prepared {
    inspected: Arc<InspectedPlugin>,
    code: CompiledPlugin,
    schemas: ParamsSchemas,
}

enum Source {
    BuiltIn(SignedFile),
    Folder(String, Pair),
}

impl Source {
    fn place(&self) -> (String, Origin, Pair) {
        match self {
            Self::BuiltIn(file) => (file.name.clone(), Origin::BuiltIn, Pair::default()),
            Self::Folder(name, pair) => (name.clone(), Origin::Folder, *pair),
        }
    }
}
