//! Turns a core module into a component that contains its manifest.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use plugin_manifest::{Capability, Manifest, append_section};
use wasmparser::{Parser, Payload, Validator, WasmFeatures, component_types::ComponentEntityType};
use wit_component::ComponentEncoder;

/// Interfaces that every plugin may import without a grant.
const UNGRANTED_INTERFACES: &[&str] = &["log", "progress", "clock", "config"];

/// Whether imports of a component are checked against its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImportCheck {
    /// Every import must be requested in the manifest.
    RequireManifest,
    /// Imports are not checked. For tests in which the host must reject the component.
    Skip,
}

/// Turns a core module into a component. Functions that the module does not call are not imported.
pub(crate) fn encode(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .context("the module is not a plugin; it must call `atlashub_plugin_sdk::export!`")?
        .encode()
        .context("could not turn the module into a component")
}

/// Checks the imports and exports of a component against its manifest, and adds the manifest to it.
pub(crate) fn add_manifest(component: Vec<u8>, json: &[u8], check: ImportCheck) -> Result<Vec<u8>> {
    let manifest = Manifest::from_json(json).context("the manifest is invalid")?;
    let interfaces = Interfaces::parse(&component)?;
    if !interfaces.exported.contains("job") {
        bail!("The component does not export `job`. Call `atlashub_plugin_sdk::export!`.");
    }
    let requested: BTreeSet<&str> = manifest.capabilities.iter().map(|request| request.capability.as_str()).collect();
    let unrequested: Vec<&str> = interfaces
        .imported
        .iter()
        .map(String::as_str)
        .filter(|interface| !UNGRANTED_INTERFACES.contains(interface) && !requested.contains(interface))
        .collect();
    if !unrequested.is_empty() && check == ImportCheck::RequireManifest {
        bail!(
            "`{}` uses {} without requesting it. Add `.capability(…)` to its description.",
            manifest.name,
            unrequested.join(", ")
        );
    }
    let imported: Vec<&str> = interfaces.imported.iter().map(String::as_str).collect();
    eprintln!("xtask: `{}` imports {}", manifest.name, imported.join(", "));
    for capability in Capability::ALL.iter().filter(|capability| requested.contains(capability.as_str())) {
        if !interfaces.imported.contains(capability.as_str()) {
            eprintln!("xtask: `{}` requests {capability} but does not use it", manifest.name);
        }
    }
    Ok(append_section(component, json))
}

/// Interfaces of `atlashub:plugin`, by their names without package and version.
#[derive(Debug, Default, PartialEq, Eq)]
struct Interfaces {
    /// Interfaces with at least one function. An interface that only provides a type to another one, as `secrets` does
    /// to `http`, grants nothing.
    imported: BTreeSet<String>,
    exported: BTreeSet<String>,
}

impl Interfaces {
    /// Reads the imports and exports of the component itself, not of the modules and components in it.
    fn parse(component: &[u8]) -> Result<Self> {
        let types = Validator::new_with_features(WasmFeatures::all())
            .validate_all(component)
            .context("the component is invalid")?;
        let types = types.as_ref();
        let mut interfaces = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(component) {
            match payload.context("could not parse the component")? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 0 => {
                    for import in imports {
                        let name = import?.name.name;
                        let interface = interface_name(name)?;
                        let has_function = match types.component_item_for_import(name).map(|item| item.ty) {
                            Some(ComponentEntityType::Instance(instance)) => types[instance]
                                .exports
                                .values()
                                .any(|export| matches!(export.ty, ComponentEntityType::Func(_))),
                            _ => bail!("The component imports `{name}`, which is not an interface."),
                        };
                        if has_function {
                            interfaces.imported.insert(interface);
                        }
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 0 => {
                    for export in exports {
                        interfaces.exported.insert(interface_name(export?.name.name)?);
                    }
                }
                _ => {}
            }
        }
        Ok(interfaces)
    }
}

/// Returns `http` for `atlashub:plugin/http@0.1.0`.
fn interface_name(name: &str) -> Result<String> {
    let interface = name.strip_prefix("atlashub:plugin/").with_context(|| {
        format!(
            "The component imports or exports `{name}`. Plugins can only use `atlashub:plugin`; WASI is not available."
        )
    })?;
    Ok(interface.split('@').next().unwrap_or(interface).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_interfaces_of_the_package_are_accepted() {
        assert_eq!(interface_name("atlashub:plugin/http@0.1.0").unwrap(), "http");
        assert!(interface_name("wasi:cli/environment@0.2.0").unwrap_err().to_string().contains("WASI"));
    }

    #[test]
    fn module_that_is_not_a_plugin_is_rejected() {
        let error = encode(b"\0asm\x01\0\0\0").and_then(|component| {
            let manifest = br#"{"name":"aa","version":"1","serial":1,"publisher":"p","description":"d",
                "jobs":[{"name":"aa","description":"d","paramsSchema":{"type":"object"}}]}"#;
            add_manifest(component, manifest, ImportCheck::RequireManifest)
        });
        assert!(error.is_err());
    }
}
