//! A dialog that shows a statement and runs it, so that the owner does not leave the page.

use dioxus::prelude::*;

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
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button {
                    class: "btn btn-l", r#type: "button", autofocus: true, onclick: move |_| on_close.call(()), "Cancel"
                }
                button { class: "btn btn-primary btn-l", r#type: "submit", disabled: busy(), onclick: run, "{act}" }
            },
            SqlBlock { sql }
            if let Some(failure) = failure() {
                FormError { text: failure }
            }
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
    match response.pointer("/failure/message").and_then(|message| message.as_str()) {
        Some(message) => Err(message.to_owned()),
        None => Ok(()),
    }
}
