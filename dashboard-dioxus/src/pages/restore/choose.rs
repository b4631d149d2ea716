//! The dialog "Restore…" of a backup, which asks for the project to restore into.

use api_types::{Backup, ListedProject, Page as ApiPage, PlanBackupRestore, Restore};
use dioxus::prelude::*;

use super::{
    identity::{IdentityField, identity_of},
    restore_address,
};
use crate::{
    address,
    remote::{self, Method, RemoteState, use_remote},
    text,
    ui::{Dialog, FormError},
};

/// The dialog that asks for the project, and opens the plan. Nothing is changed before the plan is confirmed.
#[component]
pub fn ChooseProject(backup: Backup, name: String, on_close: EventHandler<()>) -> Element {
    let own = backup.target.strip_prefix("project:").unwrap_or_default().to_owned();
    let mut chosen = use_signal(|| own.clone());
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let identity = use_signal(String::new);
    let mut objects = use_signal(|| true);
    let projects = use_remote::<ApiPage<ListedProject>>(use_signal(|| "/projects?limit=200".to_owned()).into());
    let items = match projects.state() {
        RemoteState::Ready(page) => page.items,
        _ => Vec::new(),
    };
    // The backup's own project may have been deleted.
    let is_known = items.iter().any(|item| item.project.id == chosen());
    let path = format!("/backups/{}/restore", backup.id);
    let plan = move |event: FormEvent| {
        event.prevent_default();
        if busy() || !is_known {
            return;
        }
        let path = path.clone();
        spawn(async move {
            busy.set(true);
            failure.set(None);
            let project_id = chosen();
            let request = PlanBackupRestore {
                project_id: project_id.clone(),
                identity: identity_of(&identity.peek()),
                objects: *objects.peek(),
            };
            match remote::send::<_, Restore>(Method::Post, &path, &request).await {
                Ok(restore) => {
                    remote::forget("/restores");
                    on_close.call(());
                    address::go(&restore_address(&project_id, &restore.id));
                }
                Err(refused) => failure.set(Some(refused.message())),
            }
            busy.set(false);
        });
    };
    let made = text::short_date_and_time(backup.created_at);
    rsx! {
        Dialog {
            title: "Restore a backup of {name}",
            description: "The backup from {made}. You see a plan first; nothing changes until you confirm it.",
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button { class: "btn btn-l", r#type: "button", onclick: move |_| on_close.call(()), "Cancel" }
                button {
                    class: "btn btn-primary btn-l", r#type: "submit", form: "choose-project",
                    disabled: busy() || !is_known,
                    "Show plan"
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
                        for item in items {
                            option {
                                key: "{item.project.id}",
                                value: "{item.project.id}",
                                selected: item.project.id == chosen(),
                                "{item.project.name}"
                            }
                        }
                    }
                    p { class: "help", "The project's whole database is replaced. Its keys and jobs stay." }
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
                if let Some(failure) = failure() {
                    FormError { text: failure }
                }
            }
        }
    }
}
