//! Records in the workspace that a query is running, and how it ended.

use dioxus::prelude::*;

use super::{
    drafts, editor,
    execution::{Execution, Shown},
    failure::RunFailure,
    workspace::Workspace,
};

/// Shows that a query is running in a tab. Returns the new id of the query.
pub(super) fn begin(mut workspace: Workspace, tab: &str) -> String {
    let query_id = drafts::new_id();
    let execution = Execution {
        query_id: query_id.clone(),
        started_at: js_sys::Date::now(),
        is_running: true,
        ..Execution::default()
    };
    workspace.executions.write().insert(tab.to_owned(), execution);
    query_id
}

/// Shows the execution again that a tab had before [`begin`].
pub(super) fn restore(mut workspace: Workspace, tab: &str, previous: Option<Execution>) {
    let mut executions = workspace.executions.write();
    match previous {
        Some(previous) => executions.insert(tab.to_owned(), previous),
        None => executions.remove(tab),
    };
}

pub(super) fn finish(mut workspace: Workspace, tab: &str, show: impl FnOnce(&mut Execution)) {
    let mut executions = workspace.executions.write();
    // The tab may have been closed in the meantime.
    let Some(execution) = executions.get_mut(tab) else { return };
    execution.is_running = false;
    execution.finished_at = js_sys::Date::now();
    show(execution);
}

pub(super) fn finish_with(workspace: Workspace, tab: &str, mut failure: RunFailure, note: Option<String>) {
    finish(workspace, tab, |execution| {
        failure.is_cancelled |= execution.is_cancelling;
        if failure.is_cancelled {
            let seconds = (execution.finished_at - execution.started_at) / 1000.0;
            failure.message = format!("Cancelled after {seconds:.1} s.");
            failure.hint = None;
        }
        execution.note =
            if failure.is_cancelled { Some(note.unwrap_or_else(|| "Nothing was changed.".to_owned())) } else { note };
        execution.failure = Some(failure);
        execution.shown = Shown::Failure;
    });
    show_problem(workspace, tab);
}

/// Underlines the part of the open text that its failure is about, if it failed after `begin`, in milliseconds since
/// 1970. Returns whether it failed after that.
pub(super) fn show_problem_since(workspace: Workspace, begin: f64) -> bool {
    let active = workspace.active.peek().clone();
    let has_failed = workspace.executions.peek().get(&active).is_some_and(|execution| {
        execution.finished_at >= begin && execution.failure.as_ref().is_some_and(|failure| failure.range.is_some())
    });
    if has_failed {
        show_problem(workspace, &active);
    }
    has_failed
}

/// Underlines the part of the text that the failure is about.
pub(super) fn show_problem(workspace: Workspace, tab: &str) {
    let failure = workspace.executions.peek().get(tab).and_then(|execution| execution.failure.clone());
    if let Some(failure) = failure
        && let Some(range) = &failure.range
        && *workspace.active.peek() == tab
    {
        editor::show_problems(workspace, &[(range.clone(), failure.message.as_str())]);
    }
}
