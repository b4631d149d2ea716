//! Receives the rows of a statement that several lookups share.

use tokio_postgres::Row;

use crate::db::{DbError, RowSink};

/// Maximum size of all rows of a shared statement, in bytes. If they are larger, they are dropped, and each lookup is
/// sent again, alone.
const MAX_BYTES: usize = 1 << 20;

/// Collects the rows of a shared statement. The last column of a row is the position of its lookup, counted from 1.
pub(super) struct SharedResults {
    rows: Vec<Option<Row>>,
    bytes: usize,
}

impl SharedResults {
    pub(super) fn new(count: usize) -> Self {
        Self { rows: std::iter::repeat_with(|| None).take(count).collect(), bytes: 0 }
    }

    /// Returns the row of each lookup, or an empty list if the rows were too large.
    pub(super) fn into_rows(self) -> Vec<Option<Row>> {
        if self.bytes > MAX_BYTES { Vec::new() } else { self.rows }
    }
}

impl RowSink for SharedResults {
    fn clear(&mut self) {
        *self = Self::new(self.rows.len());
    }

    fn add(&mut self, row: Row) -> Result<(), DbError> {
        self.bytes += row.raw_size_bytes();
        if self.bytes > MAX_BYTES {
            self.rows.fill_with(|| None);
            return Ok(());
        }
        let position = row.len().checked_sub(1).and_then(|column| row.try_get::<_, i64>(column).ok());
        let index = position.and_then(|position| usize::try_from(position).ok()?.checked_sub(1));
        if let Some(slot) = index.and_then(|index| self.rows.get_mut(index)) {
            slot.get_or_insert(row);
        }
        Ok(())
    }
}
