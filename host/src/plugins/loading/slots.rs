//! The state of every plugin as the owner sees it, and the decision when a rejection takes effect.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use api_types::PluginState;

use super::candidate::Candidate;
use crate::plugins::{
    package::Refusal,
    trust::{InspectedPlugin, Inspection, TrustView},
};

/// Time that a rejection must last before it is reported, and before the loaded version is unloaded if the files may be
/// an incomplete copy of a new one.
pub(super) const REJECTION_DELAY: Duration = Duration::from_secs(2);
/// Maximum number of files that are remembered as uncompilable.
const MAX_UNCOMPILABLE: usize = 256;

/// One plugin as the owner sees it, running or not.
#[derive(Debug)]
pub(in crate::plugins) struct Slot {
    pub candidate: Candidate,
    /// The latest inspection. The plugin runs if the inspection has no refusal. Otherwise, an earlier version may stay
    /// loaded until [`Slot::unload_at`], or until a new one is compiled.
    pub inspection: Inspection,
    /// Version of the trust data that the inspection used.
    pub trust_version: i64,
    /// Time of the last change of the file or the refusal.
    since: Instant,
    is_reported: bool,
    /// Time from which the files may be an incomplete copy. Further changes of the files don't reset this time.
    incomplete_since: Option<Instant>,
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
        let previous = self.by_name.get(&candidate.name);
        let (since, is_reported) = match previous {
            Some(slot)
                if slot.inspection.refusal == inspection.refusal && slot.inspection.sha256 == inspection.sha256 =>
            {
                (slot.since, slot.is_reported)
            }
            _ => (Instant::now(), false),
        };
        let may_be_incomplete = inspection.refusal.as_ref().is_some_and(Refusal::may_be_incomplete_copy);
        let incomplete_since =
            may_be_incomplete.then(|| previous.and_then(|slot| slot.incomplete_since).unwrap_or_else(Instant::now));
        let slot = Slot { candidate, inspection, trust_version, since, is_reported, incomplete_since };
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
            .filter(|slot| slot.is_rejected() && !slot.is_reported && slot.since.elapsed() >= REJECTION_DELAY);
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
            (self.since, self.is_reported, self.incomplete_since) = (Instant::now(), false, None);
            self.inspection.refusal = refusal;
        }
    }

    /// Returns the time at which the version that was loaded before is unloaded, if the files may be an incomplete copy
    /// of a new one.
    pub(super) fn unload_at(&self) -> Option<Instant> {
        self.incomplete_since.map(|since| since + REJECTION_DELAY)
    }

    /// Returns whether the slot is about the files of this loaded plugin, and not about a copy of a new version.
    pub(super) fn is_about(&self, loaded: &InspectedPlugin) -> bool {
        self.incomplete_since.is_none() && self.inspection.sha256 == Some(loaded.sha256())
    }

    pub(in crate::plugins) fn state(&self) -> PluginState {
        self.refusal().map_or(PluginState::Active, Refusal::state)
    }

    fn is_rejected(&self) -> bool {
        self.state() == PluginState::Rejected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::package::{Origin, folder::FolderEntry};

    #[test]
    fn further_changes_of_incomplete_files_do_not_delay_unloading() {
        let mut slots = Slots::default();
        let mut record = |refusal: Option<Refusal>, sha256: u8| {
            let candidate = Candidate {
                name: "hello".into(),
                file: "hello".into(),
                origin: Origin::Folder,
                files: FolderEntry::default(),
            };
            let inspection = Inspection { sha256: Some([sha256; 32]), refusal, ..Inspection::default() };
            slots.record(candidate, inspection, 1);
            slots.by_name["hello"].unload_at()
        };
        assert_eq!(record(None, 1), None);
        let unload_at = record(Some(Refusal::WrongSignature("key".into())), 2);
        assert!(unload_at.is_some_and(|at| at <= Instant::now() + REJECTION_DELAY));
        for (refusal, sha256) in [
            (Refusal::WrongSignature("key".into()), 3),
            (Refusal::Changing("hello.wasm".into()), 4),
            (Refusal::NoSignature("hello.wasm.minisig".into()), 4),
            (Refusal::MalformedSignature("hello.wasm.minisig".into()), 4),
        ] {
            assert_eq!(record(Some(refusal.clone()), sha256), unload_at, "{refusal}");
        }
        for complete in [None, Some(Refusal::Compiling), Some(Refusal::NotApproved), Some(Refusal::SameSerial(1))] {
            assert_eq!(record(complete.clone(), 4), None, "{complete:?}");
            assert!(record(Some(Refusal::NoSignature("hello.wasm.minisig".into())), 4) >= unload_at);
        }
    }
}
