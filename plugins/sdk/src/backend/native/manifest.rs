//! The manifest of a plugin, built from its description.

use std::{io::Write as _, process::ExitCode};

use plugin_manifest::{CapabilityRequest, JobSpec, Manifest};
use schemars::JsonSchema;

use crate::{
    Error,
    plugin::{Capability, Limits, Plugin, Scope},
};

/// A manifest that is being built.
pub(crate) struct ManifestBuilder(Manifest);

impl ManifestBuilder {
    pub(crate) fn new(name: &str, version: &str, serial: u64) -> Self {
        Self(Manifest {
            name: name.to_owned(),
            version: version.to_owned(),
            serial,
            publisher: String::new(),
            description: String::new(),
            jobs: Vec::new(),
            capabilities: Vec::new(),
            limits: Limits::default(),
        })
    }

    pub(crate) fn set_publisher(&mut self, publisher: &str) {
        publisher.clone_into(&mut self.0.publisher);
    }

    pub(crate) fn set_description(&mut self, description: &str) {
        description.clone_into(&mut self.0.description);
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.0.limits = limits;
    }

    pub(crate) fn add_job<P: JsonSchema>(&mut self, name: &str, description: &str) {
        self.0.jobs.push(JobSpec {
            name: name.to_owned(),
            description: description.to_owned(),
            params_schema: params_schema::<P>(),
        });
    }

    pub(crate) fn add_capability(&mut self, capability: Capability, reason: &str, scope: Scope) {
        self.0.capabilities.push(CapabilityRequest { capability, reason: reason.to_owned(), scope });
    }
}

impl Plugin {
    /// Returns the manifest as described so far. This method is not available in components.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest.0
    }
}

/// Generates the JSON Schema of a job's parameters.
fn params_schema<P: JsonSchema>() -> serde_json::Value {
    let mut schema = schemars::schema_for!(P).to_value();
    if let Some(schema) = schema.as_object_mut() {
        // The name of a Rust type means nothing to the owner.
        schema.remove("title");
        // Parameters are always an object, but the schema of `()` has the type `null`, and some schemas have no type.
        schema.entry("type").or_insert_with(|| "object".into());
        if schema["type"] == "null" {
            schema["type"] = "object".into();
        }
    }
    schema
}

/// Validates the manifest and prints it as JSON to standard output. Call this function in the `main` of
/// `examples/manifest.rs`.
///
/// `cargo xtask plugin build` runs that example and embeds what it prints. Returns a failure if the manifest is invalid
/// or can't be written, and prints the reason to standard error. This function is not available in components.
pub fn print_manifest(plugin: &Plugin) -> ExitCode {
    let manifest = plugin.manifest();
    let printed = manifest.validate().map_err(Error::from).and_then(|()| {
        let json = serde_json::to_vec(manifest)?;
        Ok(std::io::stdout().write_all(&json)?)
    });
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: the manifest is invalid or can't be written: {error}");
            ExitCode::FAILURE
        }
    }
}
