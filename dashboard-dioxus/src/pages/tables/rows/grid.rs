//! The rows in a grid, with staged edits, selection, and the link to a row's form.

use std::rc::Rc;

use api_types::{ColumnDetail, TableDetail};
use dioxus::prelude::*;

use super::{
    PageRef, View,
    data::{Row, RowKey},
    foreign_key, query,
    sheet::is_generated,
    staged::{self, StagedCell},
};
use crate::{
    address, dom,
    pages::tables::view_as,
    ui::{
        IconName,
        grid::{
            CellChange, CellPosition, CellState, DataGrid, Edited, EditedCell, Field, GridCell, GridColumn,
            GridColumns, GridRow, GridSource, Source,
        },
        messages,
    },
    value::{self, Cell},
};

#[component]
pub(super) fn Grid(view: View, page: ReadSignal<PageRef>) -> Element {
    let chosen = use_chosen_columns();
    let shown = use_memo(move || shown_columns(&view.detail.read(), &chosen.read()));
    // Without a key, the grid can't open or select rows.
    let key = use_memo(move || query::key_columns(&view.detail.read()).filter(|_| view_as::viewer().is_none()));
    let can_edit = use_memo(move || view.key().is_some());
    let staged = use_memo(move || staged::of(&view.staged.read()));
    let source = use_hook(|| Source::new(Rows { view, page, shown, key, can_edit, staged }));
    let columns = use_memo(move || columns_of(&view.detail.read(), &shown.read(), &page.read().0.rows));
    let total = page.read().0.total;
    let (order, detail) = (query::RowQuery::current().orders(), view.detail.read());
    let position = |name: &String| {
        let shown = shown.read();
        shown.iter().position(|index| detail.columns.get(*index).is_some_and(|column| column.name == *name))
    };
    let sorted: Vec<(usize, bool)> = order.iter().filter_map(|(name, down)| Some((position(name)?, *down))).collect();
    let row_count = page.read().0.rows.len();
    rsx! {
        DataGrid {
            name: "Rows of {view.table}",
            source,
            columns: columns(),
            rows: row_count,
            total,
            sorted,
            read_only: !can_edit(),
            busy: *view.loading.read(),
        }
    }
}

/// Returns the names of the columns that the owner chose to see. An empty list stands for all columns.
fn use_chosen_columns() -> Signal<Vec<String>> {
    let current = address::use_parameters("columns");
    let mut chosen = use_signal(|| current.clone());
    if *chosen.peek() != current {
        chosen.set(current);
    }
    chosen
}

/// Returns the shown columns, as positions in the table.
fn shown_columns(detail: &TableDetail, chosen: &[String]) -> Rc<[usize]> {
    let columns = detail.columns.iter().enumerate();
    columns.filter(|(_, column)| chosen.is_empty() || chosen.contains(&column.name)).map(|(index, _)| index).collect()
}

fn columns_of(detail: &TableDetail, shown: &[usize], rows: &[Row]) -> GridColumns {
    const MEASURED_ROWS: usize = 50;
    let is_foreign = |column: &ColumnDetail| detail.foreign_keys.iter().any(|key| key.columns.contains(&column.name));
    let column = |index: &usize| {
        let column = detail.columns.get(*index)?;
        Some(GridColumn {
            id: *index,
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            icon: match column.primary_key {
                true => Some(IconName::Key),
                false => is_foreign(column).then_some(IconName::ForeignKey),
            },
            width: {
                let measured = rows.iter().take(MEASURED_ROWS);
                default_width(column, measured.filter_map(|row| row.0.get(*index)?.text.as_deref()))
            },
        })
    };
    shown.iter().filter_map(column).collect()
}

/// The data source of the grid.
#[derive(Clone, Copy)]
struct Rows {
    view: View,
    page: ReadSignal<PageRef>,
    /// Positions in the table of the shown columns.
    shown: Memo<Rc<[usize]>>,
    /// Columns of the key.
    key: Memo<Option<Vec<String>>>,
    can_edit: Memo<bool>,
    staged: Memo<staged::Staged>,
}

impl Rows {
    /// Returns the key of a row, and the row. `None` for rows without a key.
    fn keyed(&self, row: usize) -> Option<(RowKey, Row)> {
        let row = self.page.peek().0.rows.get(row)?.clone();
        let key = RowKey::of(&row, &self.view.detail.peek(), self.key.peek().as_deref()?)?;
        Some((key, row))
    }

    fn column(&self, column: usize) -> Option<(usize, ColumnDetail)> {
        let index = *self.shown.peek().get(column)?;
        Some((index, self.view.detail.peek().columns.get(index)?.clone()))
    }

    /// Returns the text that a cell shows: the staged text, or else the text that was read.
    fn text(&self, position: CellPosition) -> Option<String> {
        let (index, column) = self.column(position.column)?;
        if let Some((key, _)) = self.keyed(position.row)
            && let Some(changed) = staged::peek(&self.view.staged.peek()).cell(&key, &column.name)
        {
            return changed.now.clone();
        }
        self.page.peek().0.rows.get(position.row)?.0.get(index)?.text.as_deref().map(str::to_owned)
    }

    /// Returns a cell that can be changed, and the cell's column. `None` if it can't be changed in the grid.
    fn changeable(&self, position: CellPosition) -> Option<(Changeable, ColumnDetail)> {
        let (index, column) = self.column(position.column)?;
        let (key, row) = self.keyed(position.row)?;
        let cell = row.0.get(index)?.clone();
        if !*self.can_edit.peek() || is_generated(&column) || cell.whole_bytes.is_some() {
            return None;
        }
        let table = self.view.staged.peek().clone();
        let empty_is_null = column.nullable && value::refuses_empty(&column.data_type, column.enum_values.as_deref());
        Some((Changeable { rows: *self, table, key, column: column.name.clone(), cell, empty_is_null }, column))
    }

    /// Opens the row that a cell refers to. Returns whether it refers to one.
    fn follow(&self, position: CellPosition) -> bool {
        let target = self.column(position.column).zip(self.text(position)).and_then(|((_, column), text)| {
            foreign_key::target(&self.view.project.peek(), &self.view.detail.peek(), &column.name, &text)
        });
        if let Some(target) = &target {
            address::go(target);
        }
        target.is_some()
    }
}

impl GridSource for Rows {
    fn row(&self, row: usize) -> GridRow {
        let (page, detail, shown) = (self.page.read(), self.view.detail.read(), self.shown.read());
        let Some(row) = page.0.rows.get(row) else { return GridRow::default() };
        let key = self.key.read().as_deref().and_then(|columns| RowKey::of(row, &detail, columns));
        let (staged, wrong) = (self.staged.read(), self.view.wrong.read());
        let changes = key.as_ref().and_then(|key| staged.row(key));
        let cell = |index: &usize| {
            let (column, cell) = (detail.columns.get(*index)?, row.0.get(*index)?);
            let Some(changed) = changes.and_then(|changes| changes.cells.get(&column.name)) else {
                return Some(GridCell {
                    text: cell.text.clone(),
                    whole_bytes: cell.whole_bytes,
                    state: CellState::AsRead,
                });
            };
            let refusal = wrong.iter().find(|wrong| Some(&wrong.key) == key.as_ref() && wrong.column == column.name);
            let was = changed.was_text.as_deref().map(Into::into);
            Some(GridCell {
                text: changed.now.as_deref().map(Into::into),
                whole_bytes: None,
                state: match refusal {
                    Some(wrong) => CellState::Wrong { was, why: wrong.why.clone() },
                    None => CellState::Changed { was },
                },
            })
        };
        GridRow {
            is_selected: key.as_ref().is_some_and(|key| self.view.selected.read().contains(&key.to_parameter())),
            cells: shown.iter().filter_map(cell).collect(),
            name: key.as_ref().map(RowKey::words),
        }
    }

    fn open(&self, position: CellPosition) {
        if let Some((key, _)) = self.keyed(position.row) {
            let mut focused = self.view.focused;
            focused.set(self.column(position.column).map(|(_, column)| (key.clone(), column.name)));
            address::push_parameter("row", Some(&key.to_parameter()));
        }
    }

    fn sort(&self, column: usize, descending: Option<bool>) {
        let Some((_, column)) = self.column(column) else { return };
        let order = descending.map(|descending| query::write_order(&[(column.name, descending)]));
        address::replace_parameters(&[
            ("order", order.into_iter().collect()),
            ("after", Vec::new()),
            ("offset", Vec::new()),
        ]);
    }

    fn on_key(&self, event: &KeyboardEvent, position: CellPosition) -> bool {
        let modifiers = event.modifiers();
        let control = modifiers.ctrl() || modifiers.meta();
        // With Caps Lock, the letters are capitals.
        let letter = match event.key() {
            Key::Character(letter) => letter.to_ascii_lowercase(),
            _ => String::new(),
        };
        match event.key() {
            Key::ArrowRight if modifiers.alt() => return self.follow(position),
            Key::Enter if control => save(),
            _ if control && letter == "s" => save(),
            _ if control && (letter == "y" || letter == "z" && modifiers.shift()) => {
                staged::redo(&self.view.staged.peek());
            }
            _ if control && letter == "z" => staged::undo(&self.view.staged.peek()),
            // Where cells can be edited, typing a letter replaces the value instead.
            _ if letter == "f" && !control && !*self.can_edit.peek() => self.filter_by(position),
            _ => return false,
        }
        true
    }

    fn edit(&self, position: CellPosition) -> Option<Field> {
        let (cell, column) = self.changeable(position)?;
        // A cell's field has one line, so text with several lines can't be edited in it.
        let text = Some(self.text(position).unwrap_or_default()).filter(|text| !text.contains('\n'))?;
        let booleans = || ["true", "false"].map(str::to_owned).to_vec();
        let choices = column.enum_values.or_else(|| (column.data_type == "boolean").then(booleans));
        // The empty text stands for `NULL`.
        let null_choice = cell.empty_is_null;
        Some(Field { cell: Edited::new(cell), text, choices, null_choice })
    }

    fn can_change(&self, position: CellPosition) -> bool {
        self.changeable(position).is_some()
    }

    fn stage(&self, changes: Vec<CellChange>) -> usize {
        let count = changes.len();
        // A key identifies one row, so one value can't be the key of several rows.
        let fixed = if is_fill(&changes) { self.key.peek().clone().unwrap_or_default() } else { Vec::new() };
        let edit = |(position, now): CellChange| {
            let (cell, column) = self.changeable(position)?;
            (!fixed.contains(&column.name)).then(|| cell.edit(now))
        };
        let edits: Vec<staged::Edit> = changes.into_iter().filter_map(edit).collect();
        let refused = count - edits.len();
        staged::set(&self.view.staged.peek(), edits);
        refused
    }

    fn can_filter(&self) -> bool {
        true
    }

    fn filter_by(&self, position: CellPosition) {
        let Some((index, column)) = self.column(position.column) else { return };
        let cell = self.page.peek().0.rows.get(position.row).and_then(|row| row.0.get(index)).cloned();
        if cell.is_some_and(|cell| cell.whole_bytes.is_some()) {
            return messages::show_failure("The value is too large for a filter.");
        }
        let mut filters = address::parameters("where");
        filters.push(match self.text(position) {
            None => query::filter_text("is", &column.name, "null"),
            Some(text) => query::filter_text("eq", &column.name, &text),
        });
        query::set_filters(filters);
    }

    fn selection(&self) -> Option<bool> {
        let count = self.page.read().0.rows.len();
        (*self.can_edit.read()).then(|| count > 0 && self.view.selected.read().len() >= count)
    }

    fn toggle_row(&self, row: usize) {
        let Some((key, _)) = self.keyed(row) else { return };
        let mut selected = self.view.selected;
        let mut selected = selected.write();
        let parameter = key.to_parameter();
        if !selected.remove(&parameter) {
            selected.insert(parameter);
        }
    }

    fn select_all(&self, all: bool) {
        let count = if all { self.page.peek().0.rows.len() } else { 0 };
        let keys = (0..count).filter_map(|row| self.keyed(row)).map(|(key, _)| key.to_parameter());
        let mut selected = self.view.selected;
        selected.set(keys.collect());
    }

    fn can_delete(&self) -> bool {
        *self.can_edit.read()
    }

    fn delete_row(&self, row: usize) {
        let mut deleting = self.view.deleting;
        deleting.set(self.keyed(row).into_iter().map(|(key, _)| key).collect());
    }
}

/// A cell as it was read, with the table, the row and the column under which its edit is staged.
#[derive(Clone)]
struct Changeable {
    rows: Rows,
    /// Names the table in the store.
    table: String,
    key: RowKey,
    column: String,
    cell: Cell,
    /// Whether an empty field of the column stands for `NULL`.
    empty_is_null: bool,
}

impl Changeable {
    /// Returns the change that stages a text, and no longer marks the cell as refused.
    fn edit(self, now: Option<String>) -> staged::Edit {
        let mut wrong = self.rows.view.wrong;
        if wrong.peek().iter().any(|wrong| wrong.key == self.key && wrong.column == self.column) {
            wrong.write().retain(|wrong| wrong.key != self.key || wrong.column != self.column);
        }
        let was_text = self.cell.text.as_deref().map(str::to_owned);
        let now = now.filter(|now| !now.is_empty() || !self.empty_is_null);
        (self.key, self.column, StagedCell { was: self.cell.json.to_string(), was_text, now })
    }
}

impl EditedCell for Changeable {
    fn position(&self) -> Option<CellPosition> {
        let Rows { view, page, shown, key, .. } = self.rows;
        let (page, detail, shown, key) = (page.read(), view.detail.read(), shown.read(), key.read());
        let columns = key.as_deref().filter(|_| *view.staged.read() == self.table)?;
        let is_row = |row: &Row| RowKey::of(row, &detail, columns).as_ref() == Some(&self.key);
        let is_column = |index: &usize| detail.columns.get(*index).is_some_and(|column| column.name == self.column);
        Some(CellPosition { row: page.0.rows.iter().position(is_row)?, column: shown.iter().position(is_column)? })
    }

    fn stage(&self, now: Option<String>) {
        staged::set(&self.table, vec![self.clone().edit(now)]);
    }
}

/// Returns whether changes set cells of several rows to one value.
fn is_fill(changes: &[CellChange]) -> bool {
    changes.split_first().is_some_and(|((first, value), others)| {
        others.iter().all(|(_, other)| other == value) && others.iter().any(|(at, _)| at.row != first.row)
    })
}

fn save() {
    spawn(async {
        // The button appears with the first change. This key may have just ended the edit that makes this change.
        dom::next_frame().await;
        if let Some(button) = dom::find("[data-save-changes]") {
            button.click();
        }
    });
}

/// Returns the width of a column in pixels. It fits these values, between a minimum and a maximum.
fn default_width<'t>(column: &ColumnDetail, values: impl Iterator<Item = &'t str>) -> f64 {
    let least: f64 =
        if value::is_document(&column.data_type) || value::is_text(&column.data_type) { 160.0 } else { 96.0 };
    least.max(GridColumn::fitting_width(&column.name, &column.data_type, values)).min(360.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_in_several_rows_is_a_fill() {
        let change = |row, column, value: &str| (CellPosition { row, column }, Some(value.to_owned()));
        assert!(is_fill(&[change(0, 0, "a"), change(1, 0, "a")]));
        assert!(!is_fill(&[change(0, 0, "a"), change(1, 0, "b")]));
        assert!(!is_fill(&[change(0, 0, "a"), change(0, 1, "a")]));
        assert!(!is_fill(&[change(0, 0, "a")]) && !is_fill(&[]));
    }
}
