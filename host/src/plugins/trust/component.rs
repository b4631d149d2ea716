//! What a component says of itself, read without compiling or running anything.

use plugin_manifest::{Capability, Manifest};
use wasmparser::{
    Encoding, Parser, Payload, ValidPayload, Validator, component_types::ComponentEntityType, types::Types,
};

use super::Refusal;
use crate::plugins::manifest::read_manifest;

const PACKAGE: &str = "atlashub:plugin/";
const VERSION: &str = "@0.1.0";
/// Interfaces that need no grant.
const FREE: [&str; 5] = ["types", "log", "progress", "clock", "config"];
const EXPORT: &str = "atlashub:plugin/job@0.1.0";

/// Read off a component whose signature holds.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentFacts {
    pub manifest: Manifest,
    /// Interfaces that it calls, without package and version, for example `http`.
    pub imports: Vec<String>,
    /// Those of them that need a grant.
    pub powers: Vec<Capability>,
}

impl ComponentFacts {
    /// Reads manifest, imports and exports, and whether they fit one another.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.starts_with(b"\x7fELF") {
            return Err(Refusal::NotAComponent("it is precompiled, and the host compiles for itself".to_owned()));
        }
        if !bytes.starts_with(b"\0asm") {
            return Err(Refusal::NotAComponent("it does not begin like WebAssembly".to_owned()));
        }
        let surface = Surface::read(bytes)?;
        let manifest = read_manifest(bytes).map_err(|error| Refusal::Manifest(error.to_string()))?;
        if !surface.exports_jobs {
            return Err(Refusal::NoJobs);
        }
        let (mut imports, mut powers) = (Vec::new(), Vec::new());
        for Import { name, callable } in surface.imports {
            let foreign = || Refusal::ForeignImport(name.clone());
            let interface =
                name.strip_prefix(PACKAGE).and_then(|rest| rest.strip_suffix(VERSION)).ok_or_else(foreign)?;
            if FREE.contains(&interface) {
                imports.push(interface.to_owned());
                continue;
            }
            let power = Capability::ALL.into_iter().find(|power| power.as_str() == interface).ok_or_else(foreign)?;
            // An interface of which only types are used, as `http` uses `secrets`, gives no power.
            if callable {
                if !manifest.capabilities.iter().any(|request| request.capability == power) {
                    return Err(Refusal::ImportNotRequested(interface.to_owned()));
                }
                imports.push(interface.to_owned());
                powers.push(power);
            }
        }
        Ok(Self { manifest, imports, powers })
    }
}

struct Import {
    name: String,
    /// It has functions.
    callable: bool,
}

/// The component's own imports and exports, not those of what is nested in it.
struct Surface {
    imports: Vec<Import>,
    exports_jobs: bool,
}

impl Surface {
    fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let malformed = |error: wasmparser::Error| Refusal::NotAComponent(error.message().to_owned());
        let mut validator = Validator::new();
        let mut names = Vec::new();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(malformed)?;
            match &payload {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    return Err(Refusal::NotAComponent("it is a core module".to_owned()));
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section.clone() {
                        names.push(import.map_err(malformed)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
            let ended = matches!(payload, Payload::End(_));
            // Bodies of functions are the compiler's to validate.
            if let ValidPayload::End(types) = validator.payload(&payload).map_err(malformed)?
                && depth == 0
            {
                return Ok(Self::of(&types, names));
            }
            if ended {
                depth = depth.saturating_sub(1);
            }
        }
        Err(Refusal::NotAComponent("it ends early".to_owned()))
    }

    fn of(types: &Types, names: Vec<String>) -> Self {
        let types = types.as_ref();
        let is_job = types.component_item_for_export(EXPORT).is_some_and(|item| is_instance(&item.ty));
        let imports = names.into_iter().map(|name| {
            let callable = types.component_item_for_import(&name).is_none_or(|item| match item.ty {
                ComponentEntityType::Instance(instance) => types[instance]
                    .exports
                    .values()
                    .any(|export| !matches!(export.ty, ComponentEntityType::Type { .. })),
                _ => true,
            });
            Import { name, callable }
        });
        Self { imports: imports.collect(), exports_jobs: is_job }
    }
}

fn is_instance(ty: &ComponentEntityType) -> bool {
    matches!(ty, ComponentEntityType::Instance(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugin_manifest::append_section;

    fn component(text: &str, capabilities: &serde_json::Value) -> Vec<u8> {
        let manifest = serde_json::json!({
            "name": "hello", "version": "1", "serial": 1, "publisher": "Someone", "description": "Says hello.",
            "jobs": [{"name": "greet", "description": "Greets.", "paramsSchema": {"type": "object"}}],
            "capabilities": capabilities,
        });
        append_section(wat::parse_str(text).unwrap(), manifest.to_string().as_bytes())
    }

    const JOB: &str = r#"(instance $job) (export "atlashub:plugin/job@0.1.0" (instance $job))"#;

    #[test]
    fn imports_must_be_ours_and_asked_for() {
        let check = |text: &str, capabilities: serde_json::Value, expected: Result<usize, Refusal>| {
            let found = ComponentFacts::read(&component(&format!("(component {text})"), &capabilities));
            assert_eq!(found.map(|facts| facts.powers.len()), expected, "{text}");
        };
        let import = |name: &str| format!("(import \"{name}\" (instance (export \"f\" (func)))) {JOB}");
        let types_alone =
            |name: &str| format!("(import \"{name}\" (instance (export \"t\" (type (sub resource))))) {JOB}");
        let none = serde_json::json!([]);
        let http = serde_json::json!([{"capability": "http", "reason": "To greet."}]);
        check(JOB, none.clone(), Ok(0));
        check(&import("atlashub:plugin/log@0.1.0"), none.clone(), Ok(0));
        check(&import("atlashub:plugin/http@0.1.0"), http.clone(), Ok(1));
        check(&import("atlashub:plugin/http@0.1.0"), none.clone(), Err(Refusal::ImportNotRequested("http".into())));
        check(&types_alone("atlashub:plugin/secrets@0.1.0"), none.clone(), Ok(0));
        for foreign in ["wasi:io/poll@0.2.0", "atlashub:plugin/shell@0.1.0", "atlashub:plugin/http@0.2.0", "http"] {
            check(&import(foreign), http.clone(), Err(Refusal::ForeignImport(foreign.into())));
        }
        check("", none.clone(), Err(Refusal::NoJobs));
        // What is nested imports from the component around it, not from the host.
        check(&format!("(component (import \"wasi:io/poll@0.2.0\" (instance))) {JOB}"), none, Ok(0));
    }

    #[test]
    fn what_is_no_component_is_refused_as_what_it_is() {
        let check = |bytes: &[u8], expected: &str| {
            let refusal = ComponentFacts::read(bytes).unwrap_err().to_string();
            assert!(refusal.contains(expected), "{refusal}");
        };
        check(b"", "no WebAssembly component");
        check(b"#!/bin/sh\n", "no WebAssembly component");
        check(b"\x7fELF\x02\x01\x01", "precompiled");
        check(&wat::parse_str("(module)").unwrap(), "core module");
        check(&wat::parse_str("(component)").unwrap(), "manifest");
        let whole = component(&format!("(component {JOB})"), &serde_json::json!([]));
        for length in 0..whole.len() {
            assert!(ComponentFacts::read(&whole[..length]).is_err(), "{length} bytes");
        }
    }
}
