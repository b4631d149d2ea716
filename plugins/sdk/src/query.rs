//! Reads rows of projects' databases with SQL.
//!
//! Requires the capability [`Query`](crate::plugin::Capability::Query). Its scope lists the databases: `project:<id>`,
//! or `project:*` for all projects.
//!
//! ```no_run
//! # use atlashub_plugin_sdk::{prelude::*, query::Query};
//! #[derive(Deserialize)]
//! struct Order {
//!     id: i64,
//!     total: f64,
//! }
//!
//! # async fn example() -> Result<()> {
//! let mut rows = Query::new("project:abc", "SELECT id, total FROM orders WHERE total > $1").bind(100).rows().await?;
//! while let Some(order) = rows.next::<Order>().await? {
//!     info!("Order {} is large", order.id; total = order.total);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A query runs in a read-only transaction, as a role that can only read the tables and views of schema `public`.
//! Policies of row-level security do not apply to this role. The rows are JSON objects: numbers are exact in the text,
//! dates are strings, and `bytea` is a string that starts with `\x`.

use std::{collections::VecDeque, fmt::Write as _, time::Duration};

use serde::de::DeserializeOwned;

pub use crate::bindings::atlashub::plugin::query::{Column, QueryInfo};
use crate::{
    Context as _, Error, ErrorCode, Result, backend,
    stream::{ByteStream, Outcome},
};

/// Maximum size of a row in the stream.
const MAX_ROW_BYTES: usize = 2 << 20;

/// A query with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a query runs when its rows are requested"]
pub struct Query {
    pub(crate) database: String,
    pub(crate) sql: String,
    pub(crate) parameters: Vec<Option<String>>,
    pub(crate) timeout_ms: Option<u32>,
}

/// The rows of a query. Dropping it cancels the query.
pub struct Rows {
    /// Columns of the result.
    pub columns: Vec<Column>,
    stream: ByteStream,
    /// `None` after the end.
    outcome: Option<Outcome<QueryInfo>>,
    /// Bytes that were read from the stream but not returned.
    buffer: VecDeque<u8>,
    /// Whether bytes were read from the stream.
    is_begun: bool,
}

/// A value for a parameter. Postgres converts its text to the type of the parameter.
pub trait Parameter {
    /// Returns the value in Postgres' text format. `None` stands for `NULL`.
    fn into_text(self) -> Option<String>;
}

impl Query {
    /// Creates a query. `sql` is one query that starts with `SELECT`, `VALUES`, `TABLE` or `WITH`, in which `$1` stands
    /// for the first parameter.
    pub fn new(database: impl Into<String>, sql: impl Into<String>) -> Self {
        Self { database: database.into(), sql: sql.into(), parameters: Vec::new(), timeout_ms: None }
    }

    /// Sets the value of the next parameter.
    pub fn bind(mut self, value: impl Parameter) -> Self {
        self.parameters.push(value.into_text());
        self
    }

    /// Sets the time limit for the query and for reading its rows. The platform's limit is the default and the maximum.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = Some(u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Starts the query.
    ///
    /// Read the rows before you start other queries, because few queries run at the same time and further ones wait.
    ///
    /// # Errors
    /// Returns `Denied` if the grant does not cover the database or the role may not run the query, `NotFound` if the
    /// project does not exist, `Invalid` if the database is not a project's or if Postgres rejects the query or a
    /// value, `Timeout` after the time limit, `TooLarge` if the text is too long, there are too many parameters, or the
    /// run already has the maximum number of open transfers, and `Unavailable` if Postgres cannot be reached.
    pub async fn rows(self) -> Result<Rows> {
        let (columns, stream, outcome) = backend::query::open(self).await?;
        Ok(Rows { columns, stream, outcome: Some(outcome), buffer: VecDeque::new(), is_begun: false })
    }

    /// Runs the query and returns all rows.
    ///
    /// # Errors
    /// Returns the errors of [`rows`](Self::rows) and [`Rows::next`].
    pub async fn fetch_all<T: DeserializeOwned>(self) -> Result<Vec<T>> {
        let (mut rows, mut all) = (self.rows().await?, Vec::new());
        while let Some(row) = rows.next().await? {
            all.push(row);
        }
        Ok(all)
    }
}

impl Rows {
    /// Returns the next row, or `None` after the last row.
    ///
    /// # Errors
    /// Returns `Failed` if the row can't be deserialized as `T`, `TooLarge` if it is too large, `Timeout` after the
    /// time limit, and other errors if the query failed while it ran. After an error, rows are missing.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line).context("reading a row")?));
            }
            if self.buffer.len() > MAX_ROW_BYTES {
                return Err(Error::new(ErrorCode::TooLarge, "a row is too large"));
            }
            self.is_begun = true;
            match self.stream.chunk().await {
                Some(chunk) => self.buffer.extend(chunk),
                None => {
                    if let Some(outcome) = self.outcome.take() {
                        outcome.wait().await?;
                    }
                    return Ok(None);
                }
            }
        }
    }

    /// Returns the rows as a stream, for example to store them as an object: one JSON object per row, each followed by
    /// a line feed. Keep what you stored only if the outcome is a success.
    ///
    /// # Errors
    /// Returns `Invalid` if rows were already read with [`next`](Self::next).
    pub fn into_stream(self) -> Result<(ByteStream, Outcome<QueryInfo>)> {
        match self.outcome {
            Some(outcome) if !self.is_begun => Ok((self.stream, outcome)),
            _ => Err(Error::invalid("rows were read before the stream was taken")),
        }
    }
}

macro_rules! parameters_by_display {
    ($($kind:ty),*) => {
        $(impl Parameter for $kind {
            fn into_text(self) -> Option<String> {
                Some(self.to_string())
            }
        })*
    };
}

parameters_by_display!(&str, String, &String, bool, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, serde_json::Value);

impl Parameter for &[u8] {
    fn into_text(self) -> Option<String> {
        let mut text = String::with_capacity(2 + 2 * self.len());
        text.push_str("\\x");
        for byte in self {
            // Writing to a string can't fail.
            _ = write!(text, "{byte:02x}");
        }
        Some(text)
    }
}

impl<T: Parameter> Parameter for Option<T> {
    fn into_text(self) -> Option<String> {
        self.and_then(Parameter::into_text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{prelude::*, testing::TestHost};

    #[derive(Deserialize, JsonSchema)]
    struct Minimum {
        minimum: Option<i64>,
    }

    async fn sum(_run: Run, params: Minimum) -> Result<i64> {
        #[derive(Deserialize)]
        struct Row {
            id: i64,
        }
        let query = Query::new("project:a", "SELECT id FROM t WHERE id > $1").bind(params.minimum);
        Ok(query.fetch_all::<Row>().await?.iter().map(|row| row.id).sum())
    }

    async fn store(_run: Run, _params: Minimum) -> Result<u64> {
        let rows = Query::new("project:a", "SELECT id FROM t").rows().await?;
        let columns: Vec<&str> = rows.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(columns, ["id"]);
        let (stream, outcome) = rows.into_stream()?;
        let upload = crate::objects::put("project:a", "uploads/rows.ndjson", "application/x-ndjson", stream).await?;
        let info = outcome.wait().await?;
        upload.commit().await?;
        Ok(info.row_count)
    }

    async fn late(_run: Run, _params: Minimum) -> Result<()> {
        #[derive(Deserialize)]
        struct Row {}
        let mut rows = Query::new("project:a", "SELECT id FROM t").rows().await?;
        // All rows, but not the end of the stream.
        rows.next::<Row>().await?;
        rows.next::<Row>().await?;
        rows.into_stream().map(drop)
    }

    fn host() -> TestHost {
        let plugin = Plugin::new("sums", "1.0.0", 1)
            .job("sum", "Sums.", sum)
            .job("late", "Takes the stream after its rows were read.", late)
            .job("store", "Stores.", store)
            .capability(Capability::Objects, "To store.", Scope::default())
            .capability(Capability::Query, "To sum.", Scope::default());
        TestHost::new(plugin).handle_queries(|_| Ok(vec![json!({"id": 2}), json!({"id": 40})]))
    }

    #[test]
    fn rows_are_read_and_parameters_sent() {
        let host = host();
        assert_eq!(host.run("sum", json!({"minimum": 1})).unwrap(), json!(42));
        assert_eq!(host.run("sum", json!({"minimum": null})).unwrap(), json!(42));
        let sent = host.queries();
        assert_eq!(sent[0].sql, "SELECT id FROM t WHERE id > $1");
        assert_eq!(sent[0].parameters, [Some("1".to_owned())]);
        assert_eq!(sent[1].parameters, [None]);
    }

    #[test]
    fn rows_are_forwarded_as_lines() {
        let host = host();
        assert_eq!(host.run("store", json!({})).unwrap(), json!(2));
        assert_eq!(host.object_bytes("project:a", "uploads/rows.ndjson").unwrap(), b"{\"id\":2}\n{\"id\":40}\n");
    }

    #[test]
    fn stream_whose_rows_were_read_is_refused() {
        assert_eq!(host().run("late", json!({})).unwrap_err().code, ErrorCode::Invalid);
    }

    #[test]
    fn query_that_fails_after_its_first_rows_is_an_error() {
        let host = host().fail_next("query.open.outcome", "", Error::new(ErrorCode::Timeout, "too slow"));
        assert_eq!(host.run("sum", json!({})).unwrap_err().code, ErrorCode::Timeout);
        let host = self::host().fail_next("query.open.outcome", "", Error::new(ErrorCode::Timeout, "too slow"));
        assert_eq!(host.run("store", json!({})).unwrap_err().code, ErrorCode::Timeout);
        assert_eq!(host.object_keys("project:a"), [] as [&str; 0]);
    }

    #[test]
    fn bytes_are_written_as_postgres_reads_them() {
        assert_eq!((&[0_u8, 255][..]).into_text().as_deref(), Some("\\x00ff"));
        assert_eq!(json!({"a": 1}).into_text().as_deref(), Some("{\"a\":1}"));
        assert_eq!(Some(true).into_text().as_deref(), Some("true"));
    }
}
