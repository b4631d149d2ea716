//! Writes the logs and progress of active runs to their rows.

use std::{sync::Arc, time::Duration};

use super::{
    active_run::ActiveRun,
    queries::{self, RunOutputRow},
    state::{STATEMENT_TIMEOUT, SchedulerState},
};

/// Interval at which changed output is stored.
const WRITE_INTERVAL: Duration = Duration::from_millis(250);

pub(super) async fn write_output(state: Arc<SchedulerState>) {
    loop {
        if state.active_runs.is_empty() {
            state.wake_output_writer.notified().await;
        }
        tokio::time::sleep(WRITE_INTERVAL).await;
        if let Err(error) = write_changes(&state).await {
            tracing::warn!(%error, "failed to write the logs of runs; retrying");
        }
    }
}

/// Writes the output that changed since the last time.
async fn write_changes(state: &SchedulerState) -> Result<(), sqlx::Error> {
    let (mut rows, mut versions): (Vec<RunOutputRow>, Vec<(Arc<ActiveRun>, u64)>) = (Vec::new(), Vec::new());
    for run in &state.active_runs {
        if let Some((output, version)) = run.log.unwritten() {
            rows.push(RunOutputRow { run: run.lease(), output });
            versions.push((run.value().clone(), version));
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    state.writer.run(STATEMENT_TIMEOUT, async |connection| queries::write_output(connection, &rows).await).await?;
    versions.iter().for_each(|(run, version)| run.log.mark_written(*version));
    Ok(())
}
