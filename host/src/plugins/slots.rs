//! What the host knows of each plugin: what lies there, what came of it, and whether the owner was told.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use api_types::PluginState;

use super::{
    folder::Pair,
    trust::{InspectedPlugin, Origin, Refusal, Sighting, TrustView},
};

/// A refusal that passes sooner, as while files are being copied, is not told to anybody.
pub(super) const SETTLE: Duration = Duration::from_secs(2);

/// One plugin, running or not.
#[derive(Debug)]
pub(super) struct Slot {
    pub origin: Origin,
    /// Which state of its files this is about; nothing for one of the binary's own.
    pub pair: Pair,
    pub sighting: Sighting,
    pub inspected: Option<Arc<InspectedPlugin>>,
    /// Why it does not run; None where it does.
    pub refusal: Option<Refusal>,
    /// Of the trust that this came of.
    pub trust_version: i64,
    since: Instant,
    told: bool,
}

/// Every plugin, as of one state of trust.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub trust: Arc<TrustView>,
    pub by_name: BTreeMap<String, Slot>,
    /// Files that can't be compiled, by SHA-256: nobody tries them again.
    uncompilable: BTreeMap<[u8; 32], Refusal>,
}

/// Files of which it is kept that they can't be compiled.
const UNCOMPILABLE: usize = 256;

/// What came of looking at a plugin.
pub(super) struct Found {
    pub sighting: Sighting,
    pub inspected: Option<Arc<InspectedPlugin>>,
    pub refusal: Option<Refusal>,
}

/// A refusal that the owner should hear of.
#[derive(Debug, Clone)]
pub struct RejectedPlugin {
    pub name: String,
    pub reason: String,
    /// Hexadecimal, of the file, where it could be read.
    pub sha256: Option<String>,
    pub key_id: Option<String>,
}

impl Slots {
    pub(super) fn new(trust: Arc<TrustView>) -> Self {
        Self { trust, ..Self::default() }
    }

    pub(super) fn uncompilable(&self, sha256: &[u8; 32]) -> Option<&Refusal> {
        self.uncompilable.get(sha256)
    }

    pub(super) fn note_uncompilable(&mut self, sha256: [u8; 32], refusal: Refusal) {
        if self.uncompilable.len() >= UNCOMPILABLE {
            self.uncompilable.pop_first();
        }
        self.uncompilable.insert(sha256, refusal);
    }

    /// Puts down what came of looking at a plugin, as of one version of trust. The same refusal of the same file keeps
    /// its age.
    pub(super) fn put(&mut self, name: &str, origin: Origin, pair: Pair, found: Found, trust_version: i64) {
        let Found { sighting, inspected, refusal } = found;
        let before = self.by_name.get(name);
        let same = before.filter(|slot| slot.refusal == refusal && slot.sighting.sha256 == sighting.sha256);
        let (since, told) = same.map_or_else(|| (Instant::now(), false), |slot| (slot.since, slot.told));
        let slot = Slot { origin, pair, sighting, inspected, refusal, trust_version, since, told };
        self.by_name.insert(name.to_owned(), slot);
    }

    /// Whether a rejection is too young to be told.
    pub(super) fn is_unsettled(&self) -> bool {
        self.by_name.values().any(|slot| slot.is_rejected() && !slot.told)
    }

    /// Rejections that lasted and were not told yet; they count as told from now on.
    pub(super) fn take_untold(&mut self) -> Vec<RejectedPlugin> {
        let settled = self
            .by_name
            .iter_mut()
            .filter(|(_, slot)| slot.is_rejected() && !slot.told && slot.since.elapsed() >= SETTLE);
        settled
            .map(|(name, slot)| {
                slot.told = true;
                RejectedPlugin {
                    name: name.clone(),
                    reason: slot.refusal.as_ref().map(ToString::to_string).unwrap_or_default(),
                    sha256: slot.sighting.sha256.map(|hash| hex(&hash)),
                    key_id: slot.sighting.key_id.clone(),
                }
            })
            .collect()
    }
}

impl Slot {
    /// A refusal changed while the files did not.
    pub(super) fn set_refusal(&mut self, refusal: Option<Refusal>) {
        if self.refusal != refusal {
            (self.since, self.told) = (Instant::now(), false);
            self.refusal = refusal;
        }
    }

    pub(super) fn state(&self) -> PluginState {
        self.refusal.as_ref().map_or(PluginState::Active, Refusal::state)
    }

    fn is_rejected(&self) -> bool {
        self.state() == PluginState::Rejected
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
