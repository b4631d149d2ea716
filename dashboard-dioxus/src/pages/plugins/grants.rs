//! What a plugin asks for, and what of it the owner allows. A grant may be narrower than the request, never wider.

use std::collections::{BTreeMap, BTreeSet};

use api_types::{CapabilityScope, GrantedCapability, Plugin, RequestedCapability};
use dioxus::prelude::*;

use super::words::{self, in_words, is_new, lists, old_request};
use crate::ui::{Mark, Shape};

/// The values of a scope's lists that are allowed, by heading.
type Allowed = BTreeMap<&'static str, BTreeSet<String>>;

/// What the owner has chosen, by capability.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Choices(BTreeMap<String, Choice>);

#[derive(Debug, Clone, Default, PartialEq)]
struct Choice {
    is_allowed: bool,
    values: Allowed,
}

impl Choices {
    /// What is granted now; everything of capabilities that the owner has not seen yet.
    pub(super) fn of(plugin: &Plugin) -> Self {
        let granted = plugin.approval.as_ref().map_or(&plugin.granted, |approval| &approval.granted);
        let choice = |request: &RequestedCapability| {
            let grant = granted.iter().find(|grant| grant.capability == request.capability);
            let is_unseen =
                granted.is_empty() || (plugin.approval.is_some() && old_request(plugin, &request.capability).is_none());
            let mut values = Allowed::new();
            for (index, (list, asked)) in lists(&request.scope).into_iter().enumerate() {
                let held = grant.and_then(|grant| lists(&grant.scope).get(index).map(|(_, values)| (*values).clone()));
                let old = old_request(plugin, &request.capability)
                    .and_then(|old| lists(&old.scope).get(index).map(|(_, values)| (*values).clone()));
                let chosen: BTreeSet<String> = match held {
                    // Values that are new in a request are proposed.
                    Some(held) => {
                        let is_proposed = |value: &&String| old.as_ref().is_some_and(|old| !old.contains(value));
                        held.into_iter().chain(asked.iter().filter(is_proposed).cloned()).collect()
                    }
                    None => asked.iter().cloned().collect(),
                };
                values.insert(list, chosen);
            }
            (request.capability.clone(), Choice { is_allowed: grant.is_some() || is_unseen, values })
        };
        Self(plugin.requested.iter().map(choice).collect())
    }

    /// Returns the grants to approve.
    pub(super) fn grants(&self) -> Vec<GrantedCapability> {
        let values = |choice: &Choice, list: &str| {
            choice.values.get(list).map(|values| values.iter().cloned().collect()).unwrap_or_default()
        };
        self.0
            .iter()
            .filter(|(_, choice)| choice.is_allowed)
            .map(|(capability, choice)| GrantedCapability {
                capability: capability.clone(),
                scope: CapabilityScope {
                    databases: values(choice, "Databases"),
                    stores: values(choice, "Stores"),
                    hosts: values(choice, "Hosts"),
                    secrets: values(choice, "Secrets"),
                },
            })
            .collect()
    }

    fn allow(&mut self, capability: &str, is_allowed: bool) {
        if let Some(choice) = self.0.get_mut(capability) {
            choice.is_allowed = is_allowed;
        }
    }

    fn set(&mut self, capability: &str, list: &'static str, value: &str, is_chosen: bool) {
        let Some(choice) = self.0.get_mut(capability) else { return };
        let values = choice.values.entry(list).or_default();
        if is_chosen {
            values.insert(value.to_owned());
        } else {
            values.remove(value);
        }
    }
}

/// The group "Capabilities".
#[component]
pub(super) fn Grants(
    plugin: Plugin,
    choices: Signal<Choices>,
    projects: Vec<(String, String)>,
    is_read_only: bool,
) -> Element {
    let has_approval = plugin.approval.as_ref().is_some_and(|approval| approval.revoked_at.is_none());
    let (new, old): (Vec<RequestedCapability>, Vec<RequestedCapability>) =
        plugin.requested.iter().cloned().partition(|request| has_approval && is_new(&plugin, request));
    let only_imported = words::imported_only(&plugin);
    let heading = if new.is_empty() { "Asks for" } else { "Approved before" };
    let approved = plugin.approval.as_ref().filter(|_| has_approval).map(|approval| {
        let by =
            if approval.approved_by == "owner" { "by you".to_owned() } else { format!("by {}", approval.approved_by) };
        format!("approved {}, {by}", crate::text::date(approval.approved_at))
    });
    rsx! {
        fieldset { role: "group", "aria-label": "Capabilities", class: "stack stack-6", disabled: is_read_only,
            if !new.is_empty() {
                GrantList { title: "New since your approval", note: new.len().to_string(), plugin: plugin.clone(), requests: new, is_new: true, choices, projects: projects.clone() }
            }
            if old.is_empty() && plugin.requested.is_empty() {
                p { class: "muted", "It asks for nothing: it can only compute, and write its log." }
            } else if !old.is_empty() {
                GrantList { title: heading, note: approved.unwrap_or_default(), plugin: plugin.clone(), requests: old, is_new: false, choices, projects }
            }
            if !only_imported.is_empty() {
                p { class: "help row items-start",
                    Mark { shape: Shape::Attention }
                    span { "Its code can also try {crate::text::list(&only_imported)}, for which it didn't ask. It gets an error." }
                }
            }
        }
    }
}

#[component]
fn GrantList(
    title: String,
    note: String,
    plugin: Plugin,
    requests: Vec<RequestedCapability>,
    is_new: bool,
    choices: Signal<Choices>,
    projects: Vec<(String, String)>,
) -> Element {
    rsx! {
        section { "aria-label": "{title}",
            div { class: "section-head",
                h2 { "{title}" }
                span { class: "label muted", "{note}" }
            }
            div { class: "items",
                for request in requests {
                    GrantItem { key: "{request.capability}", plugin: plugin.clone(), request, is_new, choices, projects: projects.clone() }
                }
            }
        }
    }
}

#[component]
fn GrantItem(
    plugin: Plugin,
    request: RequestedCapability,
    is_new: bool,
    choices: Signal<Choices>,
    projects: Vec<(String, String)>,
) -> Element {
    let mut choices = choices;
    let capability = request.capability.clone();
    let choice = choices.read().0.get(&capability).cloned().unwrap_or_default();
    let words = in_words(&capability, &request.scope, &projects);
    let held = plugin
        .approval
        .as_ref()
        .and_then(|approval| approval.granted.iter().find(|grant| grant.capability == capability).cloned());
    let to_allow = capability.clone();
    rsx! {
        div { class: "grant stack stack-2",
            label { class: "check",
                input {
                    class: "box",
                    r#type: "checkbox",
                    "aria-label": "Allow {words}",
                    checked: choice.is_allowed,
                    onchange: move |event| choices.with_mut(|choices| choices.allow(&to_allow, event.checked())),
                }
                span { class: "strong", "Allow {words}" }
                if is_new {
                    span { class: "tag", "new" }
                }
            }
            div { class: "grant-body stack stack-2",
                p { class: "label muted", "The author says: “{request.reason}”" }
                for (index, (list, asked)) in lists(&request.scope).into_iter().enumerate() {
                    if !asked.is_empty() {
                        ScopeList {
                            key: "{list}",
                            capability: capability.clone(),
                            list,
                            asked: asked.clone(),
                            old: old_request(&plugin, &capability).and_then(|old| lists(&old.scope).get(index).map(|(_, values)| (*values).clone())),
                            chosen: choice.values.get(list).cloned().unwrap_or_default(),
                            is_allowed: choice.is_allowed,
                            choices,
                            projects: projects.clone(),
                        }
                    }
                }
                if let Some(held) = held.filter(|_| is_new) {
                    p { class: "help", "Until now you allowed {in_words(&held.capability, &held.scope, &projects)}." }
                }
            }
        }
    }
}

/// The values of one list of a scope, each with a checkbox.
#[component]
fn ScopeList(
    capability: String,
    list: &'static str,
    asked: Vec<String>,
    /// The values that were asked for when the plugin was approved.
    old: Option<Vec<String>>,
    chosen: BTreeSet<String>,
    is_allowed: bool,
    choices: Signal<Choices>,
    projects: Vec<(String, String)>,
) -> Element {
    let is_wide = |value: &str| value.ends_with('*');
    // Instead of all projects, the owner can choose some.
    let has_open_wildcard = list != "Hosts" && asked.iter().any(|value| is_wide(value) && !chosen.contains(value));
    let mut values = asked.clone();
    if has_open_wildcard {
        let within = |value: &str| {
            asked.iter().any(|pattern| pattern == "*" || (pattern == "project:*" && value.starts_with("project:")))
        };
        let mut narrower: Vec<String> = vec!["platform".to_owned()];
        narrower.extend(projects.iter().map(|(id, _)| id.clone()));
        values.extend(
            narrower.into_iter().filter(|value| {
                within(value) && !asked.contains(value) && (list == "Databases" || value != "platform")
            }),
        );
    }
    for value in &chosen {
        if !values.contains(value) {
            values.push(value.clone());
        }
    }
    let left_out: Vec<String> =
        asked.iter().filter(|value| !chosen.contains(*value)).map(|value| words::value(value, &projects)).collect();
    let meaning =
        asked.iter().any(|value| is_wide(value) && chosen.contains(value)).then(|| words::wildcard(list)).flatten();
    rsx! {
        div { class: "scope label", role: "group", "aria-label": list,
            span { class: "muted scope-name", "{list}" }
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
        if list == "Hosts" && asked.iter().any(|value| is_wide(value) && !chosen.contains(value)) {
            OtherHosts { capability: capability.clone(), asked: asked.clone(), chosen: chosen.clone(), choices }
        }
        if let Some(meaning) = meaning.filter(|_| is_allowed) {
            p { class: "help row items-start", Mark { shape: Shape::Attention } span { "{meaning}" } }
        }
        if is_allowed && !left_out.is_empty() {
            p { class: "help row items-start",
                Mark { shape: Shape::Skipped }
                span { "You left out {crate::text::list(&left_out)}. The plugin gets an error when it uses what you left out." }
            }
        }
    }
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
                onchange: move |event| choices.with_mut(|choices| choices.set(&capability, list, &value, event.checked())),
            }
            span { class: "mono", "{name}" }
            if is_new {
                span { class: "tag", "new" }
            }
        }
    }
}

/// Single hosts instead of all.
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
                    choices.with_mut(|choices| {
                        if let Some(choice) = choices.0.get_mut(&capability) {
                            let kept = choice.values.entry("Hosts").or_default();
                            kept.retain(|host| asked.contains(host));
                            kept.extend(hosts);
                        }
                    });
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use api_types::{PluginApproval, PluginState, RunCount};

    use super::*;

    fn hosts(hosts: &[&str]) -> CapabilityScope {
        CapabilityScope { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), ..Default::default() }
    }

    fn plugin(asked: &[&str], approved: Option<(&[&str], &[&str])>) -> Plugin {
        let grant = |values: &[&str]| vec![GrantedCapability { capability: "http".to_owned(), scope: hosts(values) }];
        Plugin {
            name: "p".to_owned(),
            version: None,
            serial: None,
            publisher: None,
            description: None,
            sha256: String::new(),
            key_id: None,
            key_name: None,
            file: None,
            first_party: false,
            state: PluginState::Pending,
            reason: None,
            imports: Vec::new(),
            requested: vec![RequestedCapability {
                capability: "http".to_owned(),
                reason: String::new(),
                scope: hosts(asked),
            }],
            granted: Vec::new(),
            approval: approved.map(|(requested, granted)| PluginApproval {
                approved_at: chrono::DateTime::UNIX_EPOCH,
                approved_by: "owner".to_owned(),
                key_id: String::new(),
                granted: grant(granted),
                requested: grant(requested),
                revoked_at: None,
            }),
            limits: None,
            effective_limits: None,
            jobs: Vec::new(),
            used_by: Vec::new(),
            used_by_count: 0,
            runs_24h: RunCount { total: 0, failed: 0 },
            active_run_count: 0,
            secrets: Vec::new(),
            config: BTreeMap::new(),
            loaded_at: None,
        }
    }

    fn granted_hosts(choices: &Choices) -> Vec<String> {
        choices.grants().into_iter().flat_map(|grant| grant.scope.hosts).collect()
    }

    #[test]
    fn first_request_is_proposed_whole() {
        assert_eq!(granted_hosts(&Choices::of(&plugin(&["a", "b"], None))), ["a", "b"]);
    }

    #[test]
    fn values_left_out_before_stay_left_out_and_new_ones_are_proposed() {
        let plugin = plugin(&["a", "b", "c"], Some((&["a", "b"], &["a"])));
        assert_eq!(granted_hosts(&Choices::of(&plugin)), ["a", "c"]);
    }

    #[test]
    fn narrowed_grants_lose_what_is_unchecked() {
        let mut choices = Choices::of(&plugin(&["a", "b"], None));
        choices.set("http", "Hosts", "b", false);
        assert_eq!(granted_hosts(&choices), ["a"]);
        choices.allow("http", false);
        assert!(choices.grants().is_empty());
    }
}
