//! What is shown when no page can be used: while starting, without a server, and without a session.

use dioxus::prelude::*;

use crate::{address, dom, remote::session, ui::Dialog};

/// The placeholder that the page's HTML also shows, before the app runs.
pub(super) fn skeleton() -> Element {
    rsx! {
        div { class: "app", "aria-busy": "true",
            aside { class: "sidebar", div { class: "switcher", span { class: "sk w-30" } } }
            header { class: "topbar", span { class: "sk w-40" } }
            main { class: "main", div { class: "head", div { span { class: "sk w-45" } } } }
        }
    }
}

/// Goes to the sign-in page, which leads back to the current address.
pub(super) fn to_sign_in() -> Element {
    let next = address::path_and_query();
    let target = address::with_parameters("/sign-in", &[("next", (next != "/").then_some(next.as_str()))]);
    navigator().replace(address::target(&target));
    skeleton()
}

/// Shown if the server does not respond when the dashboard opens.
#[component]
pub(super) fn ServerGone() -> Element {
    rsx! {
        main { class: "solo", "aria-labelledby": "h1",
            div { class: "solo-card",
                h1 { id: "h1", "AtlasHub does not respond" }
                p { class: "muted", "Check that the server runs and that this device can reach it." }
                button { class: "btn btn-primary btn-l", onclick: move |_| session::check(), "Try again" }
            }
        }
    }
}

/// Shown if the session ends while the dashboard is in use. The page stays as it is under the dialog.
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
                    // A full navigation, so that Cloudflare Access can show its sign-in page.
                    onclick: |_| dom::reload(),
                    "Sign in again"
                }
            },
        }
    }
}
