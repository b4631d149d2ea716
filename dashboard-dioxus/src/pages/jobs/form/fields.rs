//! Fields that are the same for every kind of job.

use api_types::JobType;
use dioxus::prelude::*;

use super::Form;
use crate::{
    remote::use_projects,
    ui::{CodeText, Mark, RequiredMark, Shape, focus_mounted},
};

/// A text field of the form, with help and its error.
#[component]
pub(super) fn TextField(
    form: Form,
    field: String,
    label: String,
    value: String,
    #[props(default)] help: String,
    #[props(default)] placeholder: String,
    #[props(default)] is_mono: bool,
    #[props(default)] autofocus: bool,
    #[props(default)] required: bool,
    oninput: EventHandler<String>,
) -> Element {
    let error = form.error(&field);
    let id = element_id(&field);
    let described_by = (error.is_some() || !help.is_empty()).then(|| format!("{id}-error {id}-help"));
    rsx! {
        div { class: "field",
            label { r#for: "{id}",
                "{label}"
                if required {
                    RequiredMark {}
                }
            }
            input {
                id: "{id}",
                class: if is_mono { "input mono" } else { "input" },
                autocomplete: "off",
                spellcheck: "false",
                autofocus,
                onmounted: move |event| {
                    if autofocus {
                        focus_mounted(&event);
                    }
                },
                "aria-required": required.then_some("true"),
                placeholder,
                value: "{value}",
                "aria-describedby": described_by,
                "aria-invalid": if error.is_some() { "true" },
                oninput: move |event| oninput.call(event.value()),
                onblur: move |_| form.leave(&field),
            }
            FieldError { id: id.clone(), error: error.clone() }
            if !help.is_empty() {
                p { class: "help", id: "{id}-help", "{help}" }
            }
        }
    }
}

#[component]
pub(super) fn FieldError(id: String, error: Option<String>) -> Element {
    match error {
        Some(error) => rsx! {
            p { class: "error", id: "{id}-error", role: "alert",
                Mark { shape: Shape::Failed }
                span { CodeText { text: error } }
            }
        },
        None => rsx! {},
    }
}

/// Returns the id of a field's element.
pub(super) fn element_id(field: &str) -> String {
    let safe = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
    format!("job-{}", field.chars().map(safe).collect::<String>())
}

#[component]
pub(super) fn ProjectField(form: Form, is_new: bool) -> Element {
    let projects = use_projects().items;
    let chosen = form.draft.read().project.clone();
    let is_unknown = !chosen.is_empty() && !projects.iter().any(|project| project.id == chosen);
    let help = match (is_new, chosen.is_empty()) {
        (false, _) => "A job can't be moved to another project.",
        (true, true) => "Only the platform's Jobs page lists this job.",
        (true, false) => "The project's Jobs page lists this job. It is deleted with the project.",
    };
    rsx! {
        div { class: "field",
            label { r#for: "job-project", "Project" }
            select {
                id: "job-project",
                class: "input",
                disabled: !is_new,
                "aria-describedby": "job-project-help",
                onchange: move |event| form.change(|draft| draft.project = event.value()),
                option { value: "", selected: chosen.is_empty(), "None: the platform's" }
                if is_unknown {
                    option { value: "{chosen}", selected: true, "{chosen}" }
                }
                for project in projects {
                    option {
                        key: "{project.id}",
                        value: "{project.id}",
                        selected: project.id == chosen,
                        "{project.name}"
                    }
                }
            }
            p { class: "help", id: "job-project-help", "{help}" }
        }
    }
}

#[component]
pub(super) fn KindField(form: Form, is_new: bool) -> Element {
    let chosen = form.draft.read().job_type;
    rsx! {
        fieldset { class: "field", role: "radiogroup", "aria-label": "Kind",
            legend { "Kind" }
            div { class: "kinds",
                for (choice, label) in [(JobType::Http, "HTTP request"), (JobType::Platform, "Plugin job")] {
                    label { key: "{label}", class: "check",
                        input {
                            class: "box",
                            r#type: "radio",
                            name: "job-kind",
                            checked: chosen == choice,
                            disabled: !is_new && chosen != choice,
                            onchange: move |_| form.change(|draft| draft.job_type = choice),
                        }
                        "{label}"
                    }
                }
            }
        }
    }
}
