//! From a core module to a component with its manifest.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use plugin_manifest::{Capability, Manifest, append_section};
use wasmparser::{Parser, Payload, Validator, WasmFeatures, component_types::ComponentEntityType};
use wit_component::ComponentEncoder;

/// Interfaces that need no grant.
const FREE: &[&str] = &["log", "progress", "clock", "config"];

/// Whether a component may import what its manifest doesn't ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Imports {
    Asked,
    /// For the host's tests: the host must refuse it.
    Unchecked,
}

/// Makes a component of a core module. What the module doesn't call is not among its imports.
pub(crate) fn encode(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .context("the module is no plugin: does it call `atlashub_plugin_sdk::export!`?")?
        .encode()
        .context("no component can be made of the module")
}

/// Checks what a component imports and exports against its manifest, and puts the manifest into it.
pub(crate) fn with_manifest(component: Vec<u8>, json: &[u8], imports: Imports) -> Result<Vec<u8>> {
    let manifest = Manifest::from_json(json).context("the manifest is not valid")?;
    let interfaces = Interfaces::of(&component)?;
    if !interfaces.exported.contains("job") {
        bail!("the component exports no `job`: call `atlashub_plugin_sdk::export!`");
    }
    let asked: BTreeSet<&str> = manifest.capabilities.iter().map(|request| request.capability.as_str()).collect();
    let unasked: Vec<&str> = interfaces
        .imported
        .iter()
        .map(String::as_str)
        .filter(|interface| !FREE.contains(interface) && !asked.contains(interface))
        .collect();
    if !unasked.is_empty() && imports == Imports::Asked {
        bail!(
            "`{}` uses {} and doesn't ask for it: add `.capability(…)` to its description",
            manifest.name,
            unasked.join(", ")
        );
    }
    let imported: Vec<&str> = interfaces.imported.iter().map(String::as_str).collect();
    eprintln!("xtask: `{}` imports {}", manifest.name, imported.join(", "));
    for capability in Capability::ALL.iter().filter(|capability| asked.contains(capability.as_str())) {
        if !interfaces.imported.contains(capability.as_str()) {
            eprintln!("xtask: `{}` asks for {capability} and doesn't use it", manifest.name);
        }
    }
    Ok(append_section(component, json))
}

/// Interfaces of `atlashub:plugin` by their bare names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Interfaces {
    /// Those with a function. One that gives a type to another interface, as `secrets` does to `http`, is no power.
    imported: BTreeSet<String>,
    exported: BTreeSet<String>,
}

impl Interfaces {
    /// What the component itself imports and exports; not what is inside it.
    fn of(component: &[u8]) -> Result<Self> {
        let types = Validator::new_with_features(WasmFeatures::all())
            .validate_all(component)
            .context("the component is not valid")?;
        let types = types.as_ref();
        let mut found = Self::default();
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(component) {
            match payload.context("the component can't be read")? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 0 => {
                    for import in imports {
                        let name = import?.name.name;
                        let interface = bare(name)?;
                        let has_function = match types.component_item_for_import(name).map(|item| item.ty) {
                            Some(ComponentEntityType::Instance(instance)) => types[instance]
                                .exports
                                .values()
                                .any(|export| matches!(export.ty, ComponentEntityType::Func(_))),
                            _ => bail!("the component imports `{name}` as something else than an interface"),
                        };
                        if has_function {
                            found.imported.insert(interface);
                        }
                    }
                }
                Payload::ComponentExportSection(exports) if depth == 0 => {
                    for export in exports {
                        found.exported.insert(bare(export?.name.name)?);
                    }
                }
                _ => {}
            }
        }
        Ok(found)
    }
}

/// `http` of `atlashub:plugin/http@0.1.0`.
fn bare(name: &str) -> Result<String> {
    let interface = name.strip_prefix("atlashub:plugin/").with_context(|| {
        format!("the component imports or exports `{name}`; only `atlashub:plugin` is there for plugins, and no WASI")
    })?;
    Ok(interface.split('@').next().unwrap_or(interface).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_interfaces_of_the_package_are_known() {
        assert_eq!(bare("atlashub:plugin/http@0.1.0").unwrap(), "http");
        assert!(bare("wasi:cli/environment@0.2.0").unwrap_err().to_string().contains("WASI"));
    }

    #[test]
    fn a_module_that_is_no_plugin_is_told_so() {
        let error = encode(b"\0asm\x01\0\0\0").and_then(|component| {
            with_manifest(component, br#"{"name":"aa","version":"1","serial":1,"publisher":"p","description":"d","jobs":[{"name":"aa","description":"d","paramsSchema":{"type":"object"}}]}"#, Imports::Asked)
        });
        assert!(error.is_err());
    }
}
