//! Changes on the server, reported as they happen.
//!
//! A browser opens only a few connections to a server, so all of its tabs share one stream of server-sent events. One
//! visible tab, the leader, holds a Web Lock ([`leader`]), reads the stream ([`stream`]), and sends every event to the
//! other tabs ([`tabs`]). Every tab then removes the cached responses that a change made outdated ([`changes`]), and
//! components that show them read them again. The same stream carries the logs of runs that are open in a tab
//! ([`logs`]).
//!
//! Without a stream, pages poll. A hidden tab neither leads nor polls.

mod changes;
mod leader;
mod logs;
mod stream;
mod tabs;

use std::cell::Cell;

use dioxus::prelude::*;
use futures_util::future::join;
use gloo_timers::future::TimeoutFuture;

use super::{
    cache,
    resource::is_visible,
    session::{self, SessionState},
};
use leader::Leadership;
pub use logs::{LogUpdate, follow_log, is_streamed};

/// Name of the lock and of the channel between tabs.
const NAME: &str = "atlashub-events";
/// Interval at which a tab checks its own state: whether it is visible, signed in and connected.
const CHECK_MS: u32 = 500;
/// Delay before a refused stream is requested again.
const RETRY_MS: u32 = 15_000;
/// Time without a message from the leader after which its stream counts as lost.
const SILENCE_MS: f64 = 5_000.0;
/// Interval of polling while something is in progress and there is no stream.
const POLL_MS: u32 = 2_000;

thread_local! {
    /// When the stream was last known to be connected, in milliseconds since 1970.
    static CONNECTED_AT: Cell<f64> = const { Cell::new(0.0) };
}

/// Returns whether changes arrive without polling.
pub fn is_live() -> bool {
    js_sys::Date::now() - CONNECTED_AT.get() < SILENCE_MS
}

fn note_connected() {
    CONNECTED_AT.set(js_sys::Date::now());
}

fn note_disconnected() {
    CONNECTED_AT.set(0.0);
}

/// While `is_active` and the tab is visible, discards the cached responses of these paths every two seconds, unless
/// changes arrive without polling. Components that show them then read them again.
pub fn use_polling(paths: &'static [&'static str], is_active: bool) {
    let mut active = use_signal(|| is_active);
    if *active.peek() != is_active {
        active.set(is_active);
    }
    use_future(move || async move {
        loop {
            TimeoutFuture::new(POLL_MS).await;
            if *active.peek() && is_visible() && !is_live() {
                for path in paths {
                    cache::forget(path);
                }
            }
        }
    });
}

/// Follows changes for as long as the page is open.
#[component]
pub fn EventStream() -> Element {
    use_hook(|| spawn(watch()));
    rsx! {}
}

async fn watch() {
    let _listener = tabs::listen();
    join(lead_when_possible(), announce_logs()).await;
}

/// Reads the stream whenever this tab is the leader.
async fn lead_when_possible() {
    loop {
        if can_lead()
            && let Some(_leadership) = Leadership::acquire(NAME, || !can_lead()).await
        {
            let refused = stream::follow().await;
            if refused {
                // Keeps the lock: the server would refuse another tab as well.
                wait_while_visible(RETRY_MS).await;
            }
        }
        TimeoutFuture::new(CHECK_MS).await;
    }
}

/// Repeatedly sends the list of logs that this tab shows, so that a new leader receives it.
async fn announce_logs() {
    loop {
        if logs::has_subscriptions() && is_visible() {
            logs::announce_subscriptions();
        }
        TimeoutFuture::new(CHECK_MS).await;
    }
}

/// Returns whether this tab may read the stream.
fn can_lead() -> bool {
    is_visible() && matches!(session::peek(), SessionState::SignedIn { .. })
}

async fn wait_while_visible(milliseconds: u32) {
    let mut waited = 0;
    while waited < milliseconds && is_visible() {
        TimeoutFuture::new(CHECK_MS).await;
        waited += CHECK_MS;
    }
}
