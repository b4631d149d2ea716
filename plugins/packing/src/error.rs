//! The reasons why packing a file, writing bindings or creating a project failed.

use std::path::PathBuf;

use plugin_manifest::ManifestError;

use crate::JOB_EXPORT;

/// The reason why packing a file, writing bindings or creating a project failed. Each message is one or more sentences.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The file is not WebAssembly or is damaged.
    #[error("The file is not WebAssembly: {0}. Give the `.wasm` file that your compiler wrote.")]
    NotWebAssembly(String),
    /// The manifest is invalid.
    #[error("The manifest is invalid: {0}.")]
    Manifest(#[from] ManifestError),
    /// The component already contains a manifest.
    #[error("The component already contains a manifest. Pack the file that your compiler wrote.")]
    AlreadyPacked,
    /// A core module imports WASI.
    #[error(
        "The module imports {} from `{module}`. Plugins have no WASI: no files, sockets, environment variables or \
         random numbers. Remove the calls that need it, or define these functions in the plugin; docs/PLUGINS.md shows \
         how.",
        list(functions)
    )]
    WasiModule {
        /// Name of the imported module, for example `wasi_snapshot_preview1`.
        module: String,
        /// Names of the imported functions.
        functions: Vec<String>,
    },
    /// A component imports WASI.
    #[error(
        "The component imports {}. Plugins have no WASI: no files, sockets, environment variables or random numbers. \
         Let your compiler replace it: `componentize-py componentize --stub-wasi`, or `componentize-qjs --stub-wasi`; \
         for Rust, build for the target `wasm32-unknown-unknown`.",
        list(.0)
    )]
    WasiComponent(Vec<String>),
    /// The linker left functions undefined.
    #[error(
        "The module imports {} from `env`: functions that the linker did not find. Link the object or library that \
         defines them.",
        list(.0)
    )]
    Undefined(Vec<String>),
    /// The component imports an interface that the host does not offer.
    #[error(
        "The component imports `{0}`, which is not an interface of atlashub:plugin@0.1.0. See the folder `wit` for the \
         interfaces."
    )]
    ForeignImport(String),
    /// The core module lacks `run`.
    #[error(
        "The module does not export `{JOB_EXPORT}#run`{}. Export the function that runs jobs under this name. In C: \
         `__attribute__((export_name(\"{JOB_EXPORT}#run\")))`.",
        found(.0)
    )]
    NoRun(Vec<String>),
    /// The core module lacks an export that the canonical ABI needs.
    #[error("The module does not export `{name}`, {purpose}. {hint}")]
    NoExport {
        /// Name of the export.
        name: &'static str,
        /// Purpose of the export: a relative clause for the message.
        purpose: &'static str,
        /// Instructions to add the export.
        hint: &'static str,
    },
    /// The component lacks the interface `job`.
    #[error("The component does not export `{JOB_EXPORT}`. Build it for the world `atlashub:plugin/plugin`.")]
    NoJob,
    /// The component calls interfaces that its manifest does not request.
    #[error(
        "`{plugin}` uses {} without requesting it. Add each capability to `capabilities` in the manifest, with a \
         reason for the owner and the scope that it needs. With the Rust SDK: `.capability(…)`.",
        list(interfaces)
    )]
    NotRequested {
        /// Name of the plugin.
        plugin: String,
        /// The interfaces.
        interfaces: Vec<String>,
    },
    /// The module can't become a component.
    #[error(
        "The module can't be turned into a component: {0}. Compare its imports and exports with the folder `wit` and \
         docs/PLUGINS.md."
    )]
    Encoding(String),
    /// The code is invalid or uses a feature that the host does not support.
    #[error("The code is invalid, or uses a feature that AtlasHub does not support: {0}.")]
    Invalid(String),
    /// A file can't be written.
    #[error("Files can't be written to {}: {error}.", folder.display())]
    Unwritable {
        /// The folder.
        folder: PathBuf,
        /// The cause.
        error: std::io::Error,
    },
    /// A plugin can't have this name.
    #[error("Invalid name `{0}`. Use 2 to 40 lowercase letters, digits and hyphens, starting with a letter.")]
    Name(String),
    /// The language has no project template.
    #[error("A new plugin can be in rust, c, python or javascript.")]
    NoProject,
    /// A plain function and one that the interfaces declare as asynchronous have the same type.
    #[error(
        "The component declares `{function}` of the interface `{interface}` with the type of another function, which \
         is not asynchronous. Build it for the interfaces in the folder `wit`, which declare it as `async func`."
    )]
    SharedType {
        /// Name of the interface.
        interface: String,
        /// Name of the function.
        function: String,
    },
    /// The interfaces in this program can't be read.
    #[error("The interfaces in this program can't be read: {0}.")]
    Interfaces(String),
}

/// Maximum number of names that a message lists.
const MAX_LISTED: usize = 8;

/// Lists names, separated by commas. If there are more than [`MAX_LISTED`], ends with, for example, "and 3 more".
fn list(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(MAX_LISTED).map(|name| format!("`{name}`")).collect();
    match names.len().checked_sub(MAX_LISTED) {
        Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}

fn found(exports: &[String]) -> String {
    if exports.is_empty() {
        "; it has no exported functions".to_owned()
    } else {
        format!("; it exports {}", list(exports))
    }
}
