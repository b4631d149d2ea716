//! A dialog that shows statements and runs them, so that the owner does not leave the page.

use api_types::{TableDetail, TablePolicy};
use dioxus::prelude::*;

use super::super::table_page::detail_path;
use crate::{
    remote::{self, Method},
    ui::{Dialog, FormError, messages},
};

/// Statements that a dialog shows and runs in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::pages::tables) struct Statements {
    pub(in crate::pages::tables) project: String,
    pub(in crate::pages::tables) sql: String,
    /// The table, and its policy that the statements change or delete, as it was when the dialog was opened.
    pub(in crate::pages::tables) changed_policy: Option<(String, TablePolicy)>,
}

impl Statements {
    /// Runs the statements, unless the policy has changed since the dialog was opened. The error is a message for the
    /// owner.
    async fn send(&self) -> Result<(), String> {
        if let Some((table, opened)) = &self.changed_policy {
            let read: Result<TableDetail, _> = remote::get(&detail_path(&self.project, table)).await;
            let detail = read.map_err(|failure| failure.message())?;
            if !detail.policies.contains(opened) {
                return Err(
                    "The policy has changed meanwhile, or was deleted. Close this dialog to see the current policies."
                        .to_owned(),
                );
            }
        }
        let request = serde_json::json!({ "sql": self.sql, "script": true });
        let path = format!("/projects/{}/sql", self.project);
        let sent: Result<serde_json::Value, _> = remote::send(Method::Post, &path, &request).await;
        let response = sent.map_err(|failure| failure.message())?;
        failure_in(&response).map_or(Ok(()), Err)
    }
}

/// The state of a dialog that runs statements. While they run, the dialog must stay open: closing it would end the
/// request's task, although Postgres may still run the statements.
#[derive(Clone, Copy, PartialEq)]
pub(in crate::pages::tables) struct Run {
    is_busy: Signal<bool>,
    failure: Signal<Option<String>>,
}

pub(in crate::pages::tables) fn use_run() -> Run {
    Run { is_busy: use_signal(|| false), failure: use_signal(|| None) }
}

impl Run {
    pub(in crate::pages::tables) fn is_busy(self) -> bool {
        *self.is_busy.read()
    }

    /// Returns the message of the last run, if it failed.
    pub(in crate::pages::tables) fn failure(self) -> Option<String> {
        self.failure.read().clone()
    }

    /// Runs the statements. Calls `on_done` if they succeed.
    pub(in crate::pages::tables) fn start(self, statements: Statements, on_done: impl FnOnce() + 'static) {
        let Self { mut is_busy, mut failure } = self;
        spawn(async move {
            is_busy.set(true);
            failure.set(None);
            match statements.send().await {
                Ok(()) => on_done(),
                Err(message) => failure.set(Some(message)),
            }
            is_busy.set(false);
            // Even a request without a response may have changed the table.
            remote::forget(&format!("/projects/{}", statements.project));
        });
    }
}

#[component]
pub(super) fn RunSql(
    statements: Statements,
    title: String,
    /// What the statements change for callers.
    description: String,
    /// Text of the button that runs the statements.
    act: String,
    /// Whether the statements delete something. The button then has the color of danger, and Ctrl-Enter does not press
    /// it.
    #[props(default)]
    deletes: bool,
    /// The message after the statements ran.
    done: String,
    /// Called after the dialog was closed because the statements succeeded.
    #[props(default)]
    on_done: EventHandler<()>,
    on_close: EventHandler<()>,
) -> Element {
    let run = use_run();
    let sql = statements.sql.clone();
    let start = move |_| {
        let done = done.clone();
        run.start(statements.clone(), move || {
            messages::show(done);
            on_close.call(());
            on_done.call(());
        });
    };
    let is_busy = run.is_busy();
    let act_class = match deletes {
        false => "btn btn-primary btn-l",
        true if is_busy => "btn btn-l",
        true => "btn btn-danger btn-l",
    };
    rsx! {
        Dialog {
            title,
            description,
            closable: !is_busy,
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button {
                    class: "btn btn-l",
                    r#type: "button",
                    autofocus: true,
                    "aria-disabled": is_busy,
                    onclick: move |_| on_close.call(()),
                    "Cancel"
                }
                button {
                    class: act_class,
                    r#type: if deletes { "button" } else { "submit" },
                    "aria-disabled": is_busy,
                    onclick: start,
                    "{act}"
                }
            },
            if let Some(failure) = run.failure() {
                FormError { text: failure }
            }
            SqlBlock { sql }
        }
    }
}

/// The statements that a dialog runs.
#[component]
pub(in crate::pages::tables) fn SqlBlock(sql: String) -> Element {
    rsx! {
        div { class: "code", role: "region", "aria-label": "SQL",
            div { class: "code-head", span { class: "grow", "SQL" } }
            pre { tabindex: "0", "{sql}" }
        }
    }
}

/// Returns the message and the hint of the statement that failed. `None` if all succeeded.
fn failure_in(response: &serde_json::Value) -> Option<String> {
    let text = |name: &str| response.get("failure")?.get(name)?.as_str();
    let message = text("message")?;
    Some(match text("hint") {
        Some(hint) => format!("{}. {hint}", message.trim_end_matches('.')),
        None => message.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn failure_of_a_statement_has_its_hint() {
        let failure = |failure| failure_in(&json!({ "failure": failure }));
        assert_eq!(failure(json!(null)), None);
        assert_eq!(failure(json!({ "message": "a is wrong", "hint": null })).as_deref(), Some("a is wrong"));
        for message in ["a is wrong", "a is wrong."] {
            let read = failure(json!({ "message": message, "hint": "Use b." }));
            assert_eq!(read.as_deref(), Some("a is wrong. Use b."));
        }
    }
}
