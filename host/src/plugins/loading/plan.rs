//! Selects the candidates to load and the plugins to unload.

use std::collections::BTreeMap;

use super::{
    candidate::{Candidate, list_candidates},
    slots::{Slot, Slots},
};
use crate::plugins::package::{FirstParty, Origin, Refusal, folder::FolderEntry};

/// The work of one pass.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Candidates that are new, changed, or refused for a reason that may no longer apply.
    pub load: Vec<Candidate>,
    /// Names of plugins whose files are gone.
    pub unload: Vec<String>,
}

/// Compares the plugins in the binary and in the folder with the known ones.
pub(super) fn plan(slots: &Slots, first_party: &FirstParty, folder: &BTreeMap<String, FolderEntry>) -> Plan {
    let is_gone = |(_, slot): &(&String, &Slot)| {
        slot.candidate.origin == Origin::Folder && !folder.contains_key(&slot.candidate.file)
    };
    let unload = slots.by_name.iter().filter(is_gone).map(|(name, _)| name.clone()).collect();
    let load = list_candidates(first_party, folder)
        .into_iter()
        .filter(|candidate| {
            let slot = slots.by_name.get(&candidate.name);
            slot.is_none_or(|slot| slot.candidate != *candidate || is_outdated(slot, slots.trust.version))
        })
        .collect();
    Plan { load, unload }
}

/// Returns whether inspecting the same files again may lead to another result.
fn is_outdated(slot: &Slot, trust_version: i64) -> bool {
    match slot.refusal() {
        // The files may have stopped changing, or the previous pass was interrupted while it compiled.
        Some(Refusal::Changing(_) | Refusal::Compiling) => true,
        // A file is compiled again only if it changes. `apply_trust` applies revocations to it.
        Some(Refusal::Compile(_)) => false,
        Some(_) => slot.trust_version != trust_version,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::{
        package::embedded::EmbeddedPlugin,
        trust::{Inspection, TrustView},
    };

    fn candidate(name: &str, origin: Origin) -> Candidate {
        Candidate { name: name.to_owned(), file: name.to_owned(), origin, files: FolderEntry::default() }
    }

    fn folder(names: &[&str]) -> BTreeMap<String, FolderEntry> {
        names.iter().map(|name| ((*name).to_owned(), FolderEntry::default())).collect()
    }

    #[test]
    fn new_plugins_are_loaded_and_missing_ones_unloaded() {
        let mut slots = Slots::new(TrustView { version: 1, ..TrustView::default() });
        slots.record(candidate("kept", Origin::Folder), Inspection::default(), 1);
        slots.record(candidate("gone", Origin::Folder), Inspection::default(), 1);
        let expected = Plan { load: vec![candidate("new", Origin::Folder)], unload: vec!["gone".to_owned()] };
        assert_eq!(plan(&slots, &FirstParty::default(), &folder(&["kept", "new"])), expected);
    }

    #[test]
    fn refused_plugins_are_inspected_again_after_a_trust_change() {
        let mut slots = Slots::new(TrustView { version: 1, ..TrustView::default() });
        slots.record(candidate("pending", Origin::Folder), Refusal::NotApproved.into(), 1);
        slots.record(candidate("compiling", Origin::Folder), Refusal::Compiling.into(), 1);
        slots.record(candidate("running", Origin::Folder), Inspection::default(), 1);
        slots.record(candidate("invalid", Origin::Folder), Refusal::Compile("it is invalid".into()).into(), 1);
        let names = |slots: &Slots| -> Vec<String> {
            let folder = folder(&["compiling", "invalid", "pending", "running"]);
            plan(slots, &FirstParty::default(), &folder).load.into_iter().map(|candidate| candidate.name).collect()
        };
        assert_eq!(names(&slots), ["compiling"]);
        slots.trust = TrustView { version: 2, ..TrustView::default() }.into();
        assert_eq!(names(&slots), ["compiling", "pending"]);
    }

    #[test]
    fn file_with_the_name_of_an_embedded_plugin_is_listed_beside_it() {
        let first_party = FirstParty::new(None, vec![EmbeddedPlugin { name: "backup", wasm: b"", minisig: "" }]);
        let file = Candidate { file: "backup".to_owned(), ..candidate("backup.wasm", Origin::Folder) };
        let first = plan(&Slots::default(), &first_party, &folder(&["backup", "backup.wasm"]));
        assert_eq!(first.load, [candidate("backup", Origin::Embedded), file.clone()]);
        let mut slots = Slots::default();
        slots.record(candidate("backup", Origin::Embedded), Inspection::default(), 0);
        slots.record(file, Refusal::ReservedName("backup".to_owned()).into(), 0);
        assert_eq!(plan(&slots, &first_party, &folder(&["backup"])), Plan { load: Vec::new(), unload: Vec::new() });
        assert_eq!(plan(&slots, &first_party, &folder(&[])).unload, ["backup.wasm"]);
    }
}
