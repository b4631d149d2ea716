//! The list of audit entries: a table, or cards on a phone.

use api_types::{AuditEntry, Session};
use dioxus::{prelude::*, web::WebEventExt as _};

use super::{
    sentence::act_in_words,
    words::{actor_in_words, outcome_in_words, result_shape},
};
use crate::{
    address, dom,
    remote::use_remote,
    text,
    ui::{Mark, narrow::use_is_narrow},
};

#[component]
pub(super) fn EntryList(entries: Vec<AuditEntry>, open: Option<String>) -> Element {
    let session = use_remote::<Session>(use_signal(|| "/session".to_owned()).into());
    let you = session.value().map(|session| session.actor);
    if use_is_narrow() {
        return rsx! {
            ul { class: "cards", "aria-label": "Audit entries",
                for entry in entries {
                    EntryCard { key: "{entry.id}", entry, you: you.clone() }
                }
            }
        };
    }
    rsx! {
        table { class: "table", "aria-label": "Audit entries",
            thead {
                tr {
                    th { class: "num when", "When" }
                    th { class: "who", "Who" }
                    th { "Did" }
                    if open.is_none() {
                        th { class: "hide-1060", "From" }
                    }
                    th { "Result" }
                }
            }
            tbody {
                for entry in entries {
                    EntryRow {
                        key: "{entry.id}",
                        is_open: open.as_deref() == Some(entry.id.as_str()),
                        with_address: open.is_none(),
                        you: you.clone(),
                        entry,
                    }
                }
            }
        }
    }
}

#[component]
fn EntryRow(entry: AuditEntry, you: Option<String>, is_open: bool, with_address: bool) -> Element {
    let is_owner = you.as_deref() == Some(entry.actor.as_str());
    let id = entry.id.clone();
    rsx! {
        tr {
            class: "opens",
            "aria-selected": is_open.then_some("true"),
            onclick: move |event| open_by_row(&event, &id),
            td { class: "num muted when", title: text::exact(entry.at), "{when(&entry)}" }
            td {
                class: if is_owner { "who" } else { "who muted" },
                title: "{entry.actor}",
                "{actor_in_words(&entry, you.as_deref())}"
            }
            td {
                class: "why",
                title: "{entry.action}",
                EntryLink { id: entry.id.clone(), words: act_in_words(&entry) }
            }
            if with_address {
                td { class: "mono muted hide-1060", {entry.address.clone().unwrap_or_else(|| "–".to_owned())} }
            }
            td {
                span { class: "badge", Mark { shape: result_shape(entry.result) } "{outcome_in_words(&entry)}" }
            }
        }
    }
}

#[component]
fn EntryCard(entry: AuditEntry, you: Option<String>) -> Element {
    let id = entry.id.clone();
    rsx! {
        li { class: "card opens", onclick: move |event| open_by_row(&event, &id),
            h3 {
                Mark { shape: result_shape(entry.result) }
                span { class: "grow", EntryLink { id: entry.id.clone(), words: act_in_words(&entry) } }
            }
            p { "{actor_in_words(&entry, you.as_deref())} · {when(&entry)} · {outcome_in_words(&entry)}" }
        }
    }
}

/// Opens the sheet of an entry at a click anywhere in its row. The link in the row handles clicks on itself, and the
/// keyboard. A click that ends the selection of text opens nothing.
fn open_by_row(event: &MouseEvent, id: &str) {
    let is_on_link = event.data().try_as_web_event().is_some_and(|event| dom::closest(&event, "a").is_some());
    if !is_on_link && event.modifiers().is_empty() && !dom::has_selected_text() {
        address::push_parameter("entry", Some(id));
    }
}

/// The link that opens the sheet of an entry.
#[component]
fn EntryLink(id: String, words: String) -> Element {
    rsx! {
        a {
            href: "/audit?entry={id}",
            onclick: {
                let id = id.clone();
                move |event: MouseEvent| {
                    if event.modifiers().is_empty() {
                        event.prevent_default();
                        address::push_parameter("entry", Some(&id));
                    }
                }
            },
            "{words}"
        }
    }
}

/// Returns the time of day of an entry of the last 24 hours, and the day and time of an older one.
fn when(entry: &AuditEntry) -> String {
    let now = text::now();
    let moment = text::moment(entry.at, now);
    if (now - entry.at).num_hours() < 24 {
        return moment;
    }
    let clock: String = text::clock(entry.at.timestamp_millis() as f64).chars().take(5).collect();
    format!("{moment} {clock}")
}
