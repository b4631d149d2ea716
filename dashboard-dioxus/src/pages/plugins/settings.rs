//! The secrets and settings that the owner stores for a plugin.

use std::collections::BTreeMap;

use api_types::Plugin;
use dioxus::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    dom, draft,
    ui::{Icon, IconName},
};

/// Unsaved input of the form.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Typed {
    /// New values of secrets; `None` removes one.
    pub(super) secrets: BTreeMap<String, Option<String>>,
    /// Names of secrets that the plugin does not request by name.
    added: Vec<String>,
    /// All settings, each with name and value.
    pub(super) settings: Vec<(String, String)>,
}

/// The part of the unsaved input that the browser stores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// The stored settings that the input changes.
    base: BTreeMap<String, String>,
    settings: Vec<(String, String)>,
    /// Names of added secrets, without their values.
    #[serde(default)]
    added: Vec<String>,
}

/// Returns the unsaved input for this file of a plugin. The browser stores the settings and the names of added secrets,
/// but not the values of secrets. Settings without changes follow those of the plugin, because all settings are saved together.
pub(super) fn use_typed(plugin: &Plugin) -> Signal<Typed> {
    let saved = Kept { base: plugin.config.clone(), settings: Typed::saved(plugin).settings, added: Vec::new() };
    let mut kept = draft::use_draft(&format!("plugin.{}.{}", plugin.name, plugin.sha256), saved);
    let mut base = use_signal(|| kept.peek().base.clone());
    let mut typed = use_signal(|| {
        let kept = kept.peek();
        Typed { secrets: BTreeMap::new(), added: kept.added.clone(), settings: kept.settings.clone() }
    });
    if *base.peek() != plugin.config {
        let settings = rebased(&typed.peek().settings, &base.peek(), &plugin.config);
        typed.with_mut(|typed| typed.settings = settings);
        base.set(plugin.config.clone());
    }
    use_effect(move || {
        let typed = typed.read();
        let now = Kept { base: base.read().clone(), settings: typed.settings.clone(), added: typed.added.clone() };
        if *kept.peek() != now {
            kept.set(now);
        }
    });
    typed
}

/// Returns the settings `saved` with the changes that lead from `base` to `typed`.
fn rebased(
    typed: &[(String, String)],
    base: &BTreeMap<String, String>,
    saved: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    for (name, value) in typed {
        if base.get(name) != Some(value) {
            settings.push((name.clone(), value.clone()));
        } else if let Some(saved) = saved.get(name) {
            settings.push((name.clone(), saved.clone()));
        }
    }
    for (name, value) in saved {
        let is_listed = settings.iter().any(|(listed, _)| listed == name);
        if !base.contains_key(name) && !is_listed {
            settings.push((name.clone(), value.clone()));
        }
    }
    settings
}

impl Typed {
    /// Returns the input of the form without changes.
    pub(super) fn saved(plugin: &Plugin) -> Self {
        let settings = plugin.config.iter().map(|(name, value)| (name.clone(), value.clone()));
        Self { secrets: BTreeMap::new(), added: Vec::new(), settings: settings.collect() }
    }

    /// Returns the settings to store, if they differ from those of the plugin.
    pub(super) fn changed_settings(&self, plugin: &Plugin) -> Option<BTreeMap<String, String>> {
        let named = self.settings.iter().filter(|(name, _)| !name.trim().is_empty());
        let settings: BTreeMap<String, String> =
            named.map(|(name, value)| (name.trim().to_owned(), value.clone())).collect();
        (settings != plugin.config).then_some(settings)
    }
}

/// Returns the names of the secrets that a plugin requests, or that are stored for it.
fn secret_names(plugin: &Plugin) -> Vec<String> {
    let wanted =
        plugin.requested.iter().flat_map(|request| request.scope.secrets.iter()).filter(|name| !name.ends_with('*'));
    let mut names: Vec<String> = wanted.chain(plugin.secrets.iter()).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[component]
pub(super) fn SecretsAndSettings(plugin: Plugin, typed: Signal<Typed>) -> Element {
    let mut typed = typed;
    let names = secret_names(&plugin);
    let wants_any = plugin.requested.iter().any(|request| request.scope.secrets.iter().any(|name| name.ends_with('*')));
    let settings = typed.read().settings.clone();
    let added = typed.read().added.clone();
    let mut new_name = use_signal(String::new);
    let all: Vec<String> =
        names.iter().cloned().chain(added.into_iter().filter(|name| !names.contains(name))).collect();
    rsx! {
        if !all.is_empty() || wants_any {
            section { class: "stack stack-3", "aria-label": "Secrets",
                h2 { "Secrets" }
                for name in all {
                    SecretField { key: "{name}", is_stored: plugin.secrets.contains(&name), name, typed }
                }
                if wants_any {
                    div { class: "row",
                        input {
                            class: "input m mono",
                            id: "new-secret",
                            "aria-label": "Name of a new secret",
                            placeholder: "NAME",
                            value: "{new_name}",
                            oninput: move |event| new_name.set(event.value()),
                        }
                        button {
                            class: "btn btn-ghost",
                            r#type: "button",
                            disabled: new_name.read().trim().is_empty(),
                            onclick: move |_| {
                                let name = new_name.peek().trim().to_owned();
                                if !typed.peek().added.contains(&name) {
                                    typed.with_mut(|typed| typed.added.push(name));
                                }
                                new_name.set(String::new());
                                // The button is disabled without a name.
                                dom::focus("#new-secret");
                            },
                            Icon { name: IconName::Plus }
                            "Add secret"
                        }
                    }
                }
            }
        }
        section { class: "stack stack-2", "aria-label": "Settings",
            div { class: "row",
                h2 { class: "grow", "Settings" }
                button {
                    class: "btn btn-ghost btn-s",
                    r#type: "button",
                    onclick: move |_| typed.with_mut(|typed| typed.settings.push((String::new(), String::new()))),
                    Icon { name: IconName::Plus }
                    "Add setting"
                }
            }
            if settings.is_empty() {
                p { class: "label muted", "None. The plugin's documentation says which settings it reads." }
            }
            for (index, (name, value)) in settings.into_iter().enumerate() {
                div { key: "{index}", class: "row",
                    input {
                        class: "input m mono setting-name",
                        "aria-label": "Setting name",
                        autocomplete: "off",
                        value: "{name}",
                        oninput: move |event| typed.with_mut(|typed| {
                            if let Some(setting) = typed.settings.get_mut(index) {
                                setting.0 = event.value();
                            }
                        }),
                    }
                    input {
                        class: "input m mono",
                        "aria-label": "Value of {name}",
                        autocomplete: "off",
                        value: "{value}",
                        oninput: move |event| typed.with_mut(|typed| {
                            if let Some(setting) = typed.settings.get_mut(index) {
                                setting.1 = event.value();
                            }
                        }),
                    }
                    button {
                        class: "btn btn-ghost btn-icon",
                        r#type: "button",
                        "aria-label": "Remove setting {name}",
                        onclick: move |_| typed.with_mut(|typed| {
                            if index < typed.settings.len() {
                                typed.settings.remove(index);
                            }
                        }),
                        Icon { name: IconName::Close }
                    }
                }
            }
        }
    }
}

/// A secret, which can be typed but not read.
#[component]
fn SecretField(name: String, is_stored: bool, typed: Signal<Typed>) -> Element {
    let mut typed = typed;
    let change = typed.read().secrets.get(&name).cloned();
    let is_removed = change == Some(None);
    let value = change.flatten().unwrap_or_default();
    let id = format!("secret-{name}");
    let (to_type, to_remove) = (name.clone(), name.clone());
    rsx! {
        div { class: "field",
            label { r#for: "{id}", "{name}" }
            div { class: "row",
                input {
                    id: "{id}",
                    class: "input m mono",
                    r#type: "password",
                    autocomplete: "off",
                    disabled: is_removed,
                    placeholder: match (is_removed, is_stored) {
                        (true, _) => "removed when you approve",
                        (false, true) => "stored; type to replace",
                        (false, false) => "not stored",
                    },
                    value: "{value}",
                    oninput: move |event| typed.with_mut(|typed| {
                        if event.value().is_empty() {
                            typed.secrets.remove(&to_type);
                        } else {
                            typed.secrets.insert(to_type.clone(), Some(event.value()));
                        }
                    }),
                }
                if is_stored {
                    button {
                        class: "btn btn-ghost",
                        r#type: "button",
                        "aria-label": if is_removed { "Keep {name}" } else { "Remove {name}" },
                        onclick: move |_| typed.with_mut(|typed| {
                            if is_removed {
                                typed.secrets.remove(&to_remove);
                            } else {
                                typed.secrets.insert(to_remove.clone(), None);
                            }
                        }),
                        if is_removed { "Keep" } else { "Remove" }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_without_changes_follow_those_of_the_plugin() {
        let config = |settings: &[(&str, &str)]| -> BTreeMap<String, String> {
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let list = |settings: &[(&str, &str)]| -> Vec<(String, String)> {
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let base = config(&[("color", "red"), ("depth", "8"), ("old", "1"), ("width", "120")]);
        let typed = list(&[("color", "blue"), ("depth", "8"), ("old", "1"), ("", "half typed")]);
        let saved = config(&[("color", "green"), ("depth", "16"), ("new", "2"), ("width", "120")]);
        let expected = list(&[("color", "blue"), ("depth", "16"), ("", "half typed"), ("new", "2")]);
        assert_eq!(rebased(&typed, &base, &saved), expected);
        assert!(rebased(&list(&[("depth", "8")]), &config(&[("depth", "8")]), &config(&[])).is_empty());
    }
}
