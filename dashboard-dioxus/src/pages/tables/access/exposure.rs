//! The form that sets the access of the publishable key and of signed-in users.

use api_types::{AdminTable, SupportedWrites, TableAccess, TableKind, UpdateTableExposure};
use dioxus::prelude::*;

use super::super::table_page::{Shared, table_path};
use crate::{
    draft,
    remote::{self, Method},
    ui::{CodeText, Confirm, Mark, Shape, messages},
};

#[component]
pub(super) fn ExposureForm(project: String, detail: Shared) -> Element {
    let saved = detail.exposure;
    let form = draft::use_form(|| format!("access.{project}.{}", detail.name));
    let mut publishable = form.use_field("publishable", saved.publishable);
    let mut signed_in = form.use_field("signed-in", saved.signed_in);
    let mut asking = use_signal(|| false);
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let is_dirty = publishable() != saved.publishable || signed_in() != saved.signed_in;
    let opens_for_writing = publishable() == TableAccess::Write && saved.publishable != TableAccess::Write;
    let opens_signed_in = signed_in() > saved.signed_in;
    // A materialized view contains rows of other tables, regardless of their policies.
    let opens_copy = detail.kind == TableKind::MaterializedView
        && publishable() == TableAccess::Read
        && saved.publishable == TableAccess::None;
    let is_limited = detail.row_level_security || detail.kind == TableKind::View;
    let is_risky = !is_limited && (opens_for_writing || opens_signed_in || opens_copy);
    // Without row-level security, the server requires `confirm` even if signed-in users get less access than before.
    // This needs no warning, so the request contains `confirm` without asking the owner.
    let is_confirmed = !is_limited && signed_in() < saved.signed_in;
    let path = table_path(&project, &detail.name, "exposure", &[]);
    let save = move |confirm: bool| {
        let (path, project) = (path.clone(), project.clone());
        spawn(async move {
            busy.set(true);
            let change = UpdateTableExposure {
                publishable: Some(publishable()).filter(|access| *access != saved.publishable),
                signed_in: Some(signed_in()).filter(|access| *access != saved.signed_in),
                confirm,
            };
            match remote::send::<_, AdminTable>(Method::Put, &path, &change).await {
                Ok(_) => {
                    form.forget();
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
    } else if opens_copy {
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
            "Every signed-in user can reach every row: no policies apply to this table.",
            None,
        )
    };
    rsx! {
        form {
            class: "section",
            onsubmit: move |event| {
                event.prevent_default();
                if busy() || !is_dirty {
                    return;
                }
                if is_risky {
                    failure.set(None);
                    asking.set(true);
                } else {
                    save(is_confirmed);
                }
            },
            div { class: "section-head", h2 { "Give access" } }
            div { class: "stack stack-6",
                div { class: "access-choices",
                    Choice {
                        name: "Publishable key",
                        about: "Requests with only the key, for example of visitors who are not signed in.",
                        supports: detail.supports,
                        saved: saved.publishable,
                        chosen: publishable,
                    }
                    Choice {
                        name: "Signed-in users",
                        about: "Requests with the access token of a user of your app, in addition to a key.",
                        supports: detail.supports,
                        saved: saved.signed_in,
                        chosen: signed_in,
                    }
                }
                if signed_in() < publishable() {
                    div { class: "banner t-warning", role: "note",
                        Mark { shape: Shape::Attention }
                        p {
                            "{difference(publishable(), signed_in())}"
                            " A request with a user's access token has only the access of signed-in users."
                        }
                        button {
                            class: "btn btn-s",
                            r#type: "button",
                            onclick: move |_| signed_in.set(publishable()),
                            "Give signed-in users the same access"
                        }
                    }
                }
                if let Some(failure) = failure.read().clone().filter(|_| !asking()) {
                    p { class: "error", role: "alert", span { CodeText { text: failure } } }
                }
                div { class: "row",
                    button {
                        class: "btn btn-primary btn-l",
                        r#type: "submit",
                        "aria-disabled": busy() || !is_dirty,
                        "Save access"
                    }
                    // The dialog has a button of the same name.
                    if is_dirty && !asking() {
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
                closable: !busy(),
                failure: failure(),
                on_confirm: move |()| confirm(true),
                on_close: move |()| asking.set(false),
            }
        }
    }
}

/// Returns a sentence about what visitors can do that signed-in users can't.
fn difference(publishable: TableAccess, signed_in: TableAccess) -> &'static str {
    match (publishable, signed_in) {
        (TableAccess::Write, TableAccess::None) => "Visitors can read and change this table, signed-in users can't.",
        (TableAccess::Write, _) => "Visitors can change this table, signed-in users can only read it.",
        _ => "Visitors can read this table, signed-in users can't.",
    }
}

/// Returns a sentence about what access `Write` allows. `None` if the view supports no writes.
fn write_help(supports: SupportedWrites) -> Option<String> {
    let writes = [(supports.insert, "inserted"), (supports.update, "changed"), (supports.delete, "deleted")];
    let writes: Vec<_> = writes.into_iter().filter(|(is_supported, _)| *is_supported).map(|(_, name)| name).collect();
    let (last, others) = writes.split_last()?;
    let others: String = others.iter().map(|other| format!(", {other}")).collect();
    Some(format!("Rows can be read{others} and {last}, as far as policies allow."))
}

#[component]
fn Choice(
    name: &'static str,
    about: &'static str,
    supports: SupportedWrites,
    saved: TableAccess,
    chosen: Signal<TableAccess>,
) -> Element {
    let mut chosen = chosen;
    let none = "Requests are refused, as if the table did not exist (404).".to_owned();
    let read = "Rows can be read, as far as policies allow.".to_owned();
    let mut choices = vec![(TableAccess::None, "None", none), (TableAccess::Read, "Read", read)];
    match write_help(supports) {
        Some(help) => choices.push((TableAccess::Write, "Write", help)),
        // The access may have been set while the view still supported writes, or over the API.
        None if saved == TableAccess::Write => {
            choices.push((TableAccess::Write, "Write", "Rows can be read. The view supports no writes.".to_owned()));
        }
        None => {}
    }
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
                        // The help is outside the label, so that the accessible name of the choice is one word.
                        small { id: help_id(label), "{help}" }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_names_the_writes_that_the_view_supports() {
        let help = |insert, update, delete| write_help(SupportedWrites { insert, update, delete });
        let all = "Rows can be read, inserted, changed and deleted, as far as policies allow.";
        assert_eq!(help(true, true, true).as_deref(), Some(all));
        let some = "Rows can be read and changed, as far as policies allow.";
        assert_eq!(help(false, true, false).as_deref(), Some(some));
        assert_eq!(help(false, false, false), None);
    }
}
