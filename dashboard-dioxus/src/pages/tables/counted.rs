//! Exact numbers of rows, so that the list, the title and the line under the rows show the same number.

use std::collections::HashMap;

use api_types::{TableDetail, TableKind};
use dioxus::prelude::*;

/// Maximum size in bytes of a table whose rows are counted each time they are read. Counting takes milliseconds.
const MAX_COUNTED_BYTES: i64 = 16 << 20;

/// The counted rows of tables, by project and table.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Counted(Signal<HashMap<(String, String), i64>>);

/// Provides the numbers of rows to the parts of the page.
pub(super) fn use_counted_provider() {
    use_context_provider(|| Counted(Signal::new(HashMap::new())));
}

impl Counted {
    /// Returns the number of rows if they were counted, and subscribes the component to it.
    pub(super) fn get(self, project: &str, table: &str) -> Option<i64> {
        self.0.read().get(&(project.to_owned(), table.to_owned())).copied()
    }

    /// Stores the number of rows. `None` if there is only an estimate.
    pub(super) fn set(mut self, project: &str, table: &str, rows: Option<i64>) {
        let key = (project.to_owned(), table.to_owned());
        if self.0.peek().get(&key).copied() == rows {
            return;
        }
        match rows {
            Some(rows) => self.0.write().insert(key, rows),
            None => self.0.write().remove(&key),
        };
    }
}

/// Returns whether a table is small enough for its rows to be counted each time they are read. The planner's estimate
/// for such a table may be far off, because the table may not have been analyzed since most of its rows were added.
pub(super) fn is_small(detail: &TableDetail) -> bool {
    // The rows of a partitioned table are in its partitions, and its own size is 0.
    matches!(detail.kind, TableKind::Table | TableKind::MaterializedView)
        && (1..=MAX_COUNTED_BYTES).contains(&detail.total_bytes)
}
