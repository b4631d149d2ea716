use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;
use serde::de::DeserializeOwned;

use super::{Failure, cache, client};

/// How often a visible page reads again.
const POLL_INTERVAL_MS: u32 = 15_000;

/// What a page shows of a response.
#[derive(Debug, Clone, PartialEq)]
pub enum RemoteState<T> {
    Loading,
    Ready(T),
    /// The request failed, and there is no earlier response.
    Failed(Failure),
}

/// A response that is kept up to date.
pub struct Remote<T: 'static> {
    path: ReadSignal<String>,
    state: Signal<RemoteState<T>>,
    /// The failure of the last request, while an older response is shown.
    stale: Signal<Option<Failure>>,
    updated_at: Signal<f64>,
}

impl<T> Clone for Remote<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Remote<T> {}

impl<T> PartialEq for Remote<T> {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
    }
}

impl<T: Clone + 'static> Remote<T> {
    /// Returns the state, and subscribes the component to changes.
    pub fn state(&self) -> RemoteState<T> {
        self.state.read().clone()
    }

    /// Returns the response, if there is one.
    pub fn value(&self) -> Option<T> {
        match &*self.state.read() {
            RemoteState::Ready(value) => Some(value.clone()),
            _ => None,
        }
    }

    /// Returns why the shown response could not be updated.
    pub fn stale(&self) -> Option<Failure> {
        self.stale.read().clone()
    }

    /// Returns when the response was read, in milliseconds since 1970.
    pub fn updated_at(&self) -> f64 {
        *self.updated_at.read()
    }

    /// Reads again.
    pub fn refresh(&mut self) {
        cache::forget(&self.path.peek());
    }
}

/// Reads `path` now, every 15 seconds while the page is visible, and after [`forget`](super::forget). Components that
/// read the same path share requests. When `path` changes, the response of the previous path is never shown. Nothing is
/// read while `path` is empty.
pub fn use_remote<T>(path: ReadSignal<String>) -> Remote<T>
where
    T: DeserializeOwned + Clone + PartialEq + 'static,
{
    use_remote_every(path, POLL_INTERVAL_MS)
}

/// Like [`use_remote`], with another interval.
pub fn use_remote_every<T>(path: ReadSignal<String>, interval_ms: u32) -> Remote<T>
where
    T: DeserializeOwned + Clone + PartialEq + 'static,
{
    let mut state = use_signal(|| RemoteState::Loading);
    let mut stale = use_signal(|| None);
    let mut updated_at = use_signal(|| 0.0);
    let mut shown_path = use_signal(String::new);
    use_resource(move || {
        let path = path.read().clone();
        cache::subscribe();
        async move {
            if let Some(known) = cache::cached(&path) {
                set_if_changed(&mut state, shown(&known.text));
            } else if *shown_path.peek() != path {
                set_if_changed(&mut state, RemoteState::Loading);
            }
            shown_path.set(path.clone());
            if path.is_empty() {
                return;
            }
            loop {
                match cache::read(&path, f64::from(interval_ms) - 500.0).await {
                    Ok(known) => {
                        set_if_changed(&mut state, shown(&known.text));
                        updated_at.set(known.read_at);
                        stale.set(None);
                    }
                    Err(failure) => {
                        let is_shown = matches!(*state.peek(), RemoteState::Ready(_));
                        if is_shown && failure.is_temporary() {
                            stale.set(Some(failure));
                        } else {
                            state.set(RemoteState::Failed(failure));
                        }
                    }
                }
                TimeoutFuture::new(interval_ms).await;
                while !is_visible() {
                    TimeoutFuture::new(1_000).await;
                }
            }
        }
    });
    Remote { path, state, stale, updated_at }
}

fn shown<T: DeserializeOwned>(text: &str) -> RemoteState<T> {
    match client::parse(text) {
        Ok(value) => RemoteState::Ready(value),
        Err(failure) => RemoteState::Failed(failure),
    }
}

fn set_if_changed<T: PartialEq + 'static>(state: &mut Signal<RemoteState<T>>, next: RemoteState<T>) {
    if *state.peek() != next {
        state.set(next);
    }
}

/// Returns whether the owner sees the page.
pub fn is_visible() -> bool {
    let document = web_sys::window().and_then(|window| window.document());
    document.is_none_or(|document| document.visibility_state() == web_sys::VisibilityState::Visible)
}
