use api_types::{Page as ApiPage, Run, RunStatus, RunTrigger};
use dioxus::prelude::*;

use crate::{
    remote::{RemoteState, use_remote},
    text,
    ui::{ErrorBox, Link, LoadingTable, Mark, Shape},
};

/// Runs shown on a phone.
const SHOWN_ON_PHONE: usize = 10;

/// The table "Recent runs".
#[component]
pub(super) fn RecentRuns(
    /// Path of the list of runs in the admin API.
    path: ReadSignal<String>,
    #[props(default = true)] with_project: bool,
) -> Element {
    let mut runs = use_remote::<ApiPage<Run>>(path);
    let content = match runs.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Recent runs", columns: 6 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Runs could not be listed.", failure, on_retry: move |()| runs.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            p { class: "section muted", "No run yet." }
        },
        RemoteState::Ready(page) => rsx! {
            RunTable { name: "Recent runs", runs: page.items, with_project, shown_on_phone: SHOWN_ON_PHONE }
        },
    };
    rsx! {
        div { class: "bleed", id: "recent-runs",
            div { class: "bleed-head",
                h2 { "Recent runs" }
                Link { to: "/runs", class: "label muted push", "All runs" }
            }
            {content}
        }
    }
}

/// A table of runs, and the list that a phone shows instead.
#[component]
pub(super) fn RunTable(
    name: String,
    runs: Vec<Run>,
    #[props(default = true)] with_project: bool,
    /// Maximum number of runs in the list on a phone.
    shown_on_phone: usize,
) -> Element {
    rsx! {
        table { class: "table only-wide", "aria-label": "{name}",
            thead {
                tr {
                    th { class: "w-32", "State" }
                    th { class: "w-44", "Job" }
                    if with_project {
                        th { "Project" }
                    }
                    th { class: "hide-800", "Trigger" }
                    th { class: "num", "Started" }
                    th { class: "num", "Took" }
                    th { "Result" }
                }
            }
            tbody {
                for run in runs.clone() {
                    tr { key: "{run.id}",
                        td { RunBadge { status: run.status } }
                        td { class: "name", Link { to: "/runs/{run.id}", "{run_name(&run)}" } }
                        if with_project {
                            td { class: "muted", "{project_name(&run)}" }
                        }
                        td { class: "muted hide-800", "{trigger_in_words(run.trigger)}" }
                        td { class: "num", title: text::exact(run.created_at), "{started(&run)}" }
                        td { class: "num", "{took(&run)}" }
                        td { class: if run.error_text.is_some() { "why" } else { "why muted" }, title: run.error_text.clone(), "{result_in_words(&run)}" }
                    }
                }
            }
        }
        ul { class: "cards only-narrow", "aria-label": "{name}",
            for run in runs.into_iter().take(shown_on_phone) {
                li { key: "{run.id}", class: "card",
                    h3 {
                        Mark { shape: run_shape(run.status) }
                        span { class: "sr", "{run_state_in_words(run.status)}" }
                        Link { to: "/runs/{run.id}", class: "cut grow", "{run_name(&run)}" }
                        span { class: "label muted tab-nums", "{started(&run)}" }
                    }
                    p { "{project_name(&run)} · {trigger_in_words(run.trigger)} · {took(&run)}" }
                    p { "{result_in_words(&run)}" }
                }
            }
        }
    }
}

/// The state of a run: shape and word.
#[component]
pub(super) fn RunBadge(status: RunStatus) -> Element {
    rsx! {
        span { class: "badge", Mark { shape: run_shape(status) } "{run_state_in_words(status)}" }
    }
}

pub(super) const fn run_shape(status: RunStatus) -> Shape {
    match status {
        RunStatus::Queued => Shape::Queued,
        RunStatus::Running => Shape::Running,
        RunStatus::Success => Shape::Succeeded,
        RunStatus::Fail => Shape::Failed,
        RunStatus::Timeout => Shape::TimedOut,
        RunStatus::Cancelled => Shape::Cancelled,
        RunStatus::Skipped => Shape::Skipped,
    }
}

pub(super) const fn run_state_in_words(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Queued => "Queued",
        RunStatus::Running => "Running",
        RunStatus::Success => "Succeeded",
        RunStatus::Fail => "Failed",
        RunStatus::Timeout => "Timed out",
        RunStatus::Cancelled => "Cancelled",
        RunStatus::Skipped => "Skipped",
    }
}

pub(super) const fn trigger_in_words(trigger: RunTrigger) -> &'static str {
    match trigger {
        RunTrigger::Schedule => "Schedule",
        RunTrigger::Manual => "Manual",
        RunTrigger::Retry => "Retry",
        RunTrigger::CatchUp => "After downtime",
    }
}

/// Returns the name of a run: its job's name, or plugin and plugin job if it has no job.
pub(super) fn run_name(run: &Run) -> String {
    match &run.job_name {
        Some(name) => name.clone(),
        None if run.plugin == run.plugin_job => run.plugin.clone(),
        None => format!("{} {}", run.plugin, run.plugin_job),
    }
}

pub(super) fn project_name(run: &Run) -> String {
    match (&run.project_name, &run.project_id) {
        (Some(name), _) => name.clone(),
        (None, Some(_)) => "deleted project".to_owned(),
        (None, None) => "Platform".to_owned(),
    }
}

pub(super) fn started(run: &Run) -> String {
    text::moment(run.started_at.unwrap_or(run.created_at), text::now())
}

pub(super) fn took(run: &Run) -> String {
    match (run.duration_ms, run.started_at) {
        (Some(duration), _) => text::duration(duration),
        (None, Some(started)) if run.finished_at.is_none() => {
            text::duration((text::now() - started).num_milliseconds().max(0))
        }
        _ => "–".to_owned(),
    }
}

/// Returns why a run failed, what it is doing, or what came out of it.
pub(super) fn result_in_words(run: &Run) -> String {
    if let Some(error) = &run.error_text {
        return error.clone();
    }
    match (&run.progress, run.status, run.http_status) {
        (Some(progress), RunStatus::Running, _) => match progress.total {
            Some(total) => format!("{} ({} of {total})", progress.message, progress.done),
            None => progress.message.clone(),
        },
        (_, RunStatus::Skipped, _) => "The previous run was still going".to_owned(),
        (_, _, Some(status)) => format!("HTTP {status}"),
        _ => String::new(),
    }
}
