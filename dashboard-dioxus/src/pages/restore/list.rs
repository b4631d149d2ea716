//! The restores of a project, with the buttons to roll back and to remove the kept database.

use api_types::{ConfirmRestore, Page as ApiPage, Restore, RunStarted};
use dioxus::prelude::*;

use super::{
    restore_address,
    words::{can_roll_back, content_in_words, removal_address, source_in_words, state_of, tables_of},
};
use crate::{
    address,
    pages::run_message::{self, Work},
    remote::{self, Method, RemoteState, use_remote},
    text,
    ui::{Confirm, ErrorBox, Link, LoadingTable, Mark, messages, narrow::use_is_narrow},
};

#[component]
pub(super) fn RestoreList(project: String, name: String) -> Element {
    let path = address::with_parameters("/restores", &[("projectId", Some(&project)), ("limit", Some("20"))]);
    let mut restores = use_remote::<ApiPage<Restore>>(use_signal(|| path).into());
    let is_narrow = use_is_narrow();
    match restores.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Restores", columns: 5 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Restores could not be loaded.", failure, on_retry: move |()| restores.refresh() }
        },
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {
            p { class: "section muted",
                "No restores yet. Choose “Restore…” in the menu of "
                Link { to: "/projects/{project}/database?tab=backups", class: "link", "a backup of this project" }
                ", or upload an archive that pg_dump created with "
                code { class: "whitespace-nowrap", "--format=custom" }
                "."
            }
        },
        RemoteState::Ready(page) if is_narrow => rsx! {
            ul { class: "cards", "aria-label": "Restores",
                for restore in page.items {
                    RestoreCard { key: "{restore.id}", project: project.clone(), name: name.clone(), restore }
                }
            }
        },
        RemoteState::Ready(page) => rsx! {
            table { class: "table", "aria-label": "Restores",
                thead {
                    tr {
                        th { "Planned" }
                        th { class: "hide-800", "From" }
                        th { "Content" }
                        th { "State" }
                        th { class: "hide-800", "Kept database" }
                        th { class: "acts", span { class: "sr", "Actions" } }
                    }
                }
                tbody {
                    for restore in page.items {
                        RestoreRow { key: "{restore.id}", project: project.clone(), name: name.clone(), restore }
                    }
                }
            }
        },
    }
}

#[component]
fn RestoreRow(project: String, name: String, restore: Restore) -> Element {
    let (shape, state) = state_of(restore.state);
    let to = restore_address(&project, &restore.id);
    rsx! {
        tr {
            td { class: "name", title: text::exact(restore.created_at),
                Link { to, class: "link", "{text::short_date_and_time(restore.created_at)}" }
            }
            td { class: "hide-800", "{source_in_words(&restore.source)}" }
            td { "{content_in_words(&tables_of(&restore.plan))}" }
            td { span { class: "badge", title: restore.error_text.clone(), Mark { shape } "{state}" } }
            td { class: "mono muted hide-800", {restore.previous_database.clone().unwrap_or_default()} }
            td { class: "acts", KeptActs { project, name, restore: restore.clone() } }
        }
    }
}

#[component]
fn RestoreCard(project: String, name: String, restore: Restore) -> Element {
    let (shape, state) = state_of(restore.state);
    let to = restore_address(&project, &restore.id);
    rsx! {
        li { class: "card",
            h3 { Link { to, class: "grow", "{text::short_date_and_time(restore.created_at)}" } }
            p { "{source_in_words(&restore.source)} · {content_in_words(&tables_of(&restore.plan))}" }
            p { span { class: "badge", Mark { shape } "{state}" } }
            if restore.previous_database.is_some() {
                div { class: "row wrap", KeptActs { project, name, restore } }
            }
        }
    }
}

/// The buttons for the database that a restore keeps.
#[component]
fn KeptActs(project: String, name: String, restore: Restore) -> Element {
    let refresh = move |()| {
        remote::forget("/restores");
        remote::forget(&format!("/projects/{project}"));
    };
    rsx! {
        if restore.previous_database.is_some() {
            if can_roll_back(&restore) {
                RollBack { restore: restore.clone(), name, is_small: true, on_done: refresh.clone() }
            }
            RemoveKept { restore: restore.clone(), is_small: true, on_done: refresh }
        }
    }
}

/// The button that swaps the previous database back in.
#[component]
pub(super) fn RollBack(
    restore: Restore,
    name: String,
    #[props(default)] is_small: bool,
    on_done: EventHandler<()>,
) -> Element {
    let mut asking = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let path = format!("/restores/{}/rollback", restore.id);
    let confirmed = name.clone();
    rsx! {
        button {
            class: if is_small { "btn btn-ghost btn-s" } else { "btn" },
            r#type: "button",
            onclick: move |_| asking.set(true),
            "Roll back"
        }
        if asking() {
            Confirm {
                act: "Roll back",
                description: "{name} returns to the database that it had before the restore. Changes made since then \
                              stay in the restored database, which is kept.",
                typed: name.clone(),
                busy: busy(),
                closable: !busy(),
                failure: failure(),
                on_confirm: move |()| {
                    let path = path.clone();
                    let request =
                        ConfirmRestore { confirm: confirmed.clone(), identity: None, skip_failed_objects: false };
                    spawn(async move {
                        busy.set(true);
                        match remote::send::<_, RunStarted>(Method::Post, &path, &request).await {
                            Ok(started) => {
                                run_message::follow(started.run_id, Work::rollback(&request.confirm));
                                asking.set(false);
                                remote::forget("/runs");
                                on_done.call(());
                            }
                            Err(refused) => failure.set(Some(refused.message())),
                        }
                        busy.set(false);
                    });
                },
                on_close: move |()| asking.set(false),
            }
        }
    }
}

/// The button that removes the kept database for good.
#[component]
pub(super) fn RemoveKept(restore: Restore, #[props(default)] is_small: bool, on_done: EventHandler<()>) -> Element {
    let mut asking = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let mut busy = use_signal(|| false);
    let path = removal_address(&restore);
    let kept = restore.previous_database.clone().unwrap_or_default();
    let lost = if can_roll_back(&restore) {
        "After that, the restore can't be rolled back."
    } else {
        "This is the restored database: its data is lost."
    };
    rsx! {
        button {
            class: if is_small { "btn btn-ghost btn-s" } else { "btn" },
            r#type: "button",
            onclick: move |_| asking.set(true),
            "Remove kept database"
        }
        if asking() {
            Confirm {
                act: "Remove kept database",
                description: "{kept} will be permanently dropped. {lost}",
                busy: busy(),
                closable: !busy(),
                failure: failure(),
                on_confirm: move |()| {
                    let path = path.clone();
                    spawn(async move {
                        busy.set(true);
                        match remote::delete(&path).await {
                            Ok(()) => {
                                messages::show("Kept database removed");
                                asking.set(false);
                                on_done.call(());
                            }
                            Err(refused) => failure.set(Some(refused.message())),
                        }
                        busy.set(false);
                    });
                },
                on_close: move |()| asking.set(false),
            }
        }
    }
}
