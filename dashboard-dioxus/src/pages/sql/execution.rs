//! The execution of a query, and its results.

use std::rc::Rc;

use api_types::{Run, SqlNotice};
use serde_json::value::RawValue;

use super::{failure::RunFailure, plan::Plan, run::RunPlan, wire::RawResult};
use crate::{
    text,
    value::{self, Text},
};

/// One execution of a query, with its results.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Execution {
    pub(super) query_id: String,
    /// The statements that were sent, and how they are run. `None` until they are sent.
    pub(super) sent: Option<Rc<RunPlan>>,
    /// When it started, in milliseconds since 1970.
    pub(super) started_at: f64,
    pub(super) finished_at: f64,
    pub(super) is_running: bool,
    pub(super) is_cancelling: bool,
    pub(super) results: Vec<Rc<ResultSet>>,
    /// Whether a later statement failed, and the changes of `results` were rolled back.
    pub(super) is_rolled_back: bool,
    pub(super) failure: Option<RunFailure>,
    /// A sentence about the outcome, for example "Nothing was changed."
    pub(super) note: Option<String>,
    pub(super) plan: Option<Rc<Plan>>,
    pub(super) notices: Vec<SqlNotice>,
    pub(super) shown: Shown,
    /// The run, if the text runs in the background.
    pub(super) background: Option<Run>,
}

impl Execution {
    /// Returns whether the changes of a result were rolled back, because a later statement failed.
    pub(super) fn is_undone(&self, result: usize) -> bool {
        self.is_rolled_back && self.results.get(result).is_some_and(|result| result.is_change())
    }
}

/// The selected tab of an execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Shown {
    #[default]
    Nothing,
    Result(usize),
    Failure,
    Messages,
    Plan,
    Background,
}

/// The result of a statement.
#[derive(Debug)]
pub(super) struct ResultSet {
    /// Number of the statement, from 1.
    pub(super) number: usize,
    pub(super) sql: Rc<str>,
    pub(super) command: String,
    pub(super) columns: Rc<[Column]>,
    pub(super) rows: Vec<Rc<[Text]>>,
    pub(super) row_count: u64,
    pub(super) is_truncated: bool,
    pub(super) duration_ms: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    pub(super) name: String,
    /// The type, as Postgres prints it.
    pub(super) data_type: String,
}

/// Compares by identity: results never change, and comparing all values would take longer than drawing them.
impl PartialEq for ResultSet {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl ResultSet {
    /// Converts the server's result of the statement `sql`, which is statement `number` of those that were sent.
    pub(super) fn new(number: usize, sql: &str, raw: RawResult) -> Self {
        let cells = |row: &Vec<Box<RawValue>>| {
            let cells = row.iter().zip(&raw.columns);
            cells.map(|(json, column)| value::text_of(json, &column.data_type)).collect()
        };
        let rows = raw.rows.iter().map(cells).collect();
        let columns =
            raw.columns.iter().map(|column| Column { name: column.name.clone(), data_type: column.data_type.clone() });
        Self {
            number,
            sql: sql.into(),
            columns: columns.collect(),
            rows,
            command: raw.command,
            row_count: raw.row_count,
            is_truncated: raw.truncated,
            duration_ms: raw.duration_ms,
        }
    }

    /// Returns whether the statement changed rows, or may have changed something else than rows.
    pub(super) fn is_change(&self) -> bool {
        self.columns.is_empty() || self.changes_rows()
    }

    fn changes_rows(&self) -> bool {
        matches!(self.command.as_str(), "INSERT" | "UPDATE" | "DELETE" | "MERGE")
    }

    /// Returns the number of returned or changed rows, as text. Empty for statements that neither return nor change
    /// rows.
    pub(super) fn rows_in_words(&self) -> String {
        let has_rows = !self.columns.is_empty() || self.changes_rows();
        if has_rows { text::count(self.row_count as i64, "row", "rows") } else { String::new() }
    }

    /// Returns the number of rows and the duration, for example `42 rows · 12 ms`.
    pub(super) fn facts(&self) -> String {
        let duration = duration(self.duration_ms);
        let rows = self.rows_in_words();
        if rows.is_empty() { duration } else { format!("{rows} · {duration}") }
    }
}

/// Returns a duration in milliseconds as text, for example `0.4 ms`, `12 ms`, `3.2 s` or `1 min 1 s`.
pub(super) fn duration(milliseconds: f64) -> String {
    if milliseconds < 1.0 {
        format!("{milliseconds:.1} ms")
    } else if milliseconds < 1000.0 {
        format!("{milliseconds:.0} ms")
    } else if milliseconds < 60_000.0 {
        format!("{:.1} s", milliseconds / 1000.0)
    } else {
        format!("{} min {} s", (milliseconds / 60_000.0) as u64, (milliseconds / 1000.0) as u64 % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_by_size() {
        for (milliseconds, expected) in [(0.42, "0.4 ms"), (12.3, "12 ms"), (3_210.0, "3.2 s"), (61_000.0, "1 min 1 s")]
        {
            assert_eq!(duration(milliseconds), expected);
        }
    }
}
