//! Changes of cells that are not saved yet. Each change is also written to `sessionStorage`, so that it survives
//! navigation, a reload and a new sign-in in the same tab.
//!
//! [`steps`] undoes changes and repeats them.

mod steps;

use std::collections::{BTreeMap, HashMap};

use dioxus::prelude::*;
use serde::{Deserialize, Serialize};

use super::{data::RowKey, save::Values};
use crate::value::Cell;
use steps::{Before, Step};

/// The changes of one table.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Staged {
    /// Changed rows, in the order of their first change.
    pub(super) rows: Vec<StagedRow>,
    /// Steps for [`undo`], oldest first.
    #[serde(default)]
    steps: Vec<Step>,
    /// Steps for [`redo`]. The last one was undone last.
    #[serde(default)]
    undone: Vec<Step>,
}

/// The changes of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StagedRow {
    pub(super) key: RowKey,
    pub(super) cells: BTreeMap<String, StagedCell>,
}

/// A changed cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StagedCell {
    /// The JSON that was read. Empty if the value is too large to be compared when the change is saved.
    pub(super) was: String,
    /// The value that was read, as text. `None` is `NULL`.
    pub(super) was_text: Option<String>,
    /// The new value, as text. `None` is `NULL`.
    pub(super) now: Option<String>,
}

/// A cell, by the key of its row and the name of its column, and its new value.
pub(super) type Edit = (RowKey, String, StagedCell);

static STAGED: GlobalSignal<HashMap<String, Staged>> = Signal::global(HashMap::new);
static NOT_STORED: GlobalSignal<bool> = Signal::global(|| false);

/// Returns whether the last changes could not be written to the tab's storage, mostly because they are too large. A
/// reload would lose them.
pub(super) fn is_too_large() -> bool {
    *NOT_STORED.read()
}

/// Returns the changes of a table, and subscribes the component to them.
pub(super) fn of(table: &str) -> Staged {
    load(table);
    STAGED.read().get(table).cloned().unwrap_or_default()
}

/// Returns the changes of a table, without subscribing.
pub(super) fn peek(table: &str) -> Staged {
    load(table);
    STAGED.peek().get(table).cloned().unwrap_or_default()
}

/// Returns whether a table has changes, and subscribes the component to them. Reads no changes, because a list calls
/// this for each of its tables.
pub(in crate::pages::tables) fn has_changes(project: &str, table: &str) -> bool {
    let table = format!("{project}.{table}");
    if let Some(staged) = STAGED.read().get(&table) {
        return !staged.rows.is_empty();
    }
    storage().is_some_and(|storage| storage.get_item(&storage_name(&table)).is_ok_and(|stored| stored.is_some()))
}

/// Stages the values of cells, as one step of [`undo`]. Setting the value that was read removes the change.
pub(super) fn set(table: &str, edits: Vec<Edit>) {
    change(table, |staged| staged.set(edits));
}

/// Stages the text of a field while it is typed. All keystrokes in a field are one step of [`undo`].
pub(super) fn type_in(table: &str, key: &RowKey, column: &str, cell: StagedCell) {
    change(table, |staged| staged.type_in(key, column, cell));
}

/// Unstages a cell.
pub(super) fn unset(table: &str, key: &RowKey, column: &str) {
    change(table, |staged| {
        let before = staged.cell(key, column).cloned();
        if before.is_some() {
            staged.push(vec![Before { key: key.clone(), column: column.to_owned(), before }]);
            staged.put(key, column, None);
        }
    });
}

/// Undoes the last step.
pub(super) fn undo(table: &str) {
    change(table, Staged::undo);
}

/// Repeats the step that was undone last. Does nothing if there was another change since then.
pub(super) fn redo(table: &str) {
    change(table, Staged::redo);
}

/// Discards the changes of a row.
pub(super) fn discard_row(table: &str, key: &RowKey) {
    change(table, |staged| {
        staged.rows.retain(|row| row.key != *key);
        staged.forget_steps(key);
    });
}

/// Discards the changes of a row that were saved. Cells that were changed again since then stay staged. `values` are
/// the saved values as JSON, by column.
pub(super) fn discard_saved(table: &str, saved: &StagedRow, values: &Values) {
    change(table, |staged| staged.discard_saved(saved, values));
}

/// Discards all changes of a table, as one step of [`undo`], and returns them.
pub(super) fn discard(table: &str) -> Vec<StagedRow> {
    let mut discarded = Vec::new();
    change(table, |staged| discarded = staged.discard());
    discarded
}

/// Stages discarded changes again, except of cells that were changed since then.
pub(super) fn restore(table: &str, discarded: &[StagedRow]) {
    change(table, |staged| staged.restore(discarded));
}

/// Replaces the values that were read with the current ones, so that saving overwrites them.
pub(super) fn rebase(table: &str, key: &RowKey, now: &BTreeMap<String, Cell>) {
    change(table, |staged| {
        let row = staged.rows.iter_mut().find(|row| row.key == *key);
        for (column, cell) in row.into_iter().flat_map(|row| &mut row.cells) {
            if let Some(current) = now.get(column) {
                cell.was = current.json.to_string();
                cell.was_text = current.text.as_deref().map(str::to_owned);
            }
        }
    });
}

impl Staged {
    pub(super) fn cell(&self, key: &RowKey, column: &str) -> Option<&StagedCell> {
        self.rows.iter().find(|row| row.key == *key)?.cells.get(column)
    }

    fn cell_mut(&mut self, key: &RowKey, column: &str) -> Option<&mut StagedCell> {
        self.rows.iter_mut().find(|row| row.key == *key)?.cells.get_mut(column)
    }

    /// Returns the changes of one row.
    pub(super) fn only(&self, key: &RowKey) -> Self {
        Self { rows: self.rows.iter().filter(|row| row.key == *key).cloned().collect(), ..Self::default() }
    }

    pub(super) fn row(&self, key: &RowKey) -> Option<&StagedRow> {
        self.rows.iter().find(|row| row.key == *key)
    }

    /// Returns the numbers of changed cells and rows.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.rows.iter().map(|row| row.cells.len()).sum(), self.rows.len())
    }

    fn discard_saved(&mut self, saved: &StagedRow, values: &Values) {
        for (column, cell) in &saved.cells {
            if self.cell(&saved.key, column) == Some(cell) {
                self.put(&saved.key, column, None);
            } else if let Some(later) = self.cell_mut(&saved.key, column) {
                // The row now has the saved value.
                later.was = values.get(column).map(|json| json.get().to_owned()).unwrap_or_default();
                later.was_text.clone_from(&cell.now);
            }
        }
        self.forget_steps(&saved.key);
    }

    fn put(&mut self, key: &RowKey, column: &str, cell: Option<StagedCell>) {
        match cell {
            Some(cell) => {
                let at = self.rows.iter().position(|row| row.key == *key).unwrap_or_else(|| {
                    self.rows.push(StagedRow { key: key.clone(), cells: BTreeMap::new() });
                    self.rows.len() - 1
                });
                if let Some(row) = self.rows.get_mut(at) {
                    row.cells.insert(column.to_owned(), cell);
                }
            }
            None => {
                for row in self.rows.iter_mut().filter(|row| row.key == *key) {
                    row.cells.remove(column);
                }
                self.rows.retain(|row| !row.cells.is_empty());
            }
        }
    }
}

fn change(table: &str, act: impl FnOnce(&mut Staged)) {
    load(table);
    let mut all = STAGED.write();
    let staged = all.entry(table.to_owned()).or_default();
    act(staged);
    let is_stored = store(table, staged);
    if *NOT_STORED.peek() == is_stored {
        *NOT_STORED.write() = !is_stored;
    }
}

/// Writes the changes to the tab's storage. Returns whether this succeeded.
fn store(table: &str, staged: &Staged) -> bool {
    let Some(storage) = storage() else { return false };
    let name = storage_name(table);
    if staged.rows.is_empty() {
        return storage.remove_item(&name).is_ok();
    }
    serde_json::to_string(staged).is_ok_and(|text| storage.set_item(&name, &text).is_ok())
}

/// Reads the changes from `sessionStorage`, once per table.
fn load(table: &str) {
    if STAGED.peek().contains_key(table) {
        return;
    }
    let stored = storage().and_then(|storage| storage.get_item(&storage_name(table)).ok().flatten());
    let staged = stored.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    STAGED.with_mut(|all| all.insert(table.to_owned(), staged));
}

fn storage_name(table: &str) -> String {
    format!("atlashub.staged.{table}")
}

fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.session_storage().ok().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn cell(was: &str, now: Option<&str>) -> StagedCell {
        StagedCell { was: format!("\"{was}\""), was_text: Some(was.to_owned()), now: now.map(str::to_owned) }
    }

    fn key(id: &str) -> RowKey {
        RowKey(vec![("id".to_owned(), id.to_owned())])
    }

    #[test]
    fn staged_cell_can_be_changed_again() {
        let key = key("1");
        let mut staged = Staged::default();
        staged.put(&key, "a", Some(cell("x", Some("y"))));
        assert_eq!(staged.only(&key).counts(), (1, 1));
        if let Some(later) = staged.cell_mut(&key, "a") {
            later.now = Some("z".to_owned());
        }
        assert_eq!(staged.cell(&key, "a").and_then(|cell| cell.now.as_deref()), Some("z"));
    }

    #[test]
    fn cell_that_was_changed_again_during_a_save_is_compared_with_the_saved_value() {
        let key = key("1");
        let null = |now: &str| StagedCell { was: "null".to_owned(), was_text: None, now: Some(now.to_owned()) };
        let mut staged = Staged::default();
        staged.put(&key, "data", Some(null(r#"{"a": 1}"#)));
        staged.put(&key, "title", Some(cell("x", Some("y"))));
        let saved = staged.row(&key).cloned().expect("the row");
        let json = |text: &str| RawValue::from_string(text.to_owned()).expect("JSON");
        let values = [("data", json(r#"{"a": 1}"#)), ("title", json("\"y\""))];
        staged.put(&key, "data", Some(null(r#"{"a": 2}"#)));
        staged.discard_saved(&saved, &values.into_iter().map(|(name, json)| (name.to_owned(), json)).collect());
        let later = staged.cell(&key, "data").expect("the change during the save");
        assert_eq!(later.was, r#"{"a": 1}"#, "the document, not a string that contains it");
        assert_eq!(later.was_text.as_deref(), Some(r#"{"a": 1}"#));
        assert_eq!(staged.cell(&key, "title"), None);
    }

    #[test]
    fn changes_are_counted_by_cell_and_row() {
        let mut staged = Staged::default();
        staged.put(&key("1"), "a", Some(cell("x", Some("y"))));
        staged.put(&key("1"), "b", Some(cell("x", None)));
        staged.put(&key("2"), "a", Some(cell("x", Some("z"))));
        assert_eq!(staged.counts(), (3, 2));
        staged.put(&key("2"), "a", None);
        assert_eq!(staged.counts(), (2, 1));
    }
}
