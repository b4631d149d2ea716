//! Runs: the list at `/runs`, and a run with its log at `/runs/<id>`.
//!
//! [`table`] shows runs with the attempts of one piece of work together, [`filters`] chooses among them. [`page`] is one
//! run: its [`facts`], its [`result`], and its log ([`log`] draws it, [`tail`] receives it, [`find`] searches it).

mod acts;
mod facts;
mod filters;
mod find;
mod log;
mod page;
mod result;
mod table;
mod tail;

use api_types::{Page as ApiPage, Run as RunData, RunStatus};
use dioxus::prelude::*;

use super::jobs;
use crate::{
    address,
    frame::page::Page,
    remote::{RemoteState, events, use_remote},
    text,
    ui::{Empty, ErrorBox, Icon, IconName, Link, LoadingTable, Sheet},
};
use filters::{FILTERS, Filters, TimeRange};
pub use page::Run;
use page::RunView;
pub(super) use table::RunTable;

/// Numbers of runs on a page that the owner can choose.
const PAGE_SIZES: [&str; 3] = ["50", "100", "200"];

#[component]
pub fn Runs() -> Element {
    let value = |name| address::use_parameter(name).filter(|value: &String| !value.is_empty());
    let (status, job, project) = (value("status"), value("job"), value("project"));
    let (plugin, trigger, open) = (value("plugin"), value("trigger"), value("run"));
    let limit = value("limit").filter(|limit| PAGE_SIZES.contains(&limit.as_str())).unwrap_or_else(|| "50".to_owned());
    let (from, to) = (value("from"), value("to"));
    // A relative start must stay the same while it is shown.
    let range = use_memo(use_reactive!(|from, to| TimeRange::parse(from.as_deref(), to.as_deref(), text::now())));
    let range = range();
    let cursors = address::use_parameters("after");
    let list = job.as_ref().map_or_else(|| "/runs".to_owned(), |job| format!("/jobs/{job}/runs"));
    let path = address::with_parameters(
        &list,
        &[
            ("limit", Some(&limit)),
            ("status", status.as_deref()),
            ("projectId", project.as_deref()),
            ("plugin", plugin.as_deref()),
            ("trigger", trigger.as_deref()),
            ("from", range.from.as_deref()),
            ("to", range.to.as_deref()),
            ("cursor", cursors.last().map(String::as_str)),
        ],
    );
    let path = use_memo(use_reactive!(|path| path));
    let mut runs = use_remote::<ApiPage<RunData>>(path.into());
    let page = runs.value();
    let is_active = |run: &RunData| matches!(run.status, RunStatus::Queued | RunStatus::Running);
    events::use_polling(&["/runs", "/jobs"], page.as_ref().is_some_and(|page| page.items.iter().any(is_active)));
    let is_filtered = [&status, &job, &project, &plugin, &trigger, &from, &to].iter().any(|value| value.is_some());
    let content = match runs.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Runs", columns: 7 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Runs could not be listed.", failure, on_retry: move |()| runs.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() && is_filtered => rsx! {
            Empty { title: "No run matches", text: "No run that is still kept matches these filters.",
                button { class: "btn", r#type: "button", onclick: |_| clear_filters(), "Clear filters" }
            }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            Empty { title: "No runs yet", text: "A run appears here when a job or a backup starts.",
                Link { to: "/jobs", class: "btn", "Jobs" }
            }
        },
        RemoteState::Ready(page) => rsx! {
            RunTable { runs: page.items.clone() }
            Paging {
                shown: page.items.len(),
                limit: limit.clone(),
                cursors: cursors.clone(),
                next: page.next_cursor,
                updated: runs.updated_at(),
                on_refresh: move |()| runs.refresh(),
            }
        },
    };
    rsx! {
        Page { title: "Runs", class: "with-tabs",
            jobs::Tabs { project: project.clone(), on_jobs: false }
            Filters { range, is_filtered, on_clear: |()| clear_filters() }
            {content}
            if let Some(id) = open {
                Sheet {
                    key: "{id}",
                    title: "Run",
                    wide: true,
                    on_close: |()| address::push_parameter("run", None),
                    footer: rsx! { Link { to: "/runs/{id}", class: "btn", "Open full page" } },
                    RunView { id: id.clone(), in_sheet: true }
                }
            }
        }
    }
}

fn clear_filters() {
    address::replace_parameters(&FILTERS.map(|name| (name, Vec::new())));
}

/// The foot of the list. The address has the cursors of the pages before, so that the previous page can be opened.
#[component]
fn Paging(
    shown: usize,
    limit: String,
    cursors: Vec<String>,
    next: Option<String>,
    updated: f64,
    on_refresh: EventHandler<()>,
) -> Element {
    let before = cursors.len() * limit.parse::<usize>().unwrap_or_default();
    let range = format!(
        "{}–{}{}",
        text::number(before as i64 + 1),
        text::number((before + shown) as i64),
        if next.is_some() { ", more" } else { "" }
    );
    let earlier = cursors.clone();
    rsx! {
        div { class: "foot",
            div { class: "row row-1", role: "group", "aria-label": "Paging",
                button {
                    class: "btn btn-ghost btn-s btn-icon",
                    r#type: "button",
                    "aria-label": "Previous page",
                    disabled: cursors.is_empty(),
                    onclick: move |_| {
                        let mut earlier = earlier.clone();
                        earlier.pop();
                        address::replace_parameters(&[("after", earlier)]);
                    },
                    Icon { name: IconName::ChevronLeft }
                }
                span { "{range}" }
                button {
                    class: "btn btn-ghost btn-s btn-icon",
                    r#type: "button",
                    "aria-label": "Next page",
                    disabled: next.is_none(),
                    onclick: move |_| {
                        let mut later = cursors.clone();
                        later.extend(next.clone());
                        address::replace_parameters(&[("after", later)]);
                    },
                    Icon { name: IconName::ChevronRight }
                }
                label { class: "input select m select-native only-wide",
                    span { class: "what", "aria-hidden": "true", "Rows per page" }
                    select {
                        "aria-label": "Rows per page",
                        onchange: |event| address::replace_parameters(&[("limit", vec![event.value()]), ("after", Vec::new())]),
                        for size in PAGE_SIZES {
                            option { key: "{size}", value: size, selected: size == limit, "{size}" }
                        }
                    }
                }
            }
            span { class: "push row row-1",
                span { class: "only-wide", "Updated {text::clock(updated)}" }
                button {
                    class: "btn btn-ghost btn-s btn-icon",
                    r#type: "button",
                    "aria-label": "Refresh",
                    onclick: move |_| on_refresh.call(()),
                    Icon { name: IconName::Refresh }
                }
            }
        }
    }
}
