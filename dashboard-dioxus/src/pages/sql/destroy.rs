//! The dialog that asks before a statement destroys data. It shows which data and how much, and the age of the last
//! backup.

use api_types::{Destroyed, RunStatus};
use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use super::{
    losses::{losses_of, sentence},
    run, wire,
    workspace::Workspace,
};
use crate::{
    remote, text,
    ui::{Dialog, Mark, Shape},
};

#[component]
pub(super) fn DestroyDialog(workspace: Workspace) -> Element {
    let pending = workspace.pending.read().clone();
    rsx! {
        if let Some(pending) = pending {
            Ask { workspace, destroyed: pending.destroyed }
        }
    }
}

#[component]
fn Ask(workspace: Workspace, destroyed: Vec<Destroyed>) -> Element {
    let mut workspace = workspace;
    let tables = destroyed.clone();
    let losses = use_resource(move || {
        let tables = tables.clone();
        async move { losses_of(&workspace.project(), &tables).await }
    });
    let backup = use_resource(move || async move { wire::last_good_backup(&workspace.project()).await });
    let mut state = use_signal(|| None::<String>);
    let mut error = use_signal(|| None::<String>);
    let is_busy = state.read().is_some();
    let last = match &*backup.read() {
        None => "Looking for the last backup…".to_owned(),
        Some(Ok(Some(backup))) => {
            format!("The last good backup is {} old.", text::duration_in_words(text::now() - backup.created_at))
        }
        Some(Ok(None)) => "There is no good backup of this project.".to_owned(),
        Some(Err(failure)) => format!("The backups could not be loaded. {}", failure.message()),
    };
    let back_up = move |_| {
        spawn(async move {
            error.set(None);
            state.set(Some("Backing up…".to_owned()));
            match back_up(workspace).await {
                Ok(()) => run::confirm(workspace),
                Err(reason) => error.set(Some(reason)),
            }
            state.set(None);
        });
    };
    rsx! {
        Dialog {
            title: "Run a statement that destroys data",
            wide: true,
            on_close: move |()| workspace.pending.set(None),
            footer: rsx! {
                button {
                    class: "btn btn-l",
                    r#type: "button",
                    autofocus: true,
                    onclick: move |_| workspace.pending.set(None),
                    "Cancel"
                }
                button {
                    class: "btn btn-l",
                    r#type: "button",
                    "aria-disabled": is_busy,
                    onclick: back_up,
                    "Back up first and run"
                }
                button {
                    class: "btn btn-danger btn-l",
                    r#type: "button",
                    "aria-disabled": is_busy,
                    onclick: move |_| run::confirm(workspace),
                    "Run"
                }
            },
            ul { class: "sql-destroyed",
                for (index, each) in destroyed.iter().enumerate() {
                    li { key: "{index}",
                        Mark { shape: Shape::Attention }
                        span {
                            strong { "{sentence(each)}" }
                            if let Some(loss) = losses.read().as_ref().and_then(|losses| losses.get(index)) {
                                span { class: "muted", " {loss.fact}" }
                                for (table, (sentence, size)) in loss.cascaded.iter().enumerate() {
                                    span { key: "{table}", class: "sql-cascaded",
                                        "{sentence}"
                                        span { class: "muted", " {size}" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            p { class: "muted", "{last}" }
            if let Some(state) = state() {
                p { class: "row", role: "status", span { class: "spin", "aria-hidden": "true" } "{state}" }
            }
            if let Some(error) = error() {
                p { class: "error", role: "alert", Mark { shape: Shape::Failed } "{error}" }
            }
        }
    }
}

async fn back_up(workspace: Workspace) -> Result<(), String> {
    let started = wire::back_up(&workspace.project())
        .await
        .map_err(|failure| format!("The backup could not be started. {}", failure.message()))?;
    loop {
        TimeoutFuture::new(500).await;
        while !remote::is_visible() {
            TimeoutFuture::new(500).await;
        }
        // The owner may have closed the dialog.
        if workspace.pending.peek().is_none() {
            return Err("Nothing was run.".to_owned());
        }
        let Ok(run) = wire::run_state(&started.run_id).await else { continue };
        match run.status {
            RunStatus::Queued | RunStatus::Running => {}
            RunStatus::Success => return Ok(()),
            _ => return Err(format!("The backup failed, so nothing was run. {}", run.error_text.unwrap_or_default())),
        }
    }
}
