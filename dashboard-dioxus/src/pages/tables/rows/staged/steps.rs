//! Undoes and redoes changes of cells.

use serde::{Deserialize, Serialize};

use super::{Edit, Staged, StagedCell, StagedRow};
use crate::pages::tables::rows::data::RowKey;

/// The cells that one action has changed, such as pasting.
pub(super) type Step = Vec<Before>;

/// A cell that a step has changed, and the change that was staged for it before the step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Before {
    pub(super) key: RowKey,
    pub(super) column: String,
    pub(super) before: Option<StagedCell>,
}

impl Staged {
    pub(super) fn set(&mut self, edits: Vec<Edit>) {
        let mut step = Step::new();
        for (key, column, cell) in edits {
            let before = self.cell(&key, &column).cloned();
            let is_restored = cell.now == cell.was_text;
            let after = (!is_restored).then_some(cell);
            if before == after {
                continue;
            }
            self.put(&key, &column, after);
            step.push(Before { key, column, before });
        }
        self.push(step);
    }

    pub(super) fn type_in(&mut self, key: &RowKey, column: &str, cell: StagedCell) {
        let last = self.steps.last().map(Vec::as_slice);
        // If the cell is not staged, the last step did not type in it but discarded it or restored its value.
        let is_last = matches!(last, Some([last]) if last.key == *key && last.column == column)
            && self.cell(key, column).is_some();
        if !is_last || !self.undone.is_empty() {
            let before = self.cell(key, column).cloned();
            self.push(vec![Before { key: key.clone(), column: column.to_owned(), before }]);
        }
        let is_restored = cell.now == cell.was_text;
        self.put(key, column, (!is_restored).then_some(cell));
    }

    pub(super) fn undo(&mut self) {
        if let Some(step) = self.steps.pop() {
            let reverse = self.revert(step);
            self.undone.push(reverse);
        }
    }

    pub(super) fn redo(&mut self) {
        if let Some(step) = self.undone.pop() {
            let reverse = self.revert(step);
            self.steps.push(reverse);
        }
    }

    /// Restores the changes that the cells of a step had before it. Returns the step that undoes this restoration.
    fn revert(&mut self, step: Step) -> Step {
        let mut reverse = Step::new();
        for Before { key, column, before } in step.into_iter().rev() {
            let now = self.cell(&key, &column).cloned();
            self.put(&key, &column, before);
            reverse.push(Before { key, column, before: now });
        }
        reverse
    }

    /// Adds a step for [`Staged::undo`].
    pub(super) fn push(&mut self, step: Step) {
        if !step.is_empty() {
            self.undone.clear();
            self.steps.push(step);
        }
    }

    /// Removes a row from the steps, because its changes were saved or discarded.
    pub(super) fn forget_steps(&mut self, key: &RowKey) {
        for steps in [&mut self.steps, &mut self.undone] {
            steps.iter_mut().for_each(|step| step.retain(|cell| cell.key != *key));
            steps.retain(|step| !step.is_empty());
        }
    }

    pub(super) fn discard(&mut self) -> Vec<StagedRow> {
        let discarded = std::mem::take(&mut self.rows);
        let mut step = Step::new();
        for row in &discarded {
            let before = |(column, cell): (&String, &StagedCell)| Before {
                key: row.key.clone(),
                column: column.clone(),
                before: Some(cell.clone()),
            };
            step.extend(row.cells.iter().map(before));
        }
        self.push(step);
        discarded
    }

    pub(super) fn restore(&mut self, discarded: &[StagedRow]) {
        let mut edits = Vec::new();
        for row in discarded {
            let free = row.cells.iter().filter(|(column, _)| self.cell(&row.key, column).is_none());
            edits.extend(free.map(|(column, cell)| (row.key.clone(), column.clone(), cell.clone())));
        }
        self.set(edits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> RowKey {
        RowKey(vec![("id".to_owned(), id.to_owned())])
    }

    fn edit(id: &str, now: &str) -> Edit {
        let cell = StagedCell { was: "\"x\"".to_owned(), was_text: Some("x".to_owned()), now: Some(now.to_owned()) };
        (key(id), "a".to_owned(), cell)
    }

    #[test]
    fn cells_of_one_action_are_undone_together() {
        let mut staged = Staged::default();
        staged.set(vec![edit("1", "y")]);
        staged.set(vec![edit("1", "z"), edit("2", "z"), edit("3", "z")]);
        staged.undo();
        assert_eq!(staged.counts(), (1, 1));
        assert_eq!(staged.cell(&key("1"), "a").and_then(|cell| cell.now.as_deref()), Some("y"));
        staged.redo();
        assert_eq!(staged.counts(), (3, 3));
        assert_eq!(staged.cell(&key("1"), "a").and_then(|cell| cell.now.as_deref()), Some("z"));
        staged.undo();
        staged.undo();
        assert_eq!(staged.counts(), (0, 0));
        staged.redo();
        staged.set(vec![edit("2", "w")]);
        staged.redo();
        assert_eq!(staged.counts(), (2, 2), "after another change, the undone step can't be redone");
    }

    #[test]
    fn cell_that_keeps_its_value_is_no_step() {
        let mut staged = Staged::default();
        staged.set(vec![edit("1", "y")]);
        staged.undo();
        staged.set(vec![edit("2", "x")]);
        staged.redo();
        assert_eq!(staged.counts(), (1, 1), "the undone step can still be repeated");
        staged.set(vec![edit("1", "y"), edit("2", "x")]);
        staged.undo();
        assert_eq!(staged.counts(), (0, 0), "the step that changed the cell is undone");
    }

    #[test]
    fn typing_after_discarding_is_a_step_of_its_own() {
        let mut staged = Staged::default();
        for now in ["y", "yz"] {
            let (key, column, cell) = edit("1", now);
            staged.type_in(&key, &column, cell);
        }
        staged.discard();
        let (key, column, cell) = edit("1", "w");
        staged.type_in(&key, &column, cell);
        staged.undo();
        assert_eq!(staged.counts(), (0, 0), "only what was typed after discarding");
        staged.undo();
        assert_eq!(staged.cell(&key, "a").and_then(|cell| cell.now.as_deref()), Some("yz"));
        staged.undo();
        assert_eq!(staged.counts(), (0, 0), "the keystrokes in one field are one step");
    }

    #[test]
    fn discarded_changes_are_restored() {
        let mut staged = Staged::default();
        staged.set(vec![edit("1", "y"), edit("2", "y")]);
        let discarded = staged.discard();
        assert_eq!(staged.counts(), (0, 0));
        staged.set(vec![edit("2", "later")]);
        staged.restore(&discarded);
        assert_eq!(staged.counts(), (2, 2));
        assert_eq!(staged.cell(&key("2"), "a").and_then(|cell| cell.now.as_deref()), Some("later"));
        staged.discard();
        staged.undo();
        assert_eq!(staged.counts(), (2, 2));
    }
}
