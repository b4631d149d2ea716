//! The dialogs "New policy" and "Edit policy": a form, and the SQL that it writes.

use api_types::{PolicyCommand, TablePolicy};
use dioxus::prelude::*;

use super::{
    super::{focus::focus_behind_dialog, new_table::name_problem, table_page::Shared},
    NEW_POLICY,
    policy_effects::{losses, open_writes},
    policy_roles::{callers_of, role_choices},
    policy_sql::{PolicyFields, has_check, has_using, is_replaced, needs_condition, with_role, write_sql},
    run_sql::{SqlBlock, Statements, use_run},
    templates::{form_templates, has_owner_column},
};
use crate::{
    draft,
    pages::not_saved::NotSaved,
    ui::{CodeText, Dialog, Field, FormError, Mark, RequiredMark, Shape, messages},
};

/// Id of the form in the dialog.
const FORM: &str = "policy";

/// The fields of the form, by which its unsaved input is stored.
const FIELDS: [&str; 5] = ["name", "command", "roles", "using", "check"];

const REPLACED: &str = "Postgres can't change the command of a policy, or remove a condition. The policy is deleted \
                        and created again, which removes its comment if it has one.";

/// The commands with their names.
const COMMANDS: [(PolicyCommand, &str); 5] = [
    (PolicyCommand::Select, "Select (read)"),
    (PolicyCommand::Insert, "Insert"),
    (PolicyCommand::Update, "Update"),
    (PolicyCommand::Delete, "Delete"),
    (PolicyCommand::All, "All"),
];

#[component]
pub(super) fn PolicyForm(
    project: String,
    detail: Shared,
    /// The policy to change, as it was when the dialog was opened. Without it, the form creates one.
    #[props(default)]
    policy: Option<TablePolicy>,
    on_close: EventHandler<()>,
) -> Element {
    let old = policy.as_ref();
    let saved = PolicyFields::of(old);
    let form = draft::use_form(|| draft_name(&project, &detail.name, &saved.name));
    let [name_field, command_field, roles_field, using_field, check_field] = FIELDS;
    let name = form.use_field(name_field, saved.name.clone());
    let mut command = form.use_field(command_field, saved.command);
    let mut roles = form.use_field(roles_field, saved.roles.clone());
    let using = form.use_field(using_field, saved.using.clone());
    let check = form.use_field(check_field, saved.check.clone());
    let run = use_run();
    let is_busy = run.is_busy();
    let fields = PolicyFields { name: name(), command: command(), roles: roles(), using: using(), check: check() };
    let sql = write_sql(&detail.name, old, &fields);
    let new_name = fields.new_name(old);
    let is_renamed = old.is_some_and(|old| old.name != new_name);
    // While the statements run, the table may be read again with the policy that they write.
    let is_other = |other: &TablePolicy| other.name == new_name && other.name != saved.name;
    let is_taken = !is_busy && detail.policies.iter().any(is_other);
    let name_error = match name_problem(&fields.name) {
        None if is_taken => Some("Another policy of this table has this name.".to_owned()),
        problem => problem.map(str::to_owned),
    };
    let is_complete = fields.is_complete(old);
    let can_save = is_complete && !is_taken && !sql.is_empty();
    let is_new = old.is_none();
    let is_restrictive = old.is_some_and(|old| !old.permissive);
    let needs_condition = needs_condition(old);
    let (title, act, done) = match is_new {
        true => ("New policy", "Create policy", "Policy created"),
        false => ("Edit policy", "Save policy", "Policy saved"),
    };
    let check_help = match has_using(fields.command) {
        true => "A condition on new and changed rows. Other rows are refused. If empty, USING applies.",
        false => "A condition on new rows. Other rows are refused.",
    };
    let shown_sql = match sql.as_str() {
        _ if !is_complete => "-- Fill in the required fields.",
        "" => "-- Nothing has changed yet.",
        sql => sql,
    };
    let shown_sql = shown_sql.to_owned();
    let choices = role_choices(&project, &saved.roles);
    let has_no_role = fields.roles.is_empty();
    let lacks_owner = !has_owner_column(&detail);
    let templates = form_templates(&detail);
    let labels: Vec<&'static str> = templates.iter().map(|(label, _)| *label).collect();
    let fill = move |event: FormEvent| {
        let chosen = templates.iter().find(|(label, _)| *label == event.value());
        let fields = chosen.map_or_else(|| PolicyFields::of(None), |(_, fields)| fields.clone());
        let (mut name, mut using, mut check) = (name, using, check);
        name.set(fields.name);
        command.set(fields.command);
        roles.set(fields.roles);
        using.set(fields.using);
        check.set(fields.check);
    };
    let callers = callers_of(&project, &fields.roles, old.map(|old| old.callers.as_slice()).unwrap_or_default());
    let opened = open_writes(&fields, &callers, &detail).filter(|_| !is_restrictive);
    let lost = match old.filter(|_| can_save) {
        Some(old) => losses(old, Some(&TablePolicy { command: fields.command, callers, ..old.clone() }), &detail),
        None => Vec::new(),
    };
    let is_replaced = old.is_some_and(|old| is_complete && is_replaced(old, &fields));
    let cancel = move |_| {
        form.forget();
        on_close.call(());
    };
    let description = description(detail.row_level_security, is_restrictive);
    let is_dirty = fields != saved;
    let table = detail.name.clone();
    let save = move |event: FormEvent| {
        event.prevent_default();
        if run.is_busy() || !can_save {
            return;
        }
        let changed_policy = policy.clone().map(|policy| (table.clone(), policy));
        let statements = Statements { project: project.clone(), sql: sql.clone(), changed_policy };
        run.start(statements, move || {
            form.forget();
            messages::show(done);
            on_close.call(());
            if is_renamed {
                // The row of the policy is replaced, with the menu that opened the dialog.
                focus_behind_dialog(NEW_POLICY);
            }
        });
    };
    rsx! {
        Dialog {
            title,
            description,
            wide: true,
            closable: !is_busy,
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                NotSaved { is_dirty }
                button { class: "btn btn-l", r#type: "button", "aria-disabled": is_busy, onclick: cancel, "Cancel" }
                button {
                    class: "btn btn-primary btn-l",
                    r#type: "submit",
                    form: FORM,
                    disabled: !can_save,
                    "aria-disabled": is_busy,
                    "{act}"
                }
            },
            form { id: FORM, class: "stack", onsubmit: save,
                if is_new {
                    div { class: "field",
                        label { r#for: "policy-template", "Template" }
                        select {
                            id: "policy-template",
                            class: "input",
                            "aria-describedby": lacks_owner.then_some("policy-template-help"),
                            onchange: fill,
                            option { value: "", "None" }
                            for label in labels {
                                option { key: "{label}", value: "{label}", "{label}" }
                            }
                        }
                        if lacks_owner {
                            p { class: "help", id: "policy-template-help",
                                "The table has no uuid column for the id of the row's owner. Templates for owners use \
                                 user_id: replace it with the name of your column, or add the column first."
                            }
                        }
                    }
                }
                Field {
                    id: "policy-name", label: "Name", value: name, required: true, autofocus: true, error: name_error,
                }
                div { class: "field",
                    label { r#for: "policy-command", "Command" }
                    select {
                        id: "policy-command",
                        class: "input",
                        onchange: move |event| {
                            let chosen = COMMANDS.into_iter().find(|(_, label)| *label == event.value());
                            if let Some((chosen, _)) = chosen {
                                command.set(chosen);
                            }
                        },
                        for (choice, label) in COMMANDS {
                            option {
                                key: "{label}", value: "{label}", selected: fields.command == choice, "{label}"
                            }
                        }
                    }
                }
                fieldset {
                    class: "field",
                    "aria-label": "Roles",
                    "aria-invalid": has_no_role.then_some("true"),
                    "aria-describedby": has_no_role.then_some("policy-roles-error"),
                    span { class: "lab", "Roles" }
                    for (role, label) in choices {
                        label { key: "{role}", class: "check",
                            input {
                                class: "box",
                                r#type: "checkbox",
                                checked: fields.roles.contains(&role),
                                onchange: {
                                    let role = role.clone();
                                    move |event: FormEvent| {
                                        let chosen = with_role(&roles.peek(), &role, event.checked());
                                        roles.set(chosen);
                                    }
                                },
                            }
                            "{label}"
                        }
                    }
                    if has_no_role {
                        p { class: "error", id: "policy-roles-error", role: "alert",
                            Mark { shape: Shape::Failed }
                            span { "Choose at least one role." }
                        }
                    }
                }
                if has_using(fields.command) {
                    Condition {
                        id: "policy-using",
                        label: "USING",
                        help: using_help(fields.command, is_restrictive),
                        required: needs_condition && fields.check().is_none(),
                        value: using,
                    }
                }
                if has_check(fields.command) {
                    Condition {
                        id: "policy-check",
                        label: "WITH CHECK",
                        help: check_help,
                        required: needs_condition && !has_using(fields.command),
                        value: check,
                    }
                }
                if let Some(text) = opened {
                    Note { text, warns: true }
                }
                if !lost.is_empty() {
                    Note { text: lost.join(" "), warns: true }
                }
                if is_replaced {
                    Note { text: REPLACED, warns: false }
                }
                if let Some(failure) = run.failure() {
                    FormError { text: failure }
                }
                SqlBlock { sql: shown_sql }
            }
        }
    }
}

/// A note about what the statements do.
#[component]
fn Note(text: String, warns: bool) -> Element {
    rsx! {
        div { class: if warns { "banner t-warning" } else { "banner" }, role: "note",
            Mark { shape: Shape::Attention }
            p { CodeText { text } }
        }
    }
}

/// A field for a condition in SQL.
#[component]
fn Condition(id: &'static str, label: &'static str, help: String, required: bool, value: Signal<String>) -> Element {
    let mut value = value;
    rsx! {
        div { class: "field",
            label { r#for: "{id}",
                "{label}"
                if required {
                    RequiredMark {}
                }
            }
            textarea {
                id: "{id}",
                class: "input mono",
                rows: 2,
                spellcheck: "false",
                placeholder: "user_id = (select auth.uid())",
                value: "{value}",
                "aria-required": required.then_some("true"),
                "aria-describedby": "{id}-help",
                oninput: move |event| value.set(event.value()),
            }
            p { class: "help", id: "{id}-help", CodeText { text: help } }
        }
    }
}

/// Returns the sentences under the title of the dialog.
fn description(row_level_security: bool, is_restrictive: bool) -> String {
    let sentences = [
        (is_restrictive, "The policy is restrictive: it narrows what other policies allow."),
        (!row_level_security, "Row-level security is off, so policies have no effect until you switch it on."),
    ];
    let sentences = sentences.into_iter().filter(|(applies, _)| *applies).map(|(_, sentence)| sentence);
    sentences.collect::<Vec<_>>().join(" ")
}

/// Returns the help for the condition on existing rows.
fn using_help(command: PolicyCommand, is_restrictive: bool) -> String {
    let effect = match is_restrictive {
        true => "Excludes rows that don't meet it.",
        false => "Lets callers reach rows that meet it; `true` means all rows.",
    };
    let reading = match command {
        PolicyCommand::Update => " Updates only find rows that a policy also lets the caller read.",
        PolicyCommand::Delete => " Deletions only find rows that a policy also lets the caller read.",
        PolicyCommand::All | PolicyCommand::Select | PolicyCommand::Insert => "",
    };
    format!("{effect}{reading}")
}

/// Returns the name of a form's unsaved input.
fn draft_name(project: &str, table: &str, policy: &str) -> String {
    format!("policy.{project}.{table}.{policy}")
}

/// Removes the unsaved input for a policy that was deleted.
pub(super) fn forget_draft(project: &str, table: &str, policy: &str) {
    let form = draft_name(project, table, policy);
    for field in FIELDS {
        draft::forget(&format!("{form}.{field}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_says_what_the_condition_does() {
        let help = using_help(PolicyCommand::Select, false);
        assert_eq!(help, "Lets callers reach rows that meet it; `true` means all rows.");
        let help = using_help(PolicyCommand::Delete, true);
        let expected = "Excludes rows that don't meet it. Deletions only find rows that a policy also lets the caller \
                        read.";
        assert_eq!(help, expected);
    }
}
