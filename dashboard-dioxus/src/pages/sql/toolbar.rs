//! The toolbar: the actions on the open query, and their options.

use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use super::{
    progress,
    run::{self, Act},
    saved,
    settings::{IN_BACKGROUND, ROW_LIMITS, TIME_LIMITS},
    side::OpenSide,
    statement::{Parsed, Target},
    workspace::Workspace,
};
use crate::{
    focus, text,
    ui::{Icon, IconName, narrow::use_is_narrow},
};

#[component]
pub(super) fn Toolbar(workspace: Workspace, target: ReadSignal<Target>) -> Element {
    let execution_is_running = use_memo(move || {
        let active = workspace.active.read();
        workspace.executions.read().get(&*active).is_some_and(|execution| execution.is_running)
    });
    let narrow = use_is_narrow();
    let is_running = execution_is_running();
    let has_target = *target.read() != Target::Nothing;
    let is_empty = use_memo(move || workspace.active_tab().is_none_or(|tab| tab.text.trim().is_empty()));
    let row_limits: Vec<(String, String)> =
        ROW_LIMITS.iter().map(|rows| (rows.to_string(), text::number(i64::from(*rows)))).collect();
    rsx! {
        div { class: "toolbar sql-toolbar", role: "toolbar", "aria-label": "Query",
            button {
                class: "btn btn-primary sql-run",
                r#type: "button",
                "aria-label": "Run",
                title: "Ctrl-Enter",
                "aria-disabled": is_running || !has_target,
                onclick: move |_| run::start(workspace, Act::Run),
                Icon { name: IconName::Play }
                // Hidden from the accessible name, which is always "Run".
                span {
                    "Run"
                    span { "aria-hidden": "true", "{target.read().label()}" }
                }
                kbd { class: "only-wide", "aria-hidden": "true", "Ctrl ↵" }
            }
            button {
                class: "btn",
                r#type: "button",
                title: "Ctrl-Shift-Enter",
                "data-act": "true",
                "aria-disabled": is_running || is_empty(),
                onclick: move |_| run::start(workspace, Act::RunAll),
                "Run all"
            }
            button {
                class: "btn btn-ghost",
                r#type: "button",
                title: "Shows how Postgres would run the statement",
                "data-act": "true",
                "aria-disabled": is_running || !has_target,
                onclick: move |_| run::start(workspace, Act::Explain),
                "Explain"
            }
            button {
                class: "btn btn-ghost",
                r#type: "button",
                title: "Runs the statement and shows where its time goes. Changes are rolled back.",
                "data-act": "true",
                "aria-disabled": is_running || !has_target,
                onclick: move |_| run::start(workspace, Act::Analyze),
                "Analyze"
            }
            if is_running {
                CancelButton { workspace }
            }
            span { class: "push row sql-options",
                label { class: "check label sql-switch",
                    input {
                        class: "switch",
                        r#type: "checkbox",
                        role: "switch",
                        checked: workspace.settings.read().read_only,
                        onchange: move |event| workspace.settings.clone().write().read_only = event.checked(),
                    }
                    "Read only"
                }
                Choice {
                    name: "Time limit",
                    value: workspace.settings.read().time_limit.clone(),
                    choices: TIME_LIMITS
                        .iter()
                        .map(|(value, label, _)| ((*value).to_owned(), (*label).to_owned()))
                        .chain([(IN_BACKGROUND.to_owned(), "In background".to_owned())])
                        .collect::<Vec<_>>(),
                    onchoose: move |value| {
                        let mut settings = workspace.settings;
                        settings.write().time_limit = value;
                        settings.peek().store();
                    },
                }
                Choice {
                    name: "Rows",
                    value: workspace.settings.read().rows.to_string(),
                    choices: row_limits,
                    onchoose: move |value: String| {
                        let mut settings = workspace.settings;
                        settings.write().rows = value.parse().unwrap_or(1000);
                        settings.peek().store();
                    },
                }
                button {
                    class: "btn btn-ghost",
                    r#type: "button",
                    title: "Ctrl-S",
                    onclick: move |_| saved::save(workspace),
                    Icon { name: IconName::Save }
                    "Save query"
                }
                if narrow {
                    OpenSide {}
                }
            }
        }
    }
}

/// The switch "In one transaction". Shown for SQL with several statements.
#[component]
pub(super) fn TransactionSwitch(workspace: Workspace) -> Element {
    let parsed = workspace.parsed.read().clone();
    let Some(parsed) = parsed.filter(|parsed| parsed.statements.len() > 1) else { return rsx! {} };
    let outside = parsed.outside_transactions().map(|statement| statement.parsed.command.clone());
    rsx! {
        label {
            class: "check label sql-switch",
            title: match &outside {
                Some(command) => format!(
                    "{command} can't run in a transaction, so each statement is committed before the next one runs."
                ),
                None => "If this is on and a statement fails, nothing is changed.".to_owned(),
            },
            input {
                class: "switch",
                r#type: "checkbox",
                role: "switch",
                disabled: outside.is_some(),
                checked: outside.is_none() && workspace.settings.read().in_transaction,
                onchange: move |event| {
                    let mut settings = workspace.settings;
                    settings.write().in_transaction = event.checked();
                    settings.peek().store();
                },
            }
            "In one transaction"
        }
    }
}

/// A native select with its label inside.
#[component]
fn Choice(name: String, value: String, choices: Vec<(String, String)>, onchoose: EventHandler<String>) -> Element {
    rsx! {
        span { class: "input select m select-in", title: "{name}",
            span { class: "what", "aria-hidden": "true", "{name}" }
            select { "aria-label": "{name}", onchange: move |event| onchoose.call(event.value()),
                for (choice, label) in choices {
                    option { key: "{choice}", value: "{choice}", selected: choice == value, "{label}" }
                }
            }
            Icon { name: IconName::ChevronDown }
        }
    }
}

/// The button that cancels the execution and shows its duration so far.
#[component]
pub(super) fn CancelButton(workspace: Workspace) -> Element {
    let mut now = use_signal(js_sys::Date::now);
    use_future(move || async move {
        loop {
            TimeoutFuture::new(100).await;
            now.set(js_sys::Date::now());
        }
    });
    let active = workspace.active.read().clone();
    let executions = workspace.executions.read();
    let Some(execution) = executions.get(&active) else { return rsx! {} };
    let seconds = ((now() - execution.started_at) / 1000.0).max(0.0);
    let is_cancelling = execution.is_cancelling;
    rsx! {
        button {
            class: "btn sql-cancel",
            r#type: "button",
            "aria-label": "Cancel",
            title: "Ctrl-.",
            "aria-disabled": is_cancelling,
            onclick: move |_| {
                focus::hand_over(".sql-run");
                run::cancel(workspace, &active);
            },
            span { class: "spin", "aria-hidden": "true" }
            if is_cancelling { "Cancelling" } else { "Cancel" }
            span { class: "tab-nums muted", "aria-hidden": "true", "{seconds:.1} s" }
        }
    }
}

/// Parses the open query on the server while the owner types.
pub(super) fn use_parsed(workspace: Workspace) {
    let mut workspace = workspace;
    let text = use_memo(move || workspace.active_tab().map(|tab| tab.text));
    use_resource(move || {
        let text = text();
        let changed_at = js_sys::Date::now();
        async move {
            TimeoutFuture::new(250).await;
            let Some(text) = text.filter(|text| !text.trim().is_empty()) else {
                return workspace.parsed.set(None);
            };
            // Without a response, `Target` splits the text itself.
            let Ok(response) = super::wire::parse(&workspace.project(), &text).await else { return };
            let parsed = Parsed::new(text, response);
            let problems: Vec<_> = parsed.problems().collect();
            // The owner may have run the text before it was parsed. Then its failure stays marked.
            if !problems.is_empty() || !progress::show_problem_since(workspace, changed_at) {
                super::editor::show_problems(workspace, &problems);
            }
            workspace.parsed.set(Some(parsed.into()));
        }
    });
}
