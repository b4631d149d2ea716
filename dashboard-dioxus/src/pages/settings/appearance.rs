//! The section "Appearance" of the settings: choices that apply to this browser.

use dioxus::prelude::*;

use super::SectionHead;
use crate::theme::{self, Density, Theme, Times};

#[component]
pub(super) fn Appearance() -> Element {
    // The menu "Theme" and the dialog with the shortcuts also change these.
    theme::subscribe();
    let (chosen, shortcuts) = (theme::current(), theme::has_single_key_shortcuts());
    let mut density = use_signal(theme::density);
    let mut times = use_signal(theme::times);
    rsx! {
        SectionHead { title: "Appearance", remark: "In this browser only. Saved at once." }
        div { class: "section",
            div { class: "form",
                Choices {
                    name: "Theme",
                    help: "",
                    choices: Theme::ALL.map(Theme::label).to_vec(),
                    chosen: chosen.label(),
                    on_choose: move |label: &'static str| {
                        if let Some(theme) = Theme::ALL.into_iter().find(|theme| theme.label() == label) {
                            theme::choose(theme);
                        }
                    },
                }
                Choices {
                    name: "Density",
                    help: "Height of the rows of tables.",
                    choices: Density::ALL.map(Density::label).to_vec(),
                    chosen: density().label(),
                    on_choose: move |label: &'static str| {
                        if let Some(choice) = Density::ALL.into_iter().find(|choice| choice.label() == label) {
                            theme::choose_density(choice);
                            density.set(choice);
                        }
                    },
                }
                Choices {
                    name: "Times",
                    help: "For times of the platform. Times in your tables appear as Postgres prints them.",
                    choices: Times::ALL.map(Times::label).to_vec(),
                    chosen: times().label(),
                    on_choose: move |label: &'static str| {
                        if let Some(choice) = Times::ALL.into_iter().find(|choice| choice.label() == label) {
                            theme::choose_times(choice);
                            times.set(choice);
                        }
                    },
                }
                label { class: "check",
                    input {
                        class: "switch",
                        r#type: "checkbox",
                        role: "switch",
                        checked: shortcuts,
                        onchange: |event| theme::set_single_key_shortcuts(event.checked()),
                    }
                    span {
                        "Single-key shortcuts"
                        small {
                            "Keys such as g, j and ? are shortcuts outside of fields. Switch them off if you dictate \
                            text."
                        }
                    }
                }
                p { class: "label muted", "Animations follow your system's setting for reduced motion." }
            }
        }
    }
}

#[component]
fn Choices(
    name: &'static str,
    help: &'static str,
    choices: Vec<&'static str>,
    chosen: &'static str,
    on_choose: EventHandler<&'static str>,
) -> Element {
    rsx! {
        fieldset { class: "field", role: "radiogroup", "aria-label": name,
            legend { "{name}" }
            div { class: "row wrap gap-4",
                for choice in choices {
                    label { key: "{choice}", class: "check",
                        input {
                            class: "box",
                            r#type: "radio",
                            name: "appearance-{name}",
                            checked: choice == chosen,
                            onchange: move |_| on_choose.call(choice),
                        }
                        "{choice}"
                    }
                }
            }
            if !help.is_empty() {
                p { class: "help", "{help}" }
            }
        }
    }
}
