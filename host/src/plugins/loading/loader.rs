//! One pass of the loader: loads, replaces and unloads plugins.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use super::{
    LoaderState,
    candidate::{Candidate, inspect_candidate},
    plan::{Plan, plan},
    registry::LoadedPlugin,
    rejections::report_rejections,
    slots::{Slot, Slots},
    trust_changes::apply_trust,
};
use crate::plugins::{
    PluginError,
    package::{Origin, ParamsSchemas, Refusal, folder::FolderEntry},
    runtime::CompiledPlugin,
    trust::{
        InspectedPlugin, Inspection, VerifiedPlugin, approve_first_party, read_trust_version,
        store::{load_trust, record_serial},
        trusted_keys,
    },
};

/// Does one pass: compares the plugin folder and the trust data with the loaded plugins, and loads, replaces or unloads
/// plugins where they differ.
///
/// # Errors
/// Returns an error if the platform database is unavailable. Plugins loaded so far stay loaded, and the next pass
/// continues.
pub(in crate::plugins) async fn refresh(state: &LoaderState) -> Result<(), PluginError> {
    let _pass = state.pass.lock().await;
    // Revocations are applied first, because reading and compiling files may take minutes.
    apply_trust_changes(state).await?;
    let folder = list_folder(state).await;
    let plan = {
        let mut slots = state.slots.lock().await;
        let plan = plan(&slots, &state.parts.first_party, &folder);
        unload(state, &mut slots, &plan);
        plan
    };
    for candidate in plan.load {
        load(state, candidate).await?;
    }
    report_rejections(state).await;
    state.ready.send_replace(true);
    Ok(())
}

/// Reads the trust data, and applies it to the loaded plugins if it changed. Does not wait for a pass in progress.
///
/// # Errors
/// Returns an error if the platform database is unavailable. In that case, the loaded plugins do not change.
pub(in crate::plugins) async fn apply_trust_changes(state: &LoaderState) -> Result<(), PluginError> {
    let mut slots = state.slots.lock().await;
    let is_first = !*state.ready.borrow();
    if is_first {
        trusted_keys::register_first_party_key(&state.parts.platform, &state.parts.first_party).await?;
    }
    let version = read_trust_version(&state.parts.platform).await?;
    if version == slots.trust.version && !is_first {
        return Ok(());
    }
    read_trust(state, &mut slots).await?;
    let loaded = apply_trust(&mut slots, &state.registry.all(), &state.parts.sealer);
    state.registry.update(&slots.trust, |plugins| *plugins = loaded);
    Ok(())
}

/// Reads the trust data into the slots, and approves first-party plugins by default where needed.
async fn read_trust(state: &LoaderState, slots: &mut Slots) -> Result<(), PluginError> {
    let parts = &state.parts;
    let mut trust = load_trust(&parts.platform, &parts.first_party).await?;
    if approve_first_party(&parts.platform, &parts.first_party, &trust).await? {
        trust = load_trust(&parts.platform, &parts.first_party).await?;
    }
    slots.trust = Arc::new(trust);
    Ok(())
}

async fn list_folder(state: &LoaderState) -> BTreeMap<String, FolderEntry> {
    let folder = state.parts.folder.clone();
    let listing = tokio::task::spawn_blocking(move || folder.list()).await;
    match listing.map_err(std::io::Error::other).and_then(|listing| listing) {
        Ok(listing) => listing,
        Err(error) => {
            // A disk that is briefly unavailable must not unload plugins.
            tracing::warn!(%error, folder = %state.parts.folder.path().display(),
                "the plugin folder can't be read; plugins loaded from it keep running");
            let slots = state.slots.lock().await;
            let known = slots.by_name.values().map(|slot| &slot.candidate);
            let in_folder = known.filter(|candidate| candidate.origin == Origin::Folder);
            in_folder.map(|candidate| (candidate.file.clone(), candidate.files)).collect()
        }
    }
}

fn unload(state: &LoaderState, slots: &mut Slots, plan: &Plan) {
    if plan.unload.is_empty() {
        return;
    }
    slots.by_name.retain(|name, _| !plan.unload.contains(name));
    state.registry.update(&slots.trust, |plugins| plugins.retain(|name, _| !plan.unload.contains(name)));
}

/// Inspects and compiles a candidate, and loads it if it may run. Records the result in its slot.
async fn load(state: &LoaderState, candidate: Candidate) -> Result<(), PluginError> {
    let trust = Arc::clone(&state.slots.lock().await.trust);
    let trust_version = trust.version;
    let (first_party, folder) = (state.parts.first_party.clone(), state.parts.folder.clone());
    let candidate_to_inspect = candidate.clone();
    let inspecting =
        tokio::task::spawn_blocking(move || inspect_candidate(&candidate_to_inspect, &first_party, &folder, &trust));
    // The result is an error if the task panicked. The next pass tries again.
    let Ok((mut inspection, verified)) = inspecting.await else { return Ok(()) };
    let prepared = match verified {
        Some(verified) => prepare(state, &candidate, verified).await.map(Some),
        None => Ok(None),
    };

    let mut slots = state.slots.lock().await;
    let (loaded, trust_version) = match (prepared, &inspection.plugin) {
        (Ok(Some((code, schemas))), Some(plugin)) => {
            (finish(state, &slots, plugin, code, schemas).await?.map(Some), slots.trust.version)
        }
        (prepared, _) => (prepared.map(|_| None), trust_version),
    };
    let loaded = loaded.unwrap_or_else(|refusal| {
        inspection.refusal = Some(refusal);
        None
    });
    let name = candidate.name.clone();
    if let Some(plugin) = &loaded {
        let manifest = &plugin.runnable.manifest;
        tracing::info!(plugin = name, version = manifest.version, serial = manifest.serial, "loaded a plugin");
    }
    slots.record(candidate, inspection, trust_version);
    match loaded {
        Some(plugin) => state.registry.update(&slots.trust, |plugins| drop(plugins.insert(name, plugin))),
        // `unload_incomplete` removes the previous version, unless the files are complete by then.
        None if unload_at(&slots, &name).is_some_and(|at| at > Instant::now()) => state.incomplete.notify_one(),
        None => state.registry.update(&slots.trust, |plugins| drop(plugins.remove(&name))),
    }
    Ok(())
}

fn unload_at(slots: &Slots, name: &str) -> Option<Instant> {
    slots.by_name.get(name)?.unload_at()
}

/// Unloads the plugins whose files have been incomplete for too long. Returns the time at which the next one is due.
pub(super) async fn unload_incomplete(state: &LoaderState) -> Option<Instant> {
    let slots = state.slots.lock().await;
    let now = Instant::now();
    let is_due = |name: &str| unload_at(&slots, name).is_some_and(|at| at <= now);
    if state.registry.all().keys().any(|name| is_due(name)) {
        state.registry.update(&slots.trust, |plugins| plugins.retain(|name, _| !is_due(name)));
    }
    slots.by_name.values().filter_map(Slot::unload_at).filter(|at| *at > now).min()
}

/// Compiles a verified plugin. Returns its code and its schemas, which were compiled when the file was inspected. The
/// slots are not locked while compiling, which may take minutes.
async fn prepare(
    state: &LoaderState,
    candidate: &Candidate,
    verified: VerifiedPlugin,
) -> Result<(CompiledPlugin, ParamsSchemas), Refusal> {
    let plugin = Arc::clone(verified.plugin());
    let sha256 = plugin.sha256();
    let schemas = plugin.schemas().clone();
    if let Some(loaded) = state.registry.get(plugin.name()).filter(|loaded| loaded.runnable.sha256 == sha256) {
        // The files were written again with the same content.
        return Ok((loaded.runnable.code.clone(), schemas));
    }
    {
        let mut slots = state.slots.lock().await;
        if let Some(refusal) = slots.uncompilable(&sha256) {
            return Err(refusal.clone());
        }
        // While a new version is compiled, the slot keeps showing the previous one. If the slot has a time to unload
        // the previous version, the files of the new version have just become complete, and that time no longer
        // applies.
        let slot = slots.by_name.get(plugin.name());
        if slot.is_none_or(|slot| slot.inspection.sha256 == Some(sha256) || slot.unload_at().is_some()) {
            let inspection = Inspection {
                sha256: Some(sha256),
                key_id: Some(plugin.key_id().to_owned()),
                plugin: Some(Arc::clone(&plugin)),
                refusal: Some(Refusal::Compiling),
            };
            let trust_version = slots.trust.version;
            slots.record(candidate.clone(), inspection, trust_version);
        }
    }
    match state.parts.runtime.engine().compile(verified.into_bytes()).await {
        Ok(code) => Ok((code, schemas)),
        Err(error) => {
            let refusal = Refusal::Compile(error.to_string());
            if error.is_permanent() {
                state.slots.lock().await.record_uncompilable(sha256, refusal.clone());
            }
            Err(refusal)
        }
    }
}

/// Checks a compiled plugin against the current trust data, which may have changed while it was compiled. Records the
/// serial of a plugin of the folder.
async fn finish(
    state: &LoaderState,
    slots: &Slots,
    plugin: &Arc<InspectedPlugin>,
    code: CompiledPlugin,
    schemas: ParamsSchemas,
) -> Result<Result<Arc<LoadedPlugin>, Refusal>, PluginError> {
    let loaded = plugin
        .check_loadable(&slots.trust)
        .and_then(|_| LoadedPlugin::new(plugin, code, schemas, &slots.trust, &state.parts.sealer));
    if loaded.is_ok()
        && plugin.origin() == Origin::Folder
        && let Some(refusal) = record_serial(&state.parts.platform, plugin).await?
    {
        return Ok(Err(refusal));
    }
    Ok(loaded)
}
