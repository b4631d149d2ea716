//! The buttons that show the table's API, export the table, and import a file into it.

use api_types::TableKind;
use dioxus::prelude::*;

use super::{
    View,
    query::{RowQuery, default_order},
    selection::{selection_in_words, shown_source},
};
use crate::{
    address,
    pages::{
        exports::{self, Choice, ExportDialog, whole_table},
        imports,
        tables::api_reference::ApiReference,
    },
    ui::{Icon, IconName, Link, Menu, MenuItem, narrow::use_is_narrow},
};

/// The buttons, which are entries of a menu on a phone.
#[component]
pub(super) fn TransferActs(view: View) -> Element {
    let is_table = view.detail.read().kind == TableKind::Table;
    let import = imports::new_address(&view.project.read(), Some(&view.table.read()));
    let open = address::use_parameter(exports::PARAMETER);
    let mut is_api_open = use_signal(|| false);
    rsx! {
        if use_is_narrow() {
            Menu { name: "Actions for {view.table}", icon: IconName::Dots,
                MenuItem { icon: Some(IconName::Plug), onselect: move |()| is_api_open.set(true), "API…" }
                MenuItem { icon: Some(IconName::Download), onselect: |()| open_export(), "Export…" }
                if is_table {
                    MenuItem { icon: Some(IconName::Upload), onselect: move |()| address::go(&import), "Import…" }
                }
            }
        } else {
            button {
                class: "btn btn-ghost",
                r#type: "button",
                "aria-haspopup": "dialog",
                onclick: move |_| is_api_open.set(true),
                Icon { name: IconName::Plug }
                "API"
            }
            button { class: "btn btn-ghost", r#type: "button", "aria-haspopup": "dialog", onclick: |_| open_export(),
                Icon { name: IconName::Download }
                "Export"
            }
            if is_table {
                Link { to: import, class: "btn btn-ghost",
                    Icon { name: IconName::Upload }
                    "Import…"
                }
            }
        }
        if let Some(open) = open {
            ExportTable { view, open }
        }
        if is_api_open() {
            ApiReference {
                project: view.project.read().clone(),
                detail: view.detail.read().clone(),
                on_close: move |()| is_api_open.set(false),
            }
        }
    }
}

fn open_export() {
    address::push_parameter(exports::PARAMETER, Some(exports::NEW));
}

#[component]
fn ExportTable(view: View, open: String) -> Element {
    let (project, table) = (view.project.read().clone(), view.table.read().clone());
    let rows = RowQuery::current();
    let chosen = address::parameters("columns");
    let names = view.detail.read().columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    let columns: Vec<String> = names.into_iter().filter(|name| chosen.contains(name)).collect();
    let mut choices = vec![Choice {
        label: "All rows".to_owned(),
        help: "The whole table, including rows that policies hide.".to_owned(),
        source: whole_table(project.clone(), table.clone()),
    }];
    let default_order = default_order(&view.detail.read());
    if let Some(source) = shown_source(&project, &table, &rows, default_order, &columns) {
        let label = if rows.filters.is_empty() { "All rows as shown" } else { "Rows that match the filter" };
        // The rows that the page shows are the first choice.
        choices.insert(0, Choice { label: label.to_owned(), help: selection_in_words(&rows, &columns), source });
    }
    rsx! {
        ExportDialog {
            title: "Export {table}",
            choices,
            started: (open != exports::NEW).then_some(open),
            on_started: |export: String| address::replace_parameter(exports::PARAMETER, Some(&export)),
            on_close: |()| address::replace_parameter(exports::PARAMETER, None),
        }
    }
}
