//! The events that a channel reports, as choices in its form.

use std::collections::BTreeMap;

use api_types::NotificationEvent;
use dioxus::prelude::*;

use super::words::{EVENTS, preset};
use crate::ui::FormError;

/// Id of the error about the chosen events.
pub(super) const ERROR: &str = "channel-events-error";

/// Whether a channel subscribes to each event, by the name of the event in the API. Each event is a field of its own.
pub(super) type Choices = BTreeMap<String, bool>;

/// Returns the choices for these events of a channel. Without events, returns those for a new channel.
pub(super) fn choices_of(events: Option<&[NotificationEvent]>) -> Choices {
    let chosen = events.map_or_else(preset, <[NotificationEvent]>::to_vec);
    NotificationEvent::ALL.iter().map(|event| (event.as_str().to_owned(), chosen.contains(event))).collect()
}

fn is_chosen(choices: &Choices, event: NotificationEvent) -> bool {
    choices.get(event.as_str()).copied().unwrap_or_default()
}

/// Returns the chosen events, in the order of the API.
pub(super) fn events_of(choices: &Choices) -> Vec<NotificationEvent> {
    NotificationEvent::ALL.iter().copied().filter(|event| is_chosen(choices, *event)).collect()
}

#[component]
pub(super) fn Events(events: Signal<Choices>, error: Option<String>) -> Element {
    let mut events = events;
    let described_by = error.is_some().then_some(ERROR);
    rsx! {
        fieldset {
            class: "field",
            role: "group",
            "aria-label": "Events",
            "aria-describedby": described_by,
            legend { "Events" }
            div { class: "options",
                for (event, label, help, _) in EVENTS {
                    label { key: "{label}", class: "check",
                        input {
                            class: "box",
                            r#type: "checkbox",
                            checked: is_chosen(&events.read(), event),
                            onchange: move |change| {
                                events.write().insert(event.as_str().to_owned(), change.checked());
                            },
                        }
                        span {
                            "{label}"
                            if !help.is_empty() {
                                small { "{help}" }
                            }
                        }
                    }
                }
            }
            if let Some(error) = error {
                div { id: ERROR, FormError { text: error } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft;

    #[test]
    fn event_that_another_tab_has_chosen_is_kept_beside_typed_choices() {
        let choices = |events: &[NotificationEvent]| choices_of(Some(events));
        let base = choices(&[NotificationEvent::RunFailed, NotificationEvent::Plugin]);
        let typed = choices(&[NotificationEvent::RunFailed]);
        let saved = choices(&[NotificationEvent::Plugin, NotificationEvent::RunFailed, NotificationEvent::DiskLow]);
        let merged = draft::rebase(&typed, &base, &saved);
        assert_eq!(events_of(&merged), [NotificationEvent::RunFailed, NotificationEvent::DiskLow]);
        assert_eq!(events_of(&choices_of(None)), preset());
    }
}
