//! The tab "Structure": columns, indexes, constraints, foreign keys, triggers, policies, and the definition as SQL.
//! Buttons and menus write SQL for changes, which the owner runs. A dialog also adds a column.

use api_types::{
    ColumnDetail, ConstraintKind, IdentityKind, PolicyCommand, ReferenceAction, TableKind, TablePolicy, TableReference,
};
use dioxus::prelude::*;

use super::{
    access::{PolicyDialog, PolicyMenu, roles_in_words},
    column_menu::ColumnMenu,
    new_column::NewColumnDialog,
    sql_link::SqlButton,
    table_page::{Shared, table_address},
};
use crate::{
    text,
    ui::{CopyButton, Icon, IconName, Link},
    value::{quoted, short_type},
};

#[component]
pub(super) fn Structure(project: ReadSignal<String>, detail: Shared) -> Element {
    let id = project.read().clone();
    let table = quoted(&detail.name);
    let is_table = detail.kind == TableKind::Table;
    let first = detail.columns.first().map(|column| quoted(&column.name)).unwrap_or_default();
    let kind = match detail.kind {
        TableKind::Table => "table",
        TableKind::View => "view",
        TableKind::MaterializedView => "materialized view",
        TableKind::ForeignTable => "foreign table",
    };
    rsx! {
        div { class: "structure",
            div { class: "toolbar structure-toolbar",
                span {
                    class: "label muted",
                    "These buttons write SQL into a new query. Nothing changes until you run it."
                }
                span { class: "push" }
                if is_table {
                    SqlButton {
                        project: id.clone(),
                        sql: "alter table {table}\n  add column new_column text;\n",
                        "Add column"
                    }
                    SqlButton { project: id.clone(), sql: "create index on {table} ({first});\n", "Create index" }
                }
                SqlButton { project: id.clone(), sql: "alter {kind} {table} rename to new_name;\n", "Rename" }
                SqlButton {
                    project: id.clone(),
                    sql: "drop {kind} {table};\n",
                    if is_table { "Drop table" } else { "Drop {kind}" }
                }
            }
            if let Some(comment) = &detail.comment {
                p { class: "section muted", "{comment}" }
            }
            Columns { project: id.clone(), detail: detail.clone() }
            if !detail.indexes.is_empty() {
                Indexes { detail: detail.clone() }
            }
            if !detail.constraints.is_empty() {
                Constraints { detail: detail.clone() }
            }
            if !detail.foreign_keys.is_empty() || !detail.referenced_by.is_empty() {
                ForeignKeys { project: id.clone(), detail: detail.clone() }
            }
            if !detail.triggers.is_empty() {
                Triggers { detail: detail.clone() }
            }
            if !detail.policies.is_empty() {
                Policies { project: id.clone(), policies: detail.policies.clone() }
            }
            section { class: "section", "aria-label": "Definition",
                div { class: "code",
                    div { class: "code-head",
                        h2 { class: "grow label", "Definition" }
                        CopyButton { name: "Copy definition", label: "Copy", text: detail.definition.clone() }
                    }
                    pre { tabindex: "0", "{detail.definition}" }
                }
            }
        }
    }
}

/// One list of the tab, with its heading. `acts` are buttons beside the heading.
#[component]
fn Part(name: String, count: usize, acts: Option<Element>, children: Element) -> Element {
    rsx! {
        section { class: "section",
            div { class: "section-head",
                h2 { "{name}" }
                span { class: "label", "{count}" }
                if let Some(acts) = acts {
                    {acts}
                }
            }
            div { class: "scroll-x", tabindex: "0", role: "region", "aria-label": "{name}",
                table { class: "table box-table", "aria-label": "{name}", {children} }
            }
        }
    }
}

#[component]
fn Columns(project: String, detail: Shared) -> Element {
    let mut is_adding = use_signal(|| false);
    let is_table = detail.kind == TableKind::Table;
    rsx! {
        Part {
            name: "Columns",
            count: detail.columns.len(),
            acts: rsx! {
                if is_table {
                    button { class: "btn btn-s push", r#type: "button", onclick: move |_| is_adding.set(true),
                        Icon { name: IconName::Plus }
                        "New column"
                    }
                }
            },
            thead {
                tr {
                    for name in ["Name", "Type", "Nullable", "Default", "Generated", "Comment"] {
                        th { key: "{name}", "{name}" }
                    }
                    if is_table {
                        th { class: "acts", span { class: "sr", "Actions" } }
                    }
                }
            }
            tbody {
                for column in detail.columns.clone() {
                    tr { key: "{column.name}",
                        td {
                            class: "name mono",
                            "{column.name}"
                            if column.primary_key {
                                " "
                                span { class: "tag", "key" }
                            }
                        }
                        td { class: "mono", title: column.data_type.clone(), {short_type(&column.data_type)} }
                        td { if column.nullable { span { class: "muted", "NULL ok" } } else { "not null" } }
                        td { class: "mono cut cell-wide", title: column.default.clone(),
                            match &column.default {
                                Some(default) => rsx! { "{default}" },
                                None if is_default_of_type(&column) => rsx! {
                                    span { class: "faint", "that of its type" }
                                },
                                None => rsx! { span { class: "faint", "none" } },
                            }
                        }
                        td {
                            {match (&column.generated, column.identity) {
                                (Some(expression), _) => format!("generated: {expression}"),
                                (None, Some(IdentityKind::Always)) => "identity, always".to_owned(),
                                (None, Some(IdentityKind::ByDefault)) => "identity, by default".to_owned(),
                                (None, None) => "–".to_owned(),
                            }}
                        }
                        td { class: "muted", {column.comment.clone().unwrap_or_else(|| "–".to_owned())} }
                        if is_table {
                            td { class: "acts",
                                ColumnMenu {
                                    project: project.clone(),
                                    table: detail.name.clone(),
                                    column: column.clone(),
                                }
                            }
                        }
                    }
                }
            }
        }
        if is_adding() {
            NewColumnDialog { project, detail: detail.clone(), on_close: move |()| is_adding.set(false) }
        }
    }
}

#[component]
fn Indexes(detail: Shared) -> Element {
    rsx! {
        Part { name: "Indexes", count: detail.indexes.len(),
            thead { tr { th { "Name" } th { "Definition" } th { class: "num", "Size" } th { class: "num", "Scans" } } }
            tbody {
                for index in detail.indexes.clone() {
                    tr { key: "{index.name}",
                        td { class: "name mono",
                            "{index.name}"
                            if !index.valid { " " span { class: "tag warning", "invalid" } }
                        }
                        td { class: "mono cut cell-wide", title: index.definition.clone(), "{index.definition}" }
                        td { class: "num", {text::bytes(index.size_bytes)} }
                        td { class: "num", {text::number(index.scans)} }
                    }
                }
            }
        }
    }
}

#[component]
fn Constraints(detail: Shared) -> Element {
    rsx! {
        Part { name: "Constraints", count: detail.constraints.len(),
            thead { tr { th { "Name" } th { "Kind" } th { "Definition" } } }
            tbody {
                for constraint in detail.constraints.clone() {
                    tr { key: "{constraint.name}",
                        td { class: "name mono", "{constraint.name}" }
                        td {
                            {match constraint.kind {
                                ConstraintKind::PrimaryKey => "primary key",
                                ConstraintKind::Unique => "unique",
                                ConstraintKind::Check => "check",
                                ConstraintKind::Exclusion => "exclusion",
                            }}
                            if !constraint.validated { " " span { class: "tag warning", "not validated" } }
                        }
                        td {
                            class: "mono cut cell-wide",
                            title: constraint.definition.clone(),
                            "{constraint.definition}"
                        }
                    }
                }
            }
        }
    }
}

#[component]
fn ForeignKeys(project: String, detail: Shared) -> Element {
    let outgoing = detail.foreign_keys.iter().map(|key| (true, key.clone()));
    let incoming = detail.referenced_by.iter().map(|key| (false, key.clone()));
    let keys: Vec<(bool, TableReference)> = outgoing.chain(incoming).collect();
    rsx! {
        Part { name: "Foreign keys", count: keys.len(),
            thead {
                tr {
                    for name in ["Direction", "Columns", "Other table", "On delete", "On update", "Name"] {
                        th { key: "{name}", "{name}" }
                    }
                }
            }
            tbody {
                for (is_outgoing, key) in keys {
                    tr { key: "{is_outgoing}{key.schema}{key.table}{key.name}",
                        td { if is_outgoing { "refers to" } else { "referred to by" } }
                        td {
                            class: "mono",
                            {if is_outgoing { key.columns.join(", ") } else { key.references_columns.join(", ") }}
                        }
                        td { class: "mono",
                            OtherTable { project: project.clone(), is_outgoing, reference: key.clone() }
                        }
                        td { {action(key.on_delete)} }
                        td { {action(key.on_update)} }
                        td { class: "mono muted", "{key.name}" }
                    }
                }
            }
        }
    }
}

/// The table at the other end of a foreign key, with its columns. Only tables of the schema `public` have a page.
#[component]
fn OtherTable(project: String, is_outgoing: bool, reference: TableReference) -> Element {
    let TableReference { schema, table, columns, .. } = reference.clone();
    let (schema, table, columns) = match is_outgoing {
        true => (reference.references_schema, reference.references_table, reference.references_columns),
        false => (schema, table, columns),
    };
    let columns = columns.join(", ");
    rsx! {
        if schema == "public" {
            Link { to: table_address(&project, &table), "{table}" }
        } else {
            "{schema}.{table}"
        }
        span { class: "muted", " ({columns})" }
    }
}

#[component]
fn Triggers(detail: Shared) -> Element {
    rsx! {
        Part { name: "Triggers", count: detail.triggers.len(),
            thead { tr { th { "Name" } th { "State" } th { "Definition" } } }
            tbody {
                for trigger in detail.triggers.clone() {
                    tr { key: "{trigger.name}",
                        td { class: "name mono", "{trigger.name}" }
                        td { if trigger.enabled { "enabled" } else { "disabled" } }
                        td { class: "mono cut cell-wide", title: trigger.definition.clone(), "{trigger.definition}" }
                    }
                }
            }
        }
    }
}

/// The policies of row-level security, with their conditions.
#[component]
pub(super) fn Policies(
    project: String,
    policies: Vec<TablePolicy>,
    /// The dialog that the menus of the policies open. Without it, policies have no menu.
    #[props(default)]
    dialog: Option<Signal<PolicyDialog>>,
) -> Element {
    rsx! {
        Part { name: "Policies", count: policies.len(),
            thead {
                tr {
                    for name in ["Name", "For", "Roles", "Using", "Check"] {
                        th { key: "{name}", "{name}" }
                    }
                    if dialog.is_some() {
                        th { class: "acts", span { class: "sr", "Actions" } }
                    }
                }
            }
            tbody {
                for policy in policies {
                    tr { key: "{policy.name}",
                        td { class: "name mono",
                            "{policy.name}"
                            if !policy.permissive { " " span { class: "tag", "restrictive" } }
                        }
                        td { {command(policy.command)} }
                        td { title: policy.roles.join(", "), {roles_in_words(&project, &policy.roles)} }
                        td {
                            class: "mono cut cell-wide",
                            title: policy.using.clone(),
                            {policy.using.clone().unwrap_or_default()}
                        }
                        td {
                            class: "mono cut cell-wide",
                            title: policy.check.clone(),
                            {policy.check.clone().unwrap_or_default()}
                        }
                        if let Some(dialog) = dialog {
                            td { class: "acts", PolicyMenu { policy: policy.name.clone(), dialog } }
                        }
                    }
                }
            }
        }
    }
}

/// Returns whether a column without a default of its own has that of its type, which is a domain.
fn is_default_of_type(column: &ColumnDetail) -> bool {
    column.has_default && column.default.is_none() && column.generated.is_none() && column.identity.is_none()
}

fn action(action: ReferenceAction) -> &'static str {
    match action {
        ReferenceAction::NoAction => "no action",
        ReferenceAction::Restrict => "restrict",
        ReferenceAction::Cascade => "cascade",
        ReferenceAction::SetNull => "set NULL",
        ReferenceAction::SetDefault => "set default",
    }
}

fn command(command: PolicyCommand) -> &'static str {
    match command {
        PolicyCommand::All => "all",
        PolicyCommand::Select => "select",
        PolicyCommand::Insert => "insert",
        PolicyCommand::Update => "update",
        PolicyCommand::Delete => "delete",
    }
}
