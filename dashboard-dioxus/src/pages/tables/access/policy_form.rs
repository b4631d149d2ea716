//! The dialogs "New policy" and "Edit policy": a form, and the SQL that it writes.

use api_types::{PolicyCommand, TablePolicy};
use dioxus::prelude::*;

use super::{
    super::{new_table::name_problem, table_page::Shared},
    policy_sql::{EVERYONE, PolicyFields, has_check, has_using, with_role, write_sql},
    run_sql::{SqlBlock, send},
};
use crate::{
    draft,
    pages::not_saved::NotSaved,
    remote,
    ui::{Dialog, Field, FormError, RequiredMark, messages},
};

/// Id of the form in the dialog.
const FORM: &str = "policy";

const USING_HELP: &str = "A condition on existing rows. Callers reach only rows that meet it: with true, all rows.";

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
    /// The policy to change. Without it, the form creates one.
    #[props(default)]
    policy: Option<TablePolicy>,
    on_close: EventHandler<()>,
) -> Element {
    let saved = PolicyFields::of(policy.as_ref());
    let form = draft::use_form(|| format!("policy.{project}.{}.{}", detail.name, saved.name));
    let name = form.use_field("name", saved.name.clone());
    let mut command = form.use_field("command", saved.command);
    let mut roles = form.use_field("roles", saved.roles.clone());
    let using = form.use_field("using", saved.using.clone());
    let check = form.use_field("check", saved.check.clone());
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let fields = PolicyFields { name: name(), command: command(), roles: roles(), using: using(), check: check() };
    let sql = write_sql(&detail.name, policy.as_ref(), &fields);
    let is_taken = detail.policies.iter().any(|other| other.name == fields.name.trim() && other.name != saved.name);
    let name_error = match name_problem(&fields.name) {
        None if is_taken => Some("Another policy of this table has this name.".to_owned()),
        problem => problem.map(str::to_owned),
    };
    let can_save = fields.is_complete() && !is_taken && !sql.is_empty();
    let is_new = policy.is_none();
    let (title, act, done) = match is_new {
        true => ("New policy", "Create policy", "Policy created"),
        false => ("Edit policy", "Save policy", "Policy saved"),
    };
    let check_help = match has_using(fields.command) {
        true => "A condition on new and changed rows. Other rows are refused. If empty, USING applies.",
        false => "A condition on new rows. Other rows are refused.",
    };
    let shown_sql = if sql.is_empty() { "-- Nothing has changed yet.".to_owned() } else { sql.clone() };
    let choices = role_choices(&project, &saved.roles);
    let cancel = move |_| {
        form.forget();
        on_close.call(());
    };
    let save = move |event: FormEvent| {
        event.prevent_default();
        if busy() || !can_save {
            return;
        }
        let (project, sql) = (project.clone(), sql.clone());
        spawn(async move {
            busy.set(true);
            failure.set(None);
            match send(&project, &sql).await {
                Ok(()) => {
                    form.forget();
                    messages::show(done);
                    on_close.call(());
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
            title,
            description: description(detail.row_level_security, policy.as_ref()),
            wide: true,
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                NotSaved { is_dirty: fields != saved }
                button { class: "btn btn-l", r#type: "button", onclick: cancel, "Cancel" }
                button {
                    class: "btn btn-primary btn-l",
                    r#type: "submit",
                    form: FORM,
                    disabled: busy() || !can_save,
                    "{act}"
                }
            },
            form { id: FORM, class: "stack", onsubmit: save,
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
                fieldset { class: "field", "aria-label": "Roles",
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
                    if fields.roles.is_empty() {
                        FormError { text: "Choose at least one role." }
                    }
                }
                if has_using(fields.command) {
                    Condition {
                        id: "policy-using",
                        label: "USING",
                        help: USING_HELP,
                        required: fields.check().is_none(),
                        value: using,
                    }
                }
                if has_check(fields.command) {
                    Condition {
                        id: "policy-check",
                        label: "WITH CHECK",
                        help: check_help,
                        required: !has_using(fields.command),
                        value: check,
                    }
                }
                SqlBlock { sql: shown_sql }
                if let Some(failure) = failure() {
                    FormError { text: failure }
                }
            }
        }
    }
}

/// A field for a condition in SQL.
#[component]
fn Condition(
    id: &'static str,
    label: &'static str,
    help: &'static str,
    required: bool,
    value: Signal<String>,
) -> Element {
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
            p { class: "help", id: "{id}-help", "{help}" }
        }
    }
}

/// Returns the sentences under the title of the dialog.
fn description(row_level_security: bool, policy: Option<&TablePolicy>) -> String {
    let is_restrictive = policy.is_some_and(|policy| !policy.permissive);
    let sentences = [
        (is_restrictive, "The policy is restrictive: it narrows what other policies allow."),
        (!row_level_security, "Row-level security is off, so policies have no effect until you switch it on."),
    ];
    let sentences = sentences.into_iter().filter(|(applies, _)| *applies).map(|(_, sentence)| sentence);
    sentences.collect::<Vec<_>>().join(" ")
}

/// Returns the roles that a policy can apply to, with their names: those of the API's callers, and others that the
/// policy has. Servers with the secret key bypass policies.
fn role_choices(project: &str, roles: &[String]) -> Vec<(String, String)> {
    let known = [
        (EVERYONE.to_owned(), "Everyone".to_owned()),
        (format!("proj_{project}_anon"), "Browsers with the publishable key".to_owned()),
        (format!("proj_{project}_user"), "Signed-in users".to_owned()),
    ];
    let others = roles.iter().filter(|role| known.iter().all(|(known, _)| known != *role));
    let others: Vec<_> = others.map(|role| (role.clone(), role.clone())).collect();
    known.into_iter().chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_of_callers_have_names_and_others_are_kept() {
        let choices = role_choices("x", &["proj_x_user".to_owned(), "reporting".to_owned()]);
        let choices: Vec<(&str, &str)> = choices.iter().map(|(role, name)| (role.as_str(), name.as_str())).collect();
        let expected = [
            ("public", "Everyone"),
            ("proj_x_anon", "Browsers with the publishable key"),
            ("proj_x_user", "Signed-in users"),
            ("reporting", "reporting"),
        ];
        assert_eq!(choices, expected);
    }
}
