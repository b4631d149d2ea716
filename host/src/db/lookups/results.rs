//! Receives the rows of lookups that are sent together.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_postgres::Row;

use crate::db::{DbError, RowSink};

/// Maximum size of all rows of a batch, in bytes. If they are larger, they are dropped, and each lookup is sent again,
/// alone.
const MAX_BYTES: usize = 1 << 20;

/// Counts the bytes of a batch's rows.
#[derive(Default)]
pub(super) struct Budget {
    used: AtomicUsize,
}

/// Collects the rows of one statement of a batch.
pub(super) struct SharedResults<'a> {
    rows: Vec<Option<Row>>,
    /// Whether the last column of a row is the position of its lookup, counted from 1.
    has_positions: bool,
    budget: &'a Budget,
}

impl<'a> SharedResults<'a> {
    /// Collects the rows of a statement for several lookups. The last column of a row is the position of its lookup,
    /// counted from 1.
    pub(super) fn of_positions(count: usize, budget: &'a Budget) -> Self {
        let rows = std::iter::repeat_with(|| None).take(count).collect();
        Self { rows, has_positions: true, budget }
    }

    /// Collects the row of a statement for one lookup.
    pub(super) fn of_one(budget: &'a Budget) -> Self {
        Self { has_positions: false, ..Self::of_positions(1, budget) }
    }

    /// Returns the row of each lookup, or an empty list if the rows of the batch were too large.
    pub(super) fn into_rows(self) -> Vec<Option<Row>> {
        if self.budget.used.load(Ordering::Relaxed) > MAX_BYTES { Vec::new() } else { self.rows }
    }
}

impl RowSink for SharedResults<'_> {
    fn clear(&mut self) {
        self.rows.fill_with(|| None);
        self.budget.used.store(0, Ordering::Relaxed);
    }

    fn add(&mut self, row: Row) -> Result<(), DbError> {
        let bytes = row.raw_size_bytes();
        if self.budget.used.fetch_add(bytes, Ordering::Relaxed) + bytes > MAX_BYTES {
            self.rows.fill_with(|| None);
            return Ok(());
        }
        let index = if self.has_positions {
            let position = row.len().checked_sub(1).and_then(|column| row.try_get::<_, i64>(column).ok());
            position.and_then(|position| usize::try_from(position).ok()?.checked_sub(1))
        } else {
            Some(0)
        };
        if let Some(slot) = index.and_then(|index| self.rows.get_mut(index)) {
            slot.get_or_insert(row);
        }
        Ok(())
    }
}
