//! `/audit`: the log of changes, each with its author and its time.
//!
//! [`filters`] are in the address. [`list`] shows the matching entries, and [`entry`] shows one of them. [`sentence`]
//! describes the change that an entry records, with the words of [`acts`]. [`words`] describes its actor and its
//! result, and returns the address of the changed resource.

mod acts;
mod entry;
mod filters;
mod list;
mod sentence;
mod words;

use api_types::{AuditEntry, Page as ApiPage};
use dioxus::prelude::*;

use super::cursor_paging::{CursorPaging, EmptyPage, page_size};
use crate::{
    address,
    frame::page::Page,
    remote::{RemoteState, use_remote_every},
    ui::{Empty, ErrorBox, Icon, IconName, LoadingTable},
};
use entry::EntrySheet;
use filters::{AuditFilter, Filters};
use list::EntryList;

pub(super) const PAGE_SIZES: &[u32] = &[20, 50, 100, 200];
pub(super) const DEFAULT_SIZE: u32 = 50;

/// Milliseconds between two reads of the list while the switch "Follow" is on.
const FOLLOW_MS: u32 = 1_500;
/// Milliseconds between two reads of a list that is not followed. An hour, because new entries would move the rows that
/// the owner is reading.
const REST_MS: u32 = 3_600_000;

#[component]
pub fn Audit() -> Element {
    let filter = AuditFilter::use_current();
    let mut follow = use_signal(|| true);
    let after = address::use_parameter("after");
    let open_entry = address::use_parameter("entry");
    let limit = page_size(PAGE_SIZES, DEFAULT_SIZE).to_string();
    let path = filter.list_path(&limit, after.as_deref());
    let is_filtered = filter.is_active();
    // Only the first page is followed, because older pages don't change.
    let is_followed = follow() && after.is_none();
    rsx! {
        Page { title: "Audit log", own_head: true, class: if open_entry.is_some() { "has-sheet" } else { "" },
            div { class: "beside audit",
                div { class: "head",
                    div {
                        h1 { id: "h1", "Audit log" }
                        p {
                            "Every change through the dashboard, the admin API and the command line, and the sign-ins \
                             of your apps' users."
                        }
                    }
                    div { class: "acts",
                        label {
                            class: "check follow",
                            title: after.is_some().then_some("New entries appear on the first page"),
                            input {
                                class: "switch",
                                r#type: "checkbox",
                                role: "switch",
                                checked: follow(),
                                onchange: move |event| follow.set(event.checked()),
                            }
                            "Follow"
                        }
                        a { class: "btn", href: filter.export_address(), "download": "audit.ndjson",
                            Icon { name: IconName::Download }
                            "Export"
                        }
                    }
                }
                Filters { filter: filter.clone() }
                Entries { path, interval: if is_followed { FOLLOW_MS } else { REST_MS }, is_filtered, open_entry }
            }
        }
    }
}

#[component]
fn Entries(path: ReadSignal<String>, interval: u32, is_filtered: bool, open_entry: Option<String>) -> Element {
    let mut entries = use_remote_every::<ApiPage<AuditEntry>>(path, interval);
    let content = match entries.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Audit entries", columns: 5 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Audit entries could not be loaded.", failure, on_retry: move |()| entries.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() && address::parameter("after").is_some() => rsx! {
            EmptyPage { entries: "audit entries" }
        },
        RemoteState::Ready(page) if page.items.is_empty() && is_filtered => rsx! {
            Empty { title: "No entry matches", text: "A job of the plugin cleanup may have removed older entries.",
                button { class: "btn", r#type: "button", onclick: |_| filters::clear(), "Clear filters" }
            }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            Empty { title: "No entries yet", text: "Every change appears here, with its author and origin." }
        },
        RemoteState::Ready(page) => rsx! {
            EntryList { entries: page.items.clone(), open: open_entry.clone() }
            CursorPaging {
                shown: page.items.len(),
                next_cursor: page.next_cursor,
                updated_at: entries.updated_at(),
                sizes: PAGE_SIZES,
                default_size: DEFAULT_SIZE,
                on_refresh: move |()| entries.refresh(),
            }
        },
    };
    let listed = entries.value().map(|page| page.items).unwrap_or_default();
    rsx! {
        {content}
        if let Some(id) = open_entry {
            EntrySheet { id, listed }
        }
    }
}
