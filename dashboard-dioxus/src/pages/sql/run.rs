//! Runs SQL: parses the text on the server, asks the owner before data is destroyed, sends the statements, and stores
//! the result.

use std::{ops::Range, rc::Rc};

use api_types::{Destroyed, Explain, RunSql, RunStatus, ScriptFailure};
use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;
use serde_json::Value;

use super::{
    drafts, editor,
    execution::{Execution, ResultSet, RunFailure, Shown},
    offsets,
    plan::Plan,
    statement::{Parsed, Target, word_at},
    wire::{self, RawResult},
    workspace::Workspace,
};
use crate::remote::Failure;

/// What to do with the text.
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

/// The statements to send, and what to do with them.
#[derive(Debug, Clone, PartialEq)]
struct RunPlan {
    tab: String,
    act: Act,
    /// Range of bytes of the query that is sent.
    range: Range<usize>,
    text: Rc<str>,
    /// Number of statements in the range.
    count: usize,
    is_script: bool,
    transaction: bool,
}

/// Starts an action on the open query.
pub(super) fn start(workspace: Workspace, act: Act) {
    editor::pull(workspace);
    let Some(tab) = workspace.active_tab() else { return };
    let is_running = workspace.executions.peek().get(&tab.id).is_some_and(|execution| execution.is_running);
    if is_running {
        return;
    }
    let target = Target::of(&tab.text, *workspace.place.peek(), workspace.parsed.peek().as_deref());
    let range = match act {
        Act::RunAll => (!tab.text.trim().is_empty()).then(|| 0..tab.text.len()),
        _ => target.range(),
    };
    let Some(range) = range else { return };
    dioxus::core::spawn_forever(prepare(workspace, tab.id, tab.text, range, act));
}

/// Continues an execution after the owner's confirmation.
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
                        Ok(answer) if answer.cancelled => break,
                        Err(Failure::SignedOut) => break,
                        _ => TimeoutFuture::new(100).await,
                    }
                    let is_running = workspace
                        .executions
                        .peek()
                        .values()
                        .any(|other| other.query_id == query_id && other.is_running);
                    if !is_running {
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
    begin(workspace, &tab);
    let parsed = match wire::parse(&workspace.project(), &piece).await {
        Ok(answer) => Parsed::new(piece.clone(), answer),
        Err(failure) => return finish_with(workspace, &tab, failed(&failure, &text, range.start, 1), None),
    };
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
    };
    let destroyed: Vec<Destroyed> =
        parsed.statements.iter().flat_map(|statement| statement.parsed.destroys.clone()).collect();
    let destroys = matches!(act, Act::Run | Act::RunAll) && !settings.read_only && !destroyed.is_empty();
    if destroys {
        forget(workspace, &tab);
        workspace.pending.set(Some(Pending { destroyed, plan }));
    } else {
        execute(workspace, plan).await;
    }
}

/// Returns the failure if the text has a syntax error.
fn refusal(parsed: &Parsed, text: &str, base: usize) -> Option<RunFailure> {
    if let Some((range, message)) = parsed.problems().next() {
        let number =
            parsed.statements.iter().position(|statement| statement.parsed.error.is_some()).unwrap_or_default() + 1;
        let range = base + range.start..base + range.end;
        return Some(RunFailure {
            number,
            message: message.to_owned(),
            line_and_column: Some(offsets::line_and_column(text, range.start)),
            range: Some(range),
            ..RunFailure::default()
        });
    }
    let (index, statement) =
        parsed.statements.iter().enumerate().find(|(_, statement)| statement.parsed.refused.is_some())?;
    let refused = statement.parsed.refused.as_ref()?;
    let range = base + statement.range.start..base + statement.range.end;
    Some(RunFailure {
        number: index + 1,
        message: refused.message.clone(),
        hint: Some(refused.hint.clone()),
        line_and_column: Some(offsets::line_and_column(text, range.start)),
        range: Some(range),
        ..RunFailure::default()
    })
}

async fn execute(mut workspace: Workspace, plan: RunPlan) {
    let query_id = begin(workspace, &plan.tab);
    let settings = workspace.settings.peek().clone();
    let sql = plan.text.get(plan.range.clone()).unwrap_or_default().to_owned();
    let mut request = wire::request(sql, query_id);
    request.read_only = settings.read_only;
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
            Err(failure) => {
                let failure = failed(&failure, &plan.text, plan.range.start, 1);
                let note = (failure.is_cancelled || failure.is_timeout).then(|| "Nothing was changed.".to_owned());
                finish_with(workspace, &plan.tab, failure, note);
            }
        }
    }
    workspace.refresh_history();
    workspace.history_place.set(None);
}

fn show_statement(workspace: Workspace, plan: &RunPlan, raw: RawResult) {
    let is_plan = matches!(plan.act, Act::Explain | Act::Analyze);
    let explained = if is_plan { Plan::read(&raw) } else { None };
    let changes_names = changes_names(&raw.command);
    let rolled_back = raw.rolled_back;
    finish(workspace, &plan.tab, |execution| {
        execution.notices = raw.notices.clone();
        execution.note = rolled_back.then(|| "The statement ran, and its changes were undone.".to_owned());
        if let Some(explained) = explained {
            execution.plan = Some(Rc::new(explained));
            execution.shown = Shown::Plan;
        } else {
            execution.results = vec![Rc::new(ResultSet::new(1, raw))];
            execution.shown = Shown::Result(0);
        }
    });
    if changes_names && !is_plan {
        workspace.refresh_schema();
    }
}

async fn run_script(workspace: Workspace, plan: &RunPlan, request: &RunSql) {
    let answer = match wire::run_script(&workspace.project(), request).await {
        Ok(answer) => answer,
        Err(failure) => {
            let failure = failed(&failure, &plan.text, plan.range.start, 1);
            return finish_with(workspace, &plan.tab, failure, Some("Nothing was changed.".to_owned()));
        }
    };
    let failure = answer
        .failure
        .as_ref()
        .map(|failure| script_failure(failure, &plan.text, plan.range.start, answer.results.len()));
    let note = failure.as_ref().map(|_| match answer.committed_statements {
        _ if !answer.committed => "Nothing was changed.".to_owned(),
        0 => "Nothing was changed.".to_owned(),
        1 => "Statement 1 was committed.".to_owned(),
        count => format!("Statements 1–{count} were committed."),
    });
    let changes = answer.committed && answer.results.iter().any(|result| changes_names(&result.command));
    let done = format!("{} statements in {}.", plan.count, super::execution::duration(answer.duration_ms));
    finish(workspace, &plan.tab, |execution| {
        execution.notices = answer.results.iter().flat_map(|result| result.notices.clone()).collect();
        execution.note = note.or(Some(done));
        execution.results = answer
            .results
            .into_iter()
            .enumerate()
            .map(|(index, raw)| Rc::new(ResultSet::new(index + 1, raw)))
            .collect();
        execution.shown = match &failure {
            Some(_) => Shown::Failure,
            // Shows the last statement that returned rows.
            None => Shown::Result(
                execution.results.iter().rposition(|result| !result.columns.is_empty()).unwrap_or_default(),
            ),
        };
        execution.failure = failure;
    });
    show_problem(workspace, &plan.tab);
    if changes {
        workspace.refresh_schema();
    }
}

async fn run_in_background(mut workspace: Workspace, plan: &RunPlan, mut request: RunSql) {
    request.transaction = Some(plan.transaction);
    let started = match wire::run_in_background(&workspace.project(), &request).await {
        Ok(started) => started,
        Err(failure) => {
            return finish_with(workspace, &plan.tab, failed(&failure, &plan.text, plan.range.start, 1), None);
        }
    };
    loop {
        if let Ok(run) = wire::run_state(&started.run_id).await {
            let is_over = !matches!(run.status, RunStatus::Queued | RunStatus::Running);
            let mut executions = workspace.executions.write();
            let Some(execution) = executions.get_mut(&plan.tab) else { return };
            execution.background = Some(run);
            execution.shown = Shown::Background;
            if is_over {
                break;
            }
        }
        TimeoutFuture::new(1_000).await;
    }
    finish(workspace, &plan.tab, |_| {});
    workspace.refresh_schema();
    workspace.refresh_history();
}

/// Starts an execution in a tab. Returns its query id.
fn begin(mut workspace: Workspace, tab: &str) -> String {
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

fn forget(mut workspace: Workspace, tab: &str) {
    workspace.executions.write().remove(tab);
}

fn finish(mut workspace: Workspace, tab: &str, show: impl FnOnce(&mut Execution)) {
    let mut executions = workspace.executions.write();
    // The tab may have been closed meanwhile.
    let Some(execution) = executions.get_mut(tab) else { return };
    execution.is_running = false;
    execution.finished_at = js_sys::Date::now();
    show(execution);
}

fn finish_with(workspace: Workspace, tab: &str, mut failure: RunFailure, note: Option<String>) {
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

/// Underlines the position of the failure in the editor.
fn show_problem(workspace: Workspace, tab: &str) {
    let failure = workspace.executions.peek().get(tab).and_then(|execution| execution.failure.clone());
    if let Some(failure) = failure
        && let Some(range) = &failure.range
        && *workspace.active.peek() == tab
    {
        editor::show_problems(workspace, &[(range.clone(), failure.message.as_str())]);
    }
}

/// Converts the failure of a request. `base` is the byte offset of the sent text in the query.
fn failed(failure: &Failure, text: &str, base: usize, number: usize) -> RunFailure {
    let message = match failure {
        Failure::Refused { message, .. } => message.clone(),
        other => other.message(),
    };
    let hint = match failure {
        Failure::Refused { hint, .. } => hint.clone(),
        _ => None,
    };
    let mut read = read_details(failure.details(), text, base);
    read.number = number;
    read.is_cancelled = failure.code() == Some("cancelled");
    read.is_timeout = failure.code() == Some("timeout");
    read.message = message;
    read.hint = hint;
    read.request_id = failure.request_id().map(ToOwned::to_owned);
    read
}

fn script_failure(failure: &ScriptFailure, text: &str, base: usize, carried_out: usize) -> RunFailure {
    let mut read = read_details(failure.details.as_ref(), text, base);
    read.number = failure.statement.map_or(carried_out, |index| index as usize + 1);
    read.is_cancelled = failure.code == "cancelled";
    read.is_timeout = failure.code == "timeout";
    read.message = failure.message.clone();
    read.hint = failure.hint.clone();
    read
}

fn read_details(details: Option<&Value>, text: &str, base: usize) -> RunFailure {
    let read = |name: &str| details.and_then(|details| details.get(name));
    let sent = text.get(base..).unwrap_or_default();
    let position = read("position").and_then(Value::as_u64);
    let range = position.map(|position| word_at(text, base + offsets::from_characters(sent, position as usize - 1)));
    RunFailure {
        detail: read("detail").and_then(Value::as_str).map(ToOwned::to_owned),
        sqlstate: read("sqlstate").and_then(Value::as_str).map(ToOwned::to_owned),
        line_and_column: range.as_ref().map(|range| offsets::line_and_column(text, range.start)),
        range,
        ..RunFailure::default()
    }
}

/// Returns whether a command may have changed names in the schema.
fn changes_names(command: &str) -> bool {
    ["CREATE", "ALTER", "DROP", "COMMENT", "IMPORT", "SELECT INTO"].iter().any(|verb| command.starts_with(verb))
}
