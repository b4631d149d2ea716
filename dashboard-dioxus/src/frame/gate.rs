//! The states in which no page can be shown, or not any more.

use dioxus::prelude::*;

use crate::{address, dom, remote::session, ui::Dialog};

/// What the page's HTML shows before the app runs.
pub(super) fn skeleton() -> Element {
    rsx! {
        div { class: "app", "aria-busy": "true",
            aside { class: "sidebar", div { class: "switcher", span { class: "sk w-30" } } }
            header { class: "topbar", span { class: "sk w-40" } }
            main { class: "main", div { class: "head", div { span { class: "sk w-45" } } } }
        }
    }
}

/// Goes to the sign-in page, which returns here.
pub(super) fn to_sign_in() -> Element {
    let next = address::path_and_query();
    let target = address::with_parameters("/sign-in", &[("next", (next != "/").then_some(next.as_str()))]);
    navigator().replace(address::target(&target));
    skeleton()
}

/// Shown if the server does not answer when the dashboard opens.
#[component]
pub(super) fn ServerGone() -> Element {
    rsx! {
        main { class: "solo", "aria-labelledby": "h1",
            div { class: "solo-card",
                h1 { id: "h1", "AtlasHub does not answer" }
                p { class: "muted", "Check that the server runs and that this device can reach it." }
                button { class: "btn btn-primary btn-l", onclick: move |_| session::check(), "Try again" }
            }
        }
    }
}

/// Shown if the session ends while the dashboard is in use. What is on the page stays under the dialog.
#[component]
pub(super) fn SessionEnded() -> Element {
    rsx! {
        Dialog {
            title: "Your sign-in has ended",
            description: "Sign in again to continue. What you typed is kept.",
            closable: false,
            on_close: |()| {},
            footer: rsx! {
                button {
                    class: "btn btn-primary btn-l",
                    r#type: "button",
                    // A real navigation, so that Cloudflare Access can ask.
                    onclick: |_| dom::reload(),
                    "Sign in again"
                }
            },
        }
    }
}
