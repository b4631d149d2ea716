//! `/projects/new`: creates a project and shows its keys once.

use api_types::{CreateProject, CreatedProject, Page as ApiPage, Project};
use dioxus::prelude::*;

use super::{complete::complete, store_keys::show_keys_of_project};
use crate::{
    address, draft,
    frame::page::Page,
    remote::{self, Failure, Method},
    ui::{Field, FormError},
};

#[component]
pub fn NewProject() -> Element {
    rsx! {
        Page { title: "New project", subtitle: "A project is a database with its files, API keys and jobs.",
            div { class: "section pt-2", CreateForm { can_cancel: true } }
        }
    }
}

/// Whether the form is creating a project. The overview then keeps the form until the project's keys are shown.
static IS_CREATING: GlobalSignal<bool> = Signal::global(|| false);

/// Returns whether a project is being created, and subscribes the component to changes.
pub(super) fn is_creating() -> bool {
    *IS_CREATING.read()
}

fn set_creating(is_creating: bool) {
    *IS_CREATING.write() = is_creating;
}

/// Name of the form's draft.
const DRAFT: &str = "new-project";

/// The form that creates a project, and the dialog with its keys.
#[component]
pub(super) fn CreateForm(#[props(default)] can_cancel: bool) -> Element {
    let mut name = draft::use_draft(DRAFT, String::new());
    let mut error = use_signal(|| None::<String>);
    let mut failure = use_signal(|| None::<String>);
    let busy = is_creating();
    use_drop(|| {
        // A component that is being removed must not update others.
        dioxus::core::spawn_forever(async { set_creating(false) });
    });
    // Checks the length of the name, and in the background whether another project has the name.
    let check = move |()| {
        if name.peek().trim().is_empty() {
            return;
        }
        error.set(length_problem(&name.peek()));
        if error.peek().is_some() {
            return;
        }
        spawn(async move {
            let checked = name.peek().trim().to_owned();
            let is_taken = is_taken(&checked).await;
            if is_taken && name.peek().trim() == checked {
                error.set(Some(TAKEN.to_owned()));
            }
        });
    };
    let submit = move |event: FormEvent| {
        event.prevent_default();
        if *IS_CREATING.peek() {
            return;
        }
        failure.set(None);
        error.set(length_problem(&name.peek()));
        if error.peek().is_some() {
            return;
        }
        spawn(async move {
            set_creating(true);
            let request = CreateProject { name: name.peek().trim().to_owned() };
            match complete(create(request)).await {
                Ok(()) => name.set(String::new()),
                Err(refused) if refused.code() == Some("conflict") => error.set(Some(refused.message())),
                Err(refused) if refused.is_outcome_unknown() => {
                    remote::forget("/projects");
                    failure.set(Some(NO_RESPONSE.to_owned()));
                }
                Err(refused) => failure.set(Some(refused.message())),
            }
            set_creating(false);
        });
    };
    let is_dirty = !name.read().is_empty();
    rsx! {
        form { class: "form", onsubmit: submit,
            Field {
                id: "name",
                label: "Name",
                value: name,
                autofocus: true,
                required: true,
                help: "1–64 characters. You can change it later.",
                error: error(),
                onleave: check,
            }
            if let Some(failure) = failure() {
                FormError { text: failure }
            }
            div { class: "row",
                button { class: "btn btn-primary btn-l", r#type: "submit", "aria-disabled": busy, "Create project" }
                if can_cancel {
                    button {
                        class: "btn btn-ghost btn-l",
                        r#type: "button",
                        "aria-disabled": busy,
                        onclick: move |_| {
                            name.set(String::new());
                            draft::forget(DRAFT);
                            address::go("/projects");
                        },
                        "Cancel"
                    }
                }
                span { class: "muted", role: "status", if is_dirty && !busy { "Not saved" } }
                if busy {
                    span { class: "row muted", role: "status",
                        span { class: "spin", "aria-hidden": "true" }
                        "Creating the database, its roles, the bucket and the keys…"
                    }
                }
            }
        }
    }
}

/// Creates a project, and shows its keys.
async fn create(request: CreateProject) -> Result<(), Failure> {
    let created: CreatedProject = remote::send(Method::Post, "/projects", &request).await?;
    draft::forget(DRAFT);
    show_keys_of_project(created);
    remote::forget("/projects");
    remote::forget("/overview");
    Ok(())
}

const NO_RESPONSE: &str = "The server did not respond. If the project is in the list, it was created, but its keys \
                           were never shown: create new ones on its page “API keys”.";

const TAKEN: &str = "A project with this name already exists. Choose another name.";

/// Returns why the name of a project is invalid. `None` if it is valid.
pub(super) fn length_problem(name: &str) -> Option<String> {
    let length = name.trim().chars().count();
    (length == 0 || length > 64).then(|| "Enter a name with 1 to 64 characters.".to_owned())
}

/// Returns whether a project has this name, ignoring case.
async fn is_taken(name: &str) -> bool {
    let path = address::with_parameters("/projects", &[("limit", Some("200")), ("q", Some(name))]);
    let known = remote::get::<ApiPage<Project>>(&path).await;
    known.is_ok_and(|page| page.items.iter().any(|project| project.name.to_lowercase() == name.to_lowercase()))
}
