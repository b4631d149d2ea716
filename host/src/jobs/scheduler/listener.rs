//! Listens to the messages of the nodes: a job was created or changed, a run was queued, or a run should be cancelled.
//! Lost messages do no harm, because the other tasks poll.

use std::{sync::Arc, time::Duration};

use sqlx::postgres::PgListener;

use super::{active_run::StopReason, state::SchedulerState};
use crate::jobs::signals;

const RECONNECT_INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn listen(state: Arc<SchedulerState>) {
    loop {
        if let Err(error) = listen_until_disconnected(&state).await {
            tracing::debug!(%error, "the listener for messages about jobs was disconnected; reconnecting");
        }
        tokio::time::sleep(RECONNECT_INTERVAL).await;
    }
}

async fn listen_until_disconnected(state: &SchedulerState) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(state.jobs.platform()).await?;
    listener.listen(signals::CHANNEL).await?;
    loop {
        // Messages may have been sent while this process was not listening.
        state.wake_planner.notify_one();
        state.wake_claimer.notify_one();
        state.wake_lease_renewer.notify_one();
        while let Some(notification) = listener.try_recv().await? {
            handle_message(state, notification.payload());
        }
    }
}

fn handle_message(state: &SchedulerState, message: &str) {
    match message {
        signals::JOBS_CHANGED => state.wake_planner.notify_one(),
        signals::RUN_QUEUED => state.wake_claimer.notify_one(),
        other => {
            if let Some(run) = signals::run_to_cancel(other).and_then(|id| state.active_runs.get(&id)) {
                run.stop(StopReason::Cancelled);
            }
        }
    }
}
