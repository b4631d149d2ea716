//! `/projects/<id>/settings`: name, allowed origins, note and protection. Deletion is in
//! [`super::project_deletion`].

use api_types::{Project, ProjectDetail, UpdateProject};
use dioxus::prelude::*;

use super::{allowed_origins, new_project::length_problem, project_deletion::Deletion, submit_key::submit_by_key};
use crate::{
    draft,
    frame::page::Page,
    remote::{self, Method, RemoteState, use_remote},
    ui::{Empty, ErrorBox, Field, FormError, Link, Mark, Shape, messages},
};

#[component]
pub fn ProjectSettings(id: ReadSignal<String>) -> Element {
    let mut detail = use_remote::<ProjectDetail>(use_memo(move || format!("/projects/{id}")).into());
    let content = match detail.state() {
        RemoteState::Loading => rsx! { div { class: "section late", "aria-busy": "true", span { class: "sk" } } },
        RemoteState::Failed(failure) if failure.is_not_found() => rsx! {
            Empty { title: "No such project", text: "It was deleted, or the address is wrong.",
                Link { to: "/projects", class: "btn", "All projects" }
            }
        },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "The project could not be loaded.", failure, on_retry: move |()| detail.refresh() }
        },
        RemoteState::Ready(current) => rsx! {
            // Dioxus compares keys only in lists, so this is a list of one element: another project must create a new
            // form.
            for project in [current.project.clone()] {
                SettingsForm { key: "{project.id}", project }
            }
            Deletion { project: current.project }
        },
    };
    rsx! { Page { title: "Project settings", {content} } }
}

#[component]
fn SettingsForm(project: Project) -> Element {
    let saved_origins = project.cors_origins.join("\n");
    let form = draft::use_form(|| format!("settings.{}", project.id));
    let name = form.use_field("name", project.name.clone());
    let mut origins = form.use_field("origins", saved_origins.clone());
    let mut note = form.use_field("note", project.note.clone());
    let mut protected = form.use_field("protected", project.protected);
    let mut error = use_signal(|| None::<(bool, String)>);
    let mut busy = use_signal(|| false);
    let is_dirty = *name.read() != project.name
        || *origins.read() != saved_origins
        || *note.read() != project.note
        || protected() != project.protected;
    let wrong_origin = origins.read().lines().map(typed_origin).find(|line| !is_origin(line)).map(str::to_owned);
    let allows_all = origins.read().lines().any(|line| line.trim() == "*");
    let path = format!("/projects/{}", project.id);
    let can_save = is_dirty && wrong_origin.is_none();
    let submit = move |event: FormEvent| {
        event.prevent_default();
        if busy() || !can_save {
            return;
        }
        error.set(length_problem(&name.peek()).map(|problem| (true, problem)));
        if error.peek().is_some() {
            return;
        }
        let path = path.clone();
        spawn(async move {
            busy.set(true);
            let lines =
                origins.peek().lines().map(typed_origin).filter(|line| !line.is_empty()).map(str::to_owned).collect();
            let change = UpdateProject {
                name: Some(name.peek().trim().to_owned()),
                cors_origins: Some(lines),
                protected: Some(protected()),
                note: Some(note.peek().clone()),
                ..UpdateProject::default()
            };
            match remote::send::<_, Project>(Method::Patch, &path, &change).await {
                Ok(saved) => {
                    error.set(None);
                    // The server trims the name.
                    let mut name = name;
                    name.set(saved.name);
                    origins.set(saved.cors_origins.join("\n"));
                    note.set(saved.note);
                    messages::show("Settings saved");
                    remote::forget("/projects");
                }
                Err(failure) if failure.is_outcome_unknown() => {
                    remote::forget("/projects");
                    let message =
                        "The server did not respond, so it is not known whether the settings were saved. Save again.";
                    error.set(Some((false, message.to_owned())));
                }
                Err(failure) => {
                    let is_about_name = failure.code() == Some("conflict") || failure.field() == Some("name");
                    error.set(Some((is_about_name, failure.message())));
                }
            }
            busy.set(false);
        });
    };
    let name_error = error().filter(|(is_about_name, _)| *is_about_name).map(|(_, message)| message);
    let other_error = error().filter(|(is_about_name, _)| !is_about_name).map(|(_, message)| message);
    rsx! {
        form { class: "section pt-2", onsubmit: submit, onkeydown: |event| submit_by_key(&event),
            div { class: "form",
                Field { id: "name", label: "Name", required: true, value: name, error: name_error }
                div { class: "field",
                    label { r#for: "origins", "Allowed origins" }
                    textarea {
                        id: "origins",
                        class: "input mono",
                        rows: 3,
                        spellcheck: "false",
                        "aria-describedby": "origins-help origins-error",
                        "aria-invalid": if wrong_origin.is_some() { "true" },
                        value: "{origins}",
                        onmounted: |_| allowed_origins::focus_if_asked(),
                        oninput: move |event| origins.set(event.value()),
                    }
                    div { id: "origins-error",
                        if let Some(wrong) = &wrong_origin {
                            p {
                                class: "error", role: "alert", Mark { shape: Shape::Failed }
                                "{wrong} is not an origin. Enter scheme and host without a path: \
                                 https://app.example.com"
                            }
                        } else if allows_all {
                            p {
                                class: "help row", Mark { shape: Shape::Attention }
                                "Any site can call the API from a browser."
                            }
                        }
                    }
                    if origins.read().trim().is_empty() {
                        button {
                            class: "btn btn-s",
                            r#type: "button",
                            onclick: move |_| origins.set(allowed_origins::LOCAL.to_owned()),
                            "Allow {allowed_origins::LOCAL}"
                        }
                    }
                    p {
                        class: "help", id: "origins-help",
                        "One per line, for example https://app.example.com or http://localhost:3000. Apps in a browser \
                         on other origins are refused. A single * allows every site."
                    }
                }
                div { class: "field",
                    label { r#for: "note", "Note" }
                    textarea {
                        id: "note",
                        class: "input",
                        rows: 2,
                        maxlength: 2000,
                        value: "{note}",
                        oninput: move |event| note.set(event.value()),
                    }
                }
                label { class: "check",
                    input {
                        class: "switch",
                        r#type: "checkbox",
                        role: "switch",
                        "aria-label": "Protect from deletion",
                        "aria-describedby": "protect-help",
                        checked: protected(),
                        onchange: move |event| protected.set(event.checked()),
                    }
                    span {
                        "Protect from deletion"
                        small { id: "protect-help", "The project can't be deleted until this is off." }
                    }
                }
                if let Some(message) = other_error {
                    FormError { text: message }
                }
                div { class: "row",
                    button {
                        class: "btn btn-primary btn-l",
                        r#type: "submit",
                        "aria-disabled": busy() || !can_save,
                        "Save settings"
                    }
                    if is_dirty {
                        button {
                            class: "btn btn-ghost btn-l",
                            r#type: "button",
                            onclick: {
                                let (saved, saved_origins) = (project.clone(), saved_origins.clone());
                                move |_| {
                                    let mut name = name;
                                    name.set(saved.name.clone());
                                    origins.set(saved_origins.clone());
                                    note.set(saved.note.clone());
                                    protected.set(saved.protected);
                                    error.set(None);
                                }
                            },
                            "Cancel"
                        }
                    }
                    span { class: "muted", role: "status", if is_dirty { "Not saved" } }
                }
            }
        }
    }
}

/// Returns the origin in a line, without a slash at its end, which browsers add when an address is copied.
fn typed_origin(line: &str) -> &str {
    let line = line.trim();
    match line.strip_suffix('/') {
        Some(origin) if !origin.ends_with('/') => origin,
        _ => line,
    }
}

/// Returns whether a line is empty, `*`, or has the form of an origin. The server validates origins again.
fn is_origin(line: &str) -> bool {
    if line.is_empty() || line == "*" {
        return true;
    }
    match line.split_once("://") {
        Some((scheme, host)) => {
            !scheme.is_empty()
                && !host.is_empty()
                && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
                && !host.contains(['/', '?', '#', ' ', '@'])
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_scheme_and_host() {
        for line in ["", "*", "https://app.example.com", "http://localhost:3000", "capacitor://localhost"] {
            assert!(is_origin(line), "{line}");
        }
        assert!(is_origin(typed_origin(" https://app.example.com/ ")));
        for line in ["https://", "https://a.example/path/", "https://a.example//"] {
            assert!(!is_origin(typed_origin(line)), "{line}");
        }
        for line in ["app.example.com", "https://", "https://a.example/path", "https://a b", "://x"] {
            assert!(!is_origin(line), "{line}");
        }
    }
}
