use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{Plugins, registry::ActivePlugin};
use crate::jobs::{JobRunner, RunCall, RunFailure, RunOutput, RunRefusal, RunReport};

/// After a start plugins are compiled; a run that comes before waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs jobs by the plugins that may run now.
#[derive(Clone)]
pub struct PluginRunner {
    plugins: Plugins,
}

impl PluginRunner {
    pub fn new(plugins: Plugins) -> Self {
        Self { plugins }
    }

    async fn active(&self, name: &str) -> Result<Arc<ActivePlugin>, RunRefusal> {
        if let Some(plugin) = self.plugins.active(name) {
            return Ok(plugin);
        }
        // Waiting in vain is answered as not there.
        let _ = tokio::time::timeout(PATIENCE, self.plugins.ready()).await;
        match self.plugins.active(name) {
            Some(plugin) => Ok(plugin),
            None => Err(RunRefusal::UnknownPlugin {
                name: name.chars().take(64).collect(),
                hint: self.plugins.refusal(name).await,
            }),
        }
    }
}

#[async_trait]
impl JobRunner for PluginRunner {
    async fn check(&self, plugin: &str, job: &str, params: &serde_json::Value) -> Result<String, RunRefusal> {
        self.active(plugin).await?.schemas.check_in_time(job, params).await
    }

    async fn max_duration(&self, plugin: &str) -> Option<Duration> {
        let active = self.active(plugin).await.ok()?;
        let limits = self.plugins.runtime().limits(&active.plugin.manifest);
        Some(Duration::from_secs(u64::from(limits.wall_seconds)))
    }

    async fn run(
        &self,
        mut call: RunCall,
        output: Arc<dyn RunOutput>,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure> {
        // Held to the end: a version that comes meanwhile is for the next run.
        let active = self.active(&call.plugin).await.map_err(|refusal| refused(&refusal))?;
        let work = async {
            // A file of somebody else decides how long this takes.
            let checked = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(RunFailure::Cancelled),
                checked = active.schemas.check_in_time(&call.job, &call.params) => checked,
            };
            call.job = checked.map_err(|refusal| refused(&refusal))?;
            self.plugins.runtime().run(&active.plugin, call, output, cancel.clone()).await
        };
        let revoked = RunFailure::Failed {
            message: format!("Ended: plugin `{}` was revoked.", active.plugin.manifest.name),
            details: None,
            retryable: false,
        };
        tokio::select! {
            biased;
            () = active.revoked.cancelled() => Err(revoked),
            outcome = work => outcome,
        }
    }
}

/// A plugin that is not there may come: it may be being replaced. Wrong parameters stay wrong.
fn refused(refusal: &RunRefusal) -> RunFailure {
    RunFailure::Failed {
        message: format!("The run could not begin: {refusal}."),
        details: None,
        retryable: matches!(refusal, RunRefusal::UnknownPlugin { .. }),
    }
}
