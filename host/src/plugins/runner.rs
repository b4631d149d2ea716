//! Runs jobs with loaded plugins, as the runner of the slice `jobs`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use plugin_manifest::Capability;
use tokio_util::sync::CancellationToken;

use super::{LoadedPlugin, Plugins, guest::share_of, package::PLUGINS_WITH_OWN_PERMITS, runtime::OWN_RUNS};
use crate::{
    egress::EgressRequest,
    jobs::{JobRunner, OwnRuns, RunCall, RunFailure, RunOutput, RunRefusal, RunReport},
};

/// Maximum time that a request waits for a plugin while the first pass of the loader after a start has not ended.
const REQUEST_READY_TIMEOUT: Duration = Duration::from_secs(60);
/// The same for a run: the maximum duration of one compilation. It is longer than for a request, because nobody waits
/// for the response of a run, and not every run is retried. Plugins are compiled one after another, so a plugin may be
/// loaded even later. Its runs then fail with an error that allows a retry.
const RUN_READY_TIMEOUT: Duration = Duration::from_secs(300);
/// Maximum number of characters of an unknown name that an error message repeats.
const MAX_QUOTED_LENGTH: usize = 64;

/// Runs jobs with the loaded plugins.
#[derive(Clone)]
pub struct PluginRunner {
    plugins: Plugins,
}

impl PluginRunner {
    pub fn new(plugins: Plugins) -> Self {
        Self { plugins }
    }

    async fn find_plugin(&self, name: &str, ready_timeout: Duration) -> Result<Arc<LoadedPlugin>, RunRefusal> {
        // On a timeout, the plugin is reported as unknown.
        match tokio::time::timeout(ready_timeout, self.plugins.loaded_after_start(name)).await {
            Ok(Some(plugin)) => Ok(plugin),
            Ok(None) | Err(_) => Err(RunRefusal::UnknownPlugin {
                name: name.chars().take(MAX_QUOTED_LENGTH).collect(),
                hint: self.plugins.refusal(name).await,
            }),
        }
    }
}

#[async_trait]
impl JobRunner for PluginRunner {
    async fn check(&self, plugin: &str, job: &str, params: &serde_json::Value) -> Result<String, RunRefusal> {
        self.find_plugin(plugin, REQUEST_READY_TIMEOUT).await?.schemas.check_async(job, params).await
    }

    async fn check_request(&self, plugin: &str, request: &EgressRequest) -> Result<(), RunRefusal> {
        let plugin = self.find_plugin(plugin, REQUEST_READY_TIMEOUT).await?;
        let Some(scope) = plugin.runnable.grants.scopes.get(&Capability::Http) else {
            return Err(RunRefusal::NoRequests { plugin: plugin.inspected.name().to_owned() });
        };
        self.plugins.runtime().egress().check(request, &scope.hosts).await.map_err(RunRefusal::Request)
    }

    async fn max_duration(&self, plugin: &str) -> Option<Duration> {
        let plugin = self.find_plugin(plugin, REQUEST_READY_TIMEOUT).await.ok()?;
        let limits = self.plugins.runtime().limits(&plugin.runnable.manifest);
        Some(Duration::from_secs(u64::from(limits.wall_seconds)))
    }

    fn max_runs(&self, plugin: &str, total: usize) -> usize {
        let own = self.own_runs();
        let share = if own.plugins.contains(&plugin) { own.max } else { share_of(total) };
        // Further runs stay queued, so they take no permit from other plugins.
        match self.plugins.loaded(plugin) {
            Some(loaded) => {
                let limits = self.plugins.runtime().limits(&loaded.runnable.manifest);
                share.min(limits.concurrent_runs as usize)
            }
            None => share,
        }
    }

    fn own_runs(&self) -> OwnRuns {
        OwnRuns { plugins: PLUGINS_WITH_OWN_PERMITS, max: OWN_RUNS as usize }
    }

    async fn run(
        &self,
        mut call: RunCall,
        output: Arc<dyn RunOutput>,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure> {
        // Right after a start, this waits until the plugin is compiled.
        let found = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(RunFailure::Cancelled),
            found = self.find_plugin(&call.plugin, RUN_READY_TIMEOUT) => found,
        };
        // The run keeps this version. A version that is loaded in the meantime is for later runs.
        let plugin = found.map_err(|refusal| to_failure(&refusal))?;
        let work = async {
            // The check may take seconds, depending on the plugin author's schema.
            let checked = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(RunFailure::Cancelled),
                checked = plugin.schemas.check_async(&call.job, &call.params) => checked,
            };
            call.job = checked.map_err(|refusal| to_failure(&refusal))?;
            self.plugins.runtime().run(&plugin.runnable, call, output, cancel.clone()).await
        };
        let revoked = RunFailure::refused(format!("Stopped: plugin `{}` was revoked.", plugin.inspected.name()));
        tokio::select! {
            biased;
            () = plugin.revoked.cancelled() => Err(revoked),
            outcome = work => outcome,
        }
    }
}

/// Converts a refusal. The failure is temporary for an unknown plugin, because its files may be about to be replaced.
fn to_failure(refusal: &RunRefusal) -> RunFailure {
    let message = format!("The run could not start: {refusal}.");
    match refusal {
        RunRefusal::UnknownPlugin { .. } => RunFailure::temporary(message),
        _ => RunFailure::refused(message),
    }
}
