//! Observes the platform database at intervals, and records the events.

use std::time::Duration;

use tokio::time::Instant;

use super::{EventsState, observer::Observer};

/// Time between two observations, and so about the maximum delay of an event.
const INTERVAL: Duration = Duration::from_millis(500);
/// Time for which changes are still recorded after the last stream has ended, so that its client can continue.
const KEEP_RECORDING: Duration = Duration::from_secs(60);
/// Minimum time between two restarts of all streams. Streams start again if more runs may have ended than were read.
const INTERRUPTION_INTERVAL: Duration = Duration::from_secs(5);

/// Records changes whenever streams are open. Returns when the process shuts down.
pub async fn watch(state: EventsState) {
    let mut changed = state.history.subscribe();
    while !state.history.closing().is_cancelled() {
        if state.history.has_streams() {
            record(&state).await;
        } else {
            tokio::select! {
                () = state.history.closing().cancelled() => return,
                // Waiting can't fail, because the state owns the sender.
                _ = changed.changed() => {}
            }
        }
    }
}

/// Records changes until no stream has been open for [`KEEP_RECORDING`].
async fn record(state: &EventsState) {
    let (platform, plugins, history) = (&state.platform, &state.plugins, &state.history);
    let mut observer = None;
    let mut used_at = Instant::now();
    let mut interrupted_at: Option<Instant> = None;
    let mut is_incomplete = false;
    loop {
        let observed = match &mut observer {
            None => Observer::new(platform, plugins).await.map(|new| {
                observer = Some(new);
                history.start_recording();
            }),
            Some(observer) => observer.observe(platform, plugins).await.map(|changes| {
                is_incomplete |= changes.incomplete;
                history.append(changes.events);
            }),
        };
        if let Err(error) = observed {
            tracing::debug!(%error, "could not read the state that events are made from; retrying");
        }
        if is_incomplete && interrupted_at.is_none_or(|at| at.elapsed() > INTERRUPTION_INTERVAL) {
            history.interrupt();
            (is_incomplete, interrupted_at) = (false, Some(Instant::now()));
        }
        tokio::select! {
            () = history.closing().cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
        if history.has_streams() {
            used_at = Instant::now();
        } else if used_at.elapsed() > KEEP_RECORDING && history.stop_recording() {
            return;
        }
    }
}
