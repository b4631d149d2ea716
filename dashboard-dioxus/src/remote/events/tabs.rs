//! Messages between the tabs of a browser.

use std::{cell::Cell, collections::BTreeSet};

use api_types::{Event, EventKind};
use dioxus::prelude::*;
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::{BroadcastChannel, MessageEvent};

use super::{
    changes,
    logs::{self, LogBatch, Subscription},
    note_connected, note_disconnected,
};

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum TabMessage {
    /// The leader's stream is connected, and contains the logs of these runs.
    Connected {
        logs: BTreeSet<String>,
    },
    /// The leader lost its stream, and is reconnecting.
    Disconnected,
    Event(EventKind, Event),
    /// Lines of a log.
    Log(LogBatch),
    /// The logs that a tab shows. Sent repeatedly, so that a new leader receives the list.
    Subscriptions {
        tab: String,
        list: Vec<Subscription>,
    },
}

thread_local! {
    static CHANNEL: Option<BroadcastChannel> = BroadcastChannel::new(super::NAME).ok();
    static IS_LISTENING: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether this tab receives the messages of other tabs.
pub(super) fn is_listening() -> bool {
    IS_LISTENING.get()
}

/// Sends a message to all other tabs.
pub(super) fn send(message: &TabMessage) {
    if let Ok(text) = serde_json::to_string(message) {
        CHANNEL.with(|channel| {
            let _ = channel.as_ref().map(|channel| channel.post_message(&text.into()));
        });
    }
}

/// Processes messages of other tabs until the returned closure is dropped.
pub(super) fn listen() -> Closure<dyn FnMut(MessageEvent)> {
    let runtime = dioxus::core::Runtime::current();
    let listener = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
        let message = message.data().as_string().and_then(|text| serde_json::from_str(&text).ok());
        if let Some(message) = message {
            runtime.in_scope(ScopeId::ROOT, || receive(message));
        }
    });
    CHANNEL.with(|channel| {
        if let Some(channel) = channel {
            channel.set_onmessage(Some(listener.as_ref().unchecked_ref()));
        }
    });
    IS_LISTENING.set(true);
    listener
}

fn receive(message: TabMessage) {
    match message {
        TabMessage::Connected { logs } => {
            note_connected();
            logs::note_streamed(logs);
        }
        TabMessage::Disconnected => note_disconnected(),
        TabMessage::Event(kind, event) => {
            note_connected();
            changes::apply(kind, &event);
        }
        TabMessage::Log(batch) => {
            note_connected();
            logs::deliver(&batch);
        }
        TabMessage::Subscriptions { tab, list } => logs::note_other_tab(tab, list),
    }
}
