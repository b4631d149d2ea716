//! Radio buttons with an explanation.

use dioxus::prelude::*;

/// A radio button with an explanation, which is not part of its name.
#[component]
pub fn RadioOption(
    /// Names the group of radio buttons.
    group: &'static str,
    label: String,
    help: String,
    checked: bool,
    onchoose: EventHandler<()>,
) -> Element {
    let help_id = format!("{group}-{}", label.replace(' ', "-").to_lowercase());
    rsx! {
        div { class: "option-with-help",
            label { class: "check",
                input {
                    class: "box",
                    r#type: "radio",
                    name: group,
                    "aria-describedby": "{help_id}",
                    checked,
                    onchange: move |_| onchoose.call(()),
                }
                "{label}"
            }
            small { id: "{help_id}", "{help}" }
        }
    }
}
