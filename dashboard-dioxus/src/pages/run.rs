//! `/runs/<id>`: state, result and log of a run.

use api_types::{LogLevel, LogLine, Page as ApiPage, Run as RunData, RunStarted, RunStatus};
use dioxus::prelude::*;

use super::recent_runs::{RunBadge, run_name, trigger_in_words};
use crate::{
    address,
    frame::page::Page,
    remote::{self, Method, RemoteState, use_remote_every},
    text,
    ui::{Confirm, CopyButton, Empty, ErrorBox, Link, Mark, SearchBox, Shape, messages},
};

/// How often a run in progress is read.
const ACTIVE_INTERVAL_MS: u32 = 1_000;
/// How often a run that has ended is read.
const ENDED_INTERVAL_MS: u32 = 60_000;

/// The levels of a log, the least important first.
const LEVELS: [(&str, LogLevel); 4] = [
    ("Debug", LogLevel::Debug),
    ("Info", LogLevel::Info),
    ("Warn", LogLevel::Warn),
    ("Error", LogLevel::Error),
];

#[component]
pub fn Run(id: ReadSignal<String>) -> Element {
    let mut run = use_remote_every::<RunData>(use_memo(move || format!("/runs/{id}")).into(), ACTIVE_INTERVAL_MS);
    match run.state() {
        RemoteState::Loading => rsx! {
            Page { title: "Run", div { class: "section late", "aria-busy": "true", span { class: "sk" } } }
        },
        RemoteState::Failed(failure) if failure.is_not_found() => rsx! {
            Page { title: "Run",
                Empty { title: "This run is no longer kept", text: "Ended runs are removed after ATLASHUB_RUN_RETENTION_DAYS days.",
                    Link { to: "/", class: "btn", "Open the overview" }
                }
            }
        },
        RemoteState::Failed(failure) => rsx! {
            Page { title: "Run", ErrorBox { what: "The run could not be read.", failure, on_retry: move |()| run.refresh() } }
        },
        RemoteState::Ready(run) => rsx! { RunPage { key: "{run.id}", run } },
    }
}

fn is_active(run: &RunData) -> bool {
    matches!(run.status, RunStatus::Queued | RunStatus::Running)
}

#[component]
fn RunPage(run: RunData) -> Element {
    let project = run.project_name.clone().unwrap_or_else(|| "Platform".to_owned());
    let active = is_active(&run);
    rsx! {
        Page {
            title: "Run of {run_name(&run)}",
            subtitle: "{project} · plugin {run.plugin}, job {run.plugin_job}",
            acts: rsx! { RunActs { run: run.clone() } },
            Facts { run: run.clone() }
            if let Some(error) = &run.error_text {
                p { class: "section row items-start", role: "alert", Mark { shape: Shape::Failed } span { "{error}" } }
            }
            Progress { run: run.clone() }
            if let Some(result) = run.result.as_ref().filter(|result| !result.is_null()) {
                section { class: "section", "aria-label": "Result",
                    div { class: "section-head", h2 { "Result" } }
                    div { class: "code connect",
                        pre { "{serde_json::to_string_pretty(result).unwrap_or_default()}" }
                    }
                }
            }
            // The key re-creates the component when the run ends, because a `Remote` can't change its interval.
            if active {
                Log { key: "{ACTIVE_INTERVAL_MS}", id: run.id.clone(), interval: ACTIVE_INTERVAL_MS, active }
            } else {
                Log { key: "{ENDED_INTERVAL_MS}", id: run.id.clone(), interval: ENDED_INTERVAL_MS, active }
            }
        }
    }
}

#[component]
fn Facts(run: RunData) -> Element {
    let duration = match (run.duration_ms, run.started_at) {
        (Some(duration), _) => Some(("Took", text::duration(duration))),
        (None, Some(started)) if is_active(&run) => {
            Some(("Running for", text::duration((text::now() - started).num_milliseconds().max(0))))
        }
        _ => None,
    };
    rsx! {
        dl { class: "facts-inline",
            div { dt { "State" } dd { RunBadge { status: run.status } } }
            div { dt { "Trigger" } dd { "{trigger_in_words(run.trigger)}" } }
            div { dt { "Queued" } dd { title: text::exact(run.created_at), "{text::moment(run.created_at, text::now())}" } }
            if let Some(started) = run.started_at {
                div { dt { "Started" } dd { title: text::exact(started), "{text::moment(started, text::now())}" } }
            }
            if let Some((label, words)) = duration {
                div { dt { "{label}" } dd { "{words}" } }
            }
            div { dt { "Attempt" } dd { "{run.attempt}" } }
            if let Some(previous) = &run.retry_of {
                div { dt { "Attempt before" } dd { Link { to: "/runs/{previous}", "Open" } } }
            }
            if let Some(status) = run.http_status {
                div { dt { "HTTP status" } dd { "{status}" } }
            }
        }
    }
}

#[component]
fn Progress(run: RunData) -> Element {
    let Some(progress) = run.progress.as_ref().filter(|_| is_active(&run)) else { return rsx! {} };
    let share = progress.total.filter(|total| *total > 0).map(|total| progress.done as f64 / total as f64 * 100.0);
    let numbers = match progress.total {
        Some(total) => format!("{} of {total}", progress.done),
        None => text::number(i64::try_from(progress.done).unwrap_or(i64::MAX)),
    };
    rsx! {
        div { class: "section",
            div { class: "row label", span { "{progress.message}" } span { class: "push tab-nums muted", "{numbers}" } }
            div {
                class: if share.is_some() { "bar" } else { "bar unknown" },
                role: "progressbar",
                "aria-label": "Progress",
                "aria-valuenow": share.map(|share| format!("{share:.0}")),
                style: share.map(|share| format!("--p:{share:.0}%")),
                i {}
            }
        }
    }
}

#[component]
fn RunActs(run: RunData) -> Element {
    let mut asking = use_signal(|| false);
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let cancel_path = format!("/runs/{}/cancel", run.id);
    if is_active(&run) {
        return rsx! {
            button { class: "btn", r#type: "button", onclick: move |_| asking.set(true), "Cancel run" }
            if asking() {
                Confirm {
                    act: "Cancel run",
                    description: "What it has done stays, unless the plugin undoes it. A backup leaves nothing behind.",
                    busy: busy(),
                    failure: failure(),
                    on_close: move |()| asking.set(false),
                    on_confirm: move |()| {
                        let path = cancel_path.clone();
                        spawn(async move {
                            busy.set(true);
                            match remote::send::<_, RunData>(Method::Post, &path, &serde_json::json!({})).await {
                                Ok(_) => asking.set(false),
                                Err(refused) => failure.set(Some(refused.message())),
                            }
                            remote::forget("/runs");
                            busy.set(false);
                        });
                    },
                }
            }
        };
    }
    let Some(job) = run.job_id.clone() else { return rsx! {} };
    rsx! {
        button {
            class: "btn",
            r#type: "button",
            disabled: busy(),
            onclick: move |_| {
                let path = format!("/jobs/{job}/run");
                spawn(async move {
                    busy.set(true);
                    match remote::send::<_, RunStarted>(Method::Post, &path, &serde_json::json!({})).await {
                        Ok(started) => address::go(&format!("/runs/{}", started.run_id)),
                        Err(refused) => messages::show_failure(refused.message()),
                    }
                    remote::forget("/runs");
                    busy.set(false);
                });
            },
            "Run again"
        }
    }
}

#[component]
fn Log(id: String, interval: u32, active: bool) -> Element {
    let mut log = use_remote_every::<ApiPage<LogLine>>(use_signal(|| format!("/runs/{id}/log")).into(), interval);
    let find = use_signal(String::new);
    let mut level = use_signal(|| 0_usize);
    let lines = match log.state() {
        RemoteState::Ready(page) => page.items,
        RemoteState::Failed(failure) => {
            return rsx! {
                ErrorBox { what: "The log could not be read.", failure, on_retry: move |()| log.refresh() }
            };
        }
        RemoteState::Loading => Vec::new(),
    };
    let wanted = find.read().to_lowercase();
    let shown: Vec<LogLine> = lines.into_iter().filter(|line| rank(line.level) >= level()).collect();
    let hits = if wanted.is_empty() { 0 } else { shown.iter().filter(|line| contains(line, &wanted)).count() };
    let as_text: String = shown.iter().map(line_as_text).collect();
    rsx! {
        section { "aria-label": "Log of the run",
            div { class: "toolbar",
                SearchBox { name: "Find in log", value: find }
                if !wanted.is_empty() {
                    span { class: "label muted", role: "status", "{text::count(hits as i64, \"line\", \"lines\")}" }
                }
                label { class: "row",
                    span { class: "label muted", "Level" }
                    select {
                        class: "input m",
                        "aria-label": "Level",
                        onchange: move |event| level.set(event.value().parse().unwrap_or_default()),
                        for (index, (label, _)) in LEVELS.iter().enumerate() {
                            option { key: "{index}", value: "{index}", if index + 1 == LEVELS.len() { "{label}" } else { "{label} and up" } }
                        }
                    }
                }
                span { class: "push", CopyButton { name: "Copy log", text: as_text } }
            }
            div { class: "log", role: "log", "aria-label": "Log", tabindex: "0",
                for (number, line) in shown.iter().enumerate() {
                    div { key: "{number}", class: level_class(line.level),
                        time { title: text::exact(line.at), {line.at.format("%H:%M:%S%.3f").to_string()} }
                        span { class: "lv", "{line.level.as_str().to_uppercase()}" }
                        span {
                            if !wanted.is_empty() && contains(line, &wanted) {
                                mark { "{line.message}" }
                            } else {
                                "{line.message}"
                            }
                            span { class: "f", "{fields_as_text(line)}" }
                        }
                    }
                }
            }
            div { class: "foot",
                span { role: "status",
                    if active { "Following, " }
                    "{text::count(shown.len() as i64, \"line\", \"lines\")}. Times are UTC."
                }
            }
        }
    }
}

fn rank(level: LogLevel) -> usize {
    LEVELS.iter().position(|(_, known)| *known == level).unwrap_or_default()
}

const fn level_class(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Warn => "warn",
        LogLevel::Error => "err",
        _ => "",
    }
}

fn contains(line: &LogLine, wanted: &str) -> bool {
    line.message.to_lowercase().contains(wanted) || fields_as_text(line).to_lowercase().contains(wanted)
}

/// Returns the fields of a line as text, each with a leading space: ` name=value name=value`.
fn fields_as_text(line: &LogLine) -> String {
    let Some(fields) = line.fields.as_object() else { return String::new() };
    fields
        .iter()
        .map(|(name, value)| match value.as_str() {
            Some(text) => format!(" {name}={text}"),
            None => format!(" {name}={value}"),
        })
        .collect()
}

fn line_as_text(line: &LogLine) -> String {
    let at = line.at.format("%Y-%m-%dT%H:%M:%S%.3fZ");
    format!("{at} {} {}{}\n", line.level.as_str().to_uppercase(), line.message, fields_as_text(line))
}
