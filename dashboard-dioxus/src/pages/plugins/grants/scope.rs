//! The values of one list of a scope: databases, stores, hosts or secrets.

use std::collections::BTreeSet;

use dioxus::prelude::*;

use super::{
    super::words,
    choices::{Choices, is_wildcard},
};
use crate::{
    text,
    ui::{Mark, Shape},
};

/// The values of one list of a scope, each with a checkbox.
#[component]
pub(super) fn ScopeList(
    capability: String,
    list: &'static str,
    asked: Vec<String>,
    /// The values that the plugin requested when it was approved.
    old: Option<Vec<String>>,
    chosen: BTreeSet<String>,
    is_allowed: bool,
    choices: Signal<Choices>,
    projects: Vec<(String, String)>,
) -> Element {
    // If a wildcard is not chosen, the owner can choose single projects or hosts.
    let has_open_wildcard = asked.iter().any(|value| is_wildcard(value) && !chosen.contains(value));
    let mut values = asked.clone();
    if has_open_wildcard && list != "Hosts" {
        let within = |value: &str| {
            asked.iter().any(|pattern| pattern == "*" || (pattern == "project:*" && value.starts_with("project:")))
        };
        // The platform is not a store, and its database can't be queried.
        let has_platform = list == "Databases" && capability != "query";
        let mut narrower: Vec<String> = has_platform.then(|| "platform".to_owned()).into_iter().collect();
        narrower.extend(projects.iter().map(|(id, _)| id.clone()));
        values.extend(narrower.into_iter().filter(|value| within(value) && !asked.contains(value)));
    }
    for value in &chosen {
        if !values.contains(value) {
            values.push(value.clone());
        }
    }
    let (narrowed, left_out): (Vec<&String>, Vec<&String>) =
        asked.iter().filter(|value| !chosen.contains(*value)).partition(|value| is_wildcard(value));
    let narrowed: Vec<String> = narrowed.into_iter().map(|value| wildcard_in_words(value, list, &projects)).collect();
    let left_out: Vec<String> = left_out.into_iter().map(|value| words::value(value, &projects)).collect();
    // The shortest wildcard includes the others.
    let wildcards = asked.iter().filter(|value| value.ends_with('*') && chosen.contains(*value));
    let meaning = wildcards.min_by_key(|value| value.len()).and_then(|value| words::wildcard(&capability, list, value));
    let heading = words::heading(&capability, list);
    rsx! {
        div { class: "scope label", role: "group", "aria-label": heading,
            span { class: "muted scope-name", "{heading}" }
            div { class: "row row-1 wrap grow",
                for value in values {
                    ScopeValue {
                        key: "{value}",
                        name: words::value(&value, &projects),
                        is_new: old.as_ref().is_some_and(|old| !old.contains(&value) && asked.contains(&value)),
                        is_chosen: chosen.contains(&value),
                        is_allowed,
                        capability: capability.clone(),
                        list,
                        value,
                        choices,
                    }
                }
            }
        }
        if list == "Hosts" && has_open_wildcard {
            OtherHosts { capability: capability.clone(), asked: asked.clone(), chosen: chosen.clone(), choices }
        }
        if let Some(meaning) = meaning.filter(|_| is_allowed) {
            p { class: "help row items-start", Mark { shape: Shape::Attention } span { "{meaning}" } }
        }
        if is_allowed && !narrowed.is_empty() {
            p { class: "help row items-start",
                Mark { shape: Shape::Skipped }
                span {
                    "The plugin requested {text::list(&narrowed)}, which you did not allow in full. It gets an error \
                     when it uses anything that is not allowed here."
                }
            }
        }
        if is_allowed && !left_out.is_empty() {
            p { class: "help row items-start",
                Mark { shape: Shape::Skipped }
                span {
                    "You left out {text::list(&left_out)}. The plugin gets an error when it uses what you left out."
                }
            }
        }
    }
}

/// Returns a wildcard in words: `all hosts`.
fn wildcard_in_words(value: &str, list: &str, projects: &[(String, String)]) -> String {
    if value == "*" { format!("all {}", list.to_lowercase()) } else { words::value(value, projects) }
}

#[component]
fn ScopeValue(
    name: String,
    is_new: bool,
    is_chosen: bool,
    is_allowed: bool,
    capability: String,
    list: &'static str,
    value: String,
    choices: Signal<Choices>,
) -> Element {
    let mut choices = choices;
    let label = if name == value { format!("Allow {value}") } else { format!("Allow {name} ({value})") };
    rsx! {
        label { class: "check scope-value",
            input {
                class: "box",
                r#type: "checkbox",
                "aria-label": "{label}",
                checked: is_chosen,
                disabled: !is_allowed,
                onchange: move |event| {
                    choices.with_mut(|choices| choices.set(&capability, list, &value, event.checked()));
                },
            }
            span { class: "mono", "{name}" }
            if is_new {
                span { class: "tag", "new" }
            }
        }
    }
}

/// A field for single hosts, instead of the wildcard that the plugin requests.
#[component]
fn OtherHosts(capability: String, asked: Vec<String>, chosen: BTreeSet<String>, choices: Signal<Choices>) -> Element {
    let mut choices = choices;
    let typed =
        use_signal(|| chosen.iter().filter(|host| !asked.contains(host)).cloned().collect::<Vec<_>>().join(" "));
    let mut typed = typed;
    rsx! {
        label { class: "field",
            span { class: "label muted", "Only these hosts, separated by spaces" }
            input {
                class: "input m mono",
                autocomplete: "off",
                spellcheck: "false",
                value: "{typed}",
                oninput: move |event| {
                    typed.set(event.value());
                    let hosts: BTreeSet<String> = event.value().split_whitespace().map(str::to_owned).collect();
                    choices.with_mut(|choices| choices.set_typed_hosts(&capability, &asked, hosts));
                },
            }
        }
    }
}
