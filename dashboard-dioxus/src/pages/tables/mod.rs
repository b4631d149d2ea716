//! `/projects/<id>/tables`: the tables of a project, their rows, structure and access.
//!
//! [`list`] is the list beside the page. The tabs of an open table are [`rows`], [`structure`] and [`access`].
//! [`view_as`] shows the rows as another caller. [`api_reference`] is the dialog with the requests for a table,
//! [`new_table`] is the form for a new table, and [`new_column`] for another column. [`column_menu`] writes SQL that
//! changes a column. [`counted`] contains the exact numbers of rows, which replace estimates, and [`focus`] moves the
//! focus to the grid. The address contains the state of the page: [`rows::query`] reads the filters, the order and the
//! page of rows from it, and the parameter `new` names the open form.

mod access;
mod api_reference;
mod column_menu;
mod counted;
mod focus;
mod list;
mod new_column;
mod new_table;
mod rows;
mod sql_link;
mod structure;
mod table_page;
mod view_as;

use api_types::{Page as ApiPage, Project, TableSummary};
use dioxus::prelude::*;

use crate::{
    address,
    frame::page::Page,
    remote::{RemoteState, use_remote},
    ui::{Empty, ErrorBox, Icon, IconName, Link, LoadingTable},
};
use counted::use_counted_provider;
use list::TableList;
use new_table::NewTable;
use table_page::TablePage;

#[component]
pub fn Tables(id: ReadSignal<String>) -> Element {
    use_counted_provider();
    let table = address::use_parameter("table");
    let is_creating = address::parameter("new").as_deref() == Some("table");
    let on_new = |()| address::push_parameters(&[("new", vec!["table".to_owned()])]);
    let project = use_remote::<Project>(use_memo(move || format!("/projects/{id}")).into());
    let project_name = project.value().map(|project| project.name).unwrap_or_default();
    let title = table.clone().unwrap_or_else(|| "Tables".to_owned());
    let side_class = if table.is_some() { "side only-wide" } else { "side" };
    rsx! {
        Page { title, own_head: true, class: "main-split",
            div { class: "split",
                aside { class: side_class,
                    // Dioxus compares keys only in lists, so this is a list of one element: another project must create
                    // a new component.
                    for project_name in [project_name] {
                        TableList { key: "{id}", project: id, project_name, open: table.clone(), on_new }
                    }
                }
                div { class: "pane",
                    match table {
                        // The key resets the tabs when another table is opened. Dioxus compares keys only in lists, so
                        // this is a list of one element.
                        Some(table) => rsx! {
                            for table in [table] {
                                TablePage { key: "{id}/{table}", project: id, table }
                            }
                        },
                        None => rsx! { NoTable { project: id, on_new } },
                    }
                }
            }
            if is_creating {
                for project in [id()] {
                    NewTable { key: "{project}", project, on_close: |()| address::replace_parameter("new", None) }
                }
            }
        }
    }
}

/// The content of the page while no table is open.
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
                ErrorBox { what: "Tables could not be loaded.", failure, on_retry: move |()| tables.refresh() }
            },
            RemoteState::Ready(page) if page.items.is_empty() => rsx! {
                Empty {
                    title: "No tables yet",
                    text: "Create one in a form, which can read the columns from a CSV file, or with SQL. Servers with \
                           the secret key can use it at once.",
                    help: "tables",
                    button {
                        class: "btn btn-primary", r#type: "button", "data-create": "true",
                        onclick: move |_| on_new.call(()),
                        Icon { name: IconName::Plus }
                        "New table"
                    }
                    Link { to: "/projects/{project}/sql", class: "link", "Open SQL" }
                }
            },
            RemoteState::Ready(_) => rsx! {
                div { class: "only-wide",
                    Empty {
                        title: "No table is open",
                        text: "Choose one on the left to see its rows, structure and access.",
                    }
                }
            },
        }
    }
}
