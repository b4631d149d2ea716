//! Receives the rows of a statement, up to the limits of a response.

use api_types::{SqlColumn, SqlNotice};
use serde::Serialize;
use tokio_postgres::{SimpleQueryRow, types::Type};

use super::values::write_json;
use crate::{
    error::{ApiError, ApiResult},
    http::{ResponseBuffer, ResponseError},
};

/// Maximum size of the values of one result, in bytes. A response to a script contains several results.
const MAX_VALUE_BYTES: usize = 8 << 20;
/// Maximum number of bytes of a response that are reserved for the members after the rows, mainly notices.
const END_BYTES: usize = 3 << 20;

/// The response with the rows of a result, limited in number and size. Rows are written into it as they arrive.
pub(super) struct ResultRows {
    response: ResponseBuffer,
    /// Whether the result has columns.
    pub(super) has_columns: bool,
    /// Number of rows of the result in the response.
    pub(super) returned: usize,
    /// Number of rows received, whether returned or not.
    pub(super) received: u64,
    /// The limit because of which rows were dropped, if any were.
    truncated_by: Option<Limit>,
    types: Vec<Type>,
    max_rows: usize,
    /// Bytes of the received values.
    bytes: usize,
    /// Maximum size of the response up to its last row, in bytes.
    max_bytes: usize,
    /// The row that is being added.
    row: String,
}

/// The members of [`api_types::SqlResult`] that follow the rows in a response.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResultEnd {
    pub(super) row_count: u64,
    pub(super) truncated: bool,
    pub(super) duration_ms: f64,
    pub(super) notices: Vec<SqlNotice>,
    pub(super) command: String,
    pub(super) rolled_back: bool,
    /// Position in a script, as in [`api_types::StatementResult`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) start: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<u32>,
}

/// Returns the maximum size, up to its last row, of a response to a single statement.
pub(super) fn max_row_bytes(response: &ResponseBuffer) -> usize {
    let limit = response.max_bytes();
    limit - (limit / 4).min(END_BYTES)
}

/// A limit that dropped rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    Rows,
    /// [`MAX_VALUE_BYTES`].
    Values,
    /// The maximum size of the response.
    Size,
    Memory,
}

impl ResultRows {
    /// Starts without rows. `max_bytes` is the maximum size of the response up to its last row.
    pub(super) fn new(response: ResponseBuffer, max_bytes: usize, max_rows: usize, types: Vec<Type>) -> Self {
        Self {
            response,
            has_columns: !types.is_empty(),
            returned: 0,
            received: 0,
            truncated_by: None,
            types,
            max_rows,
            bytes: 0,
            max_bytes,
            row: String::new(),
        }
    }

    /// Begins the response. Called before the first row is added.
    pub(super) fn begin(&mut self, columns: &[SqlColumn]) -> ApiResult<()> {
        let columns = serde_json::to_string(columns).map_err(ApiError::internal)?;
        self.response.push(format!("{{\"columns\":{columns},\"rows\":[").as_bytes())?;
        Ok(())
    }

    /// Completes the response.
    pub(super) fn finish(mut self, end: &ResultEnd) -> ApiResult<ResponseBuffer> {
        let end = serde_json::to_string(end).map_err(ApiError::internal)?;
        // `end` is an object: its members follow those of the response.
        self.response.push(b"],")?;
        self.response.push(&end.as_bytes()[1..])?;
        Ok(self.response)
    }

    /// Returns the number of further rows that fit.
    pub(super) fn remaining(&self) -> usize {
        self.max_rows - self.returned
    }

    /// Returns whether rows were dropped because of a limit.
    pub(super) fn is_truncated(&self) -> bool {
        self.truncated_by.is_some()
    }

    /// Adds a row, or drops it if a limit is reached.
    pub(super) fn add(&mut self, row: &SimpleQueryRow) {
        self.received += 1;
        if self.is_truncated() {
            return;
        }
        if self.remaining() == 0 {
            self.truncated_by = Some(Limit::Rows);
            return;
        }
        let size: usize = (0..row.len()).map(|column| row.get(column).map_or(4, str::len)).sum();
        self.bytes += size;
        if self.bytes > MAX_VALUE_BYTES {
            self.truncated_by = Some(Limit::Values);
            return;
        }
        self.row.clear();
        self.row.push_str(if self.returned == 0 { "[" } else { ",[" });
        for column in 0..row.len() {
            if column > 0 {
                self.row.push(',');
            }
            match row.get(column) {
                None => self.row.push_str("null"),
                Some(text) => write_json(&mut self.row, self.types.get(column), text),
            }
        }
        self.row.push(']');
        if self.response.len() + self.row.len() > self.max_bytes {
            self.truncated_by = Some(Limit::Size);
            return;
        }
        match self.response.push(self.row.as_bytes()) {
            Ok(()) => self.returned += 1,
            Err(ResponseError::TooLarge(_)) => self.truncated_by = Some(Limit::Size),
            Err(ResponseError::MemoryFull) => self.truncated_by = Some(Limit::Memory),
        }
    }

    /// Drops a row that was too large to be received.
    pub(super) fn drop_large(&mut self) {
        self.received += 1;
        self.truncated_by = self.truncated_by.or(Some(Limit::Size));
    }

    /// Returns the notice for a result that was truncated by a limit other than `maxRows`.
    pub(super) fn truncation_notice(&self) -> Option<SqlNotice> {
        let reason = match self.truncated_by? {
            Limit::Rows => return None,
            Limit::Values => format!("the values of the result reached {} MiB", MAX_VALUE_BYTES >> 20),
            // In a script, the results of earlier statements fill the response too.
            Limit::Size => format!("the response reached its maximum size, {} KiB", self.response.max_bytes() >> 10),
            Limit::Memory => "the memory for responses is in use".to_owned(),
        };
        let message = format!("The rows were truncated because {reason}.");
        Some(SqlNotice { severity: "WARNING".to_owned(), message })
    }
}
