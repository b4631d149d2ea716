//! Starts a pass when the folder changes, when the trust data changes here or on another node, and periodically.

use std::{convert::Infallible, sync::Arc, time::Duration};

use sqlx::postgres::PgListener;

use super::{LoaderState, apply_trust_changes, loader::unload_incomplete, refresh, slots::REJECTION_DELAY};
use crate::plugins::{
    package::folder::FolderWatch,
    trust::{CHANNEL, read_trust_version},
};

/// Interval of passes without a known change. Some file systems, such as network file systems, report no changes.
const PASS_INTERVAL: Duration = Duration::from_secs(5);
/// Delay between a change in the folder and the pass, because files that are being copied change often.
const FOLDER_DEBOUNCE: Duration = Duration::from_millis(200);
/// Interval at which the trust version is read, in case a notification is lost. This is also the delay after an error.
const TRUST_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Keeps the loaded plugins up to date. Never returns.
pub(in crate::plugins) async fn watch(state: Arc<LoaderState>) {
    tokio::join!(run_passes(&state), follow_trust(&state), unload_incomplete_plugins(&state));
}

async fn run_passes(state: &LoaderState) {
    let mut watch = None;
    let mut is_failing = false;
    loop {
        watch = renew_watch(state, watch).await;
        match refresh(state).await {
            Ok(()) => is_failing = false,
            // Only the first failure is logged as a warning.
            Err(error) if is_failing => tracing::debug!(%error, "plugins still can't be refreshed"),
            Err(error) => {
                is_failing = true;
                tracing::warn!(%error, "plugins can't be refreshed; loaded plugins keep running");
            }
        }
        let interval = match () {
            () if is_failing => TRUST_POLL_INTERVAL,
            () if state.slots.lock().await.has_unreported_rejections() => REJECTION_DELAY,
            () => PASS_INTERVAL,
        };
        tokio::select! {
            () = state.trust_changed.notified() => {}
            () = state.folder_changed.notified() => tokio::time::sleep(FOLDER_DEBOUNCE).await,
            () = tokio::time::sleep(interval) => {}
        }
    }
}

/// Unloads plugins whose files stay incomplete. Does not wait for a pass, which may take minutes.
async fn unload_incomplete_plugins(state: &LoaderState) {
    loop {
        match unload_incomplete(state).await {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => state.incomplete.notified().await,
        }
    }
}

/// Returns the watch, or starts a new one if there is none or the folder was created, replaced or removed.
async fn renew_watch(state: &LoaderState, watch: Option<FolderWatch>) -> Option<FolderWatch> {
    let (folder, changed) = (state.parts.folder.clone(), Arc::clone(&state.folder_changed));
    let renewing = tokio::task::spawn_blocking(move || match watch {
        Some(watch) if !watch.is_outdated(&folder) => watch,
        outdated => {
            drop(outdated);
            FolderWatch::start(&folder, changed)
        }
    });
    renewing.await.ok()
}

async fn follow_trust(state: &LoaderState) {
    loop {
        let error = match listen_for_trust_changes(state).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        tracing::debug!(%error, "listening for trust changes was interrupted");
        tokio::time::sleep(TRUST_POLL_INTERVAL).await;
    }
}

async fn listen_for_trust_changes(state: &LoaderState) -> Result<Infallible, sqlx::Error> {
    let platform = &state.parts.platform;
    let mut listener = PgListener::connect_with(platform).await?;
    listener.listen(CHANNEL).await?;
    let mut known_version = None;
    loop {
        let version = read_trust_version(platform).await?;
        if known_version != Some(version) {
            known_version = Some(version);
            // Applied here, because a pass in progress may take minutes.
            if let Err(error) = apply_trust_changes(state).await {
                tracing::debug!(%error, "a trust change can't be applied yet");
            }
            state.trust_changed.notify_one();
        }
        // On a timeout, the version is read again, because a notification may be lost.
        if let Ok(notification) = tokio::time::timeout(TRUST_POLL_INTERVAL, listener.recv()).await {
            notification?;
        }
    }
}
