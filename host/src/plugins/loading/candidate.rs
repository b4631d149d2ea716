//! Lists the plugins of the binary and of the plugin folder, and inspects one of them.

use std::collections::BTreeMap;

use crate::plugins::{
    package::{
        FirstParty, Origin, Refusal,
        folder::{FolderEntry, PluginFolder, read_signed_file},
        is_reserved,
    },
    trust::{Inspection, TrustView, VerifiedPlugin, verify_file},
};

/// A plugin that is present in the binary or in the plugin folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::plugins) struct Candidate {
    /// The name in the list of plugins.
    pub name: String,
    /// The name of its files in the folder, without `.wasm`.
    pub file: String,
    pub origin: Origin,
    /// State of the files. Empty for first-party plugins.
    pub files: FolderEntry,
}

/// Lists the plugins of the binary and of the folder. A file with the name of a first-party plugin is listed under its
/// full file name, for example `backup.wasm`, which is not a valid plugin name.
pub(in crate::plugins) fn list_candidates(
    first_party: &FirstParty,
    folder: &BTreeMap<String, FolderEntry>,
) -> Vec<Candidate> {
    let embedded = first_party.names().map(|name| Candidate {
        name: name.to_owned(),
        file: name.to_owned(),
        origin: Origin::Embedded,
        files: FolderEntry::default(),
    });
    let is_taken = |file: &str| file.strip_suffix(".wasm").is_some_and(|file| first_party.contains(file));
    let in_folder = folder.iter().filter(|(file, _)| !is_taken(file)).map(|(file, files)| Candidate {
        name: if first_party.contains(file) { format!("{file}.wasm") } else { file.clone() },
        file: file.clone(),
        origin: Origin::Folder,
        files: *files,
    });
    embedded.chain(in_folder).collect()
}

/// Reads a candidate's files once and verifies the bytes that were read. Blocks.
pub(in crate::plugins) fn inspect_candidate(
    candidate: &Candidate,
    first_party: &FirstParty,
    folder: &PluginFolder,
    trust: &TrustView,
) -> (Inspection, Option<VerifiedPlugin>) {
    let name = &candidate.file;
    let file = match candidate.origin {
        Origin::Embedded => first_party.file(name).ok_or_else(|| Refusal::NoComponent(name.clone())),
        Origin::Folder if is_reserved(name) => Err(Refusal::ReservedName(name.clone())),
        Origin::Folder => read_signed_file(folder, name),
    };
    match file {
        Ok(file) => verify_file(file, trust),
        Err(refusal) => (refusal.into(), None),
    }
}
