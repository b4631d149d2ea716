//! The choice of several statuses: a combobox that opens a list of options.

use api_types::RunStatus;
use dioxus::prelude::*;

use super::super::recent_runs::{run_shape, run_state_in_words};
use crate::{
    address, dom,
    ui::{Icon, IconName, Mark},
};

/// The statuses in the order of the list: first those that need attention.
const STATUSES: [RunStatus; 7] = [
    RunStatus::Fail,
    RunStatus::Timeout,
    RunStatus::Running,
    RunStatus::Queued,
    RunStatus::Success,
    RunStatus::Cancelled,
    RunStatus::Skipped,
];
/// Id of the list.
const LIST: &str = "status-options";

/// Shows and changes the parameter `status` of the address: statuses, separated by commas.
#[component]
pub(super) fn StatusFilter() -> Element {
    let chosen = parse(&address::use_parameter("status").unwrap_or_default());
    let mut is_open = use_signal(|| false);
    let mut active = use_signal(|| 0_usize);
    let summary = in_words(&chosen);
    let onkeydown = {
        let chosen = chosen.clone();
        move |event: KeyboardEvent| {
            let last = STATUSES.len() - 1;
            let next = match event.key() {
                Key::ArrowDown if is_open() => (active() + 1).min(last),
                Key::ArrowUp if is_open() => active().saturating_sub(1),
                Key::Home if is_open() => 0,
                Key::End if is_open() => last,
                Key::ArrowDown | Key::ArrowUp => {
                    event.prevent_default();
                    open();
                    return;
                }
                Key::Enter if is_open() => {
                    event.prevent_default();
                    toggle(&chosen, active());
                    return;
                }
                Key::Character(space) if space == " " && is_open() => {
                    event.prevent_default();
                    toggle(&chosen, active());
                    return;
                }
                Key::Tab => {
                    close();
                    return;
                }
                _ => return,
            };
            event.prevent_default();
            active.set(next);
        }
    };
    rsx! {
        span { class: "menu-anchor",
            button {
                class: "input select m",
                r#type: "button",
                role: "combobox",
                "aria-label": "Status",
                "aria-haspopup": "listbox",
                "aria-expanded": is_open().to_string(),
                "aria-controls": LIST,
                "aria-activedescendant": is_open().then(|| format!("{LIST}-{}", active())),
                "popovertarget": LIST,
                onkeydown,
                // A button is clicked when the space bar is released, which would close the list.
                onkeyup: |event| {
                    let is_open = dom::find(&format!("#{LIST}:popover-open")).is_some();
                    if event.key() == Key::Character(" ".to_owned()) && is_open {
                        event.prevent_default();
                    }
                },
                span { class: "what", "Status" }
                span { class: "cut", "{summary}" }
                Icon { name: IconName::ChevronDown }
            }
            div {
                id: LIST,
                class: "menu options-list",
                role: "listbox",
                "aria-label": "Status",
                "aria-multiselectable": "true",
                "popover": "auto",
                ontoggle: move |_| is_open.set(dom::find(&format!("#{LIST}:popover-open")).is_some()),
                for (index, status) in STATUSES.into_iter().enumerate() {
                    div {
                        key: "{status.as_str()}",
                        id: "{LIST}-{index}",
                        class: if index == active() { "option is-on" } else { "option" },
                        role: "option",
                        "aria-selected": chosen.contains(&status).to_string(),
                        onmousemove: move |_| {
                            if *active.peek() != index {
                                active.set(index);
                            }
                        },
                        onclick: {
                            let chosen = chosen.clone();
                            move |_| toggle(&chosen, index)
                        },
                        span { class: "tick", "aria-hidden": "true" }
                        Mark { shape: run_shape(status) }
                        "{run_state_in_words(status)}"
                    }
                }
            }
        }
    }
}

fn parse(parameter: &str) -> Vec<RunStatus> {
    STATUSES.into_iter().filter(|status| parameter.split(',').any(|name| name.trim() == status.as_str())).collect()
}

/// Returns the text of the closed combobox.
fn in_words(chosen: &[RunStatus]) -> String {
    match chosen {
        [] => "All".to_owned(),
        [one] => run_state_in_words(*one).to_owned(),
        [one, other] => format!("{}, {}", run_state_in_words(*one), run_state_in_words(*other)),
        _ => format!("{} of {}", chosen.len(), STATUSES.len()),
    }
}

/// Adds or removes a status.
fn toggle(chosen: &[RunStatus], index: usize) {
    let Some(changed) = STATUSES.get(index) else { return };
    let is_kept = |status: &RunStatus| chosen.contains(status) != (status == changed);
    let names: Vec<&str> = STATUSES.iter().filter(|status| is_kept(status)).map(|status| status.as_str()).collect();
    let value = if names.is_empty() { Vec::new() } else { vec![names.join(",")] };
    address::replace_parameters(&[("status", value), ("after", Vec::new()), ("offset", Vec::new())]);
}

/// Opens the list. A click makes the button the anchor of the list.
fn open() {
    if let Some(button) = dom::find(&format!("[aria-controls={LIST}]")) {
        button.click();
    }
}

fn close() {
    if let Some(list) = dom::find(&format!("#{LIST}:popover-open")) {
        let _ = list.hide_popover();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_of_the_address_are_summarized() {
        for (parameter, expected) in [
            ("", "All"),
            ("fail", "Failed"),
            ("timeout,fail", "Failed, Timed out"),
            ("unknown", "All"),
            ("fail,success,skipped", "3 of 7"),
        ] {
            assert_eq!(in_words(&parse(parameter)), expected, "{parameter}");
        }
    }
}
