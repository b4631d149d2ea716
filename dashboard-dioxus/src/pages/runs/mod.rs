//! Runs: the list at `/runs`, and a run with its log at `/runs/<id>`.
//!
//! [`table`] shows runs, with attempts of the same work as one group. [`filters`] and [`status_filter`] select runs by
//! the fields that the server can filter by, and [`search`] selects runs by their text. [`page`] shows one run: its
//! [`facts`], its [`result`], its [`log`], and the buttons of [`acts`].

mod acts;
mod facts;
mod filters;
mod log;
mod page;
mod result;
mod search;
mod status_filter;
mod table;

use api_types::{Page as ApiPage, Run as RunData, RunStatus};
use dioxus::prelude::*;

use super::{
    cursor_paging::{CursorPaging, EmptyPage, page_size},
    filter_text::use_filter_text,
    jobs,
};
use crate::{
    address,
    frame::page::Page,
    remote::{RemoteState, events, use_remote},
    text,
    ui::{Empty, ErrorBox, Link, LoadingTable},
};
pub(super) use facts::Progress;
use filters::{FILTERS, Filters, TimeRange};
pub use page::Run;
use page::RunSheet;
use search::FoundRuns;
pub(super) use table::RunTable;

const PAGE_SIZES: &[u32] = &[50, 100, 200];
const DEFAULT_SIZE: u32 = 50;

#[component]
pub fn Runs() -> Element {
    let value = |name| address::use_parameter(name).filter(|value: &String| !value.is_empty());
    let (status, job, project) = (value("status"), value("job"), value("project"));
    let (plugin, trigger, open) = (value("plugin"), value("trigger"), value("run"));
    let cursor = value("after");
    let (from, to) = (value("from"), value("to"));
    // All pages of the list must have the same start, even if the range ends now.
    let range = use_memo(use_reactive!(|from, to| TimeRange::parse(from.as_deref(), to.as_deref(), text::now())));
    let range = range();
    let is_exact = use_signal(|| range.is_exact());
    let text = use_filter_text();
    let wanted = text.read().trim().to_owned();
    let is_searching = !wanted.is_empty();
    let list = job.as_ref().map_or_else(|| "/runs".to_owned(), |job| format!("/jobs/{job}/runs"));
    let limit =
        if is_searching { search::PAGE_SIZE.to_owned() } else { page_size(PAGE_SIZES, DEFAULT_SIZE).to_string() };
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
            ("cursor", cursor.as_deref().filter(|_| !is_searching)),
        ],
    );
    let path = use_memo(use_reactive!(|path| path));
    let is_chosen = [&status, &job, &project, &plugin, &trigger, &from, &to].iter().any(|value| value.is_some());
    let clear = use_callback(move |()| clear_filters(text, is_exact));
    rsx! {
        Page { title: "Runs", class: "with-tabs",
            jobs::Tabs { project: project.clone(), on_jobs: false }
            Filters { range, is_exact, text, is_filtered: is_chosen || is_searching, on_clear: clear }
            if is_searching {
                FoundRuns { path, wanted, on_clear: clear }
            } else {
                RunPage { path, is_filtered: is_chosen, on_clear: clear }
            }
            for id in open {
                RunSheet { key: "{id}", id }
            }
        }
    }
}

/// One page of the list.
#[component]
fn RunPage(path: ReadSignal<String>, is_filtered: bool, on_clear: EventHandler<()>) -> Element {
    let mut runs = use_remote::<ApiPage<RunData>>(path);
    let is_active = |run: &RunData| matches!(run.status, RunStatus::Queued | RunStatus::Running);
    let has_active = runs.value().is_some_and(|page| page.items.iter().any(is_active));
    events::use_polling(&["/runs", "/jobs"], has_active);
    match runs.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Runs", columns: 7 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Runs could not be loaded.", failure, on_retry: move |()| runs.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() && address::parameter("after").is_some() => rsx! {
            EmptyPage { entries: "runs" }
        },
        RemoteState::Ready(page) if page.items.is_empty() && is_filtered => rsx! {
            Empty { title: "No run matches", text: "No run that is still kept matches these filters.",
                button { class: "btn", r#type: "button", onclick: move |_| on_clear.call(()), "Clear filters" }
            }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            Empty { title: "No runs yet", text: "A run appears here when a job or a backup starts.", help: "runs",
                Link { to: "/jobs", class: "btn", "Jobs" }
            }
        },
        RemoteState::Ready(page) => rsx! {
            RunTable { runs: page.items.clone(), opens_sheet: true }
            CursorPaging {
                shown: page.items.len(),
                next_cursor: page.next_cursor,
                updated_at: runs.updated_at(),
                sizes: PAGE_SIZES,
                default_size: DEFAULT_SIZE,
                on_refresh: move |()| runs.refresh(),
            }
        },
    }
}

fn clear_filters(text: Signal<String>, is_exact: Signal<bool>) {
    let (mut text, mut is_exact) = (text, is_exact);
    text.set(String::new());
    is_exact.set(false);
    address::replace_parameters(&FILTERS.map(|name| (name, Vec::new())));
}
