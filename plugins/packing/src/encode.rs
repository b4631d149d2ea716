//! Converts a core module to a component.

use wasmparser::{Encoding, ExternalKind, Parser, Payload, TypeRef};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::{JOB_EXPORT, PackError, plain, wit};

/// Prefix of the names of the custom sections in which bindings describe a module's interfaces.
const COMPONENT_TYPE: &str = "component-type";

/// Converts a core module to a component. A file that is already a component stays as it is, except that functions that
/// are asynchronous in the interfaces are declared so.
///
/// A module whose compiler did not describe its interfaces receives the description of the world
/// `atlashub:plugin/plugin`. Functions that the module does not call are not imported.
///
/// # Errors
/// Returns the reason why the module can't become a plugin, such as a missing export or an import that the host does
/// not offer.
pub fn to_component(wasm: &[u8]) -> Result<Vec<u8>, PackError> {
    let module = match CoreModule::read(wasm)? {
        Some(module) => module,
        None => {
            let mut component = wasm.to_vec();
            plain::declare_async(&mut component)?;
            return Ok(component);
        }
    };
    module.check_imports()?;
    module.check_exports()?;
    let mut described = wasm.to_vec();
    if !module.is_described {
        let (resolve, world) = wit::resolve()?;
        embed_component_metadata(&mut described, &resolve, world, StringEncoding::UTF8)
            .map_err(|error| PackError::Interfaces(format!("{error:#}")))?;
    }
    let failed = |error| PackError::Encoding(format!("{error:#}"));
    // `add_manifest` validates the component.
    ComponentEncoder::default().validate(false).module(&described).map_err(failed)?.encode().map_err(failed)
}

/// Imports and exports of a core module.
#[derive(Debug, Default)]
struct CoreModule {
    /// Module and name of each imported function.
    imports: Vec<(String, String)>,
    functions: Vec<String>,
    has_memory: bool,
    /// Whether the compiler described the module's interfaces.
    is_described: bool,
}

impl CoreModule {
    /// Reads a core module, or returns `None` for a component.
    fn read(wasm: &[u8]) -> Result<Option<Self>, PackError> {
        let malformed = |error: wasmparser::Error| PackError::NotWebAssembly(error.message().to_owned());
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.map_err(malformed)? {
                Payload::Version { encoding: Encoding::Component, .. } => return Ok(None),
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import.map_err(malformed)?;
                        if matches!(import.ty, TypeRef::Func(_)) {
                            module.imports.push((import.module.to_owned(), import.name.to_owned()));
                        }
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export.map_err(malformed)?;
                        match export.kind {
                            ExternalKind::Func => module.functions.push(export.name.to_owned()),
                            ExternalKind::Memory => module.has_memory |= export.name == "memory",
                            _ => {}
                        }
                    }
                }
                Payload::CustomSection(section) => module.is_described |= section.name().starts_with(COMPONENT_TYPE),
                _ => {}
            }
        }
        Ok(Some(module))
    }

    fn check_imports(&self) -> Result<(), PackError> {
        let names_from = |wanted: &str| -> Vec<String> {
            self.imports.iter().filter(|(module, _)| module == wanted).map(|(_, name)| name.clone()).collect()
        };
        if let Some((module, _)) = self.imports.iter().find(|(module, _)| module.starts_with("wasi")) {
            return Err(PackError::WasiModule { module: module.clone(), functions: names_from(module) });
        }
        match names_from("env") {
            undefined if undefined.is_empty() => Ok(()),
            undefined => Err(PackError::Undefined(undefined)),
        }
    }

    fn check_exports(&self) -> Result<(), PackError> {
        let run = format!("{JOB_EXPORT}#run");
        // Bindings for the asynchronous ABI add the prefix `[async-lift]` or `[async-lift-stackful]`.
        let is_run = |name: &String| name.strip_suffix(&run).is_some_and(|lift| lift.is_empty() || lift.ends_with(']'));
        if !self.functions.iter().any(is_run) {
            return Err(PackError::NoRun(self.functions.clone()));
        }
        if !self.has_memory {
            return Err(PackError::NoExport {
                name: "memory",
                purpose: "from which the host reads arguments and results",
                hint: "Compilers export the memory by default; remove the option that hides it.",
            });
        }
        // The host needs `cabi_realloc` to pass the strings among the parameters of `run`.
        if !self.functions.iter().any(|name| name == "cabi_realloc") {
            return Err(PackError::NoExport {
                name: "cabi_realloc",
                purpose: "with which the host allocates memory for strings",
                hint: "In C, export a function `void *cabi_realloc(void *pointer, size_t old_size, size_t alignment, \
                       size_t new_size)` that calls `realloc`.",
            });
        }
        Ok(())
    }
}
