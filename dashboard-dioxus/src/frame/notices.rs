//! Bars above the page: the server is unreachable, or was upgraded.

use dioxus::prelude::*;

use super::offline::use_disabled_acts;
use crate::{
    dom,
    remote::connection::{self, Connection},
    text,
    ui::{Mark, Shape},
};

#[component]
pub(super) fn Notices() -> Element {
    use_disabled_acts();
    rsx! {
        if let Connection::Lost { last_response } = connection::state() {
            div { class: "notbar", role: "status",
                Mark { shape: Shape::Attention }
                span { class: "grow", "Not connected. Showing data from {text::clock(last_response)}." }
                button { class: "btn btn-s", r#type: "button", onclick: |_| connection::retry(), "Try again" }
            }
        }
        if connection::is_upgraded() {
            div { class: "notbar notbar-info", role: "status",
                Mark { shape: Shape::Succeeded }
                span { class: "grow", "AtlasHub was upgraded. Reload to use the new version; what you typed is kept." }
                button { class: "btn btn-s", r#type: "button", onclick: |_| dom::reload(), "Reload" }
            }
        }
    }
}
