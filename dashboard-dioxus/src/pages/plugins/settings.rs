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
    /// All settings.
    settings: Vec<Setting>,
}

/// A setting in the form.
#[derive(Debug, Clone, PartialEq)]
struct Setting {
    /// Identifies the setting while its name is typed, and while settings before it are removed.
    key: usize,
    name: String,
    value: String,
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
/// but not the values of secrets. A setting that the owner has not changed gets the plugin's current value, because all
/// settings are saved together.
pub(super) fn use_typed(plugin: &Plugin) -> Signal<Typed> {
    let settings = plugin.config.clone().into_iter().collect();
    let saved = Kept { base: plugin.config.clone(), settings, added: Vec::new() };
    let mut kept = draft::use_draft(&format!("plugin.{}.{}", plugin.name, plugin.sha256), saved);
    let mut base = use_signal(|| kept.peek().base.clone());
    let mut typed = use_signal(|| {
        let kept = kept.peek();
        Typed { added: kept.added.clone(), ..Typed::of(kept.settings.iter().cloned()) }
    });
    if *base.peek() != plugin.config {
        let settings = rebased(&typed.peek().settings, &base.peek(), &plugin.config);
        typed.with_mut(|typed| typed.settings = settings);
        base.set(plugin.config.clone());
    }
    use_effect(move || {
        let (typed, base) = (typed.read(), base.read().clone());
        let settings = pairs_of(&typed.settings, &base);
        let now = Kept { base, settings, added: typed.added.clone() };
        if *kept.peek() != now {
            kept.set(now);
        }
    });
    typed
}

/// Returns the settings `saved` with the changes that lead from `base` to `typed`.
fn rebased(typed: &[Setting], base: &BTreeMap<String, String>, saved: &BTreeMap<String, String>) -> Vec<Setting> {
    let mut settings = Vec::new();
    for setting in typed {
        if base.get(&setting.name) != Some(&setting.value) {
            settings.push(setting.clone());
        } else if let Some(saved) = saved.get(&setting.name) {
            settings.push(Setting { value: saved.clone(), ..setting.clone() });
        }
    }
    let mut key = next_key(typed);
    for (name, value) in saved {
        let is_listed = settings.iter().any(|listed| listed.name == *name);
        if !base.contains_key(name) && !is_listed {
            settings.push(Setting { key, name: name.clone(), value: value.clone() });
            key += 1;
        }
    }
    settings
}

/// Returns the key of a setting that is added to `settings`.
fn next_key(settings: &[Setting]) -> usize {
    settings.iter().map(|setting| setting.key + 1).max().unwrap_or_default()
}

/// Returns the names and values of settings. If they differ from those of `base` only in their order, returns them in
/// the order of `base`: a setting that another tab has added comes last in the form, and the browser need not store
/// that.
fn pairs_of(settings: &[Setting], base: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let pairs: Vec<_> = settings.iter().map(|setting| (setting.name.clone(), setting.value.clone())).collect();
    let stored: Vec<_> = base.clone().into_iter().collect();
    let mut sorted = pairs.clone();
    sorted.sort();
    if sorted == stored { stored } else { pairs }
}

impl Typed {
    /// Returns the input of the form without changes.
    pub(super) fn saved(plugin: &Plugin) -> Self {
        Self::of(plugin.config.iter().map(|(name, value)| (name.clone(), value.clone())))
    }

    fn of(settings: impl Iterator<Item = (String, String)>) -> Self {
        let settings = settings.enumerate().map(|(key, (name, value))| Setting { key, name, value });
        Self { secrets: BTreeMap::new(), added: Vec::new(), settings: settings.collect() }
    }

    /// Returns the settings to store: those of `newest`, with the owner's changes to those of `reviewed`. `None` if
    /// they are the same as those of `newest`.
    pub(super) fn settings_for(&self, reviewed: &Plugin, newest: &Plugin) -> Option<BTreeMap<String, String>> {
        let settings = rebased(&self.settings, &reviewed.config, &newest.config);
        Self { settings, ..Self::saved(newest) }.changed_settings(newest)
    }

    /// Returns the settings to store, if they differ from those of the plugin.
    pub(super) fn changed_settings(&self, plugin: &Plugin) -> Option<BTreeMap<String, String>> {
        let named = self.settings.iter().filter(|setting| !setting.name.trim().is_empty());
        let settings: BTreeMap<String, String> =
            named.map(|setting| (setting.name.trim().to_owned(), setting.value.clone())).collect();
        (settings != plugin.config).then_some(settings)
    }

    fn add_setting(&mut self) {
        let key = next_key(&self.settings);
        self.settings.push(Setting { key, name: String::new(), value: String::new() });
    }

    fn change_setting(&mut self, key: usize, change: impl FnOnce(&mut Setting)) {
        if let Some(setting) = self.settings.iter_mut().find(|setting| setting.key == key) {
            change(setting);
        }
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
                    onclick: move |_| typed.with_mut(Typed::add_setting),
                    Icon { name: IconName::Plus }
                    "Add setting"
                }
            }
            if settings.is_empty() {
                p { class: "label muted", "None. The plugin's documentation says which settings it reads." }
            }
            for Setting { key, name, value } in settings {
                div { key: "{key}", class: "row",
                    input {
                        class: "input m mono setting-name",
                        "aria-label": "Setting name",
                        autocomplete: "off",
                        value: "{name}",
                        oninput: move |event| typed.with_mut(|typed| {
                            typed.change_setting(key, |setting| setting.name = event.value());
                        }),
                    }
                    input {
                        class: "input m mono",
                        "aria-label": "Value of {name}",
                        autocomplete: "off",
                        value: "{value}",
                        oninput: move |event| typed.with_mut(|typed| {
                            typed.change_setting(key, |setting| setting.value = event.value());
                        }),
                    }
                    button {
                        class: "btn btn-ghost btn-icon",
                        r#type: "button",
                        "aria-label": "Remove setting {name}",
                        onclick: move |_| typed.with_mut(|typed| typed.settings.retain(|setting| setting.key != key)),
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

    fn config(settings: &[(&str, &str)]) -> BTreeMap<String, String> {
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn list(settings: &[(usize, &str, &str)]) -> Vec<Setting> {
        let setting = |(key, name, value): &(usize, &str, &str)| Setting {
            key: *key,
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        };
        settings.iter().map(setting).collect()
    }

    #[test]
    fn settings_without_changes_follow_those_of_the_plugin() {
        let base = config(&[("color", "red"), ("depth", "8"), ("old", "1"), ("width", "120")]);
        let typed = list(&[(0, "color", "blue"), (1, "depth", "8"), (2, "old", "1"), (4, "", "half typed")]);
        let saved = config(&[("color", "green"), ("depth", "16"), ("new", "2"), ("width", "120")]);
        // The rows of the form keep their keys, although another tab has removed one of them.
        let expected = list(&[(0, "color", "blue"), (1, "depth", "16"), (4, "", "half typed"), (5, "new", "2")]);
        assert_eq!(rebased(&typed, &base, &saved), expected);
        assert!(rebased(&list(&[(0, "depth", "8")]), &config(&[("depth", "8")]), &config(&[])).is_empty());
    }

    #[test]
    fn position_of_a_setting_that_another_tab_has_added_is_no_change() {
        let (base, saved) = (config(&[("width", "120")]), config(&[("depth", "8"), ("width", "120")]));
        let followed = rebased(&list(&[(0, "width", "120")]), &base, &saved);
        assert_eq!(followed, list(&[(0, "width", "120"), (1, "depth", "8")]));
        assert_eq!(pairs_of(&followed, &saved), saved.clone().into_iter().collect::<Vec<_>>());
        assert_eq!(pairs_of(&followed, &base).first().map(|(name, _)| name.as_str()), Some("width"));
    }
}
