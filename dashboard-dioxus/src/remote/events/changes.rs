//! Removes the cached responses that a change makes outdated.

use std::{cell::RefCell, collections::BTreeSet};

use api_types::{Event, EventKind, RunStatus, SystemState};
use gloo_timers::future::TimeoutFuture;

use super::cache;

/// Time for which events are collected before a refresh.
const COLLECT_MS: u32 = 50;
/// Minimum time between two refreshes, so that a busy server is not queried all the time.
const REFRESH_MS: u32 = 700;

#[derive(Default)]
struct Changes {
    /// Paths whose responses are outdated and still cached.
    paths: BTreeSet<&'static str>,
    is_refreshing: bool,
}

thread_local! {
    static CHANGES: RefCell<Changes> = RefCell::default();
}

/// Removes the cached responses that an event makes outdated, within a second.
pub(super) fn apply(kind: EventKind, event: &Event) {
    let paths: &[&'static str] = match kind {
        EventKind::Run if is_active(event) => &["/runs", "/jobs"],
        EventKind::Run => &["/runs", "/jobs", "/overview"],
        EventKind::Job => &["/jobs", "/overview", "/backups/protection"],
        EventKind::Project => &["/projects", "/overview", "/backups/protection"],
        EventKind::Backup => &["/backups", "/overview"],
        // A restore or rollback replaces the project's tables and users.
        EventKind::Restore => &["/restores", "/projects"],
        EventKind::Plugin => &["/plugins", "/trusted-keys", "/overview"],
        EventKind::Channel => &["/notifications", "/overview"],
        EventKind::System if event.state == SystemState::Started.as_str() => {
            // Changes before the start of the stream are unknown.
            cache::forget_all();
            return;
        }
        EventKind::System => &["/system"],
    };
    let is_refreshing = CHANGES.with_borrow_mut(|changes| {
        changes.paths.extend(paths);
        std::mem::replace(&mut changes.is_refreshing, true)
    });
    if !is_refreshing {
        dioxus::core::spawn_forever(refresh());
    }
}

/// Returns whether the run of an event has not ended.
fn is_active(event: &Event) -> bool {
    [RunStatus::Queued, RunStatus::Running].iter().any(|status| status.as_str() == event.state)
}

/// Removes outdated responses until there are none.
async fn refresh() {
    loop {
        TimeoutFuture::new(COLLECT_MS).await;
        let paths = CHANGES.with_borrow_mut(|changes| std::mem::take(&mut changes.paths));
        for path in paths {
            cache::forget(path);
        }
        TimeoutFuture::new(REFRESH_MS).await;
        let is_done = CHANGES.with_borrow_mut(|changes| {
            changes.is_refreshing = !changes.paths.is_empty();
            !changes.is_refreshing
        });
        if is_done {
            return;
        }
    }
}
