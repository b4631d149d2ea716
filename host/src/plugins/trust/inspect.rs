//! Inspects a plugin's file: checks its signature, manifest, imports and parameter schemas.

use std::sync::Arc;

use super::{DetachedSignature, TrustView};
use crate::{
    plugins::package::{ComponentFacts, Origin, ParamsSchemas, PluginKey, Refusal, SignedFile},
    secrets::sha256,
};

/// Facts about a plugin's file, even if the file was refused.
#[derive(Debug, Clone, Default)]
pub struct Inspection {
    /// SHA-256 of the component, if it could be read.
    pub sha256: Option<[u8; 32]>,
    /// Id of the key that the signature names.
    pub key_id: Option<String>,
    /// The plugin, if its signature, manifest, imports and parameter schemas are valid.
    pub plugin: Option<Arc<InspectedPlugin>>,
    /// The reason why the plugin does not run.
    pub refusal: Option<Refusal>,
}

impl From<Refusal> for Inspection {
    fn from(refusal: Refusal) -> Self {
        Self { refusal: Some(refusal), ..Self::default() }
    }
}

/// A plugin with a valid signature by a trusted key. It may still lack the owner's approval.
#[derive(Debug)]
pub struct InspectedPlugin {
    pub(super) origin: Origin,
    pub(super) sha256: [u8; 32],
    pub(super) key_id: String,
    pub(super) facts: ComponentFacts,
    pub(super) schemas: ParamsSchemas,
}

impl InspectedPlugin {
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Returns the SHA-256 of the component.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Returns the id of the key that signed the component.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    pub fn facts(&self) -> &ComponentFacts {
        &self.facts
    }

    /// Returns the schemas of the jobs' parameters.
    pub fn schemas(&self) -> &ParamsSchemas {
        &self.schemas
    }

    /// Returns the name in the manifest.
    pub fn name(&self) -> &str {
        &self.facts.manifest.name
    }
}

/// Checks a file's signature, manifest, imports and parameter schemas.
///
/// Hashes and parses the whole file, so call it on a blocking thread.
pub fn inspect_file(file: &SignedFile, trust: &TrustView) -> Inspection {
    let mut inspection = Inspection { sha256: Some(sha256(&file.bytes)), ..Inspection::default() };
    match inspect_signed(file, trust, &mut inspection) {
        Ok(plugin) => inspection.plugin = Some(Arc::new(plugin)),
        Err(refusal) => inspection.refusal = Some(refusal),
    }
    inspection
}

fn inspect_signed(
    file: &SignedFile,
    trust: &TrustView,
    inspection: &mut Inspection,
) -> Result<InspectedPlugin, Refusal> {
    let signature = DetachedSignature::parse(&file.signature, &format!("{}.wasm.minisig", file.name))?;
    let key_id = signature.key_id().to_owned();
    inspection.key_id = Some(key_id.clone());
    signature.check(find_trusted_key(&key_id, trust)?, &file.bytes)?;
    // Parsed only after the signature check, because unsigned bytes are untrusted.
    let facts = ComponentFacts::read(&file.bytes)?;
    if facts.manifest.name != file.name {
        return Err(Refusal::NameMismatch { file: file.name.clone(), manifest: facts.manifest.name });
    }
    if i64::try_from(facts.manifest.serial).is_err() {
        return Err(Refusal::SerialTooHigh(facts.manifest.serial));
    }
    // Compiled before the owner decides, so that the owner does not approve a plugin whose schemas can't be used.
    let schemas = ParamsSchemas::compile(&facts.manifest)?;
    let sha256 = inspection.sha256.unwrap_or_default();
    Ok(InspectedPlugin { origin: file.origin, sha256, key_id, facts, schemas })
}

/// Returns the key with this id, unless it is unknown or revoked.
pub(super) fn find_trusted_key<'trust>(key_id: &str, trust: &'trust TrustView) -> Result<&'trust PluginKey, Refusal> {
    if trust.revoked_keys.contains(key_id) {
        return Err(Refusal::RevokedKey(key_id.to_owned()));
    }
    trust.keys.get(key_id).ok_or_else(|| Refusal::UntrustedKey(key_id.to_owned()))
}
