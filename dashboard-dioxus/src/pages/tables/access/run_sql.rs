//! A dialog that shows a statement and runs it, so that the owner does not leave the page.

use api_types::{TableDetail, TablePolicy};
use dioxus::prelude::*;

use super::super::table_page::detail_path;
use crate::{
    remote::{self, Method},
    ui::{Dialog, FormError, messages},
};

#[component]
pub(super) fn RunSql(
    project: String,
    /// The statement, which the dialog shows.
    sql: String,
    title: String,
    /// What the statement changes for callers.
    description: String,
    /// Text of the button that runs the statement.
    act: String,
    /// The message after the statement ran.
    done: String,
    on_close: EventHandler<()>,
) -> Element {
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let statement = sql.clone();
    let run = move |_| {
        let (project, sql, done) = (project.clone(), statement.clone(), done.clone());
        spawn(async move {
            busy.set(true);
            failure.set(None);
            let outcome = send(&project, &sql).await;
            busy.set(false);
            match outcome {
                Ok(()) => {
                    messages::show(done);
                    on_close.call(());
                }
                Err(message) => failure.set(Some(message)),
            }
            // Even a request without a response may have changed the table.
            remote::forget(&format!("/projects/{project}"));
        });
    };
    rsx! {
        Dialog {
            title,
            description,
            // Closing ends the request's task, although Postgres may still run the statement.
            closable: !busy(),
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button {
                    class: "btn btn-l",
                    r#type: "button",
                    autofocus: true,
                    disabled: busy(),
                    onclick: move |_| on_close.call(()),
                    "Cancel"
                }
                button { class: "btn btn-primary btn-l", r#type: "submit", disabled: busy(), onclick: run, "{act}" }
            },
            if let Some(failure) = failure() {
                FormError { text: failure }
            }
            SqlBlock { sql }
        }
    }
}

/// The statements that a dialog runs.
#[component]
pub(super) fn SqlBlock(sql: String) -> Element {
    rsx! {
        div { class: "code", role: "region", "aria-label": "SQL",
            div { class: "code-head", span { class: "grow", "SQL" } }
            pre { tabindex: "0", "{sql}" }
        }
    }
}

/// Runs statements in one transaction. The error is a message for the owner.
pub(super) async fn send(project: &str, sql: &str) -> Result<(), String> {
    let request = serde_json::json!({ "sql": sql, "script": true });
    let path = format!("/projects/{project}/sql");
    let sent: Result<serde_json::Value, _> = remote::send(Method::Post, &path, &request).await;
    let response = sent.map_err(|failure| failure.message())?;
    failure_in(&response).map_or(Ok(()), Err)
}

/// Runs statements that change a policy, unless it has changed since its dialog was opened. The error is a message for
/// the owner.
pub(super) async fn change_policy(project: &str, table: &str, opened: &TablePolicy, sql: &str) -> Result<(), String> {
    let read: Result<TableDetail, _> = remote::get(&detail_path(project, table)).await;
    let detail = read.map_err(|failure| failure.message())?;
    if !detail.policies.contains(opened) {
        return Err("The policy has changed meanwhile. Close this and open it again.".to_owned());
    }
    send(project, sql).await
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
