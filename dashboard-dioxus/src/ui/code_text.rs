//! Text with parts in backticks, which are shown as code.

use dioxus::prelude::*;

/// Text from the server. Parts between backticks are shown as code.
#[component]
pub fn CodeText(text: String) -> Element {
    rsx! {
        for (index, part) in text.split('`').enumerate() {
            if index % 2 == 1 {
                code { "{part}" }
            } else {
                "{part}"
            }
        }
    }
}
