//! The runs that are in progress.

use dioxus::prelude::*;

use super::overlay;
use crate::{
    remote::{self, Method, PageBrief, Remote, RunBrief, use_remote_every},
    run_progress, text,
    ui::{Icon, IconName, Link, ModalDialog, messages},
};

const PATH: &str = "/runs?status=running&limit=50";

/// Interval at which the runs are read.
const INTERVAL_MS: u32 = 2_000;

/// Reads the runs in progress, often enough to show their progress.
pub(super) fn use_running() -> Remote<PageBrief<RunBrief>> {
    use_remote_every(use_signal(|| PATH.to_owned()).into(), INTERVAL_MS)
}

/// The dialog "Running work".
#[component]
pub fn RunningWork() -> Element {
    let runs = use_running().value().map(|page| page.items).unwrap_or_default();
    rsx! {
        ModalDialog { name: "Running work", class: "dock-dialog", on_close: |()| overlay::close(),
            div { class: "dock dock-top",
                header {
                    h2 { class: "grow", "Running work" }
                    button {
                        class: "btn btn-ghost btn-icon",
                        r#type: "button",
                        "aria-label": "Close",
                        autofocus: true,
                        onclick: |_| overlay::close(),
                        Icon { name: IconName::Close }
                    }
                }
                if runs.is_empty() {
                    p { class: "muted p-3", role: "status", "Nothing is running." }
                } else {
                    ul { "aria-label": "Running work",
                        for run in runs {
                            RunningRun { key: "{run.id}", run }
                        }
                    }
                }
            }
        }
    }
}

#[component]
fn RunningRun(run: RunBrief) -> Element {
    let mut busy = use_signal(|| false);
    let name = run.job_name.clone().unwrap_or_else(|| format!("{} · {}", run.plugin, run.plugin_job));
    let share = run.progress.as_ref().and_then(run_progress::percent);
    let what = run.progress.as_ref().map(|progress| progress.message.clone()).unwrap_or_default();
    let since = run.started_at.map(|started| text::age(started, text::now())).unwrap_or_default();
    let id = run.id.clone();
    rsx! {
        li {
            span {
                class: "cut", Link { to: "/runs/{run.id}", onfollow: |()| overlay::close(), strong { "{name}" } }
                span { class: "muted", " · started {since}" }
            }
            button {
                class: "btn btn-ghost btn-s",
                r#type: "button",
                "aria-label": "Cancel {name}",
                "data-act": "true",
                disabled: busy(),
                onclick: move |_| {
                    let id = id.clone();
                    spawn(async move {
                        busy.set(true);
                        let path = format!("/runs/{id}/cancel");
                        let body = serde_json::json!({});
                        let sent: Result<serde_json::Value, _> = remote::send(Method::Post, &path, &body).await;
                        match sent {
                            Ok(_) => messages::show("Cancelling the run"),
                            Err(failure) => messages::show_failure(failure.message()),
                        }
                        remote::forget("/runs");
                        busy.set(false);
                    });
                },
                "Cancel"
            }
            div {
                class: if share.is_some() { "bar" } else { "bar unknown" },
                role: "progressbar",
                "aria-label": "{name}",
                "aria-valuenow": share.map(|share| share.to_string()),
                style: share.map(|share| format!("--p:{share}%")),
                i {}
            }
            span { class: "muted cut", "{what}" }
        }
    }
}
