//! The page for every address that has none.

use dioxus::prelude::*;

use crate::{address, frame::page::Page};

#[component]
pub fn NotFound(path: Vec<String>) -> Element {
    rsx! {
        Page { title: "Nothing here", subtitle: "There is no page at /{path.join(\"/\")}.",
            div { class: "section",
                button { class: "btn", r#type: "button", onclick: |_| address::go("/"), "Open the overview" }
            }
        }
    }
}
