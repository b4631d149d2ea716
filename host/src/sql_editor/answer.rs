use api_types::{SqlColumn, SqlNotice};
use serde_json::Value;
use tokio_postgres::{SimpleQueryRow, types::Type};

use super::values::json_value;

/// Bytes of values in one answer.
const MAX_BYTES: usize = 8 << 20;

/// The part of a result that is shown, bounded in rows and bytes.
pub(super) struct Answer {
    pub(super) columns: Vec<SqlColumn>,
    pub(super) rows: Vec<Vec<Value>>,
    /// Rows that came, shown or not.
    pub(super) seen: u64,
    pub(super) truncated: bool,
    pub(super) cut_by_size: bool,
    types: Vec<Type>,
    max_rows: usize,
    bytes: usize,
}

impl Answer {
    pub(super) fn new(max_rows: usize, types: Vec<Type>) -> Self {
        Self {
            columns: Vec::new(),
            rows: Vec::new(),
            seen: 0,
            truncated: false,
            cut_by_size: false,
            types,
            max_rows,
            bytes: 0,
        }
    }

    /// Rows that still fit.
    pub(super) fn room(&self) -> usize {
        self.max_rows - self.rows.len()
    }

    pub(super) fn add(&mut self, row: &SimpleQueryRow) {
        self.seen += 1;
        if self.truncated {
            return;
        }
        let size: usize = (0..row.len()).map(|column| row.get(column).map_or(4, str::len)).sum();
        self.bytes += size;
        self.cut_by_size = self.bytes > MAX_BYTES;
        self.truncated = self.cut_by_size || self.room() == 0;
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

    pub(super) fn size_notice() -> SqlNotice {
        SqlNotice {
            severity: "WARNING".to_owned(),
            message: format!("The rows were cut where the answer reached {} MiB.", MAX_BYTES >> 20),
        }
    }
}
