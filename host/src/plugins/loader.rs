//! Looking at what is there and taking it into service: one look at a time, each step undone by the next look.

use std::{collections::BTreeMap, sync::Arc};

use chrono::Utc;
use tokio_util::sync::CancellationToken;

use super::{
    Grants, LoadedPlugin, PluginError, Plugins, approvals,
    folder::Pair,
    params::ParamsSchemas,
    queries,
    registry::{ActivePlugin, ActivePlugins},
    runtime::CompiledPlugin,
    slots::Slots,
    survey::{survey, survey_folder},
    trust::{Approval, InspectedPlugin, Origin, Powers, Refusal, SignedFile, TrustView, VerifiedPlugin, inspect},
    trust_store, trusted_keys,
};
use crate::{
    config::Secret,
    db::audit::{NewAuditEntry, record_or_log},
    projects::plugin_secret_identity,
};

impl Plugins {
    /// Looks at the database's word and at the folder, and takes in what changed. After it, what runs is what may.
    ///
    /// # Errors
    /// Where the platform database does not answer; everything stays as it was then.
    pub async fn refresh(&self) -> Result<(), PluginError> {
        let mut slots = self.0.slots.lock().await;
        let first = !*self.0.ready.borrow();
        if first {
            trusted_keys::note_first_party(&self.0.parts.platform, &self.0.parts.first_party).await?;
        }
        let trust_changed = self.read_trust(&mut slots, first).await?;
        let mut active = (*self.0.registry.all()).clone();
        if trust_changed {
            // First of all what must end, ends: reading files may take a while.
            self.reconsider(&mut slots, &mut active);
            self.put_in_service(active.clone(), &slots);
        }
        let pairs = self.list_folder(&slots).await;
        slots.by_name.retain(|name, slot| slot.origin == Origin::BuiltIn || pairs.contains_key(name));
        active.retain(|name, _| slots.by_name.contains_key(name));
        for file in self.0.parts.first_party.files() {
            let stale = slots.by_name.get(&file.name).is_none_or(|slot| trust_changed && slot.refusal.is_some());
            if stale {
                self.take_in(&mut slots, &mut active, Source::BuiltIn(file)).await?;
            }
        }
        for (name, pair) in pairs {
            let stale = slots.by_name.get(&name).is_none_or(|slot| {
                let unsteady = matches!(slot.refusal, Some(Refusal::Changing(_)));
                slot.origin != Origin::BuiltIn
                    && (slot.pair != pair || unsteady || (trust_changed && slot.refusal.is_some()))
            });
            if stale {
                self.take_in(&mut slots, &mut active, Source::Folder(name, pair)).await?;
            }
        }
        self.put_in_service(active, &slots);
        self.tell_rejections(&mut slots).await;
        self.0.ready.send_replace(true);
        Ok(())
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

    /// What runs goes on only by the new word, with the powers of the new word.
    fn reconsider(&self, slots: &mut Slots, active: &mut ActivePlugins) {
        let trust = Arc::clone(&slots.trust);
        for (name, slot) in &mut slots.by_name {
            let Some(running) = active.get(name) else { continue };
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
    }

    async fn list_folder(&self, slots: &Slots) -> BTreeMap<String, Pair> {
        let folder = self.0.parts.folder.clone();
        let listed = tokio::task::spawn_blocking(move || folder.list()).await;
        match listed.map_err(std::io::Error::other).and_then(|listed| listed) {
            Ok(pairs) => pairs,
            Err(error) => {
                // A disk that is away for a moment must not stop what runs.
                tracing::warn!(%error, folder = %self.0.parts.folder.path().display(),
                    "the plugin folder can't be read; what was loaded from it goes on");
                let known = slots.by_name.iter().filter(|(_, slot)| slot.origin == Origin::Folder);
                known.map(|(name, slot)| (name.clone(), slot.pair)).collect()
            }
        }
    }

    /// Reads a plugin, checks it, and puts it among the active ones where it may be.
    async fn take_in(&self, slots: &mut Slots, active: &mut ActivePlugins, source: Source) -> Result<(), PluginError> {
        let (name, origin, pair) = source.place();
        let (folder, trust) = (self.0.parts.folder.clone(), Arc::clone(&slots.trust));
        let found = tokio::task::spawn_blocking(move || match source {
            Source::BuiltIn(file) => survey(file, &trust),
            Source::Folder(name, _) => survey_folder(&folder, &name, &trust),
        });
        let Ok(mut found) = found.await else { return Ok(()) };
        let outcome = std::mem::replace(&mut found.outcome, Err(Refusal::NotApproved));
        let before = active.remove(&name);
        let refusal = match outcome {
            Ok(verified) => match self.load(verified, &slots.trust, before.as_deref()).await? {
                Ok(plugin) => {
                    let manifest = &plugin.plugin.manifest;
                    tracing::info!(
                        plugin = name,
                        version = manifest.version,
                        serial = manifest.serial,
                        "a plugin was loaded"
                    );
                    active.insert(name.clone(), plugin);
                    None
                }
                Err(refusal) => Some(refusal),
            },
            Err(refusal) => Some(refusal),
        };
        slots.put(&name, origin, pair, found, refusal);
        Ok(())
    }

    async fn load(
        &self,
        verified: VerifiedPlugin,
        trust: &TrustView,
        before: Option<&ActivePlugin>,
    ) -> Result<Result<Arc<ActivePlugin>, Refusal>, PluginError> {
        let inspected = Arc::clone(verified.plugin());
        let manifest = &inspected.facts().manifest;
        let schemas = match ParamsSchemas::compile(manifest) {
            Ok(schemas) => schemas,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (bytes, powers) = verified.into_bytes();
        let code = match before.filter(|before| before.plugin.sha256 == inspected.sha256()) {
            // The same file written anew.
            Some(before) => before.plugin.code.clone(),
            None => match self.0.parts.runtime.engine().compile(bytes).await {
                Ok(code) => code,
                Err(error) => return Ok(Err(Refusal::Compile(error.to_string()))),
            },
        };
        let plugin = match self.loaded(&inspected, &powers, trust, code, schemas) {
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

    fn put_in_service(&self, active: ActivePlugins, slots: &Slots) {
        self.0.registry.replace(active);
        self.0.registry.end_revoked(&slots.trust);
    }

    async fn tell_rejections(&self, slots: &mut Slots) {
        for rejected in slots.take_untold() {
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
