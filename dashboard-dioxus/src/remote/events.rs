//! Changes on the server, as they happen.
//!
//! One tab of the browser, the leader, follows the server's stream of events and passes them on to the other tabs, so
//! that many tabs take one of the browser's few connections. The leader holds a Web Lock. A hidden tab gives it up. The
//! caches forget what changed, and whatever shows it asks again. Without a stream, pages poll.

use std::{cell::RefCell, collections::BTreeSet};

use api_types::{Event, EventKind, SystemState};
use dioxus::prelude::*;
use futures_channel::mpsc::{self, UnboundedSender};
use futures_util::{
    StreamExt as _,
    future::{Either, select},
};
use gloo_timers::future::TimeoutFuture;
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::{BroadcastChannel, EventSource, MessageEvent};

use super::{
    cache,
    leader::Leadership,
    resource::is_visible,
    session::{self, SessionState},
};

const STREAM: &str = "/admin/v1/events";
/// Name of the lock and of the channel between tabs.
const NAME: &str = "atlashub-events";
/// Wait before a refused stream is asked for again.
const RETRY_MS: u32 = 15_000;
/// How often a tab looks whether it is visible, and the leader says that its stream is connected.
const CHECK_MS: u32 = 500;
/// A leader that was not heard for so long is gone.
const SILENCE_MS: f64 = 5_000.0;
/// Least time between two refreshes, so that a busy server is not asked all the time.
const REFRESH_MS: u32 = 700;
/// Interval of polling while something is in progress and there is no stream.
const POLL_MS: u32 = 2_000;

/// What tabs tell one another.
#[derive(Debug, Serialize, Deserialize)]
enum Told {
    /// The leader's stream is connected.
    Connected,
    Event(EventKind, Event),
}

thread_local! {
    /// When the stream was last known to be connected, in milliseconds since 1970.
    static CONNECTED_AT: RefCell<f64> = const { RefCell::new(0.0) };
    /// Paths that have changed and are not forgotten yet.
    static CHANGED: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
    static IS_REFRESHING: RefCell<bool> = const { RefCell::new(false) };
}

/// Returns whether changes arrive by themselves.
pub fn is_live() -> bool {
    js_sys::Date::now() - CONNECTED_AT.with_borrow(|at| *at) < SILENCE_MS
}

/// While `is_active`, reads these paths again every two seconds if changes don't arrive by themselves.
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
pub async fn watch() {
    let channel = BroadcastChannel::new(NAME).ok();
    let _listener = channel.as_ref().map(listen_to_leader);
    loop {
        if is_visible() && matches!(session::peek(), SessionState::SignedIn { .. }) {
            if let Some(_leadership) = Leadership::acquire(NAME, || !is_visible()).await {
                let refused = follow(channel.as_ref()).await;
                if refused {
                    // The lock is kept: another tab would be refused as well.
                    wait_while_visible(RETRY_MS).await;
                }
            }
        }
        TimeoutFuture::new(CHECK_MS).await;
    }
}

async fn wait_while_visible(milliseconds: u32) {
    let mut waited = 0;
    while waited < milliseconds && is_visible() {
        TimeoutFuture::new(CHECK_MS).await;
        waited += CHECK_MS;
    }
}

fn listen_to_leader(channel: &BroadcastChannel) -> Closure<dyn FnMut(MessageEvent)> {
    let runtime = dioxus::core::Runtime::current();
    let listener = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
        let told = message.data().as_string().and_then(|text| serde_json::from_str(&text).ok());
        runtime.in_scope(ScopeId::ROOT, || match told {
            Some(Told::Connected) => note_connected(),
            Some(Told::Event(kind, event)) => note(kind, &event),
            None => {}
        });
    });
    channel.set_onmessage(Some(listener.as_ref().unchecked_ref()));
    listener
}

fn tell(channel: Option<&BroadcastChannel>, told: &Told) {
    if let (Some(channel), Ok(text)) = (channel, serde_json::to_string(told)) {
        let _ = channel.post_message(&text.into());
    }
}

/// Something that the stream reported.
enum Heard {
    Opened,
    Event(EventKind, Event),
    /// The stream broke. The browser connects again unless the server refused.
    Broke,
}

/// Follows the stream while the tab is visible. Returns whether the server refused it.
async fn follow(channel: Option<&BroadcastChannel>) -> bool {
    let Ok(source) = EventSource::new(STREAM) else { return true };
    let (sender, mut heard) = mpsc::unbounded();
    let _listeners = listen_to(&source, &sender);
    let refused = loop {
        let next = match select(heard.next(), TimeoutFuture::new(CHECK_MS)).await {
            Either::Left((next, _)) => next,
            Either::Right(_) => None,
        };
        match next {
            Some(Heard::Opened) => note_connected(),
            Some(Heard::Event(kind, event)) => {
                note_connected();
                note(kind, &event);
                tell(channel, &Told::Event(kind, event));
            }
            Some(Heard::Broke) if source.ready_state() == EventSource::CLOSED => break true,
            Some(Heard::Broke) | None => {}
        }
        if source.ready_state() == EventSource::OPEN {
            note_connected();
            tell(channel, &Told::Connected);
        }
        if !is_visible() || !matches!(session::peek(), SessionState::SignedIn { .. }) {
            break false;
        }
    };
    source.close();
    refused
}

type Listener = Closure<dyn FnMut(MessageEvent)>;

fn listen_to(source: &EventSource, sender: &UnboundedSender<Heard>) -> Vec<Listener> {
    let mut listeners = Vec::new();
    let mut listen = |name: &str, listener: Listener| {
        let _ = source.add_event_listener_with_callback(name, listener.as_ref().unchecked_ref());
        listeners.push(listener);
    };
    for kind in EventKind::ALL.iter().copied() {
        let sender = sender.clone();
        let listener = Listener::new(move |message: MessageEvent| {
            let event = message.data().as_string().and_then(|text| serde_json::from_str(&text).ok());
            if let Some(event) = event {
                let _ = sender.unbounded_send(Heard::Event(kind, event));
            }
        });
        listen(kind.as_str(), listener);
    }
    let opened = sender.clone();
    listen("open", Listener::new(move |_| drop(opened.unbounded_send(Heard::Opened))));
    let broke = sender.clone();
    listen("error", Listener::new(move |_| drop(broke.unbounded_send(Heard::Broke))));
    listeners
}

fn note_connected() {
    CONNECTED_AT.replace(js_sys::Date::now());
}

/// Notes which answers of the server an event makes old.
fn note(kind: EventKind, event: &Event) {
    let paths: &[&'static str] = match kind {
        EventKind::Run => &["/runs", "/jobs"],
        EventKind::Job => &["/jobs", "/overview", "/backups/protection"],
        EventKind::Project => &["/projects", "/backups/protection"],
        EventKind::Backup => &["/backups", "/overview"],
        EventKind::Plugin => &["/plugins", "/trusted-keys"],
        EventKind::Channel => &["/notifications"],
        EventKind::System if event.state == SystemState::Started.as_str() => {
            // What changed before the stream began is unknown.
            cache::forget_all();
            return;
        }
        EventKind::System => &["/system"],
    };
    CHANGED.with_borrow_mut(|changed| changed.extend(paths));
    refresh_soon();
}

/// Forgets the changed paths together: now, or after the pause that follows a refresh.
fn refresh_soon() {
    if IS_REFRESHING.replace(true) {
        return;
    }
    dioxus::core::spawn_forever(async {
        // Events that belong together arrive together.
        TimeoutFuture::new(50).await;
        for path in CHANGED.take() {
            cache::forget(path);
        }
        TimeoutFuture::new(REFRESH_MS).await;
        IS_REFRESHING.replace(false);
        if CHANGED.with_borrow(|changed| !changed.is_empty()) {
            refresh_soon();
        }
    });
}
