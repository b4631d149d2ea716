//! The tab "Rows": a grid of one page of rows. Edits are staged: the browser keeps them until the owner saves them.
//!
//! In reading order: [`query`] (the selection of rows in the address), [`data`] (a page of rows), [`staged`] (edits
//! that are not saved), [`save`] (sends these edits), [`grid`] with [`foreign_key`], [`toolbar`] with [`filters`] and
//! [`orders`], [`unsaved`] (the bar of staged edits) with [`problem`], [`paging`], [`deletion`], [`sheet`] (one row as
//! a form), [`cards`] (rows on a phone), and [`transfer`] with [`selection`] (exports and imports).

mod cards;
mod data;
mod deletion;
mod filters;
#[cfg(test)]
mod fixtures;
mod foreign_key;
mod grid;
mod orders;
mod paging;
mod problem;
pub(super) mod query;
mod save;
mod selection;
mod sheet;
mod staged;
mod toolbar;
mod transfer;
mod unsaved;

use std::{collections::BTreeSet, rc::Rc};

use api_types::{TableDetail, TableKind};
use dioxus::prelude::*;

use super::{
    counted::{Counted, is_small},
    sql_link::SqlButton,
    table_page::{Shared, table_path},
    view_as::{self, Refused},
};
use crate::{
    address,
    remote::{self, Failure, connection},
    ui::{Empty, ErrorBox, Icon, IconName, LoadingTable, narrow::use_is_narrow},
    value,
};
use cards::Cards;
use data::{RowKey, RowPage};
use deletion::DeleteRows;
use grid::Grid;
use paging::Paging;
use query::{RowQuery, key_columns};
use save::Saving;
use sheet::{ExistingRow, NewRow, open_new_row};
pub(super) use staged::has_changes;
use toolbar::Toolbar;
pub(super) use unsaved::LostChanges;
use unsaved::Unsaved;

/// The state that the parts of the tab share.
#[derive(Clone, Copy)]
struct View {
    pub(super) project: ReadSignal<String>,
    pub(super) table: ReadSignal<String>,
    /// Names the table in the store of staged edits.
    staged: Memo<String>,
    detail: ReadSignal<Shared>,
    page: Signal<Option<Rc<RowPage>>>,
    failure: Signal<Option<Failure>>,
    loading: Signal<bool>,
    updated_at: Signal<f64>,
    /// Incremented to read the rows again.
    generation: Signal<u32>,
    /// Whether to count rows exactly.
    exact: Signal<bool>,
    /// Keys of the selected rows.
    selected: Signal<BTreeSet<String>>,
    /// Cells whose value was refused.
    wrong: Signal<Vec<WrongCell>>,
    deleting: Signal<Vec<RowKey>>,
    saving: Signal<Saving>,
    /// The filters that the dialog applied last. They become recent filters when their rows have been read.
    applied: Signal<Vec<String>>,
    /// The row that a cell has opened, and the name of the cell's column, whose field gets the focus.
    focused: Signal<Option<(RowKey, String)>>,
}

/// A cell whose value was refused.
#[derive(Debug, Clone, PartialEq)]
struct WrongCell {
    key: RowKey,
    column: String,
    /// The error message.
    why: Rc<str>,
}

impl View {
    fn refresh(mut self) {
        remote::forget(&format!("/projects/{}", self.project.peek()));
        *self.generation.write() += 1;
    }

    /// Returns the path of a part of the table: `rows`, `cell` or `changes`.
    fn path(self, part: &str, parameters: &[(&str, Option<&str>)]) -> String {
        let viewer = view_as::viewer();
        let viewed: Vec<_> = parameters.iter().copied().chain([(view_as::PARAMETER, viewer.as_deref())]).collect();
        table_path(&self.project.peek(), &self.table.peek(), part, &viewed)
    }

    /// Returns the name of the table in the store of recent filters. All viewers of the table share them.
    fn filters_name(self) -> String {
        format!("{}.{}", self.project.peek(), self.table.peek())
    }

    /// Returns the columns of the key, if rows can be changed.
    fn key(self) -> Option<Vec<String>> {
        key_columns(&self.detail.read()).filter(|_| self.detail.read().supports.update)
    }
}

#[component]
pub(super) fn Rows(project: ReadSignal<String>, table: ReadSignal<String>, detail: ReadSignal<Shared>) -> Element {
    let view = use_view(project, table, detail);
    let is_narrow = use_is_narrow();
    let open_row = address::use_parameter("row").filter(|_| view_as::viewer().is_none());
    let is_inserting = address::parameter("new").as_deref() == Some("row") && detail.read().supports.insert;
    let page = view.page.read().clone();
    let failure = view.failure.read().clone();
    let has_filters = !address::use_parameters("where").is_empty();
    let content = match (page, failure) {
        (_, Some(failure)) if view_as::viewer().is_some() => rsx! {
            Refused { project: project(), table: table(), failure, on_retry: move |()| view.refresh() }
        },
        (None, Some(failure)) => rsx! {
            ErrorBox { what: "Rows could not be loaded.", failure, on_retry: move |()| view.refresh() }
        },
        (None, None) => rsx! { LoadingTable { name: "Rows of {table}", columns: 6 } },
        (Some(page), failure) if page.rows.is_empty() && failure.is_none() => rsx! {
            // The headers of the columns.
            if !is_narrow {
                div { class: "grid-of-none", Grid { view, page: PageRef(page) } }
            }
            NoRows { view, has_filters }
        },
        (Some(page), failure) => rsx! {
            if let Some(failure) = failure {
                ErrorBox { what: "Rows could not be loaded.", failure, on_retry: move |()| view.refresh() }
            }
            if is_narrow {
                Cards { view, page: PageRef(page) }
            } else {
                Grid { view, page: PageRef(page) }
            }
        },
    };
    rsx! {
        Toolbar { view }
        ReadOnlyNote { view }
        {content}
        Unsaved { view }
        Paging { view }
        if is_inserting {
            NewRow { view }
        } else if let Some(row) = open_row {
            if let Some(columns) = key_columns(&detail.read())
                && let Some(row_key) = RowKey::from_parameter(&row, &columns)
            {
                // Dioxus compares keys only in lists, so this is a list of one element: another row must not show the
                // edits of this one.
                for row_key in [row_key] {
                    ExistingRow { key: "{row}", view, row_key }
                }
            }
        }
        if !view.deleting.read().is_empty() {
            DeleteRows { view }
        }
    }
}

impl PartialEq for View {
    fn eq(&self, other: &Self) -> bool {
        self.page == other.page && self.detail == other.detail
    }
}

/// A page of rows, compared by identity.
#[derive(Clone)]
struct PageRef(pub(super) Rc<RowPage>);

impl PartialEq for PageRef {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

fn use_view(project: ReadSignal<String>, table: ReadSignal<String>, detail: ReadSignal<Shared>) -> View {
    let view = View {
        project,
        table,
        // Edits of the owner are not part of the rows that another viewer sees.
        staged: use_memo(move || match view_as::viewer() {
            None => format!("{project}.{table}"),
            Some(_) => String::new(),
        }),
        detail,
        page: use_signal(|| None),
        failure: use_signal(|| None),
        loading: use_signal(|| true),
        updated_at: use_signal(|| 0.0),
        generation: use_signal(|| 0),
        exact: use_signal(|| false),
        selected: use_signal(BTreeSet::new),
        wrong: use_signal(Vec::new),
        deleting: use_signal(Vec::new),
        saving: use_signal(Saving::default),
        applied: use_signal(Vec::new),
        focused: use_signal(|| None),
    };
    let _: crate::route::Route = use_route();
    let current = RowQuery::current();
    let mut query = use_signal(|| current.clone());
    if *query.peek() != current {
        query.set(current);
    }
    // Rows that were read before the connection was lost may be out of date.
    let mut was_lost = use_signal(|| false);
    use_effect(move || {
        let is_lost = connection::state() != connection::Connection::Up;
        if *was_lost.peek() && !is_lost {
            let mut generation = view.generation;
            *generation.write() += 1;
        }
        was_lost.set(is_lost);
    });
    // Rows are read again when the table's columns or its key change.
    let shape = use_memo(move || {
        let detail = detail.read();
        (detail.0.columns.clone(), key_columns(&detail))
    });
    let counted = use_context::<Counted>();
    // The selection of rows that `page` contains.
    let mut shown = use_signal(|| None::<RowQuery>);
    // A new read drops the future of the previous one, so that a late response is ignored.
    use_resource(move || {
        let _ = (view.generation.read(), shape.read());
        let query = query.read().clone();
        let detail = detail.peek().0.clone();
        let count = if *view.exact.read() || is_small(&detail) { "exact" } else { "estimated" };
        let path = query.path(view, &detail, count);
        let View { mut page, mut failure, mut loading, mut updated_at, mut selected, mut applied, .. } = view;
        async move {
            loading.set(true);
            match data::read(&path, &detail).await {
                Ok(rows) => {
                    if query.filters.is_empty() && view_as::viewer().is_none() {
                        let total = rows.total.filter(|_| !rows.total_is_estimate);
                        counted.set(&view.project.peek(), &detail.name, total);
                    }
                    // The owner could delete rows that are no longer shown by mistake.
                    let columns = key_columns(&detail).unwrap_or_default();
                    let kept = rows.still_selected(&selected.peek(), &detail, &columns);
                    if *selected.peek() != kept {
                        selected.set(kept);
                    }
                    page.set(Some(Rc::new(rows)));
                    failure.set(None);
                    updated_at.set(js_sys::Date::now());
                    if !query.filters.is_empty() && *applied.peek() == query.filters {
                        filters::remember(&view.filters_name(), &query.filters);
                        applied.set(Vec::new());
                    }
                    shown.set(Some(query));
                }
                Err(refused) => {
                    // The old rows do not match the new filters, and the owner could delete them by mistake.
                    if shown.peek().as_ref() != Some(&query) {
                        page.set(None);
                        selected.set(BTreeSet::new());
                        shown.set(None);
                    }
                    failure.set(Some(refused));
                }
            }
            loading.set(false);
        }
    });
    view
}

/// The content of the tab if there are no rows.
#[component]
fn NoRows(view: View, has_filters: bool) -> Element {
    let can_insert = view.detail.read().supports.insert;
    if RowQuery::current().is_later_page() {
        return rsx! {
            Empty { title: "No rows on this page", text: "Its rows were deleted, or moved to another page.",
                button { class: "btn", r#type: "button", onclick: |_| query::open_first_page(), "First page" }
            }
        };
    }
    if has_filters {
        return rsx! {
            Empty { title: "No row matches", text: "No row meets all conditions.",
                button {
                    class: "btn",
                    r#type: "button",
                    onclick: |_| query::set_filters(Vec::new()),
                    "Clear filters"
                }
            }
        };
    }
    if view_as::viewer().is_some() {
        return rsx! {
            Empty { title: "No rows", text: "The table is empty, or no policy lets this caller read a row." }
        };
    }
    rsx! {
        Empty { title: "No rows", text: "The table is empty.",
            if can_insert {
                button {
                    class: "btn btn-primary",
                    r#type: "button",
                    onclick: |_| open_new_row(),
                    Icon { name: IconName::Plus }
                    "Insert row"
                }
            }
        }
    }
}

/// The note that says why rows can't be edited, and how to change that.
#[component]
fn ReadOnlyNote(view: View) -> Element {
    let detail = view.detail.read();
    if view.key().is_some() || view_as::viewer().is_some() {
        return rsx! {};
    }
    let (reason, sql) = read_only_reason(&detail.0);
    rsx! {
        div { class: "section",
            div { class: "banner", role: "note",
                Icon { name: IconName::Lock }
                span { "These rows can't be edited: {reason}" }
                if let Some(sql) = sql {
                    SqlButton { project: view.project.read().clone(), sql, "Add a primary key…" }
                }
            }
        }
    }
}

fn read_only_reason(detail: &TableDetail) -> (&'static str, Option<String>) {
    match detail.kind {
        TableKind::Table | TableKind::ForeignTable if key_columns(detail).is_none() => {
            let table = value::quoted(&detail.name);
            let column = if detail.columns.iter().any(|column| column.name == "id") { "row_id" } else { "id" };
            let sql = format!(
                "alter table {table}\n  add column {column} bigint generated by default as identity primary key;\n"
            );
            ("the table has no primary key.", Some(sql).filter(|_| detail.kind == TableKind::Table))
        }
        TableKind::MaterializedView => {
            ("this is a materialized view. Edit the rows of its tables, then refresh it in SQL.", None)
        }
        TableKind::View => ("this is a view. Edit the rows of its tables.", None),
        _ => ("the table does not allow it.", None),
    }
}
