//! Whether the server responds, and whether it still runs the version that this page was loaded from.

use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use super::{cache, client, resource::is_visible};

/// Time between checks while the server responds.
const CHECK_MS: u32 = 2_500;

/// Time before the next check after each failed one; the last value repeats.
const RETRY_MS: [u32; 4] = [1_000, 2_000, 5_000, 10_000];

/// The version of this page. The server has another version if it was upgraded after the page was loaded.
const PAGE_VERSION: &str = api_types::VERSION;

/// Whether the server responds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Connection {
    Up,
    /// `last_response` is the time of the last response, in milliseconds since 1970.
    Lost {
        last_response: f64,
    },
}

static STATE: GlobalSignal<Connection> = Signal::global(|| Connection::Up);
static UPGRADED: GlobalSignal<bool> = Signal::global(|| false);
static ASKED: GlobalSignal<u32> = Signal::global(|| 0);

/// Returns the state, and subscribes the component to changes.
pub fn state() -> Connection {
    *STATE.read()
}

/// Returns whether the server runs another version than the one that this page was loaded from.
pub fn is_upgraded() -> bool {
    *UPGRADED.read()
}

/// Checks at once.
pub fn retry() {
    *ASKED.write() += 1;
}

/// Checks at once. Does nothing if the connection is lost, so that the waits between checks stay as they are.
pub(super) fn check_soon() {
    if *STATE.peek() == Connection::Up {
        retry();
    }
}

/// Records the version of the server that sent a response.
pub(super) fn note_version(version: &str) {
    if version != PAGE_VERSION && !*UPGRADED.peek() {
        *UPGRADED.write() = true;
    }
}

/// Checks repeatedly while the page is visible. Two failures in a row count as a lost connection.
pub async fn watch() {
    let mut failures = 0_usize;
    let mut last_response = js_sys::Date::now();
    loop {
        if client::is_reachable().await {
            last_response = js_sys::Date::now();
            failures = 0;
            if *STATE.peek() != Connection::Up {
                *STATE.write() = Connection::Up;
                cache::forget_all();
            }
        } else {
            failures += 1;
            if failures == 2 {
                *STATE.write() = Connection::Lost { last_response };
            }
        }
        wait_for(match failures.checked_sub(1) {
            None => CHECK_MS,
            Some(failed) => RETRY_MS.get(failed).copied().unwrap_or(10_000),
        })
        .await;
        while !is_visible() {
            TimeoutFuture::new(500).await;
        }
    }
}

/// Waits for a time, or until [`retry`].
async fn wait_for(milliseconds: u32) {
    let asked = *ASKED.peek();
    let mut waited = 0;
    while waited < milliseconds && *ASKED.peek() == asked {
        TimeoutFuture::new(100).await;
        waited += 100;
    }
}
