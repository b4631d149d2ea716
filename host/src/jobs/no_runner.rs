use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{JobRunner, RunCall, RunFailure, RunOutput, RunRefusal, RunReport};

/// A process without plugins: it keeps jobs and their history, and can run none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRunner;

#[async_trait]
impl JobRunner for NoRunner {
    async fn check(&self, plugin: &str, _job: &str, _params: &serde_json::Value) -> Result<String, RunRefusal> {
        Err(RunRefusal::UnknownPlugin { name: plugin.to_owned(), hint: None })
    }

    async fn run(
        &self,
        call: RunCall,
        _output: Arc<dyn RunOutput>,
        _cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure> {
        let refusal = RunRefusal::UnknownPlugin { name: call.plugin, hint: None };
        Err(RunFailure::Failed { message: refusal.to_string(), details: None, retryable: false })
    }
}
