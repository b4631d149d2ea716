//! The capabilities that a plugin requests and the owner grants. A grant may be narrower than the request, never wider.
//!
//! The scope of a grant limits it to lists of databases, stores, hosts and secrets. [`choices`] are the grants that the
//! owner chooses. [`scope`] shows the values of one list of a scope.

mod choices;
mod scope;

use api_types::{Plugin, RequestedCapability};
use dioxus::prelude::*;

use super::words::{imported_only, in_words, is_new, lists, old_request};
use crate::{
    text,
    ui::{Mark, Shape},
};
pub(super) use choices::Choices;
use scope::ScopeList;

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
    let only_imported = imported_only(&plugin);
    let heading = if new.is_empty() { "Asks for" } else { "Approved before" };
    let approved = plugin.approval.as_ref().filter(|_| has_approval).map(|approval| {
        let by =
            if approval.approved_by == "owner" { "by you".to_owned() } else { format!("by {}", approval.approved_by) };
        format!("approved {}, {by}", text::date(approval.approved_at))
    });
    rsx! {
        fieldset { role: "group", "aria-label": "Capabilities", class: "stack stack-6", disabled: is_read_only,
            if !new.is_empty() {
                GrantList {
                    title: "New since your approval",
                    note: new.len().to_string(),
                    plugin: plugin.clone(),
                    requests: new,
                    is_new: true,
                    choices,
                    projects: projects.clone(),
                }
            }
            if old.is_empty() && plugin.requested.is_empty() {
                p { class: "muted", "The plugin asks for nothing: it can only compute and write its log." }
            } else if !old.is_empty() {
                GrantList {
                    title: heading,
                    note: approved.unwrap_or_default(),
                    plugin: plugin.clone(),
                    requests: old,
                    is_new: false,
                    choices,
                    projects,
                }
            }
            if !only_imported.is_empty() {
                p { class: "help row items-start",
                    Mark { shape: Shape::Attention }
                    span {
                        "The plugin's code also contains calls that its manifest does not ask for: "
                        "{text::list(&only_imported)}. These calls return an error."
                    }
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
                    GrantItem {
                        key: "{request.capability}",
                        plugin: plugin.clone(),
                        request,
                        is_new,
                        choices,
                        projects: projects.clone(),
                    }
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
    let choice = choices.read().of_capability(&capability);
    let words = in_words(&capability, &request.scope, &projects);
    let held = plugin
        .approval
        .as_ref()
        .and_then(|approval| approval.granted.iter().find(|grant| grant.capability == capability).cloned());
    let old = old_request(&plugin, &capability).map(|old| lists(&old.scope).map(|(_, values)| values.clone()));
    let old_values = |index: usize| old.as_ref().and_then(|lists| lists.get(index).cloned());
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
                            old: old_values(index),
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
