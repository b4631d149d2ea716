//! The section "Configuration" of the settings: every variable with its value and the origin of the value.

use api_types::{ConfigurationSource, ConfigurationVariable, SystemInfo};
use dioxus::prelude::*;

use super::SectionHead;
use crate::{
    pages::filter_text::use_filter_text,
    remote::{RemoteState, use_remote},
    text,
    ui::{CodeText, CopyButton, Empty, ErrorBox, LoadingTable, SearchBox, finder, narrow::use_is_narrow},
};

#[component]
pub(super) fn Configuration() -> Element {
    let mut system = use_remote::<SystemInfo>(use_signal(|| "/system".to_owned()).into());
    let filter = use_filter_text();
    let mut only_set = use_signal(|| false);
    let content = match system.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Configuration", columns: 4 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "The configuration could not be loaded.", failure, on_retry: move |()| system.refresh() }
        },
        RemoteState::Ready(system) => {
            let matches = |variable: &ConfigurationVariable| {
                let text = format!("{} {}", variable.name, variable.meaning);
                (!only_set() || variable.set) && finder::matches(&text, &filter.read())
            };
            let variables: Vec<ConfigurationVariable> = system.configuration.into_iter().filter(matches).collect();
            rsx! { Variables { variables, filter, only_set } }
        }
    };
    rsx! {
        SectionHead {
            title: "Configuration",
            remark: "In effect since AtlasHub started. Change variables where you start AtlasHub, then restart it.",
        }
        div { class: "toolbar",
            SearchBox { name: "Filter configuration", value: filter }
            label { class: "check",
                input {
                    class: "switch",
                    r#type: "checkbox",
                    role: "switch",
                    checked: only_set(),
                    onchange: move |event| only_set.set(event.checked()),
                }
                "Only variables that are set"
            }
            span {
                class: "push label muted only-wide",
                "Explained in "
                span { class: "mono", "docs/CONFIGURATION.md" }
            }
        }
        {content}
    }
}

#[component]
fn Variables(
    variables: Vec<ConfigurationVariable>,
    filter: Signal<String>,
    /// Whether variables that are not set are left out.
    only_set: Signal<bool>,
) -> Element {
    let (mut filter, mut only_set) = (filter, only_set);
    let count = variables.len() as i64;
    if variables.is_empty() {
        let text = if only_set() {
            "Enter part of its name or description, or turn off “Only variables that are set”."
        } else {
            "Enter part of its name or description."
        };
        return rsx! {
            Empty { title: "No variable matches", text,
                button {
                    class: "btn",
                    r#type: "button",
                    onclick: move |_| {
                        filter.set(String::new());
                        only_set.set(false);
                    },
                    "Clear filters"
                }
            }
        };
    }
    if use_is_narrow() {
        return rsx! {
            ul { class: "cards", "aria-label": "Configuration",
                for variable in variables {
                    li { key: "{variable.name}", class: "card",
                        h3 { class: "mono", "{variable.name}" }
                        p { Value { variable: variable.clone() } " · {source_in_words(variable.source)}" }
                        p { CodeText { text: variable.meaning.clone() } }
                    }
                }
            }
        };
    }
    rsx! {
        table { class: "table two variables", "aria-label": "Configuration",
            thead {
                tr {
                    th { "Name" }
                    th { "Value" }
                    th { class: "hide-1060", "Default" }
                    th { "From" }
                }
            }
            tbody {
                for variable in variables {
                    tr { key: "{variable.name}",
                        td { class: "wrapped",
                            span { class: "row row-1",
                                span { class: "mono strong", "{variable.name}" }
                                CopyButton { name: "Copy {variable.name}", text: variable.name.clone(), class: "quiet" }
                            }
                            span { class: "sub", CodeText { text: variable.meaning.clone() } }
                        }
                        td { class: "mono wrapped value", Value { variable: variable.clone() } }
                        td {
                            class: "mono muted wrapped value hide-1060",
                            {variable.default.clone().unwrap_or_else(|| "–".to_owned())}
                        }
                        td { class: if variable.set { "" } else { "muted" }, "{source_in_words(variable.source)}" }
                    }
                }
            }
        }
        div { class: "foot", span { "{text::count(count, \"variable\", \"variables\")}" } }
    }
}

/// The value in force. For a secret, shows only whether it is set.
#[component]
fn Value(variable: ConfigurationVariable) -> Element {
    match (variable.secret, variable.set, variable.value) {
        (true, true, _) => rsx! { span { class: "tag", "set" } },
        (true, false, _) | (false, _, None) => rsx! { span { class: "faint", "not set" } },
        (false, _, Some(value)) if value.is_empty() => rsx! { span { class: "faint", "empty" } },
        (false, _, Some(value)) => rsx! { "{value}" },
    }
}

fn source_in_words(source: ConfigurationSource) -> &'static str {
    match source {
        ConfigurationSource::Default => "Default",
        ConfigurationSource::Environment => "Environment",
        ConfigurationSource::Dotenv => ".env",
        ConfigurationSource::File => "File",
    }
}
