//! The receiver of a statement's rows.

use tokio_postgres::Row;

use super::DbError;

/// Receives the rows of a statement one by one, so that they need not all be in memory.
pub trait RowSink: Send {
    /// Discards the rows received so far. Called before each run of the statement.
    fn clear(&mut self);

    /// Receives the next row.
    ///
    /// # Errors
    /// An error ends the statement and becomes its result. Further rows are not received.
    fn add(&mut self, row: Row) -> Result<(), DbError>;
}

impl RowSink for Vec<Row> {
    fn clear(&mut self) {
        Self::clear(self);
    }

    fn add(&mut self, row: Row) -> Result<(), DbError> {
        self.push(row);
        Ok(())
    }
}
