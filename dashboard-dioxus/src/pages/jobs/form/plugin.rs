//! The fields of a job that runs a plugin: the plugin, its job, and the job's parameters.

use api_types::{Plugin, PluginState};
use dioxus::prelude::*;

use super::{
    Form,
    fields::{FieldError, element_id},
    parameters::{Kind, Node, Parameter},
};
use crate::{
    remote::use_projects,
    ui::{CodeText, Link, RequiredMark},
};

/// The fields of a plugin's job: plugin, job, and the parameters of its schema.
#[component]
pub(super) fn PluginFields(form: Form, plugins: Vec<Plugin>, nodes: Vec<Node>) -> Element {
    let draft = form.draft.read().clone();
    let chosen = plugins.iter().find(|plugin| plugin.name == draft.plugin).cloned();
    let jobs = chosen.as_ref().map(|plugin| plugin.jobs.clone()).unwrap_or_default();
    let about = jobs.iter().find(|job| job.name == draft.plugin_job).map(|job| job.description.clone());
    let is_unknown = !draft.plugin.is_empty() && chosen.is_none();
    // The server always has plugins of its own. Without any, the list has not been read.
    let not_loaded = if plugins.is_empty() { "" } else { " (not loaded)" };
    let offered: Vec<Plugin> = plugins
        .into_iter()
        .filter(|plugin| !plugin.jobs.is_empty() && (plugin.name != "http-job" || plugin.name == draft.plugin))
        .collect();
    let choose_plugin = {
        let offered = offered.clone();
        move |event: FormEvent| {
            let name = event.value();
            let jobs =
                offered.iter().find(|plugin| plugin.name == name).map(|plugin| plugin.jobs.clone()).unwrap_or_default();
            // The job with the name of the plugin, or else the only job.
            let job = jobs.iter().find(|job| job.name == name).or(if jobs.len() == 1 { jobs.first() } else { None });
            let job = job.map(|job| job.name.clone()).unwrap_or_default();
            form.change(|draft| {
                draft.plugin = name;
                draft.plugin_job = job;
                draft.parameters.clear();
            });
        }
    };
    rsx! {
        div { class: "pair-2",
            div { class: "field",
                label { r#for: "job-plugin",
                    "Plugin"
                    RequiredMark {}
                }
                select {
                    id: "job-plugin",
                    class: "input",
                    "aria-required": "true",
                    "aria-invalid": if form.error("plugin").is_some() { "true" },
                    "aria-describedby": "job-plugin-error",
                    onchange: choose_plugin,
                    onblur: move |_| form.leave("plugin"),
                    option { value: "", selected: draft.plugin.is_empty(), disabled: true, "Choose a plugin" }
                    if is_unknown {
                        option { value: "{draft.plugin}", selected: true, "{draft.plugin}{not_loaded}" }
                    }
                    for plugin in offered {
                        option { key: "{plugin.name}", value: "{plugin.name}", selected: plugin.name == draft.plugin,
                            "{plugin.name}"
                            if plugin.state != PluginState::Active {
                                " (not active)"
                            }
                        }
                    }
                }
                FieldError { id: "job-plugin", error: form.error("plugin") }
            }
            div { class: "field",
                label { r#for: "job-pluginJob",
                    "Job"
                    RequiredMark {}
                }
                select {
                    id: "job-pluginJob",
                    class: "input",
                    "aria-required": "true",
                    disabled: jobs.is_empty(),
                    "aria-invalid": if form.error("pluginJob").is_some() { "true" },
                    "aria-describedby": "job-pluginJob-error",
                    onchange: move |event| form.change(|draft| {
                        draft.plugin_job = event.value();
                        draft.parameters.clear();
                    }),
                    onblur: move |_| form.leave("pluginJob"),
                    option { value: "", selected: draft.plugin_job.is_empty(), disabled: true, "Choose a job" }
                    for job in jobs.clone() {
                        option {
                            key: "{job.name}", value: "{job.name}", selected: job.name == draft.plugin_job, "{job.name}"
                        }
                    }
                }
                FieldError { id: "job-pluginJob", error: form.error("pluginJob") }
            }
        }
        if let Some(plugin) = chosen.filter(|plugin| plugin.state != PluginState::Active) {
            p { class: "help",
                "{plugin.name} can't run now. "
                Link { to: "/plugins?plugin={plugin.name}", class: "link", "Open the plugin" }
            }
        }
        if let Some(about) = about {
            p { class: "help", CodeText { text: about } }
        }
        ParameterFields { form, nodes }
        FieldError { id: "job-params", error: form.error("params") }
    }
}

#[component]
fn ParameterFields(form: Form, nodes: Vec<Node>) -> Element {
    rsx! {
        for node in nodes {
            match node {
                Node::Field(parameter) => rsx! { ParameterField { key: "{parameter.pointer}", form, parameter } },
                Node::Group { label, help, nodes, .. } => rsx! {
                    fieldset { key: "{label}", class: "stack parameter-group", "aria-label": "{label}",
                        legend { class: "strong", "{label}" }
                        if !help.is_empty() {
                            p { class: "help", CodeText { text: help } }
                        }
                        div { class: "pair-2", ParameterFields { form, nodes } }
                    }
                },
            }
        }
    }
}

#[component]
fn ParameterField(form: Form, parameter: Parameter) -> Element {
    let field = format!("params{}", parameter.pointer);
    let id = element_id(&field);
    let error = form.error(&field);
    let value = form.draft.read().parameters.get(&parameter.pointer).cloned().unwrap_or_default();
    let pointer = parameter.pointer.clone();
    let set = use_callback(move |text: String| {
        form.change(|draft| drop(draft.parameters.insert(pointer.clone(), text)));
    });
    let described_by = format!("{id}-error {id}-help");
    let invalid = error.is_some().then_some("true");
    let required = parameter.is_required.then_some("true");
    let left = field.clone();
    let leave = move |_| form.leave(&left);
    let unset =
        if parameter.default.is_empty() { "Not set".to_owned() } else { format!("Default: {}", parameter.default) };
    let placeholder = (!parameter.is_required).then(|| unset.clone());
    if parameter.kind == Kind::Flag {
        return rsx! {
            div { class: "field",
                label { class: "check",
                    input {
                        class: "box",
                        r#type: "checkbox",
                        checked: value == "true" || (value.is_empty() && parameter.default == "true"),
                        onchange: move |event| set.call(event.checked().to_string()),
                    }
                    span {
                        "{parameter.label}"
                        if !parameter.help.is_empty() { small { CodeText { text: parameter.help.clone() } } }
                    }
                }
                FieldError { id, error }
            }
        };
    }
    rsx! {
        div { class: "field",
            label {
                r#for: "{id}", "{parameter.label}"
                if parameter.is_required { RequiredMark {} }
            }
            match parameter.kind.clone() {
                Kind::Choice(choices) => rsx! {
                    select {
                        id: "{id}", class: "input", "aria-required": required, "aria-invalid": invalid,
                        "aria-describedby": described_by,
                        onblur: leave,
                        onchange: move |event| set.call(event.value()),
                        option { value: "", selected: value.is_empty(), "{unset}" }
                        for (text, label) in choices.iter().map(text_and_label) {
                            option { key: "{text}", value: "{text}", selected: value == text, "{label}" }
                        }
                    }
                },
                Kind::Target => rsx! {
                    TargetField {
                        id: id.clone(), value, invalid: error.is_some(), described_by,
                        unset: (!parameter.is_required).then_some(unset),
                        onleave: leave, onchoose: move |target| set.call(target),
                    }
                },
                Kind::Lines => rsx! {
                    textarea {
                        id: "{id}", class: "input mono", rows: 3, spellcheck: "false", "aria-required": required,
                        "aria-invalid": invalid, "aria-describedby": described_by,
                        onblur: leave, placeholder: "One per line", value: "{value}",
                        oninput: move |event| set.call(event.value()),
                    }
                },
                Kind::Json => rsx! {
                    textarea {
                        id: "{id}", class: "input mono", rows: 4, spellcheck: "false", "aria-required": required,
                        "aria-invalid": invalid, "aria-describedby": described_by,
                        onblur: leave, placeholder: "JSON", value: "{value}",
                        oninput: move |event| set.call(event.value()),
                    }
                },
                kind => rsx! {
                    input {
                        id: "{id}", class: "input", autocomplete: "off", inputmode: if kind == Kind::Number {
                            "decimal"
                        },
                        "aria-required": required, "aria-invalid": invalid, "aria-describedby": described_by,
                        onblur: leave, placeholder,
                        value: "{value}",
                        oninput: move |event| set.call(event.value()),
                    }
                },
            }
            FieldError { id: id.clone(), error }
            // The combobox of databases needs no explanation.
            if !parameter.help.is_empty() && parameter.kind != Kind::Target {
                p { class: "help", id: "{id}-help", CodeText { text: parameter.help.clone() } }
            }
        }
    }
}

/// Returns a choice as JSON, and the text that is shown for it.
fn text_and_label(choice: &serde_json::Value) -> (String, String) {
    let text = choice.to_string();
    let label = choice.as_str().map_or_else(|| text.clone(), str::to_owned);
    (text, label)
}

/// The combobox of databases.
#[component]
fn TargetField(
    id: String,
    value: String,
    invalid: bool,
    described_by: String,
    /// Label of the empty choice, if the parameter is optional.
    unset: Option<String>,
    onleave: EventHandler<FocusEvent>,
    onchoose: EventHandler<String>,
) -> Element {
    let projects = use_projects().items;
    let mut choices =
        vec![("all".to_owned(), "All databases".to_owned()), ("platform".to_owned(), "Platform".to_owned())];
    choices.extend(projects.into_iter().map(|project| (format!("project:{}", project.id), project.name)));
    if !value.is_empty() && !choices.iter().any(|(target, _)| *target == value) {
        choices.push((value.clone(), value.clone()));
    }
    let required = unset.is_none().then_some("true");
    rsx! {
        select {
            id: "{id}",
            class: "input",
            "aria-required": required,
            "aria-invalid": invalid.then_some("true"),
            "aria-describedby": described_by,
            onblur: move |event| onleave.call(event),
            onchange: move |event| onchoose.call(event.value()),
            match unset {
                Some(unset) => rsx! { option { value: "", selected: value.is_empty(), "{unset}" } },
                None => rsx! { option { value: "", selected: value.is_empty(), disabled: true, "Choose a database" } },
            }
            for (target, label) in choices {
                option { key: "{target}", value: "{target}", selected: target == value, "{label}" }
            }
        }
    }
}
