use dioxus::prelude::*;

/// A text from the server. What stands in backticks is shown as code.
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
