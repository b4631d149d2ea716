//! One backup beside the list, with its manifest.

use api_types::{Backup, BackupDetail, BackupManifestInfo, BackupState};
use dioxus::prelude::*;

use super::{
    Live,
    acts::{DeleteBackup, download, verify},
    list::BackupBadge,
    verify_encrypted::VerifyEncrypted,
    words::{file_name, goes, kept_because, name_of, objects_in_words},
};
use crate::{
    address,
    pages::restore::{ChooseProject, TableRow, content_in_words, own_tables_first},
    remote::{RemoteState, use_remote},
    text,
    ui::{CopyButton, Empty, ErrorBox, Icon, IconName, Link, Mark, Shape, Sheet},
};

/// The sheet of the backup that the address names. Shows nothing if the address names none.
#[component]
pub(super) fn BackupSheet(live: Live) -> Element {
    match address::use_parameter("backup") {
        // Dioxus compares keys only in lists, so this is a list of one element: another id must create a new component.
        Some(id) => rsx! {
            for id in [id] {
                Opened { key: "{id}", live, id }
            }
        },
        None => rsx! {},
    }
}

fn close() {
    address::push_parameter("backup", None);
}

#[component]
fn Opened(live: Live, id: String) -> Element {
    let path = format!("/backups/{id}");
    let mut detail = use_remote::<BackupDetail>(use_signal(|| path).into());
    let mut deleting = use_signal(|| None);
    let mut asking = use_signal(|| false);
    let mut restoring = use_signal(|| false);
    match detail.state() {
        RemoteState::Loading => rsx! {
            Sheet {
                title: "Backup",
                on_close: |()| close(),
                div { class: "late", "aria-busy": "true", span { class: "sk" } }
            }
        },
        RemoteState::Failed(failure) if failure.is_not_found() => rsx! {
            Sheet { title: "Backup", on_close: |()| close(),
                Empty {
                    title: "This backup is gone",
                    text: "It was deleted or removed by the retention rules, or the address is wrong.",
                    button { class: "btn", r#type: "button", onclick: |_| close(), "Close" }
                }
            }
        },
        RemoteState::Failed(failure) => rsx! {
            Sheet { title: "Backup", on_close: |()| close(),
                ErrorBox { what: "The backup could not be loaded.", failure, on_retry: move |()| detail.refresh() }
            }
        },
        RemoteState::Ready(detail) => {
            let backup = detail.backup.clone();
            let exists = backup.state != BackupState::Missing;
            let is_of_project = backup.target != "platform";
            let (to_download, to_verify, to_delete) = (backup.clone(), backup.clone(), backup.clone());
            rsx! {
                Sheet {
                    title: "Backup of {name_of(&backup)}",
                    on_close: |()| close(),
                    footer: rsx! {
                        if exists {
                            button { class: "btn btn-l", r#type: "button", onclick: move |_| download(&to_download),
                                Icon { name: IconName::Download }
                                "Download"
                            }
                            button {
                                class: "btn btn-l",
                                r#type: "button",
                                "data-act": "true",
                                onclick: move |_| {
                                    if to_verify.encrypted { asking.set(true) } else { verify(live, &to_verify) }
                                },
                                "Verify"
                            }
                        }
                        // The platform's database is restored on the command line, while no server runs.
                        if exists && is_of_project {
                            button {
                                class: "btn btn-l", r#type: "button", onclick: move |_| restoring.set(true), "Restore…"
                            }
                        }
                        button {
                            class: "btn btn-ghost btn-l push",
                            r#type: "button",
                            onclick: move |_| deleting.set(Some(to_delete.clone())),
                            "Delete backup"
                        }
                    },
                    Content { live, detail }
                }
                DeleteBackup { backup: deleting }
                if asking() {
                    VerifyEncrypted { live, backup: backup.clone(), on_close: move |()| asking.set(false) }
                }
                if restoring() {
                    ChooseProject {
                        backup: backup.clone(), name: name_of(&backup), on_close: move |()| restoring.set(false)
                    }
                }
            }
        }
    }
}

#[component]
fn Content(live: Live, detail: BackupDetail) -> Element {
    let backup = detail.backup.clone();
    let restore = restore_line(&backup);
    rsx! {
        dl { class: "dl backup-facts",
            dt { "State" }
            dd { BackupBadge { live, backup: backup.clone() } }
            dt { "Made" }
            dd { title: text::exact(backup.created_at), "{text::day_and_time(backup.created_at)}" }
            dt { "Size" }
            dd { {text::bytes(backup.size_bytes)} }
            if let Some(objects) = objects_in_words(&backup) {
                dt { "Objects" }
                dd { "{objects}" }
            }
            dt { "Kept because" }
            dd { {kept_because(&backup, live.retention_of(&backup.target))} }
            if backup.goes_at.is_some() {
                dt { "Will be removed" }
                dd { {goes(&backup)} }
            }
            if let Some(run) = &backup.run_id {
                dt { "Created by" }
                dd { Link { to: "/runs/{run}", class: "link", "Open run" } }
            }
            dt { "File" }
            dd { class: "mono", {file_name(&backup).to_owned()} }
            if backup.encrypted {
                dt { "Encryption" }
                dd { "age; decrypted with the identity" }
            }
            dt { "SHA-256" }
            dd { class: "row flex-nowrap",
                span { class: "mono cut", title: "{backup.sha256}", "{backup.sha256}" }
                CopyButton { name: "Copy sha256", text: backup.sha256.clone() }
            }
        }
        div { class: "code",
            div { class: "code-head",
                span { class: "grow cut", "Restore it elsewhere" }
                CopyButton { name: "Copy pg_restore line", label: "Copy pg_restore line", text: restore.clone() }
            }
            pre { tabindex: "0", "aria-label": "pg_restore line", "{restore}" }
        }
        if let Some(problem) = &detail.manifest_problem {
            div { class: "banner t-warning", role: "note",
                Mark { shape: Shape::Attention }
                div { strong { "The manifest can't be read" } p { "{problem}" } }
            }
        }
        if let Some(manifest) = detail.manifest {
            Manifest { manifest }
        }
    }
}

/// Returns the command that restores the downloaded dump without AtlasHub.
fn restore_line(backup: &Backup) -> String {
    let (file, options) = (file_name(backup), "--no-owner --no-privileges --dbname \"$DATABASE_URL\"");
    if backup.encrypted {
        format!("age -d -i identity.txt {file} | pg_restore {options}")
    } else {
        format!("pg_restore {options} {file}")
    }
}

#[component]
fn Manifest(manifest: BackupManifestInfo) -> Element {
    let count = |rows| Some(i64::try_from(rows).unwrap_or(i64::MAX));
    let tables = manifest.tables.iter().map(|table| (table.schema.clone(), table.table.clone(), count(table.rows)));
    let tables = own_tables_first(tables.collect());
    rsx! {
        dl { class: "dl backup-facts",
            dt { "Postgres" }
            dd { "{manifest.server_version}" }
            if let Some(version) = &manifest.dump_version {
                dt { "pg_dump" }
                dd { "{version}" }
            }
            if let Some(version) = &manifest.atlashub_version {
                dt { "AtlasHub" }
                dd { "{version}" }
            }
            if let Some(key) = &manifest.master_key_id {
                dt { "Master key" }
                dd { class: "mono", "{key}" }
            }
        }
        div { class: "stack stack-2",
            h3 { "{content_in_words(&tables)}" }
            table { class: "table box-table", "aria-label": "Tables of the backup",
                thead {
                    tr { th { "Table" } th { class: "num", "Rows" } }
                }
                tbody {
                    for table in tables {
                        TableRow { key: "{table.0}.{table.1}", table }
                    }
                }
            }
        }
    }
}
