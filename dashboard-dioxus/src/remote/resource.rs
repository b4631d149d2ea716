//! Values that components read from the server: they are read again when they change, and at intervals.

use std::{cell::Cell, rc::Rc};

use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;
use serde::de::DeserializeOwned;

use super::{Failure, cache, client};

/// Interval at which a visible page reads its values again.
const POLL_INTERVAL_MS: u32 = 15_000;

thread_local! {
    static NEXT_READER: Cell<u64> = const { Cell::new(0) };
}

/// The failures to read shown values again, oldest first, each with the number of its reader.
static OUTDATED: GlobalSignal<Vec<(u64, Failure)>> = Signal::global(Vec::new);

/// Returns the last failure to read a shown value again, and subscribes the component to changes. Leaves out the end of
/// the session and a lost connection, which the page reports elsewhere.
pub fn outdated() -> Option<Failure> {
    OUTDATED.read().last().map(|(_, failure)| failure.clone())
}

/// Returns whether a failure to read the value of a reader again is recorded.
fn is_noted(reader: u64) -> bool {
    OUTDATED.peek().iter().any(|(noted, _)| *noted == reader)
}

/// Records why the value of a reader could not be read again, or with `None` that the reader has no outdated value. A
/// failure that looks like the recorded one does not replace it: the page would report the same failure again.
fn note_outdated(reader: u64, failure: Option<Failure>) {
    let noted = OUTDATED.peek().iter().find(|(noted, _)| *noted == reader).map(|(_, failure)| appearance(failure));
    if noted != failure.as_ref().map(appearance) {
        OUTDATED.with_mut(|outdated| {
            outdated.retain(|(noted, _)| *noted != reader);
            outdated.extend(failure.map(|failure| (reader, failure)));
        });
    }
}

/// Returns what the page shows of a failure. Every failure has another request id, which is not shown.
fn appearance(failure: &Failure) -> (String, Option<u32>) {
    (failure.message(), failure.retry_after())
}

/// The state of a value that a page reads from the server.
#[derive(Debug, Clone, PartialEq)]
pub enum RemoteState<T> {
    Loading,
    Ready(T),
    /// The request failed, and there is no earlier value to show.
    Failed(Failure),
}

/// A value that a page reads from the server and keeps up to date.
pub struct Remote<T: 'static> {
    response: ResponseText,
    state: Memo<RemoteState<T>>,
}

impl<T> Clone for Remote<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Remote<T> {}

impl<T: PartialEq> PartialEq for Remote<T> {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
    }
}

impl<T: Clone + PartialEq + 'static> Remote<T> {
    pub fn state(&self) -> RemoteState<T> {
        self.state.read().clone()
    }

    /// Returns the value, if there is one.
    pub fn value(&self) -> Option<T> {
        match &*self.state.read() {
            RemoteState::Ready(value) => Some(value.clone()),
            _ => None,
        }
    }

    /// Returns why the shown value could not be read again. `None` if it is up to date.
    pub fn stale(&self) -> Option<Failure> {
        self.response.stale.read().clone()
    }

    /// Returns when the value was read, in milliseconds since 1970.
    pub fn updated_at(&self) -> f64 {
        *self.response.updated_at.read()
    }

    /// Discards the cached response, so that the value is read again.
    pub fn refresh(&mut self) {
        cache::forget(&self.response.path.peek());
    }
}

/// Reads `path` now, every 15 seconds while the page is visible, and after changes on the server that affect it.
/// Components that read the same path share requests. When `path` changes, the value of the previous path is never
/// shown. Nothing is read while `path` is empty.
pub fn use_remote<T>(path: ReadSignal<String>) -> Remote<T>
where
    T: DeserializeOwned + Clone + PartialEq + 'static,
{
    use_remote_every(path, POLL_INTERVAL_MS)
}

/// Like [`use_remote`], with another interval, which may change.
pub fn use_remote_every<T>(path: ReadSignal<String>, interval_ms: u32) -> Remote<T>
where
    T: DeserializeOwned + Clone + PartialEq + 'static,
{
    let response = use_response_text(path, interval_ms);
    let state = use_memo(move || match &*response.text.read() {
        RemoteState::Loading => RemoteState::Loading,
        RemoteState::Failed(failure) => RemoteState::Failed(failure.clone()),
        RemoteState::Ready(text) => match client::parse(text) {
            Ok(value) => RemoteState::Ready(value),
            Err(failure) => RemoteState::Failed(failure),
        },
    });
    Remote { response, state }
}

/// The text of a response. Code that does not depend on the type of the value uses the text, so that the code is
/// compiled only once.
#[derive(Clone, Copy)]
struct ResponseText {
    path: ReadSignal<String>,
    text: Signal<RemoteState<Rc<str>>>,
    /// The failure of the last request, while an older response is shown.
    stale: Signal<Option<Failure>>,
    updated_at: Signal<f64>,
}

fn use_response_text(path: ReadSignal<String>, interval_ms: u32) -> ResponseText {
    let mut text = use_signal(|| RemoteState::Loading);
    let mut stale = use_signal(|| None);
    let reader = use_hook(|| NEXT_READER.replace(NEXT_READER.get() + 1));
    use_drop(move || {
        if is_noted(reader) {
            // A component that is being removed must not update others.
            dioxus::core::spawn_forever(async move { note_outdated(reader, None) });
        }
    });
    let mut updated_at = use_signal(|| 0.0);
    let mut shown_path = use_signal(String::new);
    use_resource(use_reactive(&interval_ms, move |interval_ms| {
        let path = path.read().clone();
        cache::subscribe();
        async move {
            if *shown_path.peek() != path {
                set_stale(&mut stale, reader, None);
            }
            if let Some(response) = cache::cached(&path) {
                set_if_changed(&mut text, RemoteState::Ready(response.text));
                if *updated_at.peek() != response.read_at {
                    updated_at.set(response.read_at);
                }
            } else if *shown_path.peek() != path {
                set_if_changed(&mut text, RemoteState::Loading);
            }
            shown_path.set(path.clone());
            if path.is_empty() {
                return;
            }
            loop {
                let mut wait = interval_ms;
                match cache::read(&path, f64::from(interval_ms) - 500.0).await {
                    Ok(response) => {
                        set_if_changed(&mut text, RemoteState::Ready(response.text));
                        updated_at.set(response.read_at);
                        set_stale(&mut stale, reader, None);
                    }
                    Err(failure) => {
                        wait = match failure.retry_after() {
                            Some(seconds) => seconds.saturating_mul(1_000).max(1_000),
                            None => interval_ms.min(POLL_INTERVAL_MS),
                        };
                        let is_shown = matches!(*text.peek(), RemoteState::Ready(_));
                        if is_shown && failure.is_temporary() {
                            set_stale(&mut stale, reader, Some(failure));
                        } else {
                            set_stale(&mut stale, reader, None);
                            text.set(RemoteState::Failed(failure));
                        }
                    }
                }
                TimeoutFuture::new(wait).await;
                while !is_visible() {
                    TimeoutFuture::new(1_000).await;
                }
            }
        }
    }));
    ResponseText { path, text, stale, updated_at }
}

fn set_if_changed(text: &mut Signal<RemoteState<Rc<str>>>, next: RemoteState<Rc<str>>) {
    if *text.peek() != next {
        text.set(next);
    }
}

fn set_stale(stale: &mut Signal<Option<Failure>>, reader: u64, failure: Option<Failure>) {
    // The sign-in dialog reports the end of the session, and a separate bar reports a lost connection
    // (`frame/notices.rs`).
    let is_reported_elsewhere = |failure: &Failure| matches!(failure, Failure::SignedOut | Failure::Unreachable);
    note_outdated(reader, failure.clone().filter(|failure| !is_reported_elsewhere(failure)));
    if *stale.peek() != failure {
        stale.set(failure);
    }
}

/// Returns whether the owner sees the page.
pub fn is_visible() -> bool {
    let document = web_sys::window().and_then(|window| window.document());
    document.is_none_or(|document| document.visibility_state() == web_sys::VisibilityState::Visible)
}
