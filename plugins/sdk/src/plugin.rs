//! What a plugin is: its jobs, and what its manifest says.

use std::{future::Future, pin::Pin};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, Result};

pub use plugin_manifest::{Capability, Limits, Scope};

/// What a run knows of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// As in its history.
    pub id: String,
    /// Which of the plugin's jobs it is.
    pub job: String,
    /// From 1; 2 and more are retries.
    pub attempt: u32,
    /// The fire time, in milliseconds since 1970 UTC; none for runs by hand.
    pub scheduled_for: Option<u64>,
    /// The project that the job belongs to; none for the platform's own jobs.
    pub project: Option<String>,
}

type Running = Pin<Box<dyn Future<Output = Result<String>>>>;

struct Job {
    name: &'static str,
    run: Box<dyn Fn(Run, String) -> Running>,
}

/// A plugin, as its author describes it. In the component only the jobs are left of it; the manifest is written by the native
/// program in `examples/manifest.rs`.
pub struct Plugin {
    jobs: Vec<Job>,
    #[cfg(not(target_arch = "wasm32"))]
    manifest: plugin_manifest::Manifest,
}

#[cfg_attr(target_arch = "wasm32", allow(unused_variables, unused_mut))]
impl Plugin {
    /// `name`: 2 to 40 lowercase letters, digits and hyphens, beginning with a letter. `version` is for people; `serial` grows with
    /// every release, and the host never goes back to a lower one.
    pub fn new(name: &str, version: &str, serial: u64) -> Self {
        Self {
            jobs: Vec::new(),
            #[cfg(not(target_arch = "wasm32"))]
            manifest: plugin_manifest::Manifest {
                name: name.to_owned(),
                version: version.to_owned(),
                serial,
                publisher: String::new(),
                description: String::new(),
                jobs: Vec::new(),
                capabilities: Vec::new(),
                limits: Limits::default(),
            },
        }
    }

    /// Who makes it, for the owner who decides about it.
    #[must_use]
    pub fn publisher(mut self, publisher: &str) -> Self {
        #[cfg(not(target_arch = "wasm32"))]
        publisher.clone_into(&mut self.manifest.publisher);
        self
    }

    #[must_use]
    pub fn description(mut self, description: &str) -> Self {
        #[cfg(not(target_arch = "wasm32"))]
        description.clone_into(&mut self.manifest.description);
        self
    }

    /// One job: an async function of the run and its parameters. Their type gives the JSON Schema, from which the dashboard
    /// draws a form; doc comments of fields become descriptions.
    #[must_use]
    pub fn job<P, R, F>(mut self, name: &'static str, description: &str, run: impl Fn(Run, P) -> F + 'static) -> Self
    where
        P: DeserializeOwned + JsonSchema + 'static,
        R: Serialize,
        F: Future<Output = Result<R>> + 'static,
    {
        let run = move |context: Run, params: String| -> Running {
            let params = serde_json::from_str::<P>(&params);
            let running = params.map(|params| run(context, params));
            Box::pin(async move {
                let running =
                    running.map_err(|error| Error::invalid(format!("the parameters can't be read: {error}")))?;
                Ok(serde_json::to_string(&running.await?)?)
            })
        };
        self.jobs.push(Job { name, run: Box::new(run) });
        #[cfg(not(target_arch = "wasm32"))]
        self.manifest.jobs.push(plugin_manifest::JobSpec {
            name: name.to_owned(),
            description: description.to_owned(),
            params_schema: object_schema::<P>(),
        });
        self
    }

    /// Asks the owner for a power, and says what for.
    #[must_use]
    pub fn asks(mut self, capability: Capability, reason: &str, scope: Scope) -> Self {
        #[cfg(not(target_arch = "wasm32"))]
        self.manifest.capabilities.push(plugin_manifest::CapabilityRequest {
            capability,
            reason: reason.to_owned(),
            scope,
        });
        self
    }

    /// What one run needs; less is granted where the owner or the host says so.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        #[cfg(not(target_arch = "wasm32"))]
        {
            self.manifest.limits = limits;
        }
        self
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub fn manifest(&self) -> &plugin_manifest::Manifest {
        &self.manifest
    }

    /// Runs the job that the context names.
    pub(crate) async fn run(&self, context: Run, params: String) -> Result<String> {
        let Some(job) = self.jobs.iter().find(|job| job.name == context.job) else {
            return Err(Error::not_found(format!("this plugin has no job `{}`", context.job)));
        };
        (job.run)(context, params).await
    }
}

/// What the manifest says of a job's parameters.
#[cfg(not(target_arch = "wasm32"))]
fn object_schema<P: JsonSchema>() -> serde_json::Value {
    let mut schema = schemars::schema_for!(P).to_value();
    if let Some(schema) = schema.as_object_mut() {
        // The name of a Rust type says nothing to an owner.
        schema.remove("title");
        // A type without fields, `()`, has none.
        schema.entry("type").or_insert_with(|| "object".into());
        if schema["type"] == "null" {
            schema["type"] = "object".into();
        }
    }
    schema
}

/// For `examples/manifest.rs`, which `cargo xtask plugin build` runs: prints the checked manifest.
#[cfg(not(target_arch = "wasm32"))]
pub fn print_manifest(plugin: &Plugin) -> std::process::ExitCode {
    use std::{io::Write, process::ExitCode};
    let written = plugin.manifest.check().map_err(Error::from).and_then(|()| {
        let json = serde_json::to_vec(&plugin.manifest)?;
        Ok(std::io::stdout().write_all(&json)?)
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the manifest is not valid: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What [`export!`](crate::export) calls.
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub async fn run_exported(
    plugin: Plugin,
    context: crate::bindings::exports::atlashub::plugin::job::RunContext,
    params: String,
) -> std::result::Result<String, crate::bindings::atlashub::plugin::types::Error> {
    crate::panic::install_hook();
    let run = Run {
        id: context.run_id,
        job: context.job,
        attempt: context.attempt,
        scheduled_for: context.scheduled_for,
        project: context.project,
    };
    plugin.run(run, params).await.map_err(crate::error::into_wit)
}

/// Makes the plugin that a function describes the component's `job`.
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
