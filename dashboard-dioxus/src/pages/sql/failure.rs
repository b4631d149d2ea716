//! Reads from the server's response why a run of SQL has no result.

use std::ops::Range;

use api_types::ScriptFailure;
use serde_json::Value;

use super::{
    offsets,
    statement::{Parsed, word_at},
};
use crate::remote::Failure;

/// The reason why a run has no result.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct RunFailure {
    /// Number of the statement that failed, from 1.
    pub(super) number: usize,
    /// Whether the owner stopped the run.
    pub(super) is_cancelled: bool,
    pub(super) is_timeout: bool,
    pub(super) message: String,
    pub(super) hint: Option<String>,
    pub(super) detail: Option<String>,
    pub(super) sqlstate: Option<String>,
    /// The range of bytes of the query that the message is about.
    pub(super) range: Option<Range<usize>>,
    /// Line and column at which `range` starts, from 1.
    pub(super) line_and_column: Option<(usize, usize)>,
    pub(super) request_id: Option<String>,
}

/// Returns why the text must not be sent: a syntax error, or a statement that the server refuses.
pub(super) fn refusal(parsed: &Parsed, text: &str, base: usize) -> Option<RunFailure> {
    if let Some((range, message)) = parsed.problems().next() {
        let number =
            parsed.statements.iter().position(|statement| statement.parsed.error.is_some()).unwrap_or_default() + 1;
        let range = base + range.start..base + range.end;
        return Some(RunFailure {
            number,
            message: message.to_owned(),
            line_and_column: Some(offsets::line_and_column(text, range.start)),
            range: Some(range),
            ..RunFailure::default()
        });
    }
    let (index, statement) =
        parsed.statements.iter().enumerate().find(|(_, statement)| statement.parsed.refused.is_some())?;
    let refused = statement.parsed.refused.as_ref()?;
    let range = base + statement.range.start..base + statement.range.end;
    Some(RunFailure {
        number: index + 1,
        message: refused.message.clone(),
        hint: Some(refused.hint.clone()),
        line_and_column: Some(offsets::line_and_column(text, range.start)),
        range: Some(range),
        ..RunFailure::default()
    })
}

/// Returns the failure of a request. `base` is the byte of the query at which the sent text starts.
pub(super) fn failed(failure: &Failure, text: &str, base: usize, number: usize) -> RunFailure {
    let message = match failure {
        Failure::Refused { message, .. } => message.clone(),
        other => other.message(),
    };
    let hint = match failure {
        Failure::Refused { hint, .. } => hint.clone(),
        _ => None,
    };
    let mut read = read_details(failure.details(), text, base);
    read.number = number;
    read.is_cancelled = failure.code() == Some("cancelled");
    read.is_timeout = failure.code() == Some("timeout");
    read.message = message;
    read.hint = hint;
    read.request_id = failure.request_id().map(ToOwned::to_owned);
    read
}

pub(super) fn script_failure(failure: &ScriptFailure, text: &str, base: usize, carried_out: usize) -> RunFailure {
    let mut read = read_details(failure.details.as_ref(), text, base);
    read.number = failure.statement.map_or(carried_out, |index| index as usize + 1);
    read.is_cancelled = failure.code == "cancelled";
    read.is_timeout = failure.code == "timeout";
    read.message = failure.message.clone();
    read.hint = failure.hint.clone();
    read
}

/// Returns whether Postgres may have committed the changes of what failed. If the connection is lost, or the run ends
/// before Postgres has responded, the outcome of a commit is unknown. In one transaction, only the end of the script
/// commits. Otherwise each statement commits its own changes.
pub(super) fn may_be_committed(failure: &ScriptFailure, in_one_transaction: bool) -> bool {
    match failure.code.as_str() {
        "unavailable" | "timeout" | "cancelled" => failure.statement.is_none() || !in_one_transaction,
        _ => false,
    }
}

pub(super) fn read_details(details: Option<&Value>, text: &str, base: usize) -> RunFailure {
    let read = |name: &str| details.and_then(|details| details.get(name));
    let sent = text.get(base..).unwrap_or_default();
    let position = read("position").and_then(Value::as_u64);
    let range = position.map(|position| word_at(text, base + offsets::from_characters(sent, position as usize - 1)));
    RunFailure {
        detail: read("detail").and_then(Value::as_str).map(ToOwned::to_owned),
        sqlstate: read("sqlstate").and_then(Value::as_str).map(ToOwned::to_owned),
        line_and_column: range.as_ref().map(|range| offsets::line_and_column(text, range.start)),
        range,
        ..RunFailure::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_may_be_committed_if_the_outcome_of_a_commit_is_unknown() {
        for (statement, code, in_one_transaction, expected) in [
            (None, "unavailable", true, true),
            (None, "timeout", true, true),
            (None, "sql_error", true, false),
            (Some(0), "unavailable", true, false),
            (Some(0), "timeout", true, false),
            (Some(0), "cancelled", true, false),
            (Some(0), "unavailable", false, true),
            (Some(0), "timeout", false, true),
            (Some(0), "cancelled", false, true),
            (Some(0), "sql_error", false, false),
        ] {
            let failure =
                ScriptFailure { statement, code: code.to_owned(), message: String::new(), hint: None, details: None };
            assert_eq!(may_be_committed(&failure, in_one_transaction), expected, "{failure:?}");
        }
    }
}
