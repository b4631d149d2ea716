//! Reads a component's manifest, imports and exports without compiling or running it.

use plugin_manifest::{Capability, Manifest};
use plugin_packing::{Import, Surface, capability_of, interface_name};

use super::{Refusal, read_manifest};

/// Facts read from a component. Their author can claim anything, so check the signature first.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentFacts {
    pub manifest: Manifest,
    /// Imported interfaces without package and version, for example `http`. Of the interfaces that need a grant, only
    /// those that the component calls.
    pub imports: Vec<String>,
    /// The imported interfaces that need a grant.
    pub capabilities: Vec<Capability>,
}

impl ComponentFacts {
    /// Reads manifest, imports and exports, and checks that they agree.
    ///
    /// # Errors
    /// Returns the reason why the file is not a plugin.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.starts_with(b"\x7fELF") {
            return Err(Refusal::NotAComponent("it is precompiled machine code".to_owned()));
        }
        if !bytes.starts_with(b"\0asm") {
            return Err(Refusal::NotAComponent("it does not start with the WebAssembly magic number".to_owned()));
        }
        let surface = Surface::read(bytes).map_err(Refusal::NotAComponent)?;
        let manifest = read_manifest(bytes).map_err(|error| Refusal::Manifest(error.to_string()))?;
        if !surface.exports_job {
            return Err(Refusal::NoJobs);
        }
        let (mut imports, mut capabilities) = (Vec::new(), Vec::new());
        for Import { name, callable } in surface.imports {
            let interface = interface_name(&name).ok_or_else(|| Refusal::ForeignImport(name.clone()))?;
            let Some(capability) = capability_of(interface) else {
                imports.push(interface.to_owned());
                continue;
            };
            // Importing only an interface's types, as `http` does with `secrets`, needs no grant.
            if callable {
                if !manifest.capabilities.iter().any(|request| request.capability == capability) {
                    return Err(Refusal::ImportNotRequested(interface.to_owned()));
                }
                imports.push(interface.to_owned());
                capabilities.push(capability);
            }
        }
        Ok(Self { manifest, imports, capabilities })
    }
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
    fn foreign_and_unrequested_imports_are_rejected() {
        let check = |text: &str, capabilities: serde_json::Value, expected: Result<usize, Refusal>| {
            let facts = ComponentFacts::read(&component(&format!("(component {text})"), &capabilities));
            assert_eq!(facts.map(|facts| facts.capabilities.len()), expected, "{text}");
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
        // A nested component imports from the enclosing component, not from the host.
        check(&format!("(component (import \"wasi:io/poll@0.2.0\" (instance))) {JOB}"), none, Ok(0));
    }

    #[test]
    fn other_files_are_rejected_with_a_specific_reason() {
        let check = |bytes: &[u8], expected: &str| {
            let refusal = ComponentFacts::read(bytes).unwrap_err().to_string();
            assert!(refusal.contains(expected), "{refusal}");
        };
        check(b"", "not a WebAssembly component");
        check(b"#!/bin/sh\n", "not a WebAssembly component");
        check(b"\x7fELF\x02\x01\x01", "precompiled");
        check(&wat::parse_str("(module)").unwrap(), "core module");
        check(&wat::parse_str("(component)").unwrap(), "manifest");
        let whole = component(&format!("(component {JOB})"), &serde_json::json!([]));
        for length in 0..whole.len() {
            assert!(ComponentFacts::read(&whole[..length]).is_err(), "{length} bytes");
        }
    }
}
