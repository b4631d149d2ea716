//! The facts of a run: times, attempts, progress, and the runs of the job before and after it.

use api_types::{Job, Page as ApiPage, Run, RunAttempt, RunStatus, RunWaiting, WaitReason};
use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use super::{
    super::recent_runs::{run_shape, run_state_in_words, trigger_in_words},
    acts::is_active,
};
use crate::{
    remote::use_remote,
    run_progress, text,
    ui::{Link, Mark},
};

/// The query for the runs of the job. The previous and the next run are searched for among these.
const NEIGHBOURS: &str = "limit=50";

#[component]
pub(super) fn Facts(run: Run) -> Element {
    let of_job = |suffix: &str| run.job_id.as_ref().map(|job| format!("/jobs/{job}{suffix}")).unwrap_or_default();
    let (job, runs) = (of_job(""), of_job(&format!("/runs?{NEIGHBOURS}")));
    let job = use_remote::<Job>(use_signal(|| job).into()).value();
    let runs =
        use_remote::<ApiPage<Run>>(use_signal(|| runs).into()).value().map(|page| page.items).unwrap_or_default();
    let at = runs.iter().position(|other| other.id == run.id);
    let after = at.and_then(|at| runs.get(at.checked_sub(1)?)).cloned();
    let before = at.and_then(|at| runs.get(at + 1)).cloned();
    rsx! {
        dl { class: "facts-inline",
            div { dt { "Trigger" } dd { "{trigger_in_words(run.trigger)}" } }
            div {
                dt { "Queued" }
                dd { title: text::exact(run.created_at), {text::moment(run.created_at, text::now())} }
            }
            if let Some(started) = run.started_at {
                div { dt { "Started" } dd { title: text::exact(started), {text::moment(started, text::now())} } }
            }
            Took { run: run.clone() }
            if let Some(usual) = usual(&runs) {
                div { dt { "Usually takes" } dd { {text::duration(usual)} } }
            }
            div { dt { "Attempt" } dd { "{run.attempt} of {run.max_attempts.max(run.attempt)}" } }
            if let Some(job) = job {
                div { dt { "Time limit" } dd { {text::duration(job.timeout_ms.into())} } }
            }
            if let Some(status) = run.http_status {
                div { dt { "HTTP status" } dd { "{status}" } }
            }
            if let Some(before) = before {
                div { dt { "Previous run" } dd { Neighbour { run: before } } }
            }
            if let Some(after) = after {
                div { dt { "Next run" } dd { Neighbour { run: after } } }
            }
        }
    }
}

#[component]
fn Neighbour(run: Run) -> Element {
    let at = text::age(run.started_at.unwrap_or(run.created_at), text::now());
    rsx! { Link { to: "/runs/{run.id}", class: "link", "{run_state_in_words(run.status)}, {at}" } }
}

/// The duration of the run. It grows every second while the run is in progress.
#[component]
fn Took(run: Run) -> Element {
    let active = is_active(&run);
    let mut now = use_signal(text::now);
    use_resource(use_reactive(&active, move |active| async move {
        if !active {
            return;
        }
        loop {
            TimeoutFuture::new(1_000).await;
            now.set(text::now());
        }
    }));
    match (run.duration_ms, run.started_at) {
        (Some(duration), _) => rsx! { div { dt { "Took" } dd { {text::duration(duration)} } } },
        (None, Some(started)) if active => rsx! {
            div { dt { "Running for" } dd { {text::duration((now() - started).num_seconds().max(0) * 1000)} } }
        },
        _ => rsx! {},
    }
}

/// Returns the median duration of the runs that succeeded, in milliseconds. `None` if fewer than three succeeded.
fn usual(runs: &[Run]) -> Option<i64> {
    let mut durations: Vec<i64> =
        runs.iter().filter(|run| run.status == RunStatus::Success).filter_map(|run| run.duration_ms).collect();
    if durations.len() < 3 {
        return None;
    }
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied()
}

/// The links to the attempts of the same work, if there are several.
#[component]
pub(super) fn Attempts(current: String, attempts: Vec<RunAttempt>) -> Element {
    if attempts.len() < 2 {
        return rsx! {};
    }
    rsx! {
        nav { class: "section attempts", "aria-label": "Attempts",
            ol { class: "row wrap",
                for attempt in attempts {
                    li { key: "{attempt.id}",
                        Link {
                            to: "/runs/{attempt.id}",
                            class: "chip",
                            current: attempt.id == current,
                            title: attempt.error_text.clone(),
                            Mark { shape: run_shape(attempt.status) }
                            "Attempt {attempt.attempt}"
                            span { class: "muted", "{run_state_in_words(attempt.status)}" }
                        }
                    }
                }
            }
        }
    }
}

/// The reason why a queued run has not started.
#[component]
pub(super) fn Waiting(waiting: RunWaiting) -> Element {
    let now = text::now();
    rsx! {
        p { class: "section waiting", role: "status",
            match waiting.reason {
                WaitReason::Time => match waiting.until {
                    Some(until) => rsx! { "This run is retried {text::upcoming(until, now)}." },
                    None => rsx! { "This run is retried soon." },
                },
                WaitReason::Overlap => rsx! {
                    "This run waits until "
                    match waiting.run_id {
                        Some(run) => rsx! { Link { to: "/runs/{run}", class: "link", "another run of the job" } },
                        None => rsx! { "another run of the job" },
                    }
                    " has ended."
                },
                WaitReason::Scheduler => rsx! {
                    "This run waits for a scheduler: none is running. Start "
                    code { "atlashub serve" }
                    " with the role "
                    code { "all" }
                    " or "
                    code { "scheduler" }
                    "."
                },
                WaitReason::Turn => rsx! { "This run waits for its turn: other runs keep the scheduler busy." },
            }
        }
    }
}

#[component]
pub fn Progress(run: Run) -> Element {
    let Some(progress) = run.progress.as_ref().filter(|_| is_active(&run)) else { return rsx! {} };
    let share = run_progress::percent(progress);
    let amount = run_progress::amount(&run.plugin, progress);
    let numbers = match share {
        Some(share) if amount.is_empty() => format!("{share} %"),
        Some(share) => format!("{amount} · {share} %"),
        None => amount,
    };
    rsx! {
        div { class: "section run-progress",
            div { class: "row label", span { "{progress.message}" } span { class: "push tab-nums muted", "{numbers}" } }
            div {
                class: if share.is_some() { "bar" } else { "bar unknown" },
                role: "progressbar",
                "aria-label": "Progress",
                "aria-valuenow": share.map(|share| share.to_string()),
                "aria-valuetext": "{progress.message}",
                style: share.map(|share| format!("--p:{share}%")),
                i {}
            }
        }
    }
}
