//! Short messages in the corner, about actions that succeeded or failed.

use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use super::{Icon, IconName, Mark, Shape};

/// Time for which a message about a success is shown. Messages about failures stay until they are dismissed.
const SHOWN_MS: u32 = 6_000;

#[derive(Debug, Clone, PartialEq)]
struct Message {
    id: u32,
    text: String,
    failed: bool,
}

static MESSAGES: GlobalSignal<Vec<Message>> = Signal::global(Vec::new);
static NEXT_ID: GlobalSignal<u32> = Signal::global(|| 0);

/// Shows that something succeeded.
pub fn show(text: impl Into<String>) {
    add(text.into(), false);
}

/// Shows that something failed.
pub fn show_failure(text: impl Into<String>) {
    add(text.into(), true);
}

fn add(text: String, failed: bool) {
    let id = *NEXT_ID.peek();
    *NEXT_ID.write() = id + 1;
    MESSAGES.write().push(Message { id, text, failed });
    if !failed {
        dioxus::core::spawn_forever(async move {
            TimeoutFuture::new(SHOWN_MS).await;
            dismiss(id);
        });
    }
}

fn dismiss(id: u32) {
    MESSAGES.write().retain(|message| message.id != id);
}

/// The region in which messages appear.
#[component]
pub fn Messages() -> Element {
    rsx! {
        section { class: "toasts", "aria-label": "Messages",
            for message in MESSAGES.read().iter().cloned() {
                div { key: "{message.id}", class: "toast", role: "status",
                    Mark { shape: if message.failed { Shape::Failed } else { Shape::Succeeded } }
                    span { class: "grow", "{message.text}" }
                    button {
                        class: "btn btn-ghost btn-s btn-icon",
                        r#type: "button",
                        "aria-label": "Dismiss",
                        onclick: move |_| dismiss(message.id),
                        Icon { name: IconName::Close }
                    }
                }
            }
        }
    }
}
