//! The dialog "Restore…" of a backup, which asks for the project to restore into.

use api_types::{Backup, CreateProject, CreatedProject, PlanBackupRestore, Restore};
use dioxus::prelude::*;

use super::{
    identity::{IdentityField, identity_of},
    restore_address,
};
use crate::{
    address,
    pages::{new_project::length_problem, store_keys::show_keys_before},
    remote::{self, Failure, Method, RemoteState, use_projects},
    text,
    ui::{Dialog, Field, FormError},
};

/// Value of the choice "New project".
const NEW: &str = "new";

/// The dialog that asks for the project, and opens the plan. No project is changed before the plan is confirmed, but a
/// new project is created at once, because a plan belongs to a project.
#[component]
pub fn ChooseProject(backup: Backup, name: String, on_close: EventHandler<()>) -> Element {
    let own = backup.target.strip_prefix("project:").unwrap_or_default().to_owned();
    let mut chosen = use_signal(|| own.clone());
    let new_name = use_signal(|| format!("{name} restored"));
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let identity = use_signal(String::new);
    let mut objects = use_signal(|| true);
    let projects = use_projects();
    let mut items: Vec<(String, String)> =
        projects.items.into_iter().map(|project| (project.id, project.name)).collect();
    let unread = match projects.state {
        RemoteState::Failed(failure) => Some(failure.message()),
        RemoteState::Loading | RemoteState::Ready(()) => None,
    };
    // The backup's own project may be one that could not be read. If it was deleted, the server says so.
    if unread.is_some() && !own.is_empty() && items.iter().all(|(id, _)| *id != own) {
        items.push((own, name.clone()));
    }
    let is_new = chosen() == NEW;
    let name_problem = length_problem(&new_name.read()).filter(|_| is_new);
    // The backup's own project, which is chosen at first, may have been deleted.
    let is_known = is_new || items.iter().any(|(id, _)| *id == chosen());
    let path = format!("/backups/{}/restore", backup.id);
    let plan = move |event: FormEvent| {
        event.prevent_default();
        if busy() || !is_known || (is_new && length_problem(&new_name.peek()).is_some()) {
            return;
        }
        let path = path.clone();
        spawn(async move {
            busy.set(true);
            failure.set(None);
            let created = if *chosen.peek() == NEW {
                let name = new_name.peek().trim().to_owned();
                match create_project(name).await {
                    Ok(created) => Some(created),
                    Err(refused) => {
                        failure.set(Some(refused.message()));
                        busy.set(false);
                        return;
                    }
                }
            } else {
                None
            };
            let project_id = match &created {
                Some(created) => created.project.id.clone(),
                None => chosen(),
            };
            let request = PlanBackupRestore {
                project_id: project_id.clone(),
                identity: identity_of(&identity.peek()),
                objects: *objects.peek(),
            };
            match remote::send::<_, Restore>(Method::Post, &path, &request).await {
                Ok(restore) => {
                    remote::forget("/restores");
                    on_close.call(());
                    let plan = restore_address(&project_id, &restore.id);
                    match created {
                        Some(created) => show_keys_before(created, Some(plan)),
                        None => address::go(&plan),
                    }
                }
                Err(refused) => {
                    let message = refused.message();
                    failure.set(Some(match created {
                        Some(created) => {
                            // The next attempt uses this project instead of creating another one.
                            chosen.set(project_id);
                            let name = created.project.name.clone();
                            show_keys_before(created, None);
                            format!("The project {name} was created, but it is empty: {message}")
                        }
                        None => message,
                    }));
                }
            }
            busy.set(false);
        });
    };
    let made = text::short_date_and_time(backup.created_at);
    let (consequence, act) = if is_new {
        (
            "The new project is created before you see the plan; nothing is restored until you confirm it.",
            "Create project and show plan",
        )
    } else {
        ("You see a plan first; nothing changes until you confirm it.", "Show plan")
    };
    rsx! {
        Dialog {
            title: "Restore a backup of {name}",
            description: "The backup from {made}. {consequence}",
            // Closing the dialog would end the request's task, and the keys of a new project would never be shown.
            closable: !busy(),
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button {
                    class: "btn btn-l", r#type: "button", "aria-disabled": busy(), onclick: move |_| on_close.call(()),
                    "Cancel"
                }
                button {
                    class: "btn btn-primary btn-l", r#type: "submit", form: "choose-project",
                    disabled: !is_known || name_problem.is_some(), "aria-disabled": busy(),
                    "{act}"
                }
            },
            form { id: "choose-project", class: "stack", onsubmit: plan,
                div { class: "field",
                    label { r#for: "restore-into", "Restore into" }
                    select {
                        id: "restore-into",
                        class: "input",
                        "aria-label": "Restore into",
                        onchange: move |event| chosen.set(event.value()),
                        if !is_known {
                            option { value: "", selected: true, disabled: true, "Choose a project" }
                        }
                        for (id, label) in items {
                            option { key: "{id}", value: "{id}", selected: id == chosen(), "{label}" }
                        }
                        option { value: NEW, selected: is_new, "New project" }
                    }
                    p { class: "help",
                        if is_new {
                            "An empty project. You get its keys, then the plan."
                        } else {
                            "The project's whole database is replaced. Its keys and jobs stay."
                        }
                    }
                }
                if is_new {
                    Field {
                        id: "restore-name",
                        label: "Name of the new project",
                        value: new_name,
                        required: true,
                        error: name_problem.clone(),
                    }
                }
                if let Some(count) = backup.object_count {
                    label { class: "check",
                        input {
                            class: "box",
                            r#type: "checkbox",
                            checked: objects(),
                            onchange: move |event| objects.set(event.checked()),
                        }
                        "Restore the "
                        {text::count(count, "object", "objects")}
                        " in the backup"
                    }
                }
                if backup.encrypted {
                    IdentityField { value: identity }
                }
                if let Some(unread) = unread {
                    FormError { text: "Not all projects could be loaded. {unread}" }
                }
                if let Some(failure) = failure() {
                    FormError { text: failure }
                }
            }
        }
    }
}

async fn create_project(name: String) -> Result<CreatedProject, Failure> {
    let created = remote::send(Method::Post, "/projects", &CreateProject { name }).await;
    remote::forget("/projects");
    remote::forget("/overview");
    created
}
