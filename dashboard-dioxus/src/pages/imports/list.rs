//! The imports of a project.

use api_types::{Import, ImportState, Page as ApiPage};
use dioxus::prelude::*;

use super::{
    PARAMETER, draft, import_address, upload,
    words::{file_name, refused, state_of, written},
};
use crate::{
    address,
    pages::refresh::use_refresh,
    remote::{RemoteState, use_remote},
    text,
    ui::{Confirm, ErrorBox, IconName, Link, LoadingTable, Mark, Menu, MenuItem, messages, narrow::use_is_narrow},
};

#[component]
pub(super) fn ImportList(project: String) -> Element {
    let path = address::with_parameters("/imports", &[("projectId", Some(&project)), ("limit", Some("50"))]);
    let mut imports = use_remote::<ApiPage<Import>>(use_signal(|| path).into());
    let items = imports.value().map(|page| page.items).unwrap_or_default();
    use_refresh("/imports", items.iter().any(|import| import.state == ImportState::Running));
    let is_narrow = use_is_narrow();
    match imports.state() {
        RemoteState::Loading => rsx! { LoadingTable { name: "Imports", columns: 6 } },
        RemoteState::Failed(failure) => rsx! {
            ErrorBox { what: "Imports could not be loaded.", failure, on_retry: move |()| imports.refresh() }
        },
        // The form above the list says how to begin.
        RemoteState::Ready(page) if page.items.is_empty() => rsx! {},
        RemoteState::Ready(page) => rsx! {
            div { class: "bleed-head", h2 { "Imports" } }
            if is_narrow {
                ul { class: "cards", "aria-label": "Imports",
                    for import in page.items {
                        ImportCard { key: "{import.id}", project: project.clone(), import }
                    }
                }
            } else {
                table { class: "table", "aria-label": "Imports",
                    thead {
                        tr {
                            th { "File" }
                            th { "Table" }
                            th { "State" }
                            th { class: "num", "Imported" }
                            th { class: "num", "Refused" }
                            th { class: "num hide-800", "Size" }
                            th { class: "num hide-800", "Uploaded" }
                            th { class: "acts", span { class: "sr", "Actions" } }
                        }
                    }
                    tbody {
                        for import in page.items {
                            ImportRow { key: "{import.id}", project: project.clone(), import }
                        }
                    }
                }
            }
        },
    }
}

#[component]
fn ImportRow(project: String, import: Import) -> Element {
    let (shape, state) = state_of(&import);
    let is_open = address::use_parameter(PARAMETER).as_ref() == Some(&import.id);
    let number = |number: i64| if import.finished_at.is_some() { text::number(number) } else { "–".to_owned() };
    let imported = if import.dry_run { "–".to_owned() } else { number(written(&import)) };
    rsx! {
        tr { "aria-selected": is_open.to_string(),
            td { class: "name", Link { to: import_address(&project, &import.id), "{file_name(&import)}" } }
            td { class: "mono", "{import.table}" }
            td { span { class: "badge", title: import.error_text.clone(), Mark { shape } "{state}" } }
            td { class: "num", "{imported}" }
            td { class: "num", {number(refused(&import))} }
            td { class: "num hide-800", {text::bytes(import.size_bytes)} }
            td { class: "num hide-800", title: text::exact(import.created_at),
                {text::short_date_and_time(import.created_at)}
            }
            td { class: "acts", ImportMenu { import: import.clone() } }
        }
    }
}

#[component]
fn ImportCard(project: String, import: Import) -> Element {
    let (shape, state) = state_of(&import);
    let created = text::short_date_and_time(import.created_at);
    rsx! {
        li { class: "card",
            h3 {
                span { class: "grow cut", Link { to: import_address(&project, &import.id), "{file_name(&import)}" } }
                ImportMenu { import: import.clone() }
            }
            p { "Into {import.table} · {text::bytes(import.size_bytes)} · {created}" }
            p { span { class: "badge", Mark { shape } "{state}" } }
        }
    }
}

#[component]
fn ImportMenu(import: Import) -> Element {
    let run = import.run_id.clone();
    let mut deleting = use_signal(|| None::<Import>);
    let to_delete = import.clone();
    rsx! {
        Menu { name: "Actions for {file_name(&import)}", icon: IconName::Dots, class: "btn-s",
            if let Some(run) = run {
                MenuItem {
                    icon: Some(IconName::List),
                    onselect: move |()| address::go(&format!("/runs/{run}")),
                    "Open run"
                }
                hr {}
            }
            MenuItem {
                icon: Some(IconName::Trash),
                danger: true,
                onselect: move |()| deleting.set(Some(to_delete.clone())),
                "Delete import"
            }
        }
        if let Some(import) = deleting() {
            DeleteImport { import, on_close: move |()| deleting.set(None) }
        }
    }
}

/// Asks whether to delete an import with its file.
#[component]
fn DeleteImport(import: Import, on_close: EventHandler<()>) -> Element {
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let name = file_name(&import);
    let description = match import.state {
        ImportState::Running => format!("The import is cancelled, and {name} is deleted from the server."),
        _ => format!("{name} is deleted from the server. Rows that were imported stay."),
    };
    rsx! {
        Confirm {
            act: "Delete import",
            description,
            busy: busy(),
            closable: !busy(),
            failure: failure(),
            on_close: move |()| on_close.call(()),
            on_confirm: move |()| {
                let id = import.id.clone();
                spawn(async move {
                    busy.set(true);
                    match upload::cancel(&id).await {
                        Ok(()) => {
                            draft::forget(&id);
                            messages::show("Import deleted. Rows that were imported stay.");
                            if address::parameter(PARAMETER).as_ref() == Some(&id) {
                                address::replace_parameter(PARAMETER, None);
                            }
                            on_close.call(());
                        }
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
        }
    }
}
