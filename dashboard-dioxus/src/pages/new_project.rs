//! `/projects/new`: creates a project and shows its keys once.

use api_types::{CreateProject, CreatedProject, SystemInfo};
use dioxus::prelude::*;

use super::store_keys::{NewKeys, StoreKeys};
use crate::{
    address,
    frame::page::Page,
    remote::{self, Method, use_remote},
    ui::Field,
};

#[component]
pub fn NewProject() -> Element {
    rsx! {
        Page { title: "New project", subtitle: "A project is one database, its files, its keys and its jobs.",
            div { class: "section", CreateForm {} }
        }
    }
}

/// The form that creates a project, and the dialog with its keys.
#[component]
pub(super) fn CreateForm() -> Element {
    let name = use_signal(String::new);
    let mut error = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let mut created = use_signal(|| None::<CreatedProject>);
    let system = use_remote::<SystemInfo>(use_signal(|| "/system".to_owned()).into());
    let check = move || {
        let length = name.peek().trim().chars().count();
        error.set((length == 0 || length > 64).then(|| "Enter a name with 1 to 64 characters.".to_owned()));
    };
    let submit = move |event: FormEvent| {
        event.prevent_default();
        let mut check = check;
        check();
        if error.peek().is_some() || busy() {
            return;
        }
        spawn(async move {
            busy.set(true);
            let request = CreateProject { name: name.peek().trim().to_owned() };
            match remote::send::<_, CreatedProject>(Method::Post, "/projects", &request).await {
                Ok(project) => created.set(Some(project)),
                Err(failure) => error.set(Some(failure.message())),
            }
            busy.set(false);
        });
    };
    rsx! {
        form { class: "form", onsubmit: submit,
            Field {
                id: "name",
                label: "Name",
                value: name,
                autofocus: true,
                help: "1–64 characters. You can change it later.",
                error: error(),
                onleave: move |()| {
                    let mut check = check;
                    if !name.peek().is_empty() {
                        check();
                    }
                },
            }
            div { class: "row",
                button { class: "btn btn-primary btn-l", r#type: "submit", disabled: busy(), "Create project" }
                if busy() {
                    span { class: "muted", role: "status", "Making the database, its roles, the bucket and the keys…" }
                }
            }
        }
        if let Some(project) = created() {
            StoreKeys {
                keys: NewKeys { secret: Some(project.secret_key.clone()), publishable: Some(project.publishable_key.clone()) },
                api_url: system.value().map(|system| system.public_url).unwrap_or_default(),
                on_done: move |()| {
                    let id = project.project.id.clone();
                    created.set(None);
                    address::go(&format!("/projects/{id}"));
                },
            }
        }
    }
}
