//! The views that are shown while the app starts, while the server does not respond, and after the session has ended.

use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use crate::{
    address, dom,
    draft::KEPT,
    remote::{
        Failure,
        session::{self, SessionState},
    },
    ui::{Dialog, messages, use_countdown},
};

/// Key in the tab's session storage. The entry exists from the moment at which the owner starts to sign in again until
/// the server accepts a session.
const SIGNS_IN: &str = "atlashub.signs-in";

/// Seconds between tries if the server did not respond when the dashboard opened, or named no time for the next try.
const RETRY_SECONDS: u32 = 5;

/// The placeholder that the page's HTML also shows before the app runs.
pub(super) fn skeleton() -> Element {
    rsx! {
        div { class: "app", "aria-busy": "true",
            aside { class: "sidebar", div { class: "switcher", span { class: "sk w-30" } } }
            header { class: "topbar", span { class: "sk w-40" } }
            main { class: "main", div { class: "head", div { span { class: "sk w-45" } } } }
        }
    }
}

/// Opens the sign-in page, which returns to the current address after the sign-in.
pub(super) fn to_sign_in() -> Element {
    let next = address::path_and_query();
    let target = address::with_parameters("/sign-in", &[("next", (next != "/").then_some(next.as_str()))]);
    navigator().replace(address::target(&target));
    skeleton()
}

/// Signs out. Behind Cloudflare Access, the server returns the address that ends the session of Access, and the browser
/// opens that address.
pub(super) fn sign_out() {
    // The clicked element may be removed before the server responds.
    dioxus::core::spawn_forever(async {
        match session::sign_out().await {
            Ok(Some(address)) => dom::open_here(&address),
            Ok(None) => {}
            Err(failure) => messages::show_failure(failure.message()),
        }
    });
}

/// Shown if the server does not respond when the dashboard opens.
#[component]
pub fn ServerGone() -> Element {
    use_hook(|| dom::set_title("AtlasHub does not respond · AtlasHub"));
    let mut countdown = use_countdown();
    // Tries again, because the server may be starting.
    use_future(move || async move {
        loop {
            countdown.start(RETRY_SECONDS);
            TimeoutFuture::new(RETRY_SECONDS * 1_000).await;
            session::check().await;
        }
    });
    rsx! {
        main { class: "solo", "aria-labelledby": "h1",
            div { class: "solo-card",
                h1 { id: "h1", "AtlasHub does not respond" }
                p { class: "muted",
                    // The alert does not contain the countdown, whose changes would be announced.
                    span { role: "alert", "Check that the server is running and that this device can reach it." }
                    " Next attempt in {countdown.left()} s."
                }
                button { class: "btn btn-primary btn-l", onclick: move |_| session::check(), "Try again" }
            }
        }
    }
}

/// Shown if the server can't check who is signed in when the dashboard opens.
#[component]
pub fn SessionUnchecked(failure: Failure) -> Element {
    use_hook(|| dom::set_title("AtlasHub is not ready · AtlasHub"));
    // Tries again after the time that the server names, or after `RETRY_SECONDS`. Stops if the server forbids the
    // request.
    use_future(|| async {
        loop {
            let seconds = match session::peek() {
                SessionState::Unchecked(failure) if failure.is_forbidden() => return,
                SessionState::Unchecked(failure) => failure.retry_after().unwrap_or(RETRY_SECONDS),
                _ => RETRY_SECONDS,
            };
            TimeoutFuture::new(seconds.max(1).saturating_mul(1_000)).await;
            session::check().await;
        }
    });
    let mut countdown = use_countdown();
    let seconds = failure.retry_after().unwrap_or_default();
    // A failure that differs only in its request id does not restart the countdown. Otherwise, the button would
    // flicker.
    use_effect(use_reactive!(|seconds| countdown.start(seconds)));
    let left = countdown.left();
    rsx! {
        main { class: "solo", "aria-labelledby": "h1",
            div { class: "solo-card",
                h1 { id: "h1", "AtlasHub is not ready" }
                // The alert contains neither the request id nor the countdown, because screen readers would announce
                // each of their changes.
                p { class: "muted", role: "alert", "Your sign-in could not be checked. {failure.message()}" }
                if let Some(id) = failure.request_id() {
                    p { class: "label muted", "Request id: " span { class: "mono", "{id}" } }
                }
                if !failure.is_forbidden() {
                    button {
                        class: "btn btn-primary btn-l",
                        r#type: "button",
                        "aria-disabled": left > 0,
                        onclick: move |_| session::check(),
                        if left > 0 { "Try again in {left} s" } else { "Try again" }
                    }
                }
            }
        }
    }
}

/// Shown if the session ends while the dashboard is in use. The page stays as it is under the dialog.
#[component]
pub(super) fn SessionEnded() -> Element {
    let advice = if use_hook(is_signing_in) {
        "Signing in again did not help. Check in another tab that you can sign in, then try again."
    } else {
        "Sign in again to continue."
    };
    rsx! {
        Dialog {
            title: "Your sign-in has ended",
            description: "{advice} {KEPT}",
            closable: false,
            on_close: |()| {},
            footer: rsx! {
                button {
                    class: "btn btn-primary btn-l",
                    r#type: "button",
                    autofocus: true,
                    // A real navigation, so that Cloudflare Access can show its sign-in page.
                    onclick: |_| {
                        note_sign_in();
                        dom::reload();
                    },
                    "Sign in again"
                }
            },
        }
    }
}

/// Returns whether the owner has started to sign in again, and the server has not accepted a session since.
fn is_signing_in() -> bool {
    session_storage().and_then(|storage| storage.get_item(SIGNS_IN).ok().flatten()).is_some()
}

fn note_sign_in() {
    if let Some(storage) = session_storage() {
        let _ = storage.set_item(SIGNS_IN, "yes");
    }
}

/// Records that the server accepts the session.
pub(super) fn note_signed_in() {
    if let Some(storage) = session_storage() {
        let _ = storage.remove_item(SIGNS_IN);
    }
}

fn session_storage() -> Option<web_sys::Storage> {
    web_sys::window()?.session_storage().ok().flatten()
}
