//! Checks a component against its manifest.

use plugin_manifest::{Capability, Manifest, SECTION, append_section};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

use crate::{PackError, Packed, Surface, capability_of, interface_name};

/// Whether the imports of a component are checked against its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportCheck {
    /// The manifest must request every capability that the component calls.
    RequireManifest,
    /// The component may call capabilities that the manifest does not request. Tests in which the host must reject the
    /// component use this variant.
    Skip,
}

/// Checks the imports and exports of a component against its manifest, and adds the manifest to it.
///
/// # Errors
/// Returns the problem of the component or of the manifest.
pub fn add_manifest(component: Vec<u8>, json: &[u8], check: ImportCheck) -> Result<Packed, PackError> {
    let manifest = Manifest::from_json(json)?;
    let surface = Surface::read(&component).map_err(PackError::NotWebAssembly)?;
    let names = || surface.imports.iter().map(|import| import.name.as_str());
    let wasi: Vec<String> = names().filter(|name| name.starts_with("wasi:")).map(str::to_owned).collect();
    if !wasi.is_empty() {
        return Err(PackError::WasiComponent(wasi));
    }
    if let Some(foreign) = names().find(|name| interface_name(name).is_none()) {
        return Err(PackError::ForeignImport(foreign.to_owned()));
    }
    if !surface.exports_job {
        return Err(PackError::NoJob);
    }
    if has_manifest(&component)? {
        return Err(PackError::AlreadyPacked);
    }
    Validator::new_with_features(features())
        .validate_all(&component)
        .map_err(|error| PackError::Invalid(error.message().to_owned()))?;

    let imports: Vec<String> = surface.called_interfaces().map(str::to_owned).collect();
    let requested =
        |capability: Capability| manifest.capabilities.iter().any(|request| request.capability == capability);
    let not_requested: Vec<String> = imports
        .iter()
        .filter(|interface| capability_of(interface).is_some_and(|capability| !requested(capability)))
        .cloned()
        .collect();
    if check == ImportCheck::RequireManifest && !not_requested.is_empty() {
        return Err(PackError::NotRequested { plugin: manifest.name, interfaces: not_requested });
    }
    let is_unused = |capability: &Capability| !imports.iter().any(|interface| interface == capability.as_str());
    let unused = manifest.capabilities.iter().map(|request| request.capability).filter(is_unused).collect();
    Ok(Packed { plugin: append_section(component, json), manifest, imports, unused })
}

/// Returns the WebAssembly features that the host supports.
fn features() -> WasmFeatures {
    WasmFeatures::WASM2
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::COMPONENT_MODEL
        | WasmFeatures::CM_ASYNC
}

/// Returns whether the component itself contains a manifest. Ignores the manifests of nested components.
fn has_manifest(component: &[u8]) -> Result<bool, PackError> {
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(|error| PackError::NotWebAssembly(error.message().to_owned()))? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 0 && section.name() == SECTION => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}
