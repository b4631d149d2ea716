//! The dialog that asks before a statement destroys data. It shows which data and how much, and the age of the last
//! backup.

use api_types::{DestroyAction, Destroyed, RunStatus, TableSummary};
use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use super::{run, wire, workspace::Workspace};
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
    let facts = use_resource(move || {
        let tables = tables.clone();
        async move {
            let mut facts = Vec::new();
            for each in &tables {
                facts.push(fact_of(&workspace.project(), each).await);
            }
            facts
        }
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
        Some(Ok(None)) => "There is no backup of this project.".to_owned(),
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
                    disabled: is_busy,
                    onclick: back_up,
                    "Back up first and run"
                }
                button {
                    class: "btn btn-danger btn-l",
                    r#type: "button",
                    disabled: is_busy,
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
                            if let Some(fact) = facts.read().as_ref().and_then(|facts| facts.get(index)) {
                                span { class: "muted", " {fact}" }
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

/// Returns a sentence about the effect of the statement, with the object's name as the owner wrote it.
fn sentence(destroyed: &Destroyed) -> String {
    let name = match &destroyed.schema {
        Some(schema) => format!("{schema}.{}", destroyed.name),
        None => destroyed.name.clone(),
    };
    match destroyed.action {
        DestroyAction::Drop => format!("Drops the {} {name}.", destroyed.kind),
        DestroyAction::DropColumn => {
            format!("Drops the column {} of {name}.", destroyed.column.as_deref().unwrap_or("?"))
        }
        DestroyAction::Truncate => format!("Removes all rows of {name}."),
        DestroyAction::DeleteAll => format!("Deletes all rows of {name}: the statement has no WHERE."),
        DestroyAction::UpdateAll => format!("Changes all rows of {name}: the statement has no WHERE."),
    }
}

/// Returns the size of a table whose data is destroyed, and the foreign keys that refer to it, as text. Empty for other
/// objects, and for tables outside of `public`.
async fn fact_of(project: &str, destroyed: &Destroyed) -> String {
    let is_table = destroyed.kind.contains("table") || destroyed.kind.contains("view");
    let is_public = destroyed.schema.as_deref().is_none_or(|schema| schema == "public");
    if !is_table || !is_public {
        return String::new();
    }
    let Ok(tables) = wire::table_summaries(project, &destroyed.name).await else {
        return "Its size could not be determined.".to_owned();
    };
    let size = match tables.into_iter().find(|table| table.name == destroyed.name) {
        Some(TableSummary { estimated_rows: Some(rows), total_bytes, .. }) => {
            format!("About {}, {}.", text::count(rows, "row", "rows"), text::bytes(total_bytes))
        }
        Some(TableSummary { total_bytes, .. }) => format!("{}; its row count is unknown.", text::bytes(total_bytes)),
        None => return "This table does not exist.".to_owned(),
    };
    let is_lost = matches!(destroyed.action, DestroyAction::Drop | DestroyAction::Truncate | DestroyAction::DeleteAll);
    let references = if is_lost { references_to(project, &destroyed.name).await } else { Vec::new() };
    if references.is_empty() { size } else { format!("{size} Foreign keys refer to it: {}.", references.join(", ")) }
}

/// Returns the columns of other tables that refer to a table: `loans.book_id`.
async fn references_to(project: &str, table: &str) -> Vec<String> {
    let Ok(detail) = wire::table_detail(project, table).await else { return Vec::new() };
    let others = detail.referenced_by.into_iter().filter(|key| key.table != table || key.schema != "public");
    others.map(|key| format!("{}.{}", key.table, key.columns.join(", "))).collect()
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
