//! The page for every address that has no page of its own.

use dioxus::prelude::*;

use crate::{frame::page::Page, ui::Link};

#[component]
pub fn NotFound(path: Vec<String>) -> Element {
    rsx! {
        Page { title: "Nothing here", subtitle: "There is no page at /{path.join(\"/\")}.",
            div { class: "section",
                Link { to: "/", class: "btn", "Open the overview" }
            }
        }
    }
}
