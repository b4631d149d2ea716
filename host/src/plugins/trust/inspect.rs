use std::sync::Arc;

use super::{ComponentFacts, DetachedSignature, PluginKey, Refusal, TrustView};
use crate::secrets::sha256;

/// Where a plugin comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The binary itself.
    BuiltIn,
    Folder,
}

/// A component and its signature, as they were read, of whatever they may be.
#[derive(Debug, Clone)]
pub struct SignedFile {
    pub origin: Origin,
    /// The file's name without `.wasm`.
    pub name: String,
    pub bytes: Arc<[u8]>,
    pub signature: String,
}

/// What a file is, as far as it was found out before it was refused.
#[derive(Debug, Clone, Default)]
pub struct Sighting {
    pub sha256: Option<[u8; 32]>,
    /// As the signature says it.
    pub key_id: Option<String>,
}

/// A plugin whose signature by a trusted key holds. Whether it may run is another question.
#[derive(Debug)]
pub struct InspectedPlugin {
    pub(super) origin: Origin,
    pub(super) sha256: [u8; 32],
    pub(super) key_id: String,
    pub(super) facts: ComponentFacts,
}

impl InspectedPlugin {
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Of the file.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Of the key that signed it, 16 hexadecimal digits.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    pub fn facts(&self) -> &ComponentFacts {
        &self.facts
    }
}

/// Checks signature, manifest and imports. Costs some milliseconds for a large file: not for an async thread.
pub fn inspect(file: &SignedFile, trust: &TrustView) -> (Sighting, Result<InspectedPlugin, Refusal>) {
    let mut sighting = Sighting { sha256: Some(sha256(&file.bytes)), key_id: None };
    let result = inspect_signed(file, trust, &mut sighting);
    (sighting, result)
}

fn inspect_signed(file: &SignedFile, trust: &TrustView, sighting: &mut Sighting) -> Result<InspectedPlugin, Refusal> {
    let signature = DetachedSignature::parse(&file.signature, &format!("{}.wasm.minisig", file.name))?;
    let key_id = signature.key_id().to_owned();
    sighting.key_id = Some(key_id.clone());
    signature.check(trusted(&key_id, trust)?, &file.bytes)?;
    // From here on the bytes are known to be a trusted author's.
    let facts = ComponentFacts::read(&file.bytes)?;
    if facts.manifest.name != file.name {
        return Err(Refusal::OtherName { file: file.name.clone(), manifest: facts.manifest.name });
    }
    if i64::try_from(facts.manifest.serial).is_err() {
        return Err(Refusal::SerialTooHigh(facts.manifest.serial));
    }
    let sha256 = sighting.sha256.unwrap_or_default();
    Ok(InspectedPlugin { origin: file.origin, sha256, key_id, facts })
}

/// The key of that id, if its signatures count.
pub(super) fn trusted<'trust>(key_id: &str, trust: &'trust TrustView) -> Result<&'trust PluginKey, Refusal> {
    if trust.revoked_keys.contains(key_id) {
        return Err(Refusal::RevokedKey(key_id.to_owned()));
    }
    trust.keys.get(key_id).ok_or_else(|| Refusal::UntrustedKey(key_id.to_owned()))
}
