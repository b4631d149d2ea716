//! The dialog "Delete policy", which says what callers lose.

use api_types::TablePolicy;
use dioxus::prelude::*;

use super::{
    super::{focus::focus_behind_dialog, table_page::Shared},
    NEW_POLICY,
    policy_effects::consequence,
    policy_form::forget_draft,
    policy_sql::drop_policy,
    run_sql::{SqlBlock, change_policy},
};
use crate::{
    remote,
    ui::{Dialog, FormError, messages},
};

#[component]
pub(super) fn DeletePolicy(
    project: String,
    detail: Shared,
    /// The policy as it was when the dialog was opened.
    policy: TablePolicy,
    on_close: EventHandler<()>,
) -> Element {
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let sql = drop_policy(&detail.name, &policy.name);
    let description = format!("Deletes the policy {}. {}", policy.name, consequence(&policy, &detail));
    let statement = sql.clone();
    let delete = move |_| {
        let (project, table) = (project.clone(), detail.name.clone());
        let (policy, sql) = (policy.clone(), statement.clone());
        spawn(async move {
            busy.set(true);
            failure.set(None);
            match change_policy(&project, &table, &policy, &sql).await {
                Ok(()) => {
                    forget_draft(&project, &table, &policy.name);
                    messages::show("Policy deleted");
                    on_close.call(());
                    // The menu that opened the dialog disappears with the policy.
                    focus_behind_dialog(NEW_POLICY);
                }
                Err(message) => failure.set(Some(message)),
            }
            busy.set(false);
            // Even a request without a response may have changed the table.
            remote::forget(&format!("/projects/{project}"));
        });
    };
    rsx! {
        Dialog {
            title: "Delete policy",
            description,
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
                button {
                    class: if busy() { "btn btn-l" } else { "btn btn-danger btn-l" },
                    r#type: "button",
                    disabled: busy(),
                    onclick: delete,
                    "Delete policy"
                }
            },
            if let Some(failure) = failure() {
                FormError { text: failure }
            }
            SqlBlock { sql }
        }
    }
}
