//! The views in place of missing content: an error, a message that there is no content, or a placeholder.

use dioxus::prelude::*;

use super::{CodeText, CopyButton, Link, Mark, Shape, use_countdown};
use crate::{address, remote::Failure};

/// An error message with advice, and a button that tries again.
#[component]
pub fn ErrorBox(
    /// A sentence that names the failed operation: `Projects could not be loaded.`
    what: String,
    failure: Failure,
    on_retry: EventHandler<()>,
) -> Element {
    let mut countdown = use_countdown();
    use_effect(use_reactive!(|failure| countdown.start(failure.retry_after().unwrap_or_default())));
    let left = countdown.left();
    rsx! {
        div { class: "section",
            div { class: "failed-box",
                // The alert contains neither the request id nor the countdown, whose changes would be announced.
                div { class: "stack stack-2", role: "alert",
                    div { class: "row", Mark { shape: Shape::Failed } strong { "{what}" } }
                    p { class: "label", CodeText { text: failure.message() } }
                }
                div { class: "row wrap",
                    if !failure.is_forbidden() {
                        button {
                            class: "btn btn-s", r#type: "button", "aria-disabled": left > 0,
                            onclick: move |_| on_retry.call(()),
                            if left > 0 { "Try again in {left} s" } else { "Try again" }
                        }
                    }
                    if let Some(id) = failure.request_id() {
                        CopyButton { name: "Copy request id", label: "Copy request id", text: id }
                        span { class: "mono muted", "{id}" }
                    }
                }
            }
        }
    }
}

/// The message in place of content that does not exist, such as the entries of an empty list: one sentence, buttons,
/// and a link to an explanation.
#[component]
pub fn Empty(
    title: String,
    text: String,
    /// Name of the explanation in `src/frame/help.rs`. Without one, there is no link.
    #[props(default)]
    help: String,
    children: Element,
) -> Element {
    rsx! {
        div { class: "empty",
            h2 { "{title}" }
            p { "{text}" }
            div { class: "row",
                {children}
                if !help.is_empty() {
                    Link { to: address::with_parameter("help", &help), class: "link", "Read more" }
                }
            }
        }
    }
}

/// Placeholder of a table that is being loaded. Hidden for the first 300 ms.
#[component]
pub fn LoadingTable(name: String, columns: usize) -> Element {
    rsx! {
        div { class: "late",
            p { class: "sr", role: "status", "Loading…" }
            table { class: "table", "aria-label": "{name}", "aria-busy": "true",
                tbody {
                    for row in 0..5 {
                        tr { key: "{row}",
                            for column in 0..columns {
                                td { key: "{column}", span { class: "sk" } }
                            }
                        }
                    }
                }
            }
        }
    }
}
