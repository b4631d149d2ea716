//! The interface between a grid and its page.

use std::rc::Rc;

use dioxus::prelude::*;

use super::CellPosition;
use crate::{
    ui::IconName,
    value::{self, Text},
};

/// The rows of a grid, and the page's actions on them.
pub trait GridSource {
    /// Returns a row. The grid draws the row again when a signal that this method reads has changed.
    fn row(&self, row: usize) -> GridRow;

    /// Shows a cell, or its row, in full.
    fn open(&self, position: CellPosition);

    /// Orders the rows by a column. `descending` is `None` to remove the order.
    fn sort(&self, column: usize, descending: Option<bool>);

    /// Handles a key that the page defines. Returns whether it defines this key.
    fn on_key(&self, _event: &KeyboardEvent, _position: CellPosition) -> bool {
        false
    }

    /// Returns the field that edits a cell in the grid. `None` opens the cell instead.
    fn edit(&self, _position: CellPosition) -> Option<Field> {
        None
    }

    /// Returns whether a cell can be changed.
    fn can_change(&self, _position: CellPosition) -> bool {
        false
    }

    /// Changes cells, as one step for the owner to undo. Returns how many of them can't be changed.
    fn stage(&self, changes: Vec<CellChange>) -> usize {
        changes.len()
    }

    /// Returns whether the page has a filter for the value of a cell.
    fn can_filter(&self) -> bool {
        false
    }

    /// Shows only rows with the value of a cell.
    fn filter_by(&self, _position: CellPosition) {}

    /// Returns whether all rows are selected. `None` if rows can't be selected.
    fn selection(&self) -> Option<bool> {
        None
    }

    /// Selects a row, or deselects it.
    fn toggle_row(&self, _row: usize) {}

    /// Selects all rows, or deselects all.
    fn select_all(&self, _all: bool) {}

    /// Returns whether rows can be deleted.
    fn can_delete(&self) -> bool {
        false
    }

    /// Asks whether to delete a row.
    fn delete_row(&self, _row: usize) {}
}

/// A cell and its new text. `None` is `NULL`.
pub type CellChange = (CellPosition, Option<String>);

/// A source of rows. Two sources are equal if they are the same object.
#[derive(Clone)]
pub struct Source(Rc<dyn GridSource>);

impl Source {
    pub fn new(source: impl GridSource + 'static) -> Self {
        Self(Rc::new(source))
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl std::ops::Deref for Source {
    type Target = dyn GridSource;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// A cell that is being edited. It stays the same cell when the grid shows other rows or columns.
pub trait EditedCell {
    /// Returns where the grid shows the cell. `None` if it doesn't. Subscribes the caller to changes.
    fn position(&self) -> Option<CellPosition>;

    /// Changes the cell, even if the grid no longer shows it.
    fn stage(&self, text: Option<String>);
}

/// A cell that is being edited. Two are equal if they are the same object.
#[derive(Clone)]
pub struct Edited(Rc<dyn EditedCell>);

impl Edited {
    pub fn new(cell: impl EditedCell + 'static) -> Self {
        Self(Rc::new(cell))
    }
}

impl PartialEq for Edited {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl std::ops::Deref for Edited {
    type Target = dyn EditedCell;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

/// A column of a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct GridColumn {
    /// Identifies the column, whichever other columns are shown.
    pub id: usize,
    pub name: String,
    /// The type, as Postgres prints it.
    pub data_type: String,
    /// Icon before the name, such as that of a primary key.
    pub icon: Option<IconName>,
    /// Width in pixels, until the owner changes it.
    pub width: f64,
}

impl GridColumn {
    /// Returns the width in pixels that shows the name, the type and these values: at least 64, at most 360.
    pub fn fitting_width<'t>(name: &str, data_type: &str, values: impl Iterator<Item = &'t str>) -> f64 {
        const CHARACTER: f64 = 7.4;
        let label = name.chars().count() + value::short_type(data_type).chars().count();
        let longest = values.map(|value| value.chars().take(60).count()).max().unwrap_or_default();
        (label as f64 * 7.0 + 48.0).max(longest as f64 * CHARACTER + 22.0).clamp(64.0, 360.0).round()
    }
}

/// The shown columns, in their order.
#[derive(Debug, Clone)]
pub struct GridColumns(Rc<[GridColumn]>);

impl PartialEq for GridColumns {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl FromIterator<GridColumn> for GridColumns {
    fn from_iter<I: IntoIterator<Item = GridColumn>>(columns: I) -> Self {
        Self(columns.into_iter().collect())
    }
}

impl std::ops::Deref for GridColumns {
    type Target = [GridColumn];

    fn deref(&self) -> &[GridColumn] {
        &self.0
    }
}

/// A row as it is shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GridRow {
    /// Name of the row for people: the values of its key. A row without a name can't be selected or opened.
    pub name: Option<String>,
    pub is_selected: bool,
    /// A cell for each shown column.
    pub cells: Vec<GridCell>,
}

/// A cell as it is shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GridCell {
    pub text: Text,
    /// Size of the whole value, if `text` is only its beginning.
    pub whole_bytes: Option<u64>,
    pub state: CellState,
}

/// Whether a cell was changed.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum CellState {
    #[default]
    AsRead,
    /// It was changed, and `was` is the text that was read.
    Changed { was: Text },
    /// Its new value was refused, for the reason `why`.
    Wrong { was: Text, why: Rc<str> },
}

/// The field that edits a cell.
#[derive(Clone, PartialEq)]
pub struct Field {
    pub cell: Edited,
    /// The text of the cell before the edit.
    pub text: String,
    /// The possible values, if they are few.
    pub choices: Option<Vec<String>>,
    /// Whether the empty text, which stands for `NULL`, is one of the choices.
    pub null_choice: bool,
}

impl Field {
    /// Returns the first choice that begins with what was typed, in upper or lower case. `NULL` is the last choice.
    pub(super) fn chosen(&self, typed: &str) -> Option<String> {
        let typed = typed.to_lowercase();
        let begins = |choice: &str| !typed.is_empty() && choice.to_lowercase().starts_with(&typed);
        let choice = self.choices.as_ref()?.iter().find(|choice| begins(choice.as_str())).cloned();
        choice.or_else(|| (self.null_choice && begins("NULL")).then(String::new))
    }
}
