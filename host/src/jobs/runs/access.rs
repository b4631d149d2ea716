//! Reads and cancels a run.

use api_types::Run;
use uuid::Uuid;

use super::queries;
use crate::{
    error::{ApiError, ApiResult, Code},
    jobs::Runs,
};

impl Runs {
    /// Returns a run.
    ///
    /// # Errors
    /// Returns 404 if the run does not exist, and 503 if Postgres can't be reached.
    pub async fn get_run(&self, id: Uuid) -> ApiResult<Run> {
        let row = queries::get_run(&self.platform, id).await?.ok_or_else(|| ApiError::not_found("run"))?;
        Ok(row.into_wire())
    }

    /// Cancels a queued run, or asks the scheduler of a running run, on any node, to cancel it.
    ///
    /// # Errors
    /// Returns 404 if the run does not exist, 409 if it has ended, and 503 if Postgres can't be reached.
    pub async fn cancel_run(&self, id: Uuid) -> ApiResult<Run> {
        let cancelled = queries::cancel_run(&self.platform, id).await?;
        let run = self.get_run(id).await?;
        if cancelled { Ok(run) } else { Err(ApiError::new(Code::Conflict, "The run has already ended.")) }
    }
}
