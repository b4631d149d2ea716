//! Runs SQL: parses the text on the server, asks the owner before data is destroyed, sends the statements, and stores
//! the result.

use std::{ops::Range, rc::Rc};

use api_types::{Destroyed, Explain, RunSql};
use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use super::{
    background::run_in_background,
    editor,
    execution::{ResultSet, Shown, duration},
    failure::{RunFailure, failed, may_be_committed, refusal, script_failure},
    plan::Plan,
    progress::{begin, finish, finish_with, restore, show_problem},
    statement::{Parsed, Target},
    wire::{self, RawResult},
    workspace::Workspace,
};
use crate::{remote::Failure, text, ui::messages};

/// An action on the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Run,
    RunAll,
    Explain,
    Analyze,
}

/// An execution that waits for the owner's confirmation, because it destroys data.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pending {
    pub(super) destroyed: Vec<Destroyed>,
    plan: RunPlan,
}

/// The statements to send, and how to run them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RunPlan {
    pub(super) tab: String,
    pub(super) act: Act,
    /// The range of bytes of the query that is sent.
    pub(super) range: Range<usize>,
    pub(super) text: Rc<str>,
    /// Number of statements.
    count: usize,
    pub(super) is_script: bool,
    pub(super) transaction: bool,
    read_only: bool,
}

impl RunPlan {
    /// Returns the text that is sent.
    pub(super) fn sql(&self) -> &str {
        self.text.get(self.range.clone()).unwrap_or_default()
    }
}

/// Starts an action on the open query.
pub(super) fn start(workspace: Workspace, act: Act) {
    editor::pull(workspace);
    let Some(tab) = workspace.active_tab() else { return };
    let is_running = workspace.executions.peek().get(&tab.id).is_some_and(|execution| execution.is_running);
    if is_running {
        return;
    }
    let target = Target::of(&tab.text, *workspace.editor_selection.peek(), workspace.parsed.peek().as_deref());
    let range = match act {
        Act::RunAll => (!tab.text.trim().is_empty()).then(|| 0..tab.text.len()),
        _ => target.range(),
    };
    let Some(range) = range else { return };
    dioxus::core::spawn_forever(prepare(workspace, tab.id, tab.text, range, act));
}

/// Runs a statement of the open query again, with another row limit. The run is read-only, so that no change is made
/// twice.
pub(super) fn read_again(mut workspace: Workspace, sql: &str, rows: u32) {
    editor::pull(workspace);
    let Some(tab) = workspace.active_tab() else { return };
    let Some(start) = tab.text.find(sql) else {
        return messages::show_failure(
            "The query no longer contains the statement. Open it from “History”, choose more rows, and run it.",
        );
    };
    workspace.settings.write().rows = rows;
    workspace.settings.peek().store();
    let plan = RunPlan {
        tab: tab.id,
        act: Act::Run,
        range: start..start + sql.len(),
        text: tab.text,
        count: 1,
        is_script: false,
        transaction: true,
        read_only: true,
    };
    dioxus::core::spawn_forever(execute(workspace, plan));
}

/// Sends the statements of a plan again, as they were sent before, with the current time limit. `act` is that of the
/// plan, or explains the statement instead.
pub(super) fn repeat(workspace: Workspace, plan: &RunPlan, act: Act) {
    dioxus::core::spawn_forever(execute(workspace, RunPlan { act, ..plan.clone() }));
}

/// Continues a run that waited for the owner's confirmation.
pub(super) fn confirm(mut workspace: Workspace) {
    let Some(pending) = workspace.pending.write().take() else { return };
    dioxus::core::spawn_forever(execute(workspace, pending.plan));
}

/// Stops the run of a tab.
pub(super) fn cancel(mut workspace: Workspace, tab: &str) {
    let query_id = {
        let mut executions = workspace.executions.write();
        let Some(execution) = executions.get_mut(tab).filter(|execution| execution.is_running) else { return };
        execution.is_cancelling = true;
        execution.background.as_ref().map_or(Err(execution.query_id.clone()), |run| Ok(run.id.clone()))
    };
    dioxus::core::spawn_forever(async move {
        match query_id {
            Ok(run) => drop(wire::cancel_run(&run).await),
            Err(query_id) => {
                // The server knows the query only once its request has arrived.
                for _ in 0..20 {
                    match wire::cancel(&workspace.project(), &query_id).await {
                        Ok(response) if response.cancelled => break,
                        Err(Failure::SignedOut) => break,
                        _ => TimeoutFuture::new(100).await,
                    }
                    // If the tab was closed, the workspace has forgotten the execution, but it may still be running.
                    let has_ended = workspace
                        .executions
                        .peek()
                        .values()
                        .any(|other| other.query_id == query_id && !other.is_running);
                    if has_ended {
                        break;
                    }
                }
            }
        }
    });
}

/// Parses the text on the server, then runs it or asks the owner.
async fn prepare(mut workspace: Workspace, tab: String, text: Rc<str>, range: Range<usize>, act: Act) {
    let piece: Rc<str> = text.get(range.clone()).unwrap_or_default().into();
    let previous = workspace.executions.peek().get(&tab).cloned();
    begin(workspace, &tab);
    let parsed = match wire::parse(&workspace.project(), &piece).await {
        Ok(response) => Parsed::new(piece.clone(), response),
        Err(failure) => return finish_with(workspace, &tab, failed(&failure, &text, range.start, 1), None),
    };
    // The tab may have been closed in the meantime.
    if workspace.peek_tab(&tab).is_none() {
        return;
    }
    let Some((first, is_script)) = parsed.statements.first().map(|first| (first, parsed.statements.len() > 1)) else {
        let failure =
            RunFailure { number: 1, message: "There is no statement to run.".to_owned(), ..RunFailure::default() };
        return finish_with(workspace, &tab, failure, None);
    };
    if let Some(failure) = refusal(&parsed, &text, range.start) {
        let note = if is_script { Some("Nothing was run.".to_owned()) } else { None };
        return finish_with(workspace, &tab, failure, note);
    }
    let settings = workspace.settings.peek().clone();
    let sent = if is_script { range } else { range.start + first.range.start..range.start + first.range.end };
    let plan = RunPlan {
        tab: tab.clone(),
        act,
        range: sent,
        text,
        count: parsed.statements.len(),
        is_script,
        transaction: settings.in_transaction && parsed.outside_transactions().is_none(),
        read_only: settings.read_only,
    };
    let destroyed: Vec<Destroyed> =
        parsed.statements.iter().flat_map(|statement| statement.parsed.destroys.clone()).collect();
    let destroys = matches!(act, Act::Run | Act::RunAll) && !settings.read_only && !destroyed.is_empty();
    if destroys {
        restore(workspace, &tab, previous);
        workspace.pending.set(Some(Pending { destroyed, plan }));
    } else {
        execute(workspace, plan).await;
    }
}

async fn execute(mut workspace: Workspace, plan: RunPlan) {
    let query_id = begin(workspace, &plan.tab);
    if let Some(execution) = workspace.executions.write().get_mut(&plan.tab) {
        execution.sent = Some(Rc::new(plan.clone()));
    }
    let settings = workspace.settings.peek().clone();
    let mut request = wire::request(plan.sql().to_owned(), query_id);
    request.read_only = plan.read_only;
    request.max_rows = Some(settings.rows);
    let in_background = settings.timeout_ms().is_none() && matches!(plan.act, Act::Run | Act::RunAll);
    request.timeout_ms = if in_background { None } else { Some(settings.timeout_ms().unwrap_or(60_000)) };
    request.explain = match plan.act {
        Act::Run | Act::RunAll => Explain::No,
        Act::Explain => Explain::Plan,
        Act::Analyze => Explain::Analyze,
    };
    if in_background {
        return run_in_background(workspace, &plan, request).await;
    }
    if plan.is_script && request.explain != Explain::No {
        let failure = RunFailure {
            number: 1,
            message: "Only one statement can be explained. Select it, or put the cursor into it.".to_owned(),
            ..RunFailure::default()
        };
        return finish_with(workspace, &plan.tab, failure, None);
    }
    if plan.is_script {
        request.script = true;
        request.transaction = Some(plan.transaction);
        run_script(workspace, &plan, &request).await;
    } else {
        match wire::run_statement(&workspace.project(), &request).await {
            Ok(raw) => show_statement(workspace, &plan, raw),
            Err(failure) => fail(workspace, &plan, &failure),
        }
    }
    workspace.refresh_history();
}

/// Shows why a request has no result, and whether data was changed.
fn fail(workspace: Workspace, plan: &RunPlan, failure: &Failure) {
    let is_unknown = matches!(failure, Failure::Unreachable) || failure.code() == Some("unexpected_answer");
    let read = failed(failure, &plan.text, plan.range.start, 1);
    let note = if is_unknown {
        Some("It is not known whether the server ran the SQL. Check the data before you run it again.")
    } else {
        (plan.is_script || read.is_cancelled || read.is_timeout).then_some("Nothing was changed.")
    };
    finish_with(workspace, &plan.tab, read, note.map(str::to_owned));
}

fn show_statement(workspace: Workspace, plan: &RunPlan, raw: RawResult) {
    let is_plan = matches!(plan.act, Act::Explain | Act::Analyze);
    let explained = if is_plan { Plan::read(&raw) } else { None };
    let (has_columns, changes_names) = (!raw.columns.is_empty(), changes_names(&raw.command));
    let rolled_back = raw.rolled_back;
    finish(workspace, &plan.tab, |execution| {
        execution.notices = raw.notices.clone();
        let is_undone = rolled_back && explained.as_ref().is_some_and(Plan::is_change);
        execution.note = is_undone.then(|| "The statement ran, and its changes were rolled back.".to_owned());
        if let Some(explained) = explained {
            execution.plan = Some(Rc::new(explained));
            execution.shown = Shown::Plan;
        } else {
            execution.results = vec![Rc::new(ResultSet::new(1, plan.sql(), raw))];
            execution.shown = Shown::Result(0);
        }
    });
    if !is_plan && (changes_names || !has_columns) {
        workspace.refresh_after_run(changes_names);
    }
}

async fn run_script(workspace: Workspace, plan: &RunPlan, request: &RunSql) {
    let response = match wire::run_script(&workspace.project(), request).await {
        Ok(response) => response,
        Err(failure) => return fail(workspace, plan, &failure),
    };
    let failure = response
        .failure
        .as_ref()
        .map(|failure| script_failure(failure, &plan.text, plan.range.start, response.results.len()));
    let is_uncertain = !request.read_only
        && response
            .failure
            .as_ref()
            .is_some_and(|failure| may_be_committed(failure, request.transaction != Some(false)));
    let committed_statements = if response.committed { u64::from(response.committed_statements) } else { 0 };
    let note = failure.as_ref().map(|_| kept_changes(committed_statements, is_uncertain));
    let changes_names = response.results.iter().any(|result| changes_names(&result.command));
    let committed = response.committed;
    let done =
        format!("{} in {}.", text::count(plan.count as i64, "statement", "statements"), duration(response.duration_ms));
    finish(workspace, &plan.tab, |execution| {
        execution.notices = response.results.iter().flat_map(|result| result.notices.clone()).collect();
        execution.note = note.or(Some(done));
        execution.results = response
            .results
            .into_iter()
            .enumerate()
            .map(|(index, raw)| Rc::new(ResultSet::new(index + 1, raw.text_in(plan.sql()), raw)))
            .collect();
        execution.shown = match &failure {
            Some(_) => Shown::Failure,
            // Shows the last statement that returned rows.
            None => Shown::Result(
                execution.results.iter().rposition(|result| !result.columns.is_empty()).unwrap_or_default(),
            ),
        };
        execution.is_rolled_back = failure.is_some() && !committed;
        execution.failure = failure;
    });
    show_problem(workspace, &plan.tab);
    if committed {
        workspace.refresh_after_run(changes_names);
    }
}

/// Describes the changes that a failed script leaves behind. `is_uncertain` is whether the statement or the transaction
/// that failed may have been committed.
fn kept_changes(committed_statements: u64, is_uncertain: bool) -> String {
    let committed = match committed_statements {
        0 if is_uncertain => return "Changes may have been committed.".to_owned(),
        0 => return "Nothing was changed.".to_owned(),
        1 => "Statement 1 was committed.".to_owned(),
        count => format!("Statements 1–{count} were committed."),
    };
    if is_uncertain {
        format!("{committed} Statement {} may have been committed too.", committed_statements + 1)
    } else {
        committed
    }
}

/// Returns whether a command may have changed names in the schema.
fn changes_names(command: &str) -> bool {
    ["CREATE", "ALTER", "DROP", "COMMENT", "IMPORT", "SELECT INTO"].iter().any(|verb| command.starts_with(verb))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_script_with_an_unknown_outcome_says_which_statement_may_have_been_committed() {
        for (committed, is_uncertain, expected) in [
            (0, false, "Nothing was changed."),
            (0, true, "Changes may have been committed."),
            (1, false, "Statement 1 was committed."),
            (2, false, "Statements 1–2 were committed."),
            (2, true, "Statements 1–2 were committed. Statement 3 may have been committed too."),
        ] {
            assert_eq!(kept_changes(committed, is_uncertain), expected, "{committed} {is_uncertain}");
        }
    }
}
