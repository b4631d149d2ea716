//! The table of runs, or cards on a phone. Attempts of the same work form one group.

use std::collections::{BTreeMap, BTreeSet};

use api_types::Run;
use dioxus::prelude::*;

use super::super::recent_runs::{
    RunBadge, project_name, result_in_words, run_name, run_shape, run_state_in_words, started, took, trigger_in_words,
};
use crate::{
    address, text,
    ui::{Icon, IconName, Link, Mark, narrow::use_is_narrow},
};

/// A run and its earlier attempts in the same list, newest first.
#[derive(Debug, Clone, PartialEq)]
struct Group {
    run: Run,
    earlier: Vec<Run>,
}

/// The table "Runs". Attempts of the same work are one group.
#[component]
pub(in crate::pages) fn RunTable(
    runs: Vec<Run>,
    #[props(default = true)] with_job: bool,
    /// Whether the state of a run opens its sheet instead of its page.
    #[props(default)]
    opens_sheet: bool,
) -> Element {
    let expanded = use_signal(BTreeSet::<String>::new);
    let groups = group(runs);
    if use_is_narrow() {
        return rsx! {
            ul { class: "cards", "aria-label": "Runs",
                for group in groups {
                    RunCard { key: "{group.run.id}", group, with_job }
                }
            }
        };
    }
    rsx! {
        table { class: "table run-table", "aria-label": "Runs",
            thead {
                tr {
                    th { class: "w-36", "State" }
                    if with_job {
                        th { "Job" }
                    }
                    th { class: "hide-800", "Trigger" }
                    th { class: "num", "Started" }
                    th { class: "num", "Took" }
                    th { class: "num", "Attempt" }
                    th { "Result" }
                }
            }
            tbody {
                for group in groups {
                    GroupRows { key: "{group.run.id}", group, with_job, opens_sheet, expanded }
                }
            }
        }
    }
}

/// Puts earlier attempts under the latest one.
fn group(runs: Vec<Run>) -> Vec<Group> {
    let known: BTreeSet<String> = runs.iter().map(|run| run.id.clone()).collect();
    let retried: BTreeSet<String> =
        runs.iter().filter_map(|run| run.retry_of.clone()).filter(|id| known.contains(id)).collect();
    let mut earlier: BTreeMap<String, Run> =
        runs.iter().filter(|run| retried.contains(&run.id)).map(|run| (run.id.clone(), run.clone())).collect();
    let latest = runs.into_iter().filter(|run| !retried.contains(&run.id));
    latest
        .map(|run| {
            let mut attempts = Vec::new();
            let mut before = run.retry_of.clone();
            while let Some(attempt) = before.and_then(|id| earlier.remove(&id)) {
                before = attempt.retry_of.clone();
                attempts.push(attempt);
            }
            Group { run, earlier: attempts }
        })
        .collect()
}

#[component]
fn GroupRows(group: Group, with_job: bool, opens_sheet: bool, expanded: Signal<BTreeSet<String>>) -> Element {
    let mut expanded = expanded;
    let Group { run, earlier } = group;
    let is_open = expanded.read().contains(&run.id);
    let attempt = format!("{} of {}", run.attempt, run.max_attempts.max(run.attempt));
    let id = run.id.clone();
    let name = run_name(&run);
    rsx! {
        tr { key: "{run.id}",
            td { StateLink { run: run.clone(), opens_sheet } }
            if with_job {
                td { class: "job-cell",
                    span { class: "row",
                        Link { to: "/runs/{run.id}", class: "name cut", "{name}" }
                        span { class: "muted cut", "{project_name(&run)}" }
                    }
                }
            }
            td { class: "muted hide-800", "{trigger_in_words(run.trigger)}" }
            td { class: "num", title: text::exact(run.started_at.unwrap_or(run.created_at)), "{started(&run)}" }
            td { class: "num", "{took(&run)}" }
            td { class: "num",
                if earlier.is_empty() {
                    span { class: "muted", "{attempt}" }
                } else {
                    button {
                        class: "sortable",
                        r#type: "button",
                        "aria-expanded": is_open.to_string(),
                        "aria-label": "Attempts of {name}, {started(&run)}",
                        onclick: move |_| expanded.with_mut(|open| {
                            if !open.remove(&id) {
                                open.insert(id.clone());
                            }
                        }),
                        Icon { name: if is_open { IconName::ChevronDown } else { IconName::ChevronRight }, small: true }
                        "{attempt}"
                    }
                }
            }
            td {
                class: if run.error_text.is_some() { "why" } else { "why muted" }, title: result_in_words(&run),
                "{result_in_words(&run)}"
            }
        }
        if is_open {
            for attempt in earlier {
                tr { key: "{attempt.id}", class: "is-off attempt",
                    td { StateLink { run: attempt.clone(), opens_sheet } }
                    if with_job {
                        td { span { class: "sr", "{name}" } }
                    }
                    td { class: "hide-800", "{trigger_in_words(attempt.trigger)}" }
                    td {
                        class: "num", title: text::exact(attempt.started_at.unwrap_or(attempt.created_at)),
                        "{started(&attempt)}"
                    }
                    td { class: "num", "{took(&attempt)}" }
                    td { class: "num", "{attempt.attempt} of {attempt.max_attempts.max(attempt.attempt)}" }
                    td { class: "why", title: result_in_words(&attempt), "{result_in_words(&attempt)}" }
                }
            }
        }
    }
}

/// The state of a run. It opens the run: in a sheet over the list, or as a page.
#[component]
fn StateLink(run: Run, opens_sheet: bool) -> Element {
    let page = format!("/runs/{}", run.id);
    rsx! {
        a {
            href: "{page}",
            "data-page": opens_sheet.then(|| page.clone()),
            onclick: {
                let (page, id) = (page.clone(), run.id.clone());
                move |event: MouseEvent| {
                    if event.modifiers().is_empty() {
                        event.prevent_default();
                        if opens_sheet {
                            address::push_parameter("run", Some(&id));
                        } else {
                            address::go(&page);
                        }
                    }
                }
            },
            RunBadge { status: run.status }
        }
    }
}

#[component]
fn RunCard(group: Group, with_job: bool) -> Element {
    let Group { run, earlier } = group;
    let result = result_in_words(&run);
    let attempts = if earlier.is_empty() {
        String::new()
    } else {
        format!(" · attempt {} of {}", run.attempt, run.max_attempts.max(run.attempt))
    };
    rsx! {
        li { class: "card",
            h3 {
                Mark { shape: run_shape(run.status) }
                span { class: if with_job { "sr" } else { "" }, "{run_state_in_words(run.status)}" }
                if with_job {
                    Link { to: "/runs/{run.id}", class: "cut grow", "{run_name(&run)}" }
                    span { class: "label muted tab-nums", "{started(&run)}" }
                } else {
                    Link { to: "/runs/{run.id}", class: "cut grow tab-nums", "{started(&run)}" }
                }
            }
            if !result.is_empty() {
                p { class: if run.error_text.is_some() { "reason" } else { "" }, "{result}" }
            }
            p { "{project_name(&run)} · {trigger_in_words(run.trigger)} · {took(&run)}{attempts}" }
        }
    }
}
