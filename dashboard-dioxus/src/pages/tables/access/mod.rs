//! The tab "Access": sentences that say who can reach the table's rows ([`callers`]), a form that changes the access
//! ([`exposure`]), the dialogs of [`policies`], and [`templates`] of policies. [`steps`] shows the order in which a
//! table is opened, and [`run_sql`] is a dialog that runs statements, for example to switch row-level security on.
//!
//! [`policy_form`] creates and changes a policy with the statements of [`policy_sql`], and [`policy_deletion`] deletes
//! it. [`policy_effects`] says what this means for callers, and [`policy_roles`] names the roles.

mod callers;
mod exposure;
mod policies;
mod policy_deletion;
mod policy_effects;
mod policy_form;
mod policy_roles;
mod policy_sql;
mod run_sql;
mod steps;
mod templates;

use api_types::{ApiCaller, CallerAccess, RowAccess, TableAccess, TableKind};
use dioxus::prelude::*;

use super::{super::allowed_origins::NoOriginsNote, sql_link::SqlButton, structure::Policies, table_page::Shared};
use crate::{
    ui::{Icon, IconName, Mark, Shape},
    value::quoted,
};
use callers::Callers;
pub(super) use callers::exposure_of;
use exposure::ExposureForm;
use policies::PolicyDialogs;
pub(super) use policies::{PolicyDialog, PolicyMenu};
pub(super) use policy_roles::roles_in_words;
use run_sql::RunSql;
pub(super) use run_sql::{SqlBlock, Statements, use_run};
use steps::Steps;
use templates::Template;

/// Selector of the button "New policy".
const NEW_POLICY: &str = "#new-policy";

#[component]
pub(super) fn Access(project: ReadSignal<String>, detail: Shared) -> Element {
    let id = project.read().clone();
    let mut dialog = use_signal(|| PolicyDialog::Closed);
    rsx! {
        div { class: "structure access",
            section { class: "section", "aria-label": "Who can reach the rows",
                Callers { project: id.clone(), detail: detail.clone() }
                SecurityNote { project: id.clone(), detail: detail.clone() }
                if detail.exposure.publishable != TableAccess::None || detail.exposure.signed_in != TableAccess::None {
                    NoOriginsNote { project }
                }
            }
            // The parts below have the order of the steps.
            Steps { detail: detail.clone() }
            if !detail.policies.is_empty() {
                Policies { project: id.clone(), policies: detail.policies.clone(), dialog: Some(dialog) }
            }
            // Only tables can have policies.
            if detail.kind == TableKind::Table {
                section { class: "section", "aria-label": "Policy templates",
                    div { class: "section-head", h2 { "Write a policy" } }
                    p { class: "muted mb-2",
                        "New policy opens a form, which a template can fill. The other buttons open a template in SQL, \
                        where you adapt and run it."
                    }
                    div { class: "row wrap",
                        button {
                            id: "new-policy",
                            class: "btn btn-primary btn-s",
                            r#type: "button",
                            onclick: move |_| dialog.set(PolicyDialog::New),
                            Icon { name: IconName::Plus }
                            "New policy"
                        }
                        for template in Template::ALL {
                            SqlButton {
                                key: "{template.label()}",
                                project: id.clone(),
                                sql: template.sql(&detail),
                                "{template.label()}"
                            }
                        }
                    }
                }
            }
            // The key resets the form when the access was changed elsewhere. Dioxus compares keys only in lists, so
            // this is a list of one element.
            for detail in [detail.clone()] {
                ExposureForm { key: "{detail.name}{detail.exposure:?}", project: id.clone(), detail }
            }
            PolicyDialogs { project: id.clone(), detail: detail.clone(), dialog }
        }
    }
}

const SWITCHED_ON: &str = "Row-level security is on";

/// A note that row-level security does not limit which rows callers reach. If browsers or signed-in users can reach the
/// rows, the note is a warning.
#[component]
fn SecurityNote(project: String, detail: Shared) -> Element {
    let mut asking = use_signal(|| false);
    let is_reachable = detail.access.iter().any(|access| access.caller != ApiCaller::SecretKey && has_access(access));
    let is_open = detail.exposure.publishable != TableAccess::None || detail.exposure.signed_in != TableAccess::None;
    // The API refuses to serve such a view to browsers and users, although they may read it.
    let is_refused_view = detail.kind == TableKind::View && detail.security_invoker != Some(true) && is_open;
    let is_warning = is_reachable || is_refused_view;
    let table = quoted(&detail.name);
    let (text, sql, act, title) = match detail.kind {
        TableKind::View if is_refused_view => (
            "The view runs with its owner's privileges, past its tables' policies. Only the secret key can read it.",
            format!("alter view {table} set (security_invoker = true);\n"),
            "Apply policies",
            "Apply policies to readers of the view",
        ),
        TableKind::Table if !detail.row_level_security => (
            if is_reachable {
                "Row-level security is off: everyone who may read the table reads every row."
            } else {
                "Row-level security is off. Switch it on before you open the table, so that policies limit who \
                 reaches which rows."
            },
            format!("alter table {table} enable row level security;\n"),
            "Switch on",
            "Switch on row-level security",
        ),
        _ => return rsx! {},
    };
    let (description, done) = match detail.kind {
        TableKind::View => (
            "Browsers and signed-in users with access can then read the view, but only rows that policies of its \
             tables allow.",
            "Policies apply to the view",
        ),
        _ if detail.policies.is_empty() => (
            "Browsers and signed-in users then reach only rows that a policy allows: none until you write one. Servers \
             with the secret key still reach every row.",
            SWITCHED_ON,
        ),
        _ => (
            "Browsers and signed-in users then reach only rows that a policy allows. Servers with the secret key still \
             reach every row.",
            SWITCHED_ON,
        ),
    };
    rsx! {
        div { class: if is_warning { "banner t-warning mt-2" } else { "banner mt-2" }, role: "note",
            if is_warning {
                Mark { shape: Shape::Attention }
            } else {
                Icon { name: IconName::Unlocked }
            }
            p { "{text}" }
            button { class: "btn btn-s", r#type: "button", onclick: move |_| asking.set(true), "{act}…" }
        }
        if asking() {
            RunSql {
                statements: Statements { project, sql, changed_policy: None },
                title,
                description,
                act,
                done,
                on_close: move |()| asking.set(false),
            }
        }
    }
}

fn has_access(access: &CallerAccess) -> bool {
    [access.select, access.insert, access.update, access.delete].iter().any(|rows| *rows != RowAccess::None)
}
