//! Runs that contain a text. The server can't search runs by text, so this module reads them page by page and searches
//! them in the browser.

use std::collections::BTreeSet;

use api_types::{Page as ApiPage, Run};
use dioxus::prelude::*;

use super::{
    super::recent_runs::{project_name, result_in_words, run_name, run_state_in_words, trigger_in_words},
    table::RunTable,
};
use crate::{
    address,
    remote::{self, Failure, RemoteState, use_remote},
    text,
    ui::{Empty, ErrorBox, LoadingTable, Mark, Shape, finder::matches},
};

/// Number of runs in one request.
pub(super) const PAGE_SIZE: &str = "200";
/// Number of requests after which the owner is asked whether to search further.
const PAGES_AT_ONCE: usize = 10;
/// Maximum number of found runs that are shown.
const MAX_SHOWN: usize = 200;

/// The runs after the first page that have been read.
#[derive(Debug, Clone, Default, PartialEq)]
struct Older {
    runs: Vec<Run>,
    /// Cursor of the next page. `None` at the end of the list, and until the first page has arrived.
    next_cursor: Option<String>,
    is_reading: bool,
    failure: Option<Failure>,
}

/// The runs of a list that contain every word of a text.
#[component]
pub(super) fn FoundRuns(
    /// Path of the list in the admin API, with its filters.
    path: ReadSignal<String>,
    wanted: String,
    on_clear: EventHandler<()>,
) -> Element {
    let mut first = use_remote::<ApiPage<Run>>(path);
    let mut older = use_signal(Older::default);
    let mut read_path = use_signal(String::new);
    // Reads older runs once the first page of another list has arrived.
    use_effect(move || {
        let path = path.read().clone();
        let RemoteState::Ready(page) = first.state() else { return };
        if *read_path.peek() != path {
            read_path.set(path);
            older.set(Older { next_cursor: page.next_cursor, ..Older::default() });
            spawn(read_older(read_path.peek().clone(), older));
        }
    });
    let newest = match first.state() {
        RemoteState::Loading => return rsx! { LoadingTable { name: "Runs", columns: 7 } },
        RemoteState::Failed(failure) => {
            return rsx! {
                ErrorBox { what: "Runs could not be loaded.", failure, on_retry: move |()| first.refresh() }
            };
        }
        RemoteState::Ready(page) => page.items,
    };
    let state = older.read().clone();
    let known: BTreeSet<&str> = newest.iter().map(|run| run.id.as_str()).collect();
    let all = newest.iter().chain(state.runs.iter().filter(|run| !known.contains(run.id.as_str())));
    let searched = all.clone().count();
    let found: Vec<Run> = all.filter(|run| is_match(run, &wanted)).cloned().collect();
    let is_complete = state.next_cursor.is_none() && !state.is_reading;
    let scope = if is_complete { "all" } else { "the newest" };
    let mut words = format!(
        "{} among {scope} {}",
        text::count(found.len() as i64, "match", "matches"),
        text::count(searched as i64, "run", "runs")
    );
    if found.len() > MAX_SHOWN {
        words.push_str(&format!(", the newest {MAX_SHOWN} are listed"));
    }
    let is_empty = found.is_empty();
    rsx! {
        if is_empty && is_complete {
            Empty {
                title: "No run matches",
                text: "No run that is still kept contains this text and matches these filters.",
                button { class: "btn", r#type: "button", onclick: move |_| on_clear.call(()), "Clear filters" }
            }
        } else if is_empty {
            p {
                class: "section muted", "None of the newest {text::count(searched as i64, \"run\", \"runs\")} matches."
            }
        } else {
            RunTable { runs: found.into_iter().take(MAX_SHOWN).collect::<Vec<_>>(), opens_sheet: true }
        }
        div { class: "foot sticky",
            span { role: "status", "{words}" }
            if state.is_reading {
                span { class: "badge", Mark { shape: Shape::Running } "Searching…" }
            } else if state.next_cursor.is_some() {
                button {
                    class: "btn btn-s",
                    r#type: "button",
                    onclick: move |_| {
                        spawn(read_older(read_path.peek().clone(), older));
                    },
                    "Search older runs"
                }
            }
            if let Some(failure) = state.failure {
                span { class: "badge", role: "alert", Mark { shape: Shape::Failed } "{failure.message()}" }
            }
        }
    }
}

/// Reads the next pages of a list.
async fn read_older(path: String, mut older: Signal<Older>) {
    older.with_mut(|older| (older.is_reading, older.failure) = (true, None));
    for _ in 0..PAGES_AT_ONCE {
        let Some(cursor) = older.peek().next_cursor.clone() else { break };
        let result = remote::get::<ApiPage<Run>>(&with_cursor(&path, &cursor)).await;
        // The filters may have changed in the meantime.
        if older.peek().next_cursor.as_ref() != Some(&cursor) {
            return;
        }
        match result {
            Ok(page) => older.with_mut(|older| {
                older.runs.extend(page.items);
                older.next_cursor = page.next_cursor;
            }),
            Err(failure) => {
                older.with_mut(|older| older.failure = Some(failure));
                break;
            }
        }
    }
    older.with_mut(|older| older.is_reading = false);
}

/// Returns the path of a later page of a list whose path contains parameters.
fn with_cursor(path: &str, cursor: &str) -> String {
    let parameter = address::with_parameters("", &[("cursor", Some(cursor))]);
    format!("{path}&{}", parameter.trim_start_matches('?'))
}

/// Returns whether the names, state, trigger, result and id of a run contain every word of a text.
fn is_match(run: &Run, wanted: &str) -> bool {
    let text = [
        run_name(run).as_str(),
        project_name(run).as_str(),
        &run.plugin,
        &run.plugin_job,
        run_state_in_words(run.status),
        trigger_in_words(run.trigger),
        &result_in_words(run),
        &run.id,
    ]
    .join(" ");
    matches(&text, wanted)
}
