//! The checks of a component before and after compilation, and the reasons why it can't be compiled.

use std::collections::BTreeSet;

use plugin_manifest::{Capability, escape_deceptive};
use plugin_packing::{JOB_EXPORT, capability_of, interface_name};
use wasmtime::component::{Component, types::ComponentItem};

/// The reason why a component can't be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    #[error("the component has {bytes} bytes; the maximum is {max} (`ATLASHUB_PLUGIN_MAX_FILE_MIB`)")]
    TooLarge { bytes: usize, max: usize },
    #[error("the file is a core WebAssembly module, not a component; turn it into one with `atlashub plugin pack`")]
    CoreModule,
    #[error("the file is precompiled machine code, which is never loaded; use the WebAssembly component")]
    Precompiled,
    #[error("the file is not a WebAssembly component")]
    NotAComponent,
    #[error("the component is invalid: {0}")]
    Invalid(String),
    #[error("the component imports `{0}`, which is not an interface of atlashub:plugin@0.1.0")]
    ForeignImport(String),
    #[error("the component does not export `{JOB_EXPORT}` with the function `run`")]
    NoJob,
    #[error("the host is shutting down")]
    Stopped,
    #[error("{0}; use a smaller component")]
    TooLong(String),
    #[error("{0}; use a smaller component, or raise `ATLASHUB_PLUGIN_COMPILE_MEMORY_MIB`")]
    TooMuchMemory(String),
    #[error("{0}; copy the file again to try again")]
    Killed(String),
    #[error("the compiler failed ({0}); copy the file again to try again")]
    CompilerFailed(String),
}

/// Maximum number of characters of the compiler's reason that are shown.
const MAX_REASON_LENGTH: usize = 500;

/// Shortens and escapes the compiler's reason for the owner. It may contain names from the component.
fn shown_reason(reason: &str) -> String {
    let line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    escape_deceptive(&line.chars().take(MAX_REASON_LENGTH).collect::<String>())
}

impl From<plugin_compiler::CompileError> for CompileError {
    fn from(error: plugin_compiler::CompileError) -> Self {
        match error {
            plugin_compiler::CompileError::Invalid(problem) => Self::Invalid(shown_reason(&problem)),
            error @ plugin_compiler::CompileError::TooLong => Self::TooLong(error.to_string()),
            error @ plugin_compiler::CompileError::TooMuchMemory(_) => Self::TooMuchMemory(error.to_string()),
            error @ plugin_compiler::CompileError::Killed => Self::Killed(error.to_string()),
            plugin_compiler::CompileError::Process(cause) => {
                tracing::error!(cause, "the plugin compiler failed");
                Self::CompilerFailed(shown_reason(&cause))
            }
        }
    }
}

impl CompileError {
    /// Returns whether compiling the same file again would fail again.
    pub fn is_permanent(&self) -> bool {
        !matches!(self, Self::Stopped | Self::Killed(_) | Self::CompilerFailed(_))
    }
}

/// Checks the size and the magic number before the compiler reads the file.
pub(super) fn check_file(component: &[u8], max: usize) -> Result<(), CompileError> {
    /// Magic number, version and layer (WebAssembly component model, binary format).
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";
    if component.len() > max {
        return Err(CompileError::TooLarge { bytes: component.len(), max });
    }
    match component {
        file if file.starts_with(COMPONENT) => Ok(()),
        file if file.starts_with(CORE_MODULE) => Err(CompileError::CoreModule),
        file if file.starts_with(b"\x7fELF") => Err(CompileError::Precompiled),
        _ => Err(CompileError::NotAComponent),
    }
}

/// Machine code of a component whose imports the host offers. Cheap to clone.
#[derive(Clone)]
pub struct CompiledPlugin {
    component: Component,
    imports: BTreeSet<String>,
    capabilities: BTreeSet<Capability>,
}

impl std::fmt::Debug for CompiledPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompiledPlugin").field("imports", &self.imports).finish_non_exhaustive()
    }
}

impl CompiledPlugin {
    /// Checks the component's imports and exports.
    pub(super) fn new(engine: &wasmtime::Engine, component: Component) -> Result<Self, CompileError> {
        let mut imports = BTreeSet::new();
        let mut capabilities = BTreeSet::new();
        for (name, import) in component.component_type().imports(engine) {
            let interface = interface_name(name).ok_or_else(|| CompileError::ForeignImport(name.to_owned()))?;
            // Importing only an interface's types, as `http` does with `secrets`, needs no grant.
            let ComponentItem::ComponentInstance(instance) = import.ty else {
                return Err(CompileError::ForeignImport(name.to_owned()));
            };
            let callable = instance
                .exports(engine)
                .any(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_) | ComponentItem::CoreFunc(_)));
            if callable {
                capabilities.extend(capability_of(interface));
                imports.insert(interface.to_owned());
            }
        }
        let compiled = Self { component, imports, capabilities };
        if compiled.exports_job() { Ok(compiled) } else { Err(CompileError::NoJob) }
    }

    /// Returns the compiled component.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Returns the interfaces that the component calls, without package and version, for example `http`.
    pub fn imports(&self) -> &BTreeSet<String> {
        &self.imports
    }

    /// Returns the imported interfaces that need a grant.
    pub fn capabilities(&self) -> &BTreeSet<Capability> {
        &self.capabilities
    }

    fn exports_job(&self) -> bool {
        self.component
            .get_export_index(None, JOB_EXPORT)
            .and_then(|job| self.component.get_export_index(Some(&job), "run"))
            .is_some()
    }
}
