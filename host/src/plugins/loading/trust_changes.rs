//! Applies changes of the trust data to the loaded plugins.

use std::sync::Arc;

use super::{
    registry::{LoadedPlugin, LoadedPlugins},
    slots::Slots,
};
use crate::secrets::Sealer;

/// Applies `slots.trust` to the loaded plugins, and returns those that stay loaded. A plugin whose approval changed is
/// replaced by one with the new grants. If the key, file or approval of a plugin that is not loaded was revoked, the
/// plugin's refusal is replaced by the revocation.
pub(super) fn apply_trust(slots: &mut Slots, loaded: &LoadedPlugins, sealer: &Sealer) -> LoadedPlugins {
    let trust = Arc::clone(&slots.trust);
    let mut remaining = loaded.clone();
    for (name, slot) in &mut slots.by_name {
        let Some(plugin) = loaded.get(name) else {
            let revoked = slot.inspection.plugin.as_ref().and_then(|plugin| plugin.check_not_revoked(&trust).err());
            if let Some(refusal) = revoked {
                slot.set_refusal(Some(refusal));
            }
            continue;
        };
        let updated = if trust.approvals.get(name) == Some(&plugin.approval) {
            plugin.inspected.effective_scopes(&trust).map(|_| Arc::clone(plugin))
        } else {
            let (code, schemas) = (plugin.runnable.code.clone(), plugin.schemas.clone());
            LoadedPlugin::new(&plugin.inspected, code, schemas, &trust, sealer)
        };
        // A refusal of newer files does not depend on the loaded version.
        if slot.is_about(&plugin.inspected) {
            slot.set_refusal(updated.as_ref().err().cloned());
        }
        match updated {
            Ok(plugin) => drop(remaining.insert(name.clone(), plugin)),
            Err(_) => drop(remaining.remove(name)),
        }
    }
    remaining
}
