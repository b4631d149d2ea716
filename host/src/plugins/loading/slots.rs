use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use api_types::PluginState;

use super::candidate::Candidate;
use crate::plugins::{
    package::Refusal,
    trust::{Inspection, TrustView},
};

/// Time that a rejection must last before it is reported. Rejections are often transient while files are copied.
pub(super) const REPORT_DELAY: Duration = Duration::from_secs(2);
/// Maximum number of files that are remembered as uncompilable.
const MAX_UNCOMPILABLE: usize = 256;

/// One plugin as the owner sees it, running or not.
#[derive(Debug)]
pub(in crate::plugins) struct Slot {
    pub candidate: Candidate,
    /// The latest inspection. The plugin runs if the inspection has no refusal.
    pub inspection: Inspection,
    /// Version of the trust data that the inspection used.
    pub trust_version: i64,
    /// Time of the last change of the file or the refusal.
    since: Instant,
    is_reported: bool,
}

/// All plugins, and the trust data that applies to them.
#[derive(Debug, Default)]
pub(in crate::plugins) struct Slots {
    pub trust: Arc<TrustView>,
    pub by_name: BTreeMap<String, Slot>,
    /// Files that can't be compiled, by SHA-256. They are not compiled again.
    uncompilable: BTreeMap<[u8; 32], Refusal>,
}

/// A rejection to report to the owner.
#[derive(Debug, Clone)]
pub struct RejectedPlugin {
    pub name: String,
    pub reason: String,
    /// SHA-256 of the component in hexadecimal, if it could be read.
    pub sha256: Option<String>,
    pub key_id: Option<String>,
}

impl Slots {
    pub(in crate::plugins) fn new(trust: TrustView) -> Self {
        Self { trust: Arc::new(trust), ..Self::default() }
    }

    /// Returns the refusal of a file that is known to be uncompilable.
    pub(super) fn uncompilable(&self, sha256: &[u8; 32]) -> Option<&Refusal> {
        self.uncompilable.get(sha256)
    }

    pub(super) fn record_uncompilable(&mut self, sha256: [u8; 32], refusal: Refusal) {
        if self.uncompilable.len() >= MAX_UNCOMPILABLE {
            self.uncompilable.pop_first();
        }
        self.uncompilable.insert(sha256, refusal);
    }

    /// Records an inspection. If file and refusal are unchanged, the slot keeps its age and is not reported again.
    pub(in crate::plugins) fn record(&mut self, candidate: Candidate, inspection: Inspection, trust_version: i64) {
        let previous = self.by_name.get(&candidate.name).map(|slot| (&slot.inspection, slot.since, slot.is_reported));
        let (since, is_reported) = match previous {
            Some((previous, since, is_reported))
                if previous.refusal == inspection.refusal && previous.sha256 == inspection.sha256 =>
            {
                (since, is_reported)
            }
            _ => (Instant::now(), false),
        };
        let slot = Slot { candidate, inspection, trust_version, since, is_reported };
        self.by_name.insert(slot.candidate.name.clone(), slot);
    }

    /// Returns whether a rejection has not been reported yet.
    pub(super) fn has_unreported_rejections(&self) -> bool {
        self.by_name.values().any(|slot| slot.is_rejected() && !slot.is_reported)
    }

    /// Returns the rejections that are due to be reported, and marks them as reported.
    pub(super) fn take_rejections(&mut self) -> Vec<RejectedPlugin> {
        let unreported = self
            .by_name
            .values_mut()
            .filter(|slot| slot.is_rejected() && !slot.is_reported && slot.since.elapsed() >= REPORT_DELAY);
        unreported
            .map(|slot| {
                slot.is_reported = true;
                RejectedPlugin {
                    name: slot.candidate.name.clone(),
                    reason: slot.refusal().map(Refusal::text).unwrap_or_default(),
                    sha256: slot.inspection.sha256.map(hex::encode),
                    key_id: slot.inspection.key_id.clone(),
                }
            })
            .collect()
    }
}

impl Slot {
    /// Returns the reason why the plugin does not run.
    pub(in crate::plugins) fn refusal(&self) -> Option<&Refusal> {
        self.inspection.refusal.as_ref()
    }

    /// Sets the refusal of a plugin whose files did not change.
    pub(super) fn set_refusal(&mut self, refusal: Option<Refusal>) {
        if self.inspection.refusal != refusal {
            (self.since, self.is_reported) = (Instant::now(), false);
            self.inspection.refusal = refusal;
        }
    }

    pub(in crate::plugins) fn state(&self) -> PluginState {
        self.refusal().map_or(PluginState::Active, Refusal::state)
    }

    fn is_rejected(&self) -> bool {
        self.state() == PluginState::Rejected
    }
}
