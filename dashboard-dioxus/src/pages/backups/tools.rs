//! `/projects/<id>/database`: the tools for a project's database, one tab each.

use api_types::Project;
use dioxus::prelude::*;

use super::{
    Live, ProtectionPart, UnreportedFailures,
    acts::{BackUp, WithObjects},
    list::BackupList,
    sheet::BackupSheet,
    use_live,
};
use crate::{
    address,
    frame::page::Page,
    pages::{
        exports::{self, ExportsHeadButton, ExportsPart},
        imports::{self, ImportsPart},
        restore::{RestorePart, UploadArchive},
    },
    remote::{RemoteState, use_remote},
    ui::{Empty, ErrorBox, Link, TabLink, TabLinks},
};

/// The tabs: name in the address, label, and the parameter of the address for the item that is open on the tab.
const TABS: [(&str, &str, &str); 4] = [
    ("backups", "Backups", "backup"),
    ("restore", "Restore", "restore"),
    ("import", "Import", imports::PARAMETER),
    ("export", "Export", exports::PARAMETER),
];

/// Returns the name of the tab that the address selects.
fn use_tab() -> &'static str {
    let tab = address::use_parameter("tab");
    let is_named = |(name, ..): &&(&str, &str, &str)| tab.as_deref() == Some(*name);
    let is_open = |(.., parameter): &&(&str, &str, &str)| address::parameter(parameter).is_some();
    TABS.iter().find(is_named).or_else(|| TABS.iter().find(is_open)).map_or("backups", |(name, ..)| name)
}

#[component]
pub fn DatabaseTools(id: ReadSignal<String>) -> Element {
    let tab = use_tab();
    let live = use_live();
    let mut project = use_remote::<Project>(use_memo(move || format!("/projects/{id}")).into());
    let name = project.value().map(|project| project.name);
    let without_project = match project.state() {
        RemoteState::Failed(failure) if failure.is_not_found() => rsx! {
            Empty { title: "No such project", text: "It was deleted, or the address is wrong.",
                Link { to: "/projects", class: "btn", "All projects" }
            }
        },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "The project could not be loaded.", failure, on_retry: move |()| project.refresh() }
        },
        RemoteState::Loading | RemoteState::Ready(_) => rsx! {},
    };
    rsx! {
        Page {
            title: "Database tools",
            class: "backup-page with-tabs",
            acts: rsx! {
                match (tab, &name) {
                    ("backups", Some(name)) => rsx! {
                        WithObjects { live }
                        BackUp {
                            live,
                            target: "project:{id}",
                            label: "Back up {name} now",
                            name: name.clone(),
                            creates: true,
                        }
                    },
                    ("restore", Some(_)) => rsx! { UploadArchive { project: id() } },
                    ("export", Some(_)) => rsx! { ExportsHeadButton { project: id() } },
                    _ => rsx! {},
                }
            },
            TabLinks {
                name: "Database tools",
                selected: tab,
                page: "/projects/{id}/database",
                tabs: TABS.map(|(name, label, _)| TabLink::new(name, label)).to_vec(),
            }
            // Dioxus compares keys only in lists, so this is a list of one element: another project must create new
            // components.
            for project in [id()] {
                match (tab, name.clone()) {
                    ("restore", Some(name)) => rsx! { RestorePart { key: "{project}", project, name } },
                    ("import", Some(_)) => rsx! { ImportsPart { key: "{project}", project } },
                    ("export", Some(name)) => rsx! { ExportsPart { key: "{project}", project, name } },
                    ("backups", _) => rsx! { BackupsPart { key: "{project}", live, project } },
                    _ => without_project.clone(),
                }
            }
        }
    }
}

#[component]
fn BackupsPart(live: Live, project: String) -> Element {
    let target = format!("project:{project}");
    rsx! {
        UnreportedFailures {}
        div { class: "bleed-head first", h2 { "Protection" } }
        ProtectionPart { live, target: target.clone() }
        div { class: "bleed-head",
            h2 { "Backups" }
            span { class: "push", UploadArchive { project } }
        }
        BackupList { live, target, is_fixed: true }
        BackupSheet { live }
    }
}
