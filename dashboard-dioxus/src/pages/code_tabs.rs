//! The tabs above code that is written in several languages.

use dioxus::prelude::*;

use crate::dom;

/// The tabs. The element that they control has the id `<id>-panel`.
#[component]
pub(super) fn CodeTabs(
    /// Accessible name.
    name: &'static str,
    /// Start of the ids of the tabs and of the panel.
    id: &'static str,
    labels: Vec<&'static str>,
    /// Index of the chosen tab.
    chosen: Signal<usize>,
) -> Element {
    let mut chosen = chosen;
    let count = labels.len();
    rsx! {
        div { class: "tabs grow", role: "tablist", "aria-label": name,
            for (index, label) in labels.into_iter().enumerate() {
                button {
                    key: "{label}",
                    id: "{id}-{index}",
                    role: "tab",
                    r#type: "button",
                    tabindex: if chosen() == index { "0" } else { "-1" },
                    "aria-selected": (chosen() == index).to_string(),
                    "aria-controls": "{id}-panel",
                    onclick: move |_| chosen.set(index),
                    onkeydown: move |event| {
                        let step = match event.key() {
                            Key::ArrowRight => 1,
                            Key::ArrowLeft => count - 1,
                            _ => return,
                        };
                        event.prevent_default();
                        let next = (index + step) % count;
                        chosen.set(next);
                        dom::focus(&format!("#{id}-{next}"));
                    },
                    "{label}"
                }
            }
        }
    }
}
