//! The fields of a job that sends an HTTP request: method, URL, headers and body.

use dioxus::prelude::*;

use super::{
    super::allowed_hosts::{VARIABLE, VARIABLE_PAGE, entry_for},
    Form,
    fields::FieldError,
    header::Header,
};
use crate::ui::{CodeText, Icon, IconName, Link, Mark, RequiredMark, Shape};

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

/// The fields of an HTTP request. `has_lost_input` tells whether a body or values of headers were typed before the form
/// was loaded again.
#[component]
pub(super) fn RequestFields(form: Form, has_lost_input: bool) -> Element {
    let draft = form.draft.read().clone();
    let is_body_removed = draft.body_is_stored && !draft.may_have_body();
    let refused_host = form.checked.read().refused_host.clone();
    let error = form.error("httpUrl").filter(|_| refused_host.is_none());
    rsx! {
        div { class: "field",
            span { class: "lab", "aria-hidden": "true", "Request" RequiredMark {} }
            div { class: "row items-start rows-phone",
                select {
                    class: "input method",
                    "aria-label": "Method",
                    onchange: move |event| form.change(|draft| draft.method = event.value()),
                    for method in METHODS {
                        option { key: "{method}", value: method, selected: draft.method == method, "{method}" }
                    }
                }
                div { class: "grow stack stack-1",
                    input {
                        id: "job-httpUrl",
                        class: "input mono",
                        "aria-label": "URL",
                        "aria-required": "true",
                        r#type: "url",
                        autocomplete: "off",
                        spellcheck: "false",
                        placeholder: "https://api.example.com/hook",
                        value: "{draft.url}",
                        "aria-invalid": if error.is_some() || refused_host.is_some() { "true" },
                        "aria-describedby": "job-httpUrl-error",
                        oninput: move |event| form.change(|draft| draft.url = event.value()),
                        onblur: move |_| form.leave("httpUrl"),
                    }
                    if let Some(host) = refused_host.clone() {
                        p { class: "error", id: "job-httpUrl-error", role: "alert",
                            Mark { shape: Shape::Failed }
                            span {
                                span { class: "mono", "{host}" }
                                " isn't allowed. Add "
                                if entry_for(&host) == host {
                                    "it"
                                } else {
                                    span { class: "mono", "{entry_for(&host)}" }
                                }
                                " to "
                                span { class: "mono", "{VARIABLE}" }
                                ". It is an environment variable of the server; restart AtlasHub afterwards. "
                                Link { to: VARIABLE_PAGE, class: "link", "Show configuration" }
                            }
                        }
                    }
                    FieldError { id: "job-httpUrl", error: error.clone() }
                }
            }
        }
        if has_lost_input && !draft.has_unstorable_input() {
            div { class: "banner t-warning", role: "note",
                Mark { shape: Shape::Attention }
                p {
                    "What you typed as header values or as the body was not kept, because it may be secret. \
                     Type it again."
                }
            }
        }
        HeaderFields { form }
        if draft.may_have_body() {
            BodyField { form }
        } else if is_body_removed {
            p { class: "help", "A {draft.method} request has no body. Saving removes the stored one." }
        }
    }
}

#[component]
fn HeaderFields(form: Form) -> Element {
    let headers = form.draft.read().headers.clone();
    let errors: Vec<String> = form
        .checked
        .read()
        .errors
        .iter()
        .filter(|(field, _)| {
            field.starts_with("httpHeaders") && (*form.tried.read() || form.left.read().contains("httpHeaders"))
        })
        .map(|(_, error)| error.clone())
        .collect();
    let has_errors = !errors.is_empty();
    let is_repeated = |(index, header): (usize, &Header)| header.is_in(headers.get(..index).unwrap_or_default());
    let repeated: Vec<bool> = headers.iter().enumerate().map(is_repeated).collect();
    rsx! {
        div { class: "field",
            div { class: "lab",
                span { class: "grow", "Headers" }
                button {
                    class: "btn btn-ghost btn-s",
                    r#type: "button",
                    onclick: move |_| form.change(|draft| draft.headers.push(Header::beside(&draft.headers))),
                    Icon { name: IconName::Plus }
                    "Add header"
                }
            }
            if !headers.is_empty() {
                table { class: "headers", "aria-label": "Headers",
                    thead { class: "sr",
                        tr { th { "Name" } th { "Value" } th { "Remove" } }
                    }
                    tbody {
                        for (index, (header, is_repeated)) in headers.into_iter().zip(repeated).enumerate() {
                            HeaderRow {
                                key: "{header.id}", form, index, id: header.id,
                                is_invalid: is_repeated && has_errors, header
                            }
                        }
                    }
                }
                p { class: "help", "Values are stored encrypted, and never shown again." }
            }
            if has_errors {
                div { id: "job-httpHeaders-error",
                    for error in errors {
                        p {
                            key: "{error}", class: "error", role: "alert",
                            Mark { shape: Shape::Failed }
                            span { CodeText { text: error.clone() } }
                        }
                    }
                }
            }
        }
    }
}

#[component]
fn HeaderRow(form: Form, index: usize, id: usize, is_invalid: bool, header: Header) -> Element {
    let change = move |change: &dyn Fn(&mut Header)| {
        form.change(|draft| {
            if let Some(header) = draft.headers.iter_mut().find(|header| header.id == id) {
                change(header);
            }
        });
    };
    let named = if header.name.is_empty() { format!("{}", index + 1) } else { header.name.clone() };
    rsx! {
        tr {
            td {
                input {
                    class: "input mono",
                    "aria-label": "Header name",
                    autocomplete: "off",
                    spellcheck: "false",
                    placeholder: "Authorization",
                    value: "{header.name}",
                    "aria-invalid": if is_invalid { "true" },
                    "aria-describedby": if is_invalid { "job-httpHeaders-error" },
                    oninput: move |event| change(&|header| header.rename(event.value())),
                    onblur: move |_| form.leave("httpHeaders"),
                }
            }
            td {
                input {
                    class: "input mono",
                    "aria-label": "Header value",
                    autocomplete: "off",
                    spellcheck: "false",
                    placeholder: if header.is_stored { "stored; type to replace" },
                    value: "{header.value}",
                    oninput: move |event| change(&|header| header.value = event.value()),
                    onblur: move |_| form.leave("httpHeaders"),
                }
            }
            td {
                button {
                    class: "btn btn-ghost btn-icon",
                    r#type: "button",
                    "aria-label": "Remove header {named}",
                    onclick: move |_| form.change(|draft| draft.headers.retain(|header| header.id != id)),
                    Icon { name: IconName::Close }
                }
            }
        }
    }
}

#[component]
fn BodyField(form: Form) -> Element {
    let draft = form.draft.read().clone();
    let is_stored = draft.body_is_stored && !draft.body_changed;
    let help = match (draft.body_is_stored, draft.body_changed, draft.body.is_empty()) {
        (true, false, _) => "A body is stored. It stays as it is unless you type another one or remove it.",
        (true, true, true) => "Saving removes the stored body.",
        (true, true, false) => "Saving replaces the stored body.",
        (false, ..) => "The body is stored encrypted, and never shown again.",
    };
    let error = form.error("httpBody");
    rsx! {
        div { class: "field",
            label { r#for: "job-httpBody", "Body" }
            textarea {
                id: "job-httpBody",
                class: "input mono",
                rows: 5,
                spellcheck: "false",
                placeholder: if is_stored { "stored; type to replace" } else { "" },
                value: "{draft.body}",
                "aria-invalid": if error.is_some() { "true" },
                "aria-describedby": "job-httpBody-error job-httpBody-help",
                oninput: move |event| form.change(|draft| {
                    draft.body = event.value();
                    draft.body_changed = true;
                }),
                onblur: move |_| form.leave("httpBody"),
            }
            FieldError { id: "job-httpBody", error: error.clone() }
            p { class: "help", id: "job-httpBody-help", "{help}" }
            div { class: "row wrap",
                // The format of a stored body can't be changed without typing the body.
                if !is_stored {
                    label { class: "check",
                        input {
                            class: "box",
                            r#type: "checkbox",
                            checked: draft.body_is_json,
                            onchange: move |event| form.change(|draft| draft.body_is_json = event.checked()),
                        }
                        span {
                            "Send as JSON"
                            small { "With the content type application/json, unless a header sets another one." }
                        }
                    }
                }
                // One button for both actions, so that it keeps the focus when its action changes.
                if draft.body_is_stored {
                    button {
                        class: "btn btn-ghost btn-s push",
                        r#type: "button",
                        onclick: move |_| form.change(|draft| {
                            draft.body.clear();
                            draft.body_changed = is_stored;
                        }),
                        if is_stored { "Remove body" } else { "Keep stored body" }
                    }
                }
            }
        }
    }
}
