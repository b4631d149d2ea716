//! The buttons that export the table, and that import a file into it.

use api_types::{ExportSource, TableKind};
use dioxus::prelude::*;

use super::{
    View,
    query::{Filter, RowQuery},
    selection::query_of,
};
use crate::{
    address,
    pages::exports::{self, Choice, ExportDialog},
    pages::imports,
    ui::{Icon, IconName, Link, Menu, MenuItem, narrow::use_is_narrow},
};

/// The buttons, which are entries of a menu on a phone.
#[component]
pub(super) fn TransferActs(view: View) -> Element {
    let is_table = view.detail.read().kind == TableKind::Table;
    let import = imports::new_address(&view.project.read(), Some(&view.table.read()));
    let open = address::use_parameter(exports::PARAMETER);
    rsx! {
        if use_is_narrow() {
            Menu { name: "Actions for {view.table}", icon: IconName::Dots,
                MenuItem { icon: Some(IconName::Download), onselect: |()| open_export(), "Export…" }
                if is_table {
                    MenuItem { icon: Some(IconName::Upload), onselect: move |()| address::go(&import), "Import…" }
                }
            }
        } else {
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
    }
}

fn open_export() {
    address::push_parameter(exports::PARAMETER, Some(exports::NEW));
}

#[component]
fn ExportTable(view: View, open: String) -> Element {
    let (project, table) = (view.project.read().clone(), view.table.read().clone());
    let rows = RowQuery::current();
    let selected = query_of(&table, &rows).filter(|_| !rows.filters.is_empty());
    let description = match (&selected, rows.filters.is_empty()) {
        (None, false) => "The server can't export this filter. All rows are exported.",
        _ => "",
    };
    let mut choices = vec![Choice {
        label: "All rows".to_owned(),
        help: "The whole table, including rows that policies hide.".to_owned(),
        source: ExportSource::Table { project_id: project.clone(), table: table.clone() },
    }];
    if let Some(sql) = selected {
        let words: Vec<String> =
            rows.filters.iter().filter_map(|filter| Some(Filter::parse(filter)?.words())).collect();
        // The rows that match the filter are the first choice.
        choices.insert(
            0,
            Choice {
                label: "Rows that match the filter".to_owned(),
                help: format!("{}.", words.join(", ")),
                source: ExportSource::Query { project_id: project, sql },
            },
        );
    }
    rsx! {
        ExportDialog {
            title: "Export {table}",
            description,
            choices,
            started: (open != exports::NEW).then_some(open),
            on_started: |export: String| address::replace_parameter(exports::PARAMETER, Some(&export)),
            on_close: |()| address::replace_parameter(exports::PARAMETER, None),
        }
    }
}
