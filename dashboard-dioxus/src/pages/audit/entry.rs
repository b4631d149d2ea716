//! The sheet that shows one audit entry beside the list.

use api_types::{AuditEntry, Page as ApiPage, Session};
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use dioxus::prelude::*;
use serde_json::Value;

use super::{
    filters,
    sentence::act_in_words,
    words::{actor_in_words, is_app_user, outcome_in_words, result_shape, thing_address, thing_name},
};
use crate::{
    address,
    remote::{RemoteState, use_remote},
    text,
    ui::{CopyButton, Empty, ErrorBox, Icon, IconName, Link, Mark, Sheet},
};

#[component]
pub(super) fn EntrySheet(id: String, listed: Vec<AuditEntry>) -> Element {
    let at = listed.iter().position(|entry| entry.id == id);
    let before = at.and_then(|at| at.checked_sub(1)).and_then(|at| listed.get(at)).map(|entry| entry.id.clone());
    let after = at.and_then(|at| listed.get(at + 1)).map(|entry| entry.id.clone());
    match at.and_then(|at| listed.get(at)) {
        Some(entry) => rsx! { EntryPanel { entry: entry.clone(), before, after } },
        // Dioxus compares keys only in lists, so this is a list of one element: another id must create a new component.
        None => rsx! {
            for id in [id] {
                FoundEntry { key: "{id}", id }
            }
        },
    }
}

/// An entry that is not on the open page of the list. The API can't return a single entry, so this component reads up
/// to 200 entries that were written within two seconds of the time in the id.
#[component]
fn FoundEntry(id: String) -> Element {
    let path = written_at(&id).map(|at| {
        let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let (from, to) = (text(at - Duration::seconds(2)), text(at + Duration::seconds(2)));
        address::with_parameters("/audit", &[("from", Some(&from)), ("to", Some(&to)), ("limit", Some("200"))])
    });
    let is_id = path.is_some();
    let mut around = use_remote::<ApiPage<AuditEntry>>(use_signal(|| path.unwrap_or_default()).into());
    let close = |()| address::push_parameter("entry", None);
    let content = match around.state() {
        RemoteState::Loading if is_id => rsx! { div { class: "late", "aria-busy": "true", span { class: "sk" } } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "The entry could not be loaded.", failure, on_retry: move |()| around.refresh() }
        },
        RemoteState::Ready(page) if page.items.iter().any(|entry| entry.id == id) => {
            let entry = page.items.into_iter().find(|entry| entry.id == id);
            return rsx! {
                if let Some(entry) = entry {
                    EntryPanel { entry, before: None, after: None }
                }
            };
        }
        _ => rsx! {
            Empty { title: "No such entry", text: "It is no longer kept, or the address is wrong.",
                button { class: "btn", r#type: "button", onclick: move |_| close(()), "Back to the list" }
            }
        },
    };
    rsx! { Sheet { title: "Audit entry", on_close: close, {content} } }
}

/// Returns the time in an id of version 7 (RFC 9562): its first 48 bits are milliseconds since 1970.
fn written_at(id: &str) -> Option<DateTime<Utc>> {
    let hex: String = id.chars().filter(|letter| *letter != '-').take(12).collect();
    let milliseconds = i64::from_str_radix(&hex, 16).ok().filter(|_| hex.len() == 12)?;
    DateTime::from_timestamp_millis(milliseconds)
}

#[component]
fn EntryPanel(entry: AuditEntry, before: Option<String>, after: Option<String>) -> Element {
    let session = use_remote::<Session>(use_signal(|| "/session".to_owned()).into());
    let you = session.value().map(|session| session.actor);
    let words = act_in_words(&entry);
    let details = match &entry.details {
        Value::Null => None,
        Value::Object(fields) if fields.is_empty() => None,
        details => serde_json::to_string_pretty(details).ok(),
    };
    let same_thing = entry.target.clone();
    let name = thing_name(&entry).or_else(|| entry.target.clone()).unwrap_or_default();
    rsx! {
        Sheet {
            title: text::sentence(&words),
            on_close: |()| address::push_parameter("entry", None),
            footer: same_thing.map(|target| rsx! {
                button {
                    class: "btn same-thing",
                    r#type: "button",
                    onclick: move |_| {
                        address::replace_parameter("entry", None);
                        filters::clear();
                        filters::set(&[("target", Some(target.clone()))]);
                    },
                    Icon { name: IconName::Filter }
                    span { class: "cut", "Show all of {name}" }
                }
            }),
            div { class: "row row-1",
                Neighbour { name: "Newer entry", icon: IconName::ChevronUp, id: before }
                Neighbour { name: "Older entry", icon: IconName::ChevronDown, id: after }
            }
            Facts { entry: entry.clone(), you }
            if let Some(details) = details {
                section { class: "stack stack-2", "aria-label": "Details",
                    h3 { "Details" }
                    div { class: "code",
                        CopyButton { name: "Copy details", text: details.clone() }
                        pre { tabindex: "0", "{details}" }
                    }
                    p { class: "help", "Details never contain a key, a token or a password." }
                }
            }
        }
    }
}

#[component]
fn Facts(entry: AuditEntry, you: Option<String>) -> Element {
    let thing = thing_address(&entry);
    let who = actor_in_words(&entry, you.as_deref());
    let in_utc = entry.at.format("%Y-%m-%d %H:%M:%S%.3f");
    rsx! {
        dl { class: "dl entry-facts",
            dt { "When" }
            dd { class: "tab-nums", title: text::exact(entry.at),
                "{text::day_and_time(entry.at)} "
                span { class: "muted", "({in_utc} UTC)" }
            }
            dt { "Who" }
            dd {
                match user_address(&entry) {
                    Some(to) => rsx! { Link { to, class: "link", "{who}" } },
                    None => rsx! { "{who}" },
                }
                span { class: "mono muted", " {entry.actor}" }
            }
            dt { "Did" }
            dd { "{act_in_words(&entry)} " span { class: "mono muted", "{entry.action}" } }
            if let Some(id) = &entry.project_id {
                dt { "Project" }
                dd {
                    match &entry.project_name {
                        Some(name) => rsx! { Link { to: "/projects/{id}", class: "link", "{name}" } },
                        None => rsx! { span { class: "mono", "{id}" } span { class: "muted", " (deleted)" } },
                    }
                }
            }
            if let Some(target) = &entry.target {
                dt { "Target" }
                dd { class: "mono", "{target}" }
            }
            if let Some((to, label)) = thing.filter(|_| entry.project_id.is_none() || entry.project_name.is_some()) {
                dt { "Open" }
                dd { Link { to, class: "link", "{label}" } }
            }
            dt { "From" }
            dd { class: "mono", {entry.address.clone().unwrap_or_else(|| "–".to_owned())} }
            dt { "Result" }
            dd {
                span { class: "badge", Mark { shape: result_shape(entry.result) } "{outcome_in_words(&entry)}" }
                if let Some(status) = entry.status {
                    span { class: "muted", " HTTP {status}" }
                }
            }
            if let Some(id) = &entry.request_id {
                dt { "Request id" }
                dd { class: "row",
                    span { class: "mono", "{id}" }
                    CopyButton { name: "Copy request id", text: id }
                }
            }
        }
    }
}

/// Returns the link that shows the app's user who made the change, on the project's page of users. `None` if no user of
/// an app made the change, or if the project was deleted.
fn user_address(entry: &AuditEntry) -> Option<String> {
    let project = entry.project_id.as_deref().filter(|_| entry.project_name.is_some() && is_app_user(entry))?;
    Some(address::with_parameters(&format!("/projects/{project}/users"), &[("user", Some(&entry.actor))]))
}

#[component]
fn Neighbour(name: &'static str, icon: IconName, id: Option<String>) -> Element {
    rsx! {
        button {
            class: "btn btn-ghost btn-s",
            r#type: "button",
            "aria-disabled": id.is_none(),
            onclick: move |_| address::replace_parameter("entry", id.as_deref()),
            Icon { name: icon }
            "{name}"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_contains_the_time() {
        assert_eq!(
            written_at("017f22e2-79b0-7cc3-98c4-dc0c0c07398f").map(|at| at.timestamp_millis()),
            Some(1_645_557_742_000)
        );
        assert_eq!(written_at("x"), None);
    }
}
