//! The button that copies a text.

use dioxus::prelude::*;

use super::{Icon, IconName, messages};
use crate::clipboard;

/// A button that copies `text` to the clipboard.
#[component]
pub fn CopyButton(
    /// Accessible name, for example `Copy project id`.
    name: String,
    text: String,
    /// Text on the button. If empty, the button is an icon.
    #[props(default)]
    label: String,
    #[props(default)] class: String,
) -> Element {
    let class = if label.is_empty() {
        format!("btn btn-ghost btn-s btn-icon {class}")
    } else {
        format!("btn btn-ghost btn-s {class}")
    };
    rsx! {
        button {
            class,
            r#type: "button",
            "aria-label": "{name}",
            onclick: move |_| {
                let text = text.clone();
                async move {
                    if clipboard::copy(&text).await {
                        messages::show("Copied");
                    } else {
                        messages::show_failure(
                            "The browser did not allow copying. Select the text and copy it yourself.",
                        );
                    }
                }
            },
            Icon { name: IconName::Copy }
            "{label}"
        }
    }
}
