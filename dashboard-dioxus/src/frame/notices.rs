//! Bars above the page: the server is unreachable or was upgraded, or shown data could not be read again.

use dioxus::prelude::*;

use super::offline::use_disabled_acts;
use crate::{
    dom,
    draft::KEPT,
    remote::{
        self, Failure,
        connection::{self, Connection},
    },
    text,
    ui::{Mark, Shape, use_countdown},
};

#[component]
pub(super) fn Notices() -> Element {
    use_disabled_acts();
    let outdated = remote::outdated().filter(|_| connection::state() == Connection::Up);
    rsx! {
        if let Some(failure) = outdated {
            Outdated { failure }
        }
        if let Connection::Lost { last_response } = connection::state() {
            div { class: "notbar", role: "status",
                Mark { shape: Shape::Attention }
                span { class: "grow", "Not connected. Showing what was there at {text::clock(last_response)}." }
                button { class: "btn btn-s", r#type: "button", onclick: |_| connection::retry(), "Try again" }
            }
        }
        if connection::is_upgraded() {
            div { class: "notbar notbar-info", role: "status",
                Mark { shape: Shape::Succeeded }
                span { class: "grow", "AtlasHub was upgraded. Reload to use the new version. {KEPT}" }
                button { class: "btn btn-s", r#type: "button", onclick: |_| dom::reload(), "Reload" }
            }
        }
    }
}

/// The bar for shown data that could not be read again. Screen readers announce only its text: they would announce an
/// alert with a countdown every second.
#[component]
fn Outdated(failure: Failure) -> Element {
    let mut countdown = use_countdown();
    let seconds = failure.retry_after().unwrap_or_default();
    // A failure that differs only in its request id does not restart the countdown. Otherwise, the button would
    // flicker.
    use_effect(use_reactive!(|seconds| countdown.start(seconds)));
    let left = countdown.left();
    rsx! {
        div { class: "notbar",
            Mark { shape: Shape::Attention }
            span { class: "grow", role: "alert", "The shown data may be out of date. {failure.message()}" }
            button {
                class: "btn btn-s", r#type: "button", "aria-disabled": left > 0, onclick: |_| remote::forget_all(),
                if left > 0 { "Try again in {left} s" } else { "Try again" }
            }
        }
    }
}
