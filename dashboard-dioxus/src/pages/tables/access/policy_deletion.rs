//! The dialog "Delete policy", which says what callers lose.

use api_types::TablePolicy;
use dioxus::prelude::*;

use super::{
    super::{focus::focus_behind_dialog, table_page::Shared},
    NEW_POLICY,
    policy_effects::consequence,
    policy_form::forget_draft,
    policy_sql::drop_policy,
    run_sql::{RunSql, Statements},
};

#[component]
pub(super) fn DeletePolicy(
    project: String,
    detail: Shared,
    /// The policy as it was when the dialog was opened.
    policy: TablePolicy,
    on_close: EventHandler<()>,
) -> Element {
    let (table, name) = (detail.name.clone(), policy.name.clone());
    let description = format!("Deletes the policy {name}. {}", consequence(&policy, &detail));
    let statements = Statements {
        project: project.clone(),
        sql: drop_policy(&table, &name),
        changed_policy: Some((table.clone(), policy)),
    };
    rsx! {
        RunSql {
            statements,
            title: "Delete policy",
            description,
            act: "Delete policy",
            deletes: true,
            done: "Policy deleted",
            on_done: move |()| {
                forget_draft(&project, &table, &name);
                // The menu that opened the dialog disappears with the policy.
                focus_behind_dialog(NEW_POLICY);
            },
            on_close,
        }
    }
}
