//! The runs that are in progress.

use dioxus::prelude::*;

use super::overlay;
use crate::{
    cancel_run::CancelRun,
    remote::{PageBrief, Remote, RunBrief, use_remote_every},
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
    let page = use_running().value();
    let has_more = page.as_ref().is_some_and(|page| page.next_cursor.is_some());
    let runs = page.map(|page| page.items).unwrap_or_default();
    let mut cancelling = use_signal(|| None::<RunBrief>);
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
                            RunningRun { key: "{run.id}", run, cancelling }
                        }
                        if has_more {
                            li {
                                span { class: "muted", "More runs are in progress." }
                                Link {
                                    to: "/runs?status=running", class: "btn btn-ghost btn-s",
                                    onfollow: |()| overlay::close(), "All running"
                                }
                            }
                        }
                    }
                }
            }
        }
        if let Some(run) = cancelling() {
            CancelRun {
                run: run.id,
                plugin: run.plugin,
                plugin_job: run.plugin_job,
                on_cancelled: move |()| {
                    messages::show("Cancelling the run");
                    cancelling.set(None);
                },
                on_close: move |()| cancelling.set(None),
            }
        }
    }
}

#[component]
fn RunningRun(run: RunBrief, cancelling: Signal<Option<RunBrief>>) -> Element {
    let mut cancelling = cancelling;
    let name = run.job_name.clone().unwrap_or_else(|| format!("{} · {}", run.plugin, run.plugin_job));
    let share = run.progress.as_ref().and_then(run_progress::percent);
    let what = run.progress.as_ref().map(|progress| progress.message.clone()).unwrap_or_default();
    let since = run.started_at.map(|started| text::age(started, text::now())).unwrap_or_default();
    let to_cancel = run.clone();
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
                onclick: move |_| cancelling.set(Some(to_cancel.clone())),
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
