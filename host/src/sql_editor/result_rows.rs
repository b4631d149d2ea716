use api_types::{SqlColumn, SqlNotice};
use serde_json::Value;
use tokio_postgres::{SimpleQueryRow, types::Type};

use super::values::json_value;

/// Maximum size of the values in one response.
const MAX_VALUE_BYTES: usize = 8 << 20;

/// The rows of a result that are returned, limited in number and size.
pub(super) struct ResultRows {
    pub(super) columns: Vec<SqlColumn>,
    pub(super) rows: Vec<Vec<Value>>,
    /// Number of rows received, whether returned or not.
    pub(super) received: u64,
    /// Whether rows were dropped because of a limit.
    pub(super) truncated: bool,
    /// Whether that limit was the size.
    pub(super) truncated_by_size: bool,
    types: Vec<Type>,
    max_rows: usize,
    bytes: usize,
}

impl ResultRows {
    pub(super) fn new(max_rows: usize, types: Vec<Type>) -> Self {
        Self {
            columns: Vec::new(),
            rows: Vec::new(),
            received: 0,
            truncated: false,
            truncated_by_size: false,
            types,
            max_rows,
            bytes: 0,
        }
    }

    /// Returns how many more rows fit.
    pub(super) fn remaining(&self) -> usize {
        self.max_rows - self.rows.len()
    }

    /// Adds a row, or drops it if a limit is reached.
    pub(super) fn add(&mut self, row: &SimpleQueryRow) {
        self.received += 1;
        if self.truncated {
            return;
        }
        let size: usize = (0..row.len()).map(|column| row.get(column).map_or(4, str::len)).sum();
        self.bytes += size;
        self.truncated_by_size = self.bytes > MAX_VALUE_BYTES;
        self.truncated = self.truncated_by_size || self.remaining() == 0;
        if self.truncated {
            return;
        }
        let value = |column: usize| match (row.get(column), self.types.get(column)) {
            (None, _) => Value::Null,
            (Some(text), Some(data_type)) => json_value(data_type, text),
            (Some(text), None) => Value::String(text.to_owned()),
        };
        self.rows.push((0..row.len()).map(value).collect());
    }

    /// The notice for a result that is truncated by size.
    pub(super) fn size_notice() -> SqlNotice {
        SqlNotice {
            severity: "WARNING".to_owned(),
            message: format!("The rows were truncated because the response reached {} MiB.", MAX_VALUE_BYTES >> 20),
        }
    }
}
