use std::collections::BTreeSet;

use plugin_manifest::Capability;
use wasmtime::component::{Component, types::ComponentItem};

/// Largest component, in bytes.
pub const MAX_COMPONENT_BYTES: usize = 16 << 20;

/// Package and version of what a component may import; between them stands the interface.
const PACKAGE: &str = "atlashub:plugin/";
const VERSION: &str = "@0.1.0";
/// What needs no grant.
const FREE: [&str; 5] = ["types", "log", "progress", "clock", "config"];

/// Why a file can't be run as a plugin, in words for its author.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    #[error("the component has {0} bytes, and at most {MAX_COMPONENT_BYTES} are allowed")]
    TooLarge(usize),
    #[error(
        "the file is a core WebAssembly module, and a plugin is a component; build it with `cargo xtask plugin build`"
    )]
    CoreModule,
    #[error("the file holds compiled machine code, which is never loaded; give the WebAssembly component itself")]
    Precompiled,
    #[error("the file is no WebAssembly component")]
    NotAComponent,
    #[error("the component is not valid: {0}")]
    Invalid(String),
    #[error("the component imports `{0}`, and a plugin may import nothing but the interfaces of {PACKAGE}*{VERSION}")]
    ForeignImport(String),
    #[error("the component doesn't export `{PACKAGE}job{VERSION}` with its function `run`")]
    NoJob,
    #[error("the host is stopping")]
    Stopped,
    #[error("compiling it took too long and was ended; a smaller plugin may do")]
    TooLong,
    #[error("compiling it took too much memory and was ended; a smaller plugin may do")]
    TooMuchMemory,
    #[error("AtlasHub could not compile it; the server's log has the cause")]
    Unable,
}

impl From<plugin_compiler::CompileError> for CompileError {
    fn from(error: plugin_compiler::CompileError) -> Self {
        match error {
            plugin_compiler::CompileError::Invalid(problem) => Self::Invalid(problem),
            plugin_compiler::CompileError::TooLong => Self::TooLong,
            plugin_compiler::CompileError::TooMuchMemory => Self::TooMuchMemory,
            plugin_compiler::CompileError::Process(cause) => {
                tracing::error!(cause, "a plugin could not be compiled");
                Self::Unable
            }
        }
    }
}

impl CompileError {
    /// Whether the same file comes to the same end another time.
    pub fn is_of_the_file(&self) -> bool {
        !matches!(self, Self::Stopped | Self::Unable)
    }
}

/// What the first bytes tell, before a parser or the compiler sees the file.
pub(super) fn check_file(component: &[u8]) -> Result<(), CompileError> {
    /// Layer 1 of the binary format, in its only version so far (WebAssembly component model, binary format).
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";
    if component.len() > MAX_COMPONENT_BYTES {
        return Err(CompileError::TooLarge(component.len()));
    }
    match component {
        file if file.starts_with(COMPONENT) => Ok(()),
        file if file.starts_with(CORE_MODULE) => Err(CompileError::CoreModule),
        file if file.starts_with(b"\x7fELF") => Err(CompileError::Precompiled),
        _ => Err(CompileError::NotAComponent),
    }
}

/// Machine code of a component that imports nothing but what there is. Cheap to clone.
#[derive(Clone)]
pub struct CompiledPlugin {
    pub(super) component: Component,
    imports: BTreeSet<String>,
    capabilities: BTreeSet<Capability>,
}

impl std::fmt::Debug for CompiledPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompiledPlugin").field("imports", &self.imports).finish_non_exhaustive()
    }
}

impl CompiledPlugin {
    /// Checks what the component imports and exports.
    pub(super) fn new(engine: &wasmtime::Engine, component: Component) -> Result<Self, CompileError> {
        let mut imports = BTreeSet::new();
        let mut capabilities = BTreeSet::new();
        for (name, import) in component.component_type().imports(engine) {
            let interface = interface_of(name).ok_or_else(|| CompileError::ForeignImport(name.to_owned()))?;
            // An interface of which only types are imported, as `http` does with `secrets`, gives no power.
            let ComponentItem::ComponentInstance(instance) = import.ty else {
                return Err(CompileError::ForeignImport(name.to_owned()));
            };
            let callable = instance
                .exports(engine)
                .any(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_) | ComponentItem::CoreFunc(_)));
            if callable {
                capabilities.extend(Capability::ALL.into_iter().find(|capability| capability.as_str() == interface));
                imports.insert(interface.to_owned());
            }
        }
        let compiled = Self { component, imports, capabilities };
        if compiled.exports_job() { Ok(compiled) } else { Err(CompileError::NoJob) }
    }

    /// The code, for measuring without a run around it.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Interfaces whose functions it may call, without package and version, for example `http`.
    pub fn imports(&self) -> &BTreeSet<String> {
        &self.imports
    }

    /// Those of them that need a grant.
    pub fn capabilities(&self) -> &BTreeSet<Capability> {
        &self.capabilities
    }

    fn exports_job(&self) -> bool {
        self.component
            .get_export_index(None, format!("{PACKAGE}job{VERSION}"))
            .and_then(|job| self.component.get_export_index(Some(&job), "run"))
            .is_some()
    }
}

/// The interface's own name, where it is one of ours.
fn interface_of(import: &str) -> Option<&str> {
    let interface = import.strip_prefix(PACKAGE)?.strip_suffix(VERSION)?;
    let known = FREE.contains(&interface) || Capability::ALL.iter().any(|capability| capability.as_str() == interface);
    known.then_some(interface)
}
