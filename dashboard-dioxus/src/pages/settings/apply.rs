//! Applies pending migrations in a run, and shows the state of the run.

use api_types::{CreateBackup, RunDetail, RunStarted, RunStatus};
use dioxus::prelude::*;

use super::super::{
    recent_runs::RunBadge,
    run_message::{self, Work},
};
use crate::{
    remote::{self, Method, RemoteState, use_remote_every},
    text,
    ui::{CodeText, Link, Mark, Shape, messages},
};

/// Milliseconds between two reads of the run.
const INTERVAL_MS: u32 = 1_000;

/// The note that migrations are pending, with the button that applies them.
#[component]
pub(super) fn Pending(count: i64, started: Signal<Option<String>>) -> Element {
    let mut started = started;
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let title = match count {
        1 => "1 migration is pending.".to_owned(),
        count => format!("{} migrations are pending.", text::number(count)),
    };
    rsx! {
        div { class: "section mb-4",
            div { class: "banner t-warning", role: "note",
                Mark { shape: Shape::Attention }
                div {
                    strong { "{title}" }
                    p { "AtlasHub also applies them when it starts. They can't be undone: back up the platform first." }
                    if let Some(failure) = failure() {
                        p { role: "alert", CodeText { text: failure } }
                    }
                }
                div { class: "row wrap",
                    button {
                        class: "btn btn-ghost",
                        r#type: "button",
                        "data-act": "true",
                        onclick: |_| back_up_platform(),
                        "Back up first"
                    }
                    button {
                        class: "btn btn-primary",
                        r#type: "button",
                        "aria-disabled": busy(),
                        onclick: move |_| {
                            spawn(async move {
                                busy.set(true);
                                failure.set(None);
                                match apply().await {
                                    Ok(run) => started.set(Some(run)),
                                    Err(refused) => failure.set(Some(refused.message())),
                                }
                                busy.set(false);
                            });
                        },
                        "Apply pending migrations"
                    }
                }
            }
        }
    }
}

async fn apply() -> Result<String, remote::Failure> {
    let started: RunStarted = remote::send(Method::Post, "/migrations/apply", &serde_json::json!({})).await?;
    remote::forget("/runs");
    Ok(started.run_id)
}

fn back_up_platform() {
    spawn(async {
        let request = CreateBackup { target: "platform".to_owned(), objects: false };
        match remote::send::<_, RunStarted>(Method::Post, "/backups", &request).await {
            Ok(started) => run_message::follow(started.run_id, Work::backup("the platform")),
            Err(failure) => messages::show_failure(failure.message()),
        }
        remote::forget("/runs");
    });
}

/// The run that applies migrations: its state, its error, and a link to its log. If it fails, a button clears
/// `started`, so that the page offers to apply the migrations again.
#[component]
pub(super) fn ApplyRun(id: String, started: Signal<Option<String>>) -> Element {
    let mut started = started;
    let path = format!("/runs/{id}");
    let detail = use_remote_every::<RunDetail>(use_signal(|| path).into(), INTERVAL_MS);
    let run = detail.value().map(|detail| detail.run);
    let status = run.as_ref().map(|run| run.status);
    let has_ended = status.is_some_and(|status| !matches!(status, RunStatus::Queued | RunStatus::Running));
    use_effect(use_reactive!(|has_ended| {
        if has_ended {
            remote::forget("/migrations");
        }
    }));
    // A failure means that the run was never read, so its state is unknown.
    let unread = match detail.state() {
        RemoteState::Failed(failure) => Some(failure.message()),
        RemoteState::Loading | RemoteState::Ready(_) => None,
    };
    let is_bad = unread.is_some() || (has_ended && status != Some(RunStatus::Success));
    let tone = match status {
        _ if is_bad => "banner t-bad",
        Some(RunStatus::Success) => "banner t-good",
        _ => "banner",
    };
    let words = match status {
        _ if unread.is_some() => "The run that applies the migrations could not be read.",
        Some(RunStatus::Success) => "The migrations are applied.",
        Some(_) if has_ended => "The migrations could not be applied.",
        _ => "Applying migrations…",
    };
    let error = unread.or_else(|| run.as_ref().and_then(|run| run.error_text.clone()));
    rsx! {
        div { class: "section mb-4",
            div { class: tone, role: if is_bad { "alert" } else { "status" },
                if is_bad || has_ended {
                    Mark { shape: if is_bad { Shape::Failed } else { Shape::Succeeded } }
                } else {
                    span { class: "spin accent" }
                }
                div {
                    strong { "{words}" }
                    if let Some(error) = error {
                        p { CodeText { text: error } }
                    }
                }
                div { class: "row",
                    if let Some(status) = status {
                        RunBadge { status }
                    }
                    Link { to: "/runs/{id}", class: "btn btn-s", "Open run" }
                    if has_ended && status != Some(RunStatus::Success) {
                        button {
                            class: "btn btn-s", r#type: "button", onclick: move |_| started.set(None), "Try again"
                        }
                    }
                }
            }
        }
    }
}
