use std::sync::Arc;

use super::{
    first_party::is_reserved,
    folder::{PluginFolder, read_pair},
    trust::{InspectedPlugin, Refusal, Sighting, SignedFile, TrustView, VerifiedPlugin, inspect},
};

/// What looking at one plugin found out.
#[derive(Debug)]
pub(super) struct Surveyed {
    pub sighting: Sighting,
    /// Where its signature holds and its manifest can be read.
    pub inspected: Option<Arc<InspectedPlugin>>,
    pub outcome: Result<VerifiedPlugin, Refusal>,
}

/// Reads a plugin's two files once, and checks what was read. Blocks.
pub(super) fn survey_folder(folder: &PluginFolder, name: &str, trust: &TrustView) -> Surveyed {
    if is_reserved(name) {
        return refused(Refusal::ReservedName(name.to_owned()));
    }
    match read_pair(folder, name) {
        Ok(file) => survey(file, trust),
        Err(refusal) => refused(refusal),
    }
}

/// Checks a file that was read. Blocks.
pub(super) fn survey(file: SignedFile, trust: &TrustView) -> Surveyed {
    let (sighting, result) = inspect(&file, trust);
    match result {
        Ok(inspected) => {
            let inspected = Arc::new(inspected);
            let outcome = inspected.verify(file.bytes, trust);
            Surveyed { sighting, inspected: Some(inspected), outcome }
        }
        Err(refusal) => Surveyed { sighting, inspected: None, outcome: Err(refusal) },
    }
}

fn refused(refusal: Refusal) -> Surveyed {
    Surveyed { sighting: Sighting::default(), inspected: None, outcome: Err(refusal) }
}
