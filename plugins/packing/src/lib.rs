//! Turns WebAssembly into a plugin: a component that contains its manifest.
//!
//! [`pack`] takes the output of a compiler of any language: a core module or a component. It converts a module to a
//! component, checks imports and exports against the manifest, and appends the manifest. The commands `atlashub plugin
//! pack`, `cargo xtask plugin pack` and `cargo xtask plugin build` use it, so all three accept the same files. The host
//! reads the imports and exports of plugins with [`Surface`] too.
//!
//! Reading order: [`encode`] (module to component) with [`plain`] (components without asynchronous imports) and [`wit`]
//! (the interfaces, compiled into the program), [`surface`] and [`interfaces`] (imports and exports of a component),
//! [`check`] (checks them against the manifest), [`request`] (describes the request to the owner), [`bindings`] (the
//! interfaces for other languages), [`project`] (new plugins) and [`error`].
//!
//! Deliberately absent: compiling, signing, and trust. The host decides whether a plugin may run.
#![warn(missing_docs)]

mod bindings;
mod check;
mod encode;
mod error;
mod interfaces;
mod plain;
mod project;
mod request;
mod surface;
mod wit;

use std::path::{Path, PathBuf};

use plugin_manifest::{Capability, Manifest};

pub use bindings::{Language, write_bindings};
pub use check::{ImportCheck, add_manifest};
pub use encode::to_component;
pub use error::PackError;
pub use interfaces::{JOB_EXPORT, capability_of, interface_name};
pub use project::create_project;
pub use request::describe_request;
pub use surface::{Import, Surface};

/// A plugin that is ready to be signed.
#[derive(Debug, Clone)]
pub struct Packed {
    /// The component with its manifest.
    pub plugin: Vec<u8>,
    /// The manifest.
    pub manifest: Manifest,
    /// Interfaces that the component calls, without package and version, for example `http`.
    pub imports: Vec<String>,
    /// Capabilities that the manifest requests but the component does not use.
    pub unused: Vec<Capability>,
}

/// Turns a core module or a component into a plugin with this manifest.
///
/// # Errors
/// Returns the problem of the file or of the manifest, and what to do about it.
pub fn pack(wasm: &[u8], manifest: &[u8]) -> Result<Packed, PackError> {
    add_manifest(to_component(wasm)?, manifest, ImportCheck::RequireManifest)
}

/// Returns the path of the plugin `NAME.wasm` next to the file that was packed, or `None` if that is the same path.
pub fn output_path(file: &Path, name: &str) -> Option<PathBuf> {
    let output = file.with_file_name(format!("{name}.wasm"));
    (output != file).then_some(output)
}
