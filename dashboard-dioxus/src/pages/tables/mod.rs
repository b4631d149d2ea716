//! `/projects/<id>/tables`: the tables of a project, their rows, structure and access.
//!
//! [`list`] is the list beside the page. The tabs of an open table are [`rows`], [`structure`] and [`access`];
//! [`new_table`] creates one. The address has all choices; [`rows::query`] reads those for rows.

mod access;
mod list;
mod new_table;
mod rows;
mod structure;
mod sql_link;
mod table_page;

use api_types::{Page as ApiPage, Project, TableSummary};
use dioxus::prelude::*;

use crate::{
    address,
    frame::page::Page,
    remote::{RemoteState, use_remote},
    ui::{Empty, ErrorBox, Icon, IconName, Link, LoadingTable},
};
use list::TableList;
use new_table::NewTable;
use table_page::TablePage;

#[component]
pub fn Tables(id: ReadSignal<String>) -> Element {
    let table = address::use_parameter("table");
    let mut creating = use_signal(|| false);
    let project = use_remote::<Project>(use_memo(move || format!("/projects/{id}")).into());
    let project_name = project.value().map(|project| project.name).unwrap_or_default();
    let title = table.clone().unwrap_or_else(|| "Tables".to_owned());
    let side_class = if table.is_some() { "side only-wide" } else { "side" };
    rsx! {
        Page { title, own_head: true, class: "main-split",
            div { class: "split",
                aside { class: side_class,
                    TableList { project: id, project_name, open: table.clone(), on_new: move |()| creating.set(true) }
                }
                div { class: "pane",
                    match table {
                        Some(table) => rsx! { TablePage { key: "{table}", project: id, table } },
                        None => rsx! { NoTable { project: id, on_new: move |()| creating.set(true) } },
                    }
                }
            }
            if creating() {
                NewTable { project: id(), on_close: move |()| creating.set(false) }
            }
        }
    }
}

/// What the page shows while no table is open.
#[component]
fn NoTable(project: ReadSignal<String>, on_new: EventHandler<()>) -> Element {
    let mut tables = use_remote::<ApiPage<TableSummary>>(
        use_memo(move || format!("/projects/{project}/tables?fields=summary&limit=1000")).into(),
    );
    rsx! {
        div { class: "head",
            div { h1 { id: "h1", "Tables" } }
        }
        match tables.state() {
            RemoteState::Loading => rsx! { LoadingTable { name: "Tables", columns: 3 } },
            RemoteState::Failed(failure) => rsx! {
                ErrorBox { what: "Tables could not be listed.", failure, on_retry: move |()| tables.refresh() }
            },
            RemoteState::Ready(page) if page.items.is_empty() => rsx! {
                Empty { title: "No tables yet", text: "A table has a REST address as soon as it exists.",
                    button { class: "btn btn-primary", r#type: "button", "data-create": "true", onclick: move |_| on_new.call(()),
                        Icon { name: IconName::Plus }
                        "New table"
                    }
                    Link { to: "/projects/{project}/sql", class: "link", "Open SQL" }
                }
            },
            RemoteState::Ready(_) => rsx! {
                div { class: "section only-wide", p { class: "muted", "Choose a table, or create one." } }
            },
        }
    }
}
