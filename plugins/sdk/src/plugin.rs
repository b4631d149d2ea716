//! Describes a plugin: its jobs, the capabilities that it requests, and its limits.

use std::{future::Future, pin::Pin};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, Result,
    backend::plugin::{self as backend, ManifestBuilder},
};

pub use plugin_manifest::{Capability, Limits, Scope};

// This is `print_manifest` natively, and `run_exported` in a component.
pub use backend::exports::*;

/// Identifies a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Id of the run, as shown in the run history.
    pub id: String,
    /// Name of the job to run.
    pub job: String,
    /// Number of the attempt, starting at 1. A value above 1 is a retry.
    pub attempt: u32,
    /// The scheduled time, in milliseconds since 1970-01-01 UTC. `None` if the run was started manually.
    pub scheduled_for: Option<u64>,
    /// Id of the project that the run belongs to. `None` for a run of the platform.
    pub project: Option<String>,
}

type JobFuture = Pin<Box<dyn Future<Output = Result<String>>>>;

struct Job {
    name: &'static str,
    run: Box<dyn Fn(Run, String) -> JobFuture>,
}

/// The description of a plugin.
///
/// A component keeps only the jobs. The native program in `examples/manifest.rs` prints the manifest, which the build
/// appends to the component.
pub struct Plugin {
    jobs: Vec<Job>,
    pub(crate) manifest: ManifestBuilder,
}

impl Plugin {
    /// Starts the description of a plugin.
    ///
    /// `name` consists of 2 to 40 lowercase letters, digits and hyphens, and starts with a letter. `version` is only
    /// displayed. `serial` must increase with every release, because the host does not load a plugin with a lower
    /// serial than it has loaded before, or a different file with the same serial.
    pub fn new(name: &str, version: &str, serial: u64) -> Self {
        Self { jobs: Vec::new(), manifest: ManifestBuilder::new(name, version, serial) }
    }

    /// Sets the publisher, which the owner sees when deciding about an approval.
    #[must_use]
    pub fn publisher(mut self, publisher: &str) -> Self {
        self.manifest.set_publisher(publisher);
        self
    }

    /// Sets the description that the owner sees.
    #[must_use]
    pub fn description(mut self, description: &str) -> Self {
        self.manifest.set_description(description);
        self
    }

    /// Adds a job: an async function that takes the run and the job's parameters.
    ///
    /// The JSON Schema of the parameters is generated from their type. The host checks parameters against the schema,
    /// and the dashboard builds a form from it. Doc comments on fields become descriptions in the form.
    #[must_use]
    pub fn job<P, R, F>(mut self, name: &'static str, description: &str, run: impl Fn(Run, P) -> F + 'static) -> Self
    where
        P: DeserializeOwned + JsonSchema + 'static,
        R: Serialize,
        F: Future<Output = Result<R>> + 'static,
    {
        let run = move |context: Run, params: String| -> JobFuture {
            let result = serde_json::from_str::<P>(&params).map(|params| run(context, params));
            Box::pin(async move {
                let result = result.map_err(|error| Error::invalid(format!("invalid parameters: {error}")))?;
                Ok(serde_json::to_string(&result.await?)?)
            })
        };
        self.jobs.push(Job { name, run: Box::new(run) });
        self.manifest.add_job::<P>(name, description);
        self
    }

    /// Requests a capability. The owner reads the reason and may grant a narrower scope.
    #[must_use]
    pub fn capability(mut self, capability: Capability, reason: &str, scope: Scope) -> Self {
        self.manifest.add_capability(capability, reason, scope);
        self
    }

    /// Requests limits for the plugin's runs. The host's limits apply where they are lower.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.manifest.set_limits(limits);
        self
    }

    /// Runs the job named in `context`.
    pub(crate) async fn run(&self, context: Run, params: String) -> Result<String> {
        let Some(job) = self.jobs.iter().find(|job| job.name == context.job) else {
            return Err(Error::not_found(format!("this plugin has no job `{}`", context.job)));
        };
        (job.run)(context, params).await
    }
}

/// Exports a plugin from a component. The argument is the path of a function that returns the [`Plugin`].
#[macro_export]
macro_rules! export {
    ($plugin:path) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Exported;

            impl $crate::bindings::exports::atlashub::plugin::job::Guest for Exported {
                async fn run(
                    context: $crate::bindings::exports::atlashub::plugin::job::RunContext,
                    params: ::std::string::String,
                ) -> ::std::result::Result<::std::string::String, $crate::bindings::atlashub::plugin::types::Error>
                {
                    $crate::plugin::run_exported($plugin(), context, params).await
                }
            }

    $crate::bindings::export_plugin!(Exported with_types_in $crate::bindings);
        };
    };
}
