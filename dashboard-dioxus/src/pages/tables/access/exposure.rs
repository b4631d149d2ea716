//! The form that sets the access of the publishable key and of signed-in users.

use api_types::{AdminTable, TableAccess, TableKind, UpdateTableExposure};
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
    let opens_signed_in = signed_in() != TableAccess::None && signed_in() != saved.signed_in;
    // A materialized view contains rows of other tables, regardless of their policies.
    let opens_copy = detail.kind == TableKind::MaterializedView
        && publishable() == TableAccess::Read
        && saved.publishable == TableAccess::None;
    let is_limited = detail.row_level_security || detail.kind == TableKind::View;
    let is_risky = !is_limited && (opens_for_writing || opens_signed_in || opens_copy);
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
                        disabled: busy() || !is_dirty,
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
                        // The help is outside the label, so that the accessible name of the choice is one word.
                        small { id: help_id(label), "{help}" }
                    }
                }
            }
        }
    }
}
