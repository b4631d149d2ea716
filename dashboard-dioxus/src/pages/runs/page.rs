//! `/runs/<id>`: one run with its result and log.

use api_types::{ConfigurationVariable, RunDetail, RunStatus, SystemInfo};
use dioxus::prelude::*;

use super::{
    super::recent_runs::{RunBadge, project_name, run_name, run_shape},
    acts::{RunActs, is_active},
    facts::{Attempts, Facts, Progress, Waiting},
    log::Log,
    result::RunResult,
};
use crate::{
    address,
    frame::page::Page,
    remote::{RemoteState, events, use_remote},
    text,
    ui::{Empty, ErrorBox, Link, Mark, Sheet},
};

#[component]
pub fn Run(id: ReadSignal<String>) -> Element {
    // Dioxus compares keys only in lists, so this is a list of one element: another run must create a new component.
    rsx! {
        for id in [id()] {
            RunView { key: "{id}", id }
        }
    }
}

/// A run in a sheet over the list.
#[component]
pub(super) fn RunSheet(id: String) -> Element {
    let path = format!("/runs/{id}");
    let run = use_remote::<RunDetail>(use_signal(|| path).into()).value();
    let title = run.map_or_else(|| "Run".to_owned(), |detail| format!("Run of {}", run_name(&detail.run)));
    rsx! {
        Sheet {
            title,
            wide: true,
            on_close: |()| address::push_parameter("run", None),
            footer: rsx! { Link { to: "/runs/{id}", class: "btn", "Open full page" } },
            RunView { id: id.clone(), in_sheet: true }
        }
    }
}

/// A run, as a page or as the content of a sheet.
#[component]
fn RunView(id: String, #[props(default)] in_sheet: bool) -> Element {
    let path = format!("/runs/{id}");
    let mut run = use_remote::<RunDetail>(use_signal(|| path).into());
    let system = use_remote::<SystemInfo>(use_signal(|| "/system".to_owned()).into());
    let retention = system.value().and_then(|system| retention_days(&system.configuration));
    events::use_polling(&["/runs"], run.value().is_some_and(|detail| is_active(&detail.run)));
    let plain = |content: Element| {
        if in_sheet {
            content
        } else {
            rsx! { Page { title: "Run", {content} } }
        }
    };
    match run.state() {
        RemoteState::Loading => {
            plain(rsx! { div { class: "section late", "aria-busy": "true", span { class: "sk" } } })
        }
        RemoteState::Failed(failure) if failure.is_not_found() => {
            let days = retention.unwrap_or_else(|| "30 days".to_owned());
            plain(rsx! {
                Empty {
                    title: "This run is no longer kept",
                    text: "A run is removed {days} after its end (ATLASHUB_RUN_RETENTION_DAYS), when its job has too \
                           many newer runs (ATLASHUB_RUN_RETENTION_PER_JOB), or with its job. If none of \
                           this happened, the address is wrong.",
                    Link { to: "/runs", class: "btn", "All runs" }
                }
            })
        }
        RemoteState::Failed(failure) => plain(rsx! {
            ErrorBox { what: "The run could not be loaded.", failure, on_retry: move |()| run.refresh() }
        }),
        RemoteState::Ready(detail) if in_sheet => rsx! { RunContent { detail, retention, in_sheet } },
        RemoteState::Ready(detail) => rsx! {
            Page { title: "Run of {run_name(&detail.run)}", own_head: true, class: "run-page",
                RunContent { detail, retention, in_sheet }
            }
        },
    }
}

/// Returns how long runs are kept: `30 days`.
fn retention_days(configuration: &[ConfigurationVariable]) -> Option<String> {
    let variable = configuration.iter().find(|variable| variable.name == "ATLASHUB_RUN_RETENTION_DAYS")?;
    Some(text::count(variable.value.as_deref()?.parse().ok()?, "day", "days"))
}

#[component]
fn RunContent(detail: RunDetail, retention: Option<String>, in_sheet: bool) -> Element {
    let run = detail.run.clone();
    let name = run_name(&run);
    let project = project_name(&run);
    let what = format!("plugin {}, job {}", run.plugin, run.plugin_job);
    let active = is_active(&run);
    let failed = matches!(run.status, RunStatus::Fail | RunStatus::Timeout);
    // The run that "Run again" repeated.
    let earlier = address::use_parameter("again").filter(|earlier| !in_sheet && *earlier != run.id);
    rsx! {
        div { class: if in_sheet { "head run-head in-sheet" } else { "head run-head" },
            div {
                div { class: "row wrap",
                    if !in_sheet {
                        h1 { id: "h1", "Run of {name}" }
                    }
                    RunBadge { status: run.status }
                }
                p {
                    if let Some(job) = &run.job_id {
                        Link { to: "/jobs/{job}", class: "link", "{name}" }
                        " · "
                    }
                    "{project} · {what}"
                    if let Some(earlier) = earlier {
                        " · repeats "
                        Link { to: "/runs/{earlier}", class: "link", "an earlier run" }
                    }
                }
            }
            div { class: "acts", RunActs { run: run.clone() } }
        }
        Facts { run: run.clone() }
        Attempts { current: run.id.clone(), attempts: detail.attempts.clone() }
        if let Some(waiting) = detail.waiting.clone() {
            Waiting { waiting }
        }
        if let Some(error) = &run.error_text {
            div { class: "section notice",
                div {
                    // A run that was skipped or cancelled did not fail.
                    class: if failed { "banner t-bad" } else { "banner" },
                    role: if failed { "alert" } else { "status" },
                    Mark { shape: run_shape(run.status) }
                    p { class: "why-text", "{error}" }
                }
            }
        }
        Progress { run: run.clone() }
        RunResult { run: run.clone() }
        Log { run: run.id.clone(), active, retention }
    }
}
