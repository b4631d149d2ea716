//! The tab "Access": a sentence that says who can reach the table's rows, and a form that changes the access.

use api_types::{AdminTable, ApiCaller, CallerAccess, RowAccess, TableAccess, TableKind, UpdateTableExposure};
use dioxus::prelude::*;

use super::{
    super::allowed_origins::NoOriginsNote,
    sql_link::SqlButton,
    structure::Policies,
    table_page::{Shared, table_path},
};
use crate::{
    draft,
    remote::{self, Method},
    ui::{Confirm, Icon, IconName, Mark, Shape, messages},
    value::quoted,
};

#[component]
pub(super) fn Access(project: ReadSignal<String>, detail: Shared) -> Element {
    let id = project.read().clone();
    let table = quoted(&detail.name);
    rsx! {
        div { class: "structure access",
            section { class: "section", "aria-label": "Who can reach the rows",
                Callers { access: detail.access.clone() }
                SecurityNote { project: id.clone(), detail: detail.clone() }
                if detail.exposure.publishable != TableAccess::None || detail.exposure.signed_in != TableAccess::None {
                    NoOriginsNote { project }
                }
            }
            // The key resets the form when the access was changed elsewhere. A list of one element, because Dioxus
            // compares keys only in lists.
            for detail in [detail.clone()] {
                ExposureForm { key: "{detail.name}{detail.exposure:?}", project: id.clone(), detail }
            }
            if !detail.policies.is_empty() {
                Policies { policies: detail.policies.clone() }
            }
            section { class: "section", "aria-label": "Policy templates",
                div { class: "section-head", h2 { "Write a policy" } }
                p { class: "muted mb-2", "A template opens in SQL, where you adapt and run it." }
                div { class: "row wrap",
                    for (label, body) in TEMPLATES {
                        SqlButton {
                            key: "{label}",
                            project: id.clone(),
                            sql: body.replace("{table}", &table),
                            "{label}"
                        }
                    }
                }
            }
        }
    }
}

/// A note that row-level security does not limit which rows callers reach. It is a warning if browsers or signed-in
/// users can reach the rows.
#[component]
fn SecurityNote(project: String, detail: Shared) -> Element {
    let is_reachable = detail.access.iter().any(|access| access.caller != ApiCaller::SecretKey && has_access(access));
    let table = quoted(&detail.name);
    let (text, sql, act) = match detail.kind {
        TableKind::View if is_reachable && detail.security_invoker != Some(true) => (
            "The view runs with its owner's privileges: policies of its tables do not apply to its readers.",
            format!("alter view {table} set (security_invoker = true);\n"),
            "Apply policies…",
        ),
        TableKind::Table if !detail.row_level_security => (
            if is_reachable {
                "Row-level security is off: everyone who may read the table reads every row."
            } else {
                "Row-level security is off. Switch it on before you open the table, so that policies limit who \
                 reaches which rows."
            },
            format!("alter table {table} enable row level security;\n"),
            "Switch on…",
        ),
        _ => return rsx! {},
    };
    rsx! {
        div { class: if is_reachable { "banner t-warning mt-2" } else { "banner mt-2" }, role: "note",
            if is_reachable {
                Mark { shape: Shape::Attention }
            } else {
                Icon { name: IconName::Unlocked }
            }
            p { "{text}" }
            SqlButton { project, sql, "{act}" }
        }
    }
}

fn has_access(access: &CallerAccess) -> bool {
    [access.select, access.insert, access.update, access.delete].iter().any(|rows| *rows != RowAccess::None)
}

const TEMPLATES: [(&str, &str); 3] = [
    (
        "Owner reads own rows",
        "alter table {table} enable row level security;\n\
         create policy owner_reads on {table}\n  for select using (user_id = (select auth.uid()));\n",
    ),
    (
        "Everyone reads",
        "alter table {table} enable row level security;\n\
         create policy everyone_reads on {table}\n  for select using (true);\n",
    ),
    (
        "Nobody",
        "-- Without a policy, only servers with the secret key reach the rows.\n\
         alter table {table} enable row level security;\n",
    ),
];

#[component]
fn ExposureForm(project: String, detail: Shared) -> Element {
    let saved = detail.exposure;
    let drafts =
        use_hook(|| ["publishable", "signed-in"].map(|part| format!("access.{project}.{}.{part}", detail.name)));
    let [publishable_draft, signed_in_draft] = &drafts;
    let mut publishable = draft::use_draft(publishable_draft, saved.publishable);
    let mut signed_in = draft::use_draft(signed_in_draft, saved.signed_in);
    let mut asking = use_signal(|| false);
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let is_dirty = publishable() != saved.publishable || signed_in() != saved.signed_in;
    let opens_for_writing = publishable() == TableAccess::Write && saved.publishable != TableAccess::Write;
    let opens_signed_in = signed_in() != TableAccess::None && signed_in() != saved.signed_in;
    // A materialized view contains rows of other tables, regardless of their policies.
    let opens_copy = detail.kind == TableKind::MaterializedView
        && publishable() == TableAccess::Read
        && saved.publishable == TableAccess::None;
    let is_limited = detail.row_level_security || detail.kind == TableKind::View;
    let is_risky = !is_limited && (opens_for_writing || opens_signed_in || opens_copy);
    let path = table_path(&project, &detail.name, "exposure", &[]);
    let save = move |confirm: bool| {
        let (path, project, drafts) = (path.clone(), project.clone(), drafts.clone());
        spawn(async move {
            busy.set(true);
            let change = UpdateTableExposure {
                publishable: Some(publishable()).filter(|access| *access != saved.publishable),
                signed_in: Some(signed_in()).filter(|access| *access != saved.signed_in),
                confirm,
            };
            match remote::send::<_, AdminTable>(Method::Put, &path, &change).await {
                Ok(_) => {
                    drafts.iter().for_each(|name| draft::forget(name));
                    asking.set(false);
                    failure.set(None);
                    messages::show("Access saved");
                    remote::forget(&format!("/projects/{project}"));
                }
                Err(refused) => failure.set(Some(refused.message())),
            }
            busy.set(false);
        });
    };
    let confirm = save.clone();
    let (title, act, description, typed) = if opens_for_writing {
        (
            format!("Open {} for writing", detail.name),
            "Open for writing",
            "Anybody who has your site's publishable key can insert, change and delete every row.",
            Some(detail.name.clone()),
        )
    } else if opens_copy && !opens_signed_in {
        (
            format!("Open {} for reading", detail.name),
            "Open for reading",
            "Anybody who has your site's publishable key can read every row: policies don't apply to materialized \
             views.",
            None,
        )
    } else {
        (
            format!("Open {} for signed-in users", detail.name),
            "Open for signed-in users",
            "Every signed-in user can reach every row, because row-level security is off.",
            None,
        )
    };
    rsx! {
        form {
            class: "section",
            onsubmit: move |event| {
                event.prevent_default();
                if is_risky {
                    failure.set(None);
                    asking.set(true);
                } else {
                    save(false);
                }
            },
            div { class: "stack stack-6",
                div { class: "access-choices",
                    Choice {
                        name: "Publishable key",
                        about: "Requests with only the key, for example of visitors who are not signed in.",
                        chosen: publishable,
                    }
                    Choice {
                        name: "Signed-in users",
                        about: "Requests with the access token of a user of your app, in addition to a key.",
                        chosen: signed_in,
                    }
                }
                if let Some(failure) = failure.read().clone().filter(|_| !asking()) {
                    p { class: "error", role: "alert", "{failure}" }
                }
                div { class: "row",
                    button {
                        class: "btn btn-primary btn-l",
                        r#type: "submit",
                        disabled: busy() || !is_dirty,
                        "Save access"
                    }
                    if is_dirty {
                        button {
                            class: "btn btn-l",
                            r#type: "button",
                            onclick: move |_| {
                                publishable.set(saved.publishable);
                                signed_in.set(saved.signed_in);
                                failure.set(None);
                            },
                            "Cancel"
                        }
                    }
                    span { class: "muted", role: "status", if is_dirty { "Not saved" } }
                }
            }
        }
        if asking() {
            Confirm {
                title,
                act: act.to_owned(),
                description: description.to_owned(),
                typed,
                busy: busy(),
                failure: failure(),
                on_confirm: move |()| confirm(true),
                on_close: move |()| asking.set(false),
            }
        }
    }
}

#[component]
fn Choice(name: &'static str, about: &'static str, chosen: Signal<TableAccess>) -> Element {
    let mut chosen = chosen;
    let choices = [
        (TableAccess::None, "None", "Requests are refused, as if the table did not exist (404)."),
        (TableAccess::Read, "Read", "Rows can be read, as far as policies allow."),
        (TableAccess::Write, "Write", "Rows can be read, inserted, changed and deleted, as far as policies allow."),
    ];
    let help_id = |label: &str| format!("{name} {label} help").replace(' ', "-").to_lowercase();
    rsx! {
        fieldset { class: "field", role: "radiogroup", "aria-label": name,
            span { class: "lab", "{name}" }
            p { class: "help", "{about}" }
            div { class: "options",
                for (access, label, help) in choices {
                    div { key: "{label}", class: "option-with-help",
                        label { class: "check",
                            input {
                                class: "box",
                                r#type: "radio",
                                name,
                                "aria-describedby": help_id(label),
                                checked: chosen() == access,
                                onchange: move |_| chosen.set(access),
                            }
                            "{label}"
                        }
                        // Outside the label, so that the accessible name of the choice is one word.
                        small { id: help_id(label), "{help}" }
                    }
                }
            }
        }
    }
}

/// The list of each caller's permissions: `Servers with the secret key: everything. Browsers …`.
#[component]
fn Callers(access: Vec<CallerAccess>) -> Element {
    rsx! {
        p { class: "callers",
            for access in access {
                span { key: "{access.caller:?}", class: "caller",
                    Icon { name: icon_of(access.caller) }
                    span { class: "grow",
                        strong { "{name_of(access.caller)}:" }
                        " {permissions_of(&access)}."
                    }
                }
                " "
            }
        }
    }
}

fn icon_of(caller: ApiCaller) -> IconName {
    match caller {
        ApiCaller::SecretKey => IconName::Key,
        ApiCaller::Publishable => IconName::Plug,
        ApiCaller::SignedIn => IconName::Account,
    }
}

fn name_of(caller: ApiCaller) -> &'static str {
    match caller {
        ApiCaller::SecretKey => "Servers with the secret key",
        ApiCaller::Publishable => "Browsers with the publishable key",
        ApiCaller::SignedIn => "Signed-in users",
    }
}

/// Returns a caller's permissions as text: `read, rows limited by 2 policies`.
fn permissions_of(access: &CallerAccess) -> String {
    let operations =
        [("read", access.select), ("insert", access.insert), ("change", access.update), ("delete", access.delete)];
    let allowed: Vec<&str> =
        operations.iter().filter(|(_, rows)| *rows != RowAccess::None).map(|(word, _)| *word).collect();
    let is_limited = operations.iter().any(|(_, rows)| *rows == RowAccess::Policies);
    let is_all = operations.iter().all(|(_, rows)| *rows == RowAccess::All);
    let limit = match (is_limited, access.policies.len()) {
        (false, _) => String::new(),
        (true, 1) => ", rows limited by 1 policy".to_owned(),
        (true, count) => format!(", rows limited by {count} policies"),
    };
    match allowed.as_slice() {
        [] => "nothing".to_owned(),
        _ if is_all => "everything".to_owned(),
        [one] => format!("{one}{limit}"),
        [first @ .., last] => format!("{} and {last}{limit}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_is_described_for_each_caller() {
        let access = |caller, select, write, policies: &[&str]| CallerAccess {
            caller,
            select,
            insert: write,
            update: write,
            delete: write,
            policies: policies.iter().map(|name| (*name).to_owned()).collect(),
        };
        for (access, expected) in [
            (access(ApiCaller::SecretKey, RowAccess::All, RowAccess::All, &[]), "everything"),
            (
                access(ApiCaller::Publishable, RowAccess::Policies, RowAccess::None, &["a", "b"]),
                "read, rows limited by 2 policies",
            ),
            (
                access(ApiCaller::SignedIn, RowAccess::All, RowAccess::Policies, &["a"]),
                "read, insert, change and delete, rows limited by 1 policy",
            ),
            (access(ApiCaller::SignedIn, RowAccess::None, RowAccess::None, &[]), "nothing"),
        ] {
            assert_eq!(permissions_of(&access), expected);
        }
    }
}
