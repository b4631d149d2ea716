//! The plan of a restore, its summary once the restore has started, and the form that confirms the plan.

use api_types::{ConfirmRestore, Page as ApiPage, Restore, RunStarted, TableKind, TableSummary};
use dioxus::prelude::*;

use super::{
    identity::{IdentityField, identity_of},
    words::{
        ArchivedTable, content_in_words, effect_in_words, is_of_login, present_in_words, removal_address, tables_of,
    },
};
use crate::{
    address,
    remote::{self, Method, use_remote},
    text,
    ui::{CodeText, FormError, Icon, IconName, Mark, Shape},
};

/// Number of tables that the plan lists until the owner chooses to see all.
const SHOWN_TABLES: usize = 20;

#[component]
pub(super) fn PlanView(restore: Restore, name: String) -> Element {
    let now = use_remote::<ApiPage<TableSummary>>(
        use_signal(|| {
            let path = format!("/projects/{}/tables", restore.project_id);
            address::with_parameters(&path, &[("fields", Some("summary")), ("limit", Some("1000"))])
        })
        .into(),
    );
    // If the project has more tables than one page contains, the numbers of this page would be too small.
    let present = now.value().filter(|page| page.next_cursor.is_none()).map(|page| {
        let tables = page.items.iter().filter(|table| matches!(table.kind, TableKind::Table));
        let estimates: Vec<Option<i64>> = tables.map(|table| table.estimated_rows).collect();
        present_in_words(&estimates)
    });
    let plan = restore.plan.clone();
    let tables = tables_of(&plan);
    rsx! {
        p {
            Content { restore: restore.clone() }
            " {effect_in_words(restore.state, &name)}"
            if let Some(present) = present {
                ", which now has {present}"
            }
            "."
        }
        ul { class: "list",
            li { "Rows that are newer than the archive are lost. Users and policies come from the archive." }
            if plan.objects.is_some() {
                li { "API keys and jobs stay as they are. Objects of the backup are restored." }
            } else {
                li { "API keys, jobs and objects stay as they are." }
            }
            li { "Apps get 503 for a moment while the databases are swapped." }
            li { "The current database is kept next to the new one until you remove it, so that you can roll back." }
        }
        if !plan.warnings.is_empty() {
            ul { class: "stack stack-2", "aria-label": "Warnings",
                for warning in plan.warnings.iter() {
                    li { key: "{warning}", class: "row",
                        Mark { shape: Shape::Attention }
                        span { CodeText { text: warning.clone() } }
                    }
                }
            }
        }
        ArchiveTables { tables }
    }
}

/// The summary of a restore that has started. Leaves out the details of its plan, which may no longer be true: the
/// project may contain the restored tables by now.
#[component]
pub(super) fn PlanSummary(restore: Restore, name: String) -> Element {
    let mut with_tables = use_signal(|| false);
    let tables = tables_of(&restore.plan);
    let effect = effect_in_words(restore.state, &name);
    rsx! {
        p { Content { restore } " {effect}." }
        if !tables.is_empty() {
            div { class: "row",
                button {
                    class: "btn btn-ghost btn-s",
                    r#type: "button",
                    "aria-expanded": with_tables().to_string(),
                    onclick: move |_| with_tables.toggle(),
                    Icon { name: if with_tables() { IconName::ChevronDown } else { IconName::ChevronRight } }
                    "Tables of the archive"
                }
            }
            if with_tables() {
                ArchiveTables { tables }
            }
        }
    }
}

/// The numbers of tables, rows and users in the archive, its size, and the version of Postgres.
#[component]
fn Content(restore: Restore) -> Element {
    let plan = restore.plan;
    rsx! {
        "{content_in_words(&tables_of(&plan))} ({text::bytes(plan.size_bytes)}"
        if let Some(version) = &plan.server_version {
            ", from Postgres {version}"
        }
        ")"
    }
}

/// The tables of the archive, first those of the app. Those of end-user login are folded, so that the confirmation
/// below stays in view.
#[component]
fn ArchiveTables(tables: Vec<ArchivedTable>) -> Element {
    let mut all = use_signal(|| false);
    let mut with_login = use_signal(|| false);
    let (login, own): (Vec<_>, Vec<_>) = tables.into_iter().partition(is_of_login);
    let (count, login_count) = (own.len(), login.len());
    let shown = if all() { count } else { count.min(SHOWN_TABLES) };
    let login_name = format!("{} of end-user login", text::count(login_count as i64, "table", "tables"));
    rsx! {
        if count + login_count > 0 {
            table { class: "table", "aria-label": "Tables of the archive",
                thead {
                    tr {
                        th { "Table" }
                        th { class: "num", "Rows" }
                    }
                }
                tbody {
                    for table in own.into_iter().take(shown) {
                        TableRow { key: "{table.0}.{table.1}", table }
                    }
                    if login_count > 0 {
                        tr {
                            td { colspan: 2,
                                button {
                                    class: "btn btn-ghost btn-s",
                                    r#type: "button",
                                    "aria-expanded": if with_login() { "true" } else { "false" },
                                    onclick: move |_| with_login.toggle(),
                                    Icon {
                                        name: if with_login() { IconName::ChevronDown } else { IconName::ChevronRight }
                                    }
                                    "{login_name}"
                                }
                            }
                        }
                    }
                    if with_login() {
                        for table in login {
                            TableRow { key: "{table.0}.{table.1}", table }
                        }
                    }
                }
            }
            if shown < count {
                button {
                    class: "btn btn-s", r#type: "button", onclick: move |_| all.set(true), "Show all {count} tables"
                }
            }
        }
    }
}

/// A table of an archive with its number of rows.
#[component]
pub(in crate::pages) fn TableRow(table: ArchivedTable) -> Element {
    let is_of_login = is_of_login(&table);
    let (schema, name, rows) = table;
    rsx! {
        tr {
            td { class: "name mono",
                if schema != "public" {
                    span { class: "muted", "{schema}." }
                }
                "{name}"
                if is_of_login {
                    " "
                    span { class: "tag", "end-user login" }
                }
            }
            td { class: "num", {rows.map_or_else(|| "–".to_owned(), text::number)} }
        }
    }
}

/// The field for the project's name, and the button that starts the restore.
#[component]
pub(super) fn ConfirmForm(restore: Restore, name: String, on_started: EventHandler<()>) -> Element {
    let mut typed = use_signal(String::new);
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let identity = use_signal(String::new);
    let mut skip_failed = use_signal(|| false);
    let is_typed = *typed.read() == name;
    let path = format!("/restores/{}/confirm", restore.id);
    let plan = removal_address(&restore);
    let cancel = move |_| {
        let plan = plan.clone();
        spawn(async move {
            busy.set(true);
            match remote::delete(&plan).await {
                Ok(()) => {
                    remote::forget("/restores");
                    address::replace_parameter("restore", None);
                }
                Err(refused) => {
                    failure.set(Some(refused.message()));
                    // The restore may have run meanwhile, for example from another tab.
                    remote::forget("/restores");
                }
            }
            busy.set(false);
        });
    };
    let confirm = move |event: FormEvent| {
        event.prevent_default();
        if busy() || !is_typed {
            return;
        }
        let path = path.clone();
        spawn(async move {
            busy.set(true);
            failure.set(None);
            let request = ConfirmRestore {
                confirm: typed.peek().clone(),
                identity: identity_of(&identity.peek()),
                skip_failed_objects: *skip_failed.peek(),
            };
            match remote::send::<_, RunStarted>(Method::Post, &path, &request).await {
                Ok(_) => {
                    remote::forget("/runs");
                    on_started.call(());
                }
                Err(refused) => failure.set(Some(refused.message())),
            }
            busy.set(false);
        });
    };
    rsx! {
        form { class: "stack", onsubmit: confirm,
            label { class: "field",
                span { "Type " span { class: "mono", "{name}" } " to confirm" }
                input {
                    class: "input",
                    "aria-label": "Type {name} to confirm",
                    autocomplete: "off",
                    spellcheck: "false",
                    value: "{typed}",
                    oninput: move |event| typed.set(event.value()),
                }
            }
            if restore.plan.encrypted {
                IdentityField { value: identity }
            }
            div { class: "field",
                label { class: "check",
                    input {
                        class: "box",
                        r#type: "checkbox",
                        "aria-describedby": "skip-failed-help",
                        checked: skip_failed(),
                        onchange: move |event| skip_failed.set(event.checked()),
                    }
                    "Leave out objects that can't be restored"
                }
                p { class: "help", id: "skip-failed-help",
                    "Indexes, constraints, triggers and materialized views that fail are listed instead of ending the \
                     restore; tables and rows are never left out."
                }
            }
            if let Some(failure) = failure() {
                FormError { text: failure }
            }
            div { class: "row",
                button {
                    class: if is_typed && !busy() { "btn btn-danger btn-l" } else { "btn btn-l" },
                    r#type: "submit",
                    disabled: !is_typed,
                    "aria-disabled": busy(),
                    "Restore {name}"
                }
                button {
                    class: "btn btn-ghost btn-l",
                    r#type: "button",
                    "aria-disabled": busy(),
                    onclick: cancel,
                    "Cancel"
                }
            }
        }
    }
}
