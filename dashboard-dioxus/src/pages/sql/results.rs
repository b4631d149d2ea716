//! The region below the editor: a tab for each statement, messages, and the plan.

use std::rc::Rc;

use api_types::{RunStatus, SqlNotice};
use dioxus::prelude::*;

use super::{
    editor,
    execution::{Execution, Shown},
    failure::RunFailure,
    plan_view::PlanView,
    result_panel::ResultPanel,
    run::{self, Act, RunPlan},
    settings::IN_BACKGROUND,
    tabs::focus_next_tab,
    workspace::Workspace,
};
use crate::{
    dom,
    ui::{CopyButton, Mark, Shape},
};

#[component]
pub(super) fn Results(workspace: Workspace, narrow: bool) -> Element {
    let active = workspace.active.read().clone();
    let execution = workspace.executions.read().get(&active).cloned();
    let is_running = execution.as_ref().is_some_and(|execution| execution.is_running);
    rsx! {
        section {
            class: "sql-results",
            "aria-label": "Results",
            "aria-busy": if is_running { "true" },
            match execution {
                None => rsx! {
                    div { class: "empty",
                        h2 { "Nothing has run yet" }
                        p {
                            if narrow { "“Run”" } else { "Ctrl-Enter" }
                            " runs the selection, or the statement under the cursor."
                        }
                    }
                },
                Some(execution) if execution.is_running && execution.background.is_none() => rsx! {
                    div { class: "sql-running", role: "status",
                        span { class: "sr", "Running" }
                        div { class: "bar unknown", i {} }
                    }
                },
                Some(execution) => rsx! { Finished { workspace, execution, narrow } },
            }
        }
    }
}

#[component]
fn Finished(workspace: Workspace, execution: Execution, narrow: bool) -> Element {
    let shown = execution.shown;
    let key = execution.query_id.clone();
    let panel = match shown {
        Shown::Result(index) => match execution.results.get(index).cloned() {
            Some(result) => rsx! {
                ResultPanel {
                    key: "{key}-{index}",
                    workspace,
                    result,
                    note: execution.note.clone(),
                    finished_at: execution.finished_at,
                    is_undone: execution.is_undone(index),
                    narrow
                }
            },
            None => rsx! {},
        },
        Shown::Failure => match execution.failure.clone() {
            Some(failure) => rsx! {
                FailurePanel { workspace, failure, note: execution.note.clone(), sent: execution.sent.clone() }
            },
            None => rsx! {},
        },
        Shown::Messages => rsx! { MessagesPanel { notices: execution.notices.clone(), note: execution.note.clone() } },
        Shown::Plan => match execution.plan.clone() {
            Some(plan) => {
                let sql = execution.sent.as_ref().map(|sent| sent.sql().to_owned()).unwrap_or_default();
                rsx! { PlanView { workspace, plan, sql, note: execution.note.clone() } }
            }
            None => rsx! {},
        },
        Shown::Background => rsx! { BackgroundPanel { workspace, execution: execution.clone() } },
        Shown::Nothing => rsx! {},
    };
    rsx! {
        ResultTabs { workspace, execution }
        div { class: "sql-panel", role: "tabpanel", "aria-label": "Result of the query", {panel} }
    }
}

/// The label of a tab: its content, its name, and the details after the name.
type TabLabel = (Shown, String, String);

fn tab_labels(execution: &Execution) -> Vec<TabLabel> {
    let mut labels: Vec<TabLabel> = execution
        .results
        .iter()
        .enumerate()
        .map(|(index, result)| {
            let undone = if execution.is_undone(index) { " · rolled back" } else { "" };
            let facts = format!("{}{undone}", result.facts());
            (Shown::Result(index), format!("{} · {}", result.number, result.command), facts)
        })
        .collect();
    if let Some(failure) = &execution.failure {
        let outcome = if failure.is_cancelled { "cancelled" } else { "error" };
        labels.push((Shown::Failure, format!("{} · {outcome}", failure.number), String::new()));
    }
    if execution.background.is_some() {
        labels.push((Shown::Background, "In background".to_owned(), String::new()));
    }
    if execution.plan.is_some() {
        labels.push((Shown::Plan, "Plan".to_owned(), String::new()));
    }
    let count = execution.notices.len();
    let is_background = execution.background.is_some();
    if !is_background {
        labels.push((
            Shown::Messages,
            "Messages".to_owned(),
            if count > 0 { count.to_string() } else { String::new() },
        ));
    }
    labels
}

#[component]
fn ResultTabs(workspace: Workspace, execution: Execution) -> Element {
    let shown = execution.shown;
    let plan_text = execution.plan.as_ref().filter(|_| shown == Shown::Plan).map(|plan| plan.to_text());
    let labels = tab_labels(&execution);
    let selected = labels.iter().position(|(choice, ..)| *choice == shown);
    use_effect(use_reactive!(|selected| {
        if let Some(selected) = selected {
            dom::scroll_into_view(&tab_id(selected));
        }
    }));
    rsx! {
        div { class: "sql-result-tabs",
            div {
                class: "tabs sql-tabs-in",
                role: "tablist",
                "aria-label": "Results",
                onkeydown: |event| focus_next_tab(&event),
                for (index, (choice, name, facts)) in labels.into_iter().enumerate() {
                    button {
                        key: "{index}",
                        id: tab_id(index),
                        r#type: "button",
                        role: "tab",
                        class: if choice == Shown::Failure { "tab-nums is-failure" } else { "tab-nums" },
                        "aria-label": match choice {
                            _ if facts.is_empty() => name.clone(),
                            Shown::Messages => format!("{name} {facts}"),
                            _ => format!("{name} · {facts}"),
                        },
                        "aria-selected": "{choice == shown}",
                        tabindex: if choice == shown { "0" } else { "-1" },
                        onclick: move |_| {
                            let mut executions = workspace.executions;
                            let active = workspace.active.peek().clone();
                            if let Some(execution) = executions.write().get_mut(&active) {
                                execution.shown = choice;
                            }
                        },
                        if let (Shown::Failure, Some(failure)) = (choice, &execution.failure) {
                            Mark { shape: shape_and_class(failure).0 }
                        }
                        "{name}"
                        if !facts.is_empty() {
                            span { class: "n", "aria-hidden": "true", "{facts}" }
                        }
                    }
                }
            }
            if let Some(text) = plan_text {
                CopyButton { name: "Copy plan", label: "Copy plan", text, class: "push" }
            }
        }
    }
}

/// Returns the id of a tab's element.
fn tab_id(index: usize) -> String {
    format!("sql-result-tab-{index}")
}

/// Returns the mark of a failure, and the CSS class of its panel. Cancellations and timeouts are not red.
fn shape_and_class(failure: &RunFailure) -> (Shape, &'static str) {
    if failure.is_cancelled {
        (Shape::Skipped, "sql-failure is-quiet")
    } else if failure.is_timeout {
        (Shape::TimedOut, "sql-failure is-timeout")
    } else {
        (Shape::Failed, "sql-failure")
    }
}

#[component]
fn FailurePanel(workspace: Workspace, failure: RunFailure, note: Option<String>, sent: Option<Rc<RunPlan>>) -> Element {
    let position = failure.line_and_column.map(|(line, column)| format!("Line {line}, column {column}"));
    let (shape, class) = shape_and_class(&failure);
    rsx! {
        div { class, role: "alert",
            Mark { shape }
            div { class: "stack stack-2",
                p { class: "strong", "{failure.message}" }
                if let Some(note) = note {
                    p { "{note}" }
                }
                if let Some(detail) = &failure.detail {
                    p { class: "muted", "{detail}" }
                }
                if let Some(hint) = &failure.hint {
                    p { class: "muted", "{hint}" }
                }
                if position.is_some() || failure.sqlstate.is_some() {
                    p { class: "label muted tab-nums",
                        if let Some(position) = &position { "{position}" }
                        if position.is_some() && failure.sqlstate.is_some() { " · " }
                        if let Some(state) = &failure.sqlstate { "SQLSTATE {state}" }
                    }
                }
                div { class: "row wrap",
                    if let Some(range) = failure.range.clone() {
                        button {
                            class: "btn btn-s",
                            r#type: "button",
                            onclick: move |_| editor::select(workspace, &range),
                            "Go to error"
                        }
                    }
                    if let Some(plan) = sent.filter(|_| failure.is_timeout) {
                        Repeat { workspace, plan }
                    }
                    if let Some(id) = &failure.request_id {
                        CopyButton { name: "Copy request id", label: "Copy request id", text: id.clone() }
                    }
                }
            }
        }
    }
}

/// The buttons that repeat a run that exceeded its time limit.
#[component]
fn Repeat(workspace: Workspace, plan: Rc<RunPlan>) -> Element {
    let mut settings = workspace.settings;
    let limit = settings.read().time_limit.clone();
    let act = plan.act;
    let runs = matches!(act, Act::Run | Act::RunAll);
    let can_explain = act != Act::Explain && !plan.is_script;
    let (in_background, to_explain) = (plan.clone(), plan.clone());
    rsx! {
        if limit != "60" {
            button {
                class: "btn btn-s",
                r#type: "button",
                onclick: move |_| {
                    settings.write().time_limit = "60".to_owned();
                    run::repeat(workspace, &plan, act);
                },
                "Run with 60 s"
            }
        }
        if runs {
            button {
                class: "btn btn-s",
                r#type: "button",
                onclick: move |_| {
                    settings.write().time_limit = IN_BACKGROUND.to_owned();
                    run::repeat(workspace, &in_background, act);
                },
                "Run in background"
            }
        }
        if can_explain {
            button {
                class: "btn btn-s",
                r#type: "button",
                onclick: move |_| run::repeat(workspace, &to_explain, Act::Explain),
                "Explain instead"
            }
        }
    }
}

#[component]
fn MessagesPanel(notices: Vec<SqlNotice>, note: Option<String>) -> Element {
    rsx! {
        div { class: "sql-messages", tabindex: "0", role: "group", "aria-label": "Messages from Postgres",
            if let Some(note) = note {
                p { "{note}" }
            }
            if notices.is_empty() {
                p { class: "muted", "Postgres sent no messages." }
            }
            ul {
                for (index, notice) in notices.into_iter().enumerate() {
                    li { key: "{index}",
                        span { class: "muted", "{notice.severity}" }
                        span { class: "mono", "{notice.message}" }
                    }
                }
            }
        }
    }
}

#[component]
fn BackgroundPanel(workspace: Workspace, execution: Execution) -> Element {
    let Some(run) = execution.background else { return rsx! {} };
    let (shape, word) = match run.status {
        RunStatus::Queued => (Shape::Queued, "Queued"),
        RunStatus::Running => (Shape::Running, "Running"),
        RunStatus::Success => (Shape::Succeeded, "Succeeded"),
        RunStatus::Fail => (Shape::Failed, "Failed"),
        RunStatus::Timeout => (Shape::TimedOut, "Timed out"),
        RunStatus::Cancelled => (Shape::Skipped, "Cancelled"),
        RunStatus::Skipped => (Shape::Skipped, "Skipped"),
    };
    let result = run.result.as_ref().filter(|result| !result.is_null());
    let result = result.map(|result| serde_json::to_string_pretty(result).unwrap_or_default());
    rsx! {
        div { class: "sql-background",
            p { class: "badge strong", role: "status", Mark { shape } "{word}" }
            if let Some(progress) = &run.progress {
                p { class: "muted", "{progress.message}" }
            }
            if let Some(reason) = &run.error_text {
                p { role: "alert", "{reason}" }
            }
            if let Some(result) = result {
                pre { class: "sql-value mono", tabindex: "0", "{result}" }
            }
            p { class: "label muted",
                "A background run continues if you leave this page. Run id: "
                span { class: "mono", "{run.id}" }
                CopyButton { name: "Copy run id", text: run.id.clone() }
            }
        }
    }
}
