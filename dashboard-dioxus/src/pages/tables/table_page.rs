//! One table: its name, its size and its tabs.

use std::rc::Rc;

use api_types::{TableDetail, TableKind};
use dioxus::prelude::*;

use super::{
    access::Access,
    counted::Counted,
    list::estimate,
    rows::LostChanges,
    structure::Structure,
    view_as::{self, Choice, ViewedRows},
};
use crate::{
    address,
    remote::{RemoteState, use_remote},
    text,
    ui::{Empty, ErrorBox, Link, LoadingTable, TabLink, TabLinks},
};

/// The details of a table, shared between components.
#[derive(Debug, Clone)]
pub(super) struct Shared(pub(super) Rc<TableDetail>);

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl std::ops::Deref for Shared {
    type Target = TableDetail;

    fn deref(&self) -> &TableDetail {
        &self.0
    }
}

/// Returns the path of a table's details in the admin API.
pub(super) fn detail_path(project: &str, table: &str) -> String {
    address::with_parameters(&format!("/projects/{project}/table"), &[("name", Some(table))])
}

/// Returns the path of a part of a table: `rows`, `cell`, `changes` or `exposure`.
pub(super) fn table_path(project: &str, table: &str, part: &str, parameters: &[(&str, Option<&str>)]) -> String {
    // Browsers remove these segments from a path, even if they are encoded.
    if matches!(table, "." | "..") {
        let with_name: Vec<_> = [("name", Some(table))].into_iter().chain(parameters.iter().copied()).collect();
        return address::with_parameters(&format!("/projects/{project}/table/{part}"), &with_name);
    }
    let name = String::from(js_sys::encode_uri_component(table));
    address::with_parameters(&format!("/projects/{project}/tables/{name}/{part}"), parameters)
}

/// Returns the address of a table in the dashboard.
pub(super) fn table_address(project: &str, table: &str) -> String {
    address::with_parameters(&format!("/projects/{project}/tables"), &[("table", Some(table))])
}

#[component]
pub(super) fn TablePage(project: ReadSignal<String>, table: ReadSignal<String>) -> Element {
    let tab = address::use_parameter("tab").unwrap_or_default();
    let mut detail = use_remote::<TableDetail>(use_memo(move || detail_path(&project.read(), &table.read())).into());
    let known = detail.value().map(|detail| Shared(Rc::new(detail)));
    let viewer = view_as::use_viewer();
    let counted = use_context::<Counted>().get(&project.read(), &table.read());
    // The number of rows is that of all rows, not of those that a viewer can read.
    let facts = known.as_ref().filter(|_| viewer.is_none()).map(|detail| facts(detail, counted)).unwrap_or_default();
    let shows_rows = known.is_some() && !matches!(tab.as_str(), "structure" | "access");
    let content = match (detail.state(), known) {
        (RemoteState::Failed(failure), _) if failure.is_not_found() => rsx! {
            Empty { title: "This table does not exist", text: "It was dropped or renamed, or the address is wrong.",
                Link { to: "/projects/{project}/tables", class: "btn", "All tables" }
            }
            LostChanges { project, table }
        },
        (RemoteState::Failed(failure), _) => rsx! {
            ErrorBox { what: "The table could not be loaded.", failure, on_retry: move |()| detail.refresh() }
        },
        (_, None) => rsx! { LoadingTable { name: "Rows of {table}", columns: 6 } },
        (_, Some(detail)) => match tab.as_str() {
            "structure" => rsx! { Structure { project, detail } },
            "access" => rsx! { Access { project, detail } },
            _ => rsx! { ViewedRows { project, table, detail } },
        },
    };
    rsx! {
        div { class: "head table-head",
            div { class: "row items-baseline",
                h1 { id: "h1", class: "cut", "{table}" }
                span { class: "label muted", "{facts}" }
            }
            if shows_rows {
                Choice { project, viewer: viewer.clone().unwrap_or_default() }
            }
        }
        TabLinks {
            name: "Table",
            page: table_address(&project.read(), &table.read()),
            tabs: [("rows", "Rows"), ("structure", "Structure"), ("access", "Access")]
                .map(|(name, label)| TabLink::new(name, label))
                .to_vec(),
            selected: if tab.is_empty() { "rows".to_owned() } else { tab },
        }
        {content}
    }
}

/// Returns the kind, the number of rows and the size of a table. `counted` is the exact number of rows.
fn facts(detail: &TableDetail, counted: Option<i64>) -> String {
    let kind = match detail.kind {
        TableKind::Table => None,
        TableKind::View => Some("view"),
        TableKind::MaterializedView => Some("materialized view"),
        TableKind::ForeignTable => Some("foreign table"),
    };
    let number = counted.map(text::number).or_else(|| detail.estimated_rows.map(estimate));
    let in_words = |rows: String| if rows == "1" { "1 row".to_owned() } else { format!("{rows} rows") };
    let rows = number.filter(|_| detail.kind != TableKind::View).map(in_words);
    let size = (detail.total_bytes > 0).then(|| text::bytes(detail.total_bytes));
    let parts: Vec<String> = kind.map(str::to_owned).into_iter().chain(rows).chain(size).collect();
    parts.join(" · ")
}
