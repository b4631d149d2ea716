//! One restore as steps on the page: the plan, the confirmation, the run, and the rollback.

use api_types::{Backup, Restore, RestoreSource, RestoreState, RunDetail};
use dioxus::prelude::*;

use super::{
    list::{RemoveKept, RollBack},
    plan::{ConfirmForm, PlanSummary, PlanView},
    words::{can_roll_back, kept_in_words, source_in_words, state_of},
};
use crate::{
    address,
    pages::runs::Progress,
    remote::{self, RemoteState, use_remote},
    text,
    ui::{Empty, ErrorBox, Icon, IconName, Link, Mark, Shape},
};

#[component]
pub(super) fn RestoreSteps(project: String, name: String, restore: String) -> Element {
    let path = format!("/restores/{restore}");
    let mut current = use_remote::<Restore>(use_signal(|| path).into());
    let content = match current.state() {
        RemoteState::Loading => rsx! { div { class: "section late", "aria-busy": "true", span { class: "sk" } } },
        RemoteState::Failed(failure) if failure.is_not_found() => rsx! {
            Empty { title: "No such restore", text: "It was removed, or the address is wrong.",
                button {
                    class: "btn", r#type: "button", onclick: |_| address::replace_parameter("restore", None), "Close"
                }
            }
        },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "The restore could not be loaded.", failure, on_retry: move |()| current.refresh() }
        },
        RemoteState::Ready(restore) => rsx! {
            Steps { project, name, restore, on_change: move |()| current.refresh() }
        },
    };
    rsx! {
        section { class: "section restore-steps", "aria-label": "Restore",
            div { class: "section-head",
                h2 { "Restore" }
                button {
                    class: "btn btn-ghost btn-icon push",
                    r#type: "button",
                    "aria-label": "Close",
                    onclick: |_| address::replace_parameter("restore", None),
                    Icon { name: IconName::Close }
                }
            }
            {content}
        }
    }
}

#[component]
fn Steps(project: String, name: String, restore: Restore, on_change: EventHandler<()>) -> Element {
    let (shape, state) = state_of(restore.state);
    let is_planned = restore.state == RestoreState::Planned;
    rsx! {
        ol { class: "steps",
            li {
                span { class: "dot", "aria-hidden": "true", "1" }
                Source { restore: restore.clone() }
            }
            li { class: if is_planned { "is-now" },
                span { class: "dot", "aria-hidden": "true", "2" }
                h3 { "Plan" }
                div { class: "stack",
                    if is_planned {
                        PlanView { restore: restore.clone(), name: name.clone() }
                    } else {
                        PlanSummary { restore: restore.clone(), name: name.clone() }
                    }
                }
            }
            if is_planned {
                li { class: "is-now",
                    span { class: "dot", "aria-hidden": "true", "3" }
                    h3 { "Confirmation" }
                    ConfirmForm { restore, name, on_started: move |()| on_change.call(()) }
                }
            } else {
                li { class: "is-now",
                    span { class: "dot", "aria-hidden": "true", "3" }
                    h3 { class: "row", Mark { shape } "{state}" }
                    div { class: "stack", Outcome { project, name, restore, on_change } }
                }
            }
        }
    }
}

/// The archive: when the backup was made, and its size.
#[component]
fn Source(restore: Restore) -> Element {
    let backup = match &restore.source {
        RestoreSource::Backup { backup_id } => format!("/backups/{backup_id}"),
        RestoreSource::Upload { .. } => String::new(),
    };
    // The backup may have been deleted since.
    let backup = use_remote::<Backup>(use_signal(|| backup).into()).value();
    let made = backup.map(|backup| format!(" of {}", text::short_date_and_time(backup.created_at))).unwrap_or_default();
    let planned = text::exact(restore.created_at);
    rsx! {
        h3 { title: "Planned: {planned}",
            "{source_in_words(&restore.source)}{made}, {text::bytes(restore.plan.size_bytes)}"
        }
    }
}

/// The run with its result, and the buttons to roll back and to remove the kept database.
#[component]
fn Outcome(project: String, name: String, restore: Restore, on_change: EventHandler<()>) -> Element {
    let refresh = move |()| {
        // The project now uses another database, with other tables, users and sizes.
        remote::forget(&format!("/projects/{project}"));
        remote::forget("/restores");
        on_change.call(());
    };
    rsx! {
        if let Some(run) = restore.run_id.clone() {
            for run in [run] {
                FollowedRun { key: "{run}", run }
            }
        }
        if let Some(problem) = &restore.error_text {
            p { class: "row", role: "alert", Mark { shape: Shape::Failed } "{problem}" }
        }
        if !restore.left_out.is_empty() {
            p { class: "row",
                Mark { shape: Shape::Attention }
                "The restored database lacks these objects, or has them as NOT VALID:"
            }
            ul { class: "list", "aria-label": "Left out",
                for left_out in restore.left_out.iter() {
                    li { key: "{left_out}", "{left_out}" }
                }
            }
        }
        if let Some(kept) = &restore.previous_database {
            {
                let (before, after) = kept_in_words(restore.state);
                rsx! {
                    p { "{before}" span { class: "mono", "{kept}" } "{after}" }
                }
            }
            // These buttons are at the opposite end of the line from the button that started the restore, so that a
            // double click there does not hit them.
            div { class: "row restore-acts",
                RemoveKept { restore: restore.clone(), on_done: refresh.clone() }
                if can_roll_back(&restore) {
                    RollBack { restore: restore.clone(), name: name.clone(), on_done: refresh }
                }
            }
        }
    }
}

#[component]
fn FollowedRun(run: String) -> Element {
    let path = format!("/runs/{run}");
    let detail = use_remote::<RunDetail>(use_signal(|| path).into());
    rsx! {
        if let Some(detail) = detail.value() {
            Progress { run: detail.run }
        }
        p { Link { to: "/runs/{run}", class: "link", "Open run" } }
    }
}
