//! Saves staged changes, all or none. The condition of each change is that the changed cells still contain the values
//! that were read. Values that are too large are not compared.
//!
//! The conditions also make saving safe to repeat. If the server stops before it responds, [`save`] finds out whether
//! the changes were saved, so that no change is lost or made twice.

use std::collections::BTreeMap;

use api_types::{ChangedRows, ColumnDetail, TableDetail};
use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::{
    View, WrongCell,
    data::{self, RowKey},
    query::quoted_if_needed,
    staged::{self, Staged, StagedRow},
};
use crate::{
    remote::{self, Failure, Method},
    text,
    ui::messages,
    value::{self, Cell},
};

/// Milliseconds to wait before each check whether a save succeeded. The last value repeats.
pub(super) const RETRY_MS: [u32; 4] = [1_000, 2_000, 5_000, 10_000];

pub(super) type Values = BTreeMap<String, Box<RawValue>>;

/// A change of a row, as sent to `POST …/changes`. Values are raw JSON, so that no digit is lost.
#[derive(Serialize)]
pub(super) struct Change {
    op: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    key: Values,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    set: Values,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    was: Values,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changes<'a> {
    changes: &'a [Change],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

/// The progress of saving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Saving {
    #[default]
    Idle,
    Sent,
    /// The server did not respond. Whether it saved the changes is being checked.
    Checking,
}

/// The reason why changes were not saved.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Problem {
    /// A row was changed by somebody else since it was read. `now` contains its current values by column.
    Changed {
        key: RowKey,
        now: BTreeMap<String, Cell>,
    },
    /// A row was deleted, or its key was changed, since it was read.
    Gone {
        key: RowKey,
    },
    Refused {
        row: Option<RowKey>,
        columns: Vec<String>,
        message: String,
    },
}

impl Change {
    pub(super) fn insert(set: Values) -> Self {
        Self { op: "insert", key: Values::new(), set, was: Values::new() }
    }

    pub(super) fn delete(key: &RowKey, detail: &TableDetail) -> Self {
        Self { op: "delete", key: key_values(key, detail), set: Values::new(), was: Values::new() }
    }

    /// Returns a change that succeeds only if the row already has the new values.
    fn as_saved(&self) -> Self {
        let key = self.key.iter().map(|(name, json)| (name.clone(), self.set.get(name).unwrap_or(json).clone()));
        Self { op: "update", key: key.collect(), set: self.set.clone(), was: self.set.clone() }
    }
}

/// The result of checking whether changes were saved, after the request to save them got no response.
enum Outcome {
    Saved,
    NotSaved,
    Refused(Failure),
}

/// Sets the progress back to idle when dropped, even if the component that saves is removed.
struct EndSaving(Signal<Saving>);

impl Drop for EndSaving {
    fn drop(&mut self) {
        if let Ok(mut saving) = self.0.try_write() {
            *saving = Saving::Idle;
        }
    }
}

/// Saves staged changes, all or none, and unstages the saved ones.
pub(super) async fn save(view: View, staged: Staged) -> Option<Problem> {
    let View { mut saving, mut wrong, .. } = view;
    saving.set(Saving::Sent);
    let _end = EndSaving(saving);
    wrong.set(Vec::new());
    let problem = try_save(view, &staged).await;
    if let Some(Problem::Refused { row: Some(row), columns, message }) = &problem {
        let cell =
            |column: &String| WrongCell { key: row.clone(), column: column.clone(), why: message.as_str().into() };
        wrong.set(columns.iter().map(cell).collect());
    }
    problem
}

async fn try_save(view: View, staged: &Staged) -> Option<Problem> {
    let detail = view.detail.peek().0.clone();
    let mut changes = Vec::new();
    for row in &staged.rows {
        match update(row, &detail) {
            Ok(change) => changes.push(change),
            Err((column, reason)) => {
                let message = format!("{column}: {reason}");
                return Some(Problem::Refused { row: Some(row.key.clone()), columns: vec![column], message });
            }
        }
    }
    match send(view, &changes, false).await {
        Ok(_) => accept(view, staged, &changes),
        Err(failure) if failure.is_outcome_unknown() => match find_outcome(view, &changes).await {
            Outcome::Saved => accept(view, staged, &changes),
            Outcome::NotSaved => {
                let message = "The request failed before the changes were saved. Save them again.".to_owned();
                Some(Problem::Refused { row: None, columns: Vec::new(), message })
            }
            Outcome::Refused(failure) => Some(problem_of(&failure, staged, &detail)),
        },
        // The rows may contain the new values from an earlier save whose response was lost.
        Err(failure) if is_row_changed(&failure) && are_saved(view, &changes).await.is_ok() => {
            accept(view, staged, &changes)
        }
        Err(failure) => Some(with_exact_values(view, problem_of(&failure, staged, &detail), &detail).await),
    }
}

/// Reads the values of a row that has changed in the meantime, because numbers in the details of an error lose digits.
async fn with_exact_values(view: View, problem: Problem, detail: &TableDetail) -> Problem {
    let Problem::Changed { key, now } = problem else { return problem };
    let columns: Vec<String> = now.keys().map(|column| quoted_if_needed(column)).collect();
    let (columns, filters) = (columns.join(","), key.filters());
    let mut parameters = vec![("limit", Some("1")), ("select", Some(columns.as_str()))];
    parameters.extend(filters.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))));
    let page = data::read(&view.path("rows", &parameters), detail).await;
    let Some(row) = page.ok().and_then(|page| page.rows.into_iter().next()) else {
        return Problem::Changed { key, now };
    };
    let cells = detail.columns.iter().zip(row.0.iter()).filter(|(column, _)| now.contains_key(&column.name));
    Problem::Changed { now: cells.map(|(column, cell)| (column.name.clone(), cell.clone())).collect(), key }
}

/// Repeats, until the server responds, the check whether it saved the changes.
async fn find_outcome(view: View, changes: &[Change]) -> Outcome {
    let View { mut saving, .. } = view;
    saving.set(Saving::Checking);
    let is_unclear = |failure: &Failure| {
        failure.is_outcome_unknown()
            || *failure == Failure::SignedOut
            || matches!(failure.code(), Some("rate_limited" | "overloaded"))
    };
    let mut waits = RETRY_MS.into_iter();
    loop {
        TimeoutFuture::new(waits.next().unwrap_or(10_000)).await;
        match are_saved(view, changes).await {
            Ok(()) => return Outcome::Saved,
            Err(failure) if is_unclear(&failure) => continue,
            Err(_) => {}
        }
        match send(view, changes, true).await {
            Ok(_) => return Outcome::NotSaved,
            Err(failure) if is_unclear(&failure) => {}
            Err(failure) => return Outcome::Refused(failure),
        }
    }
}

/// Returns `Ok` if the rows already have their new values.
async fn are_saved(view: View, changes: &[Change]) -> Result<(), Failure> {
    let saved: Vec<Change> = changes.iter().map(Change::as_saved).collect();
    send(view, &saved, true).await.map(drop)
}

/// Unstages the saved changes, which were sent as `changes`. Changes that were staged in the meantime stay.
fn accept(view: View, saved: &Staged, changes: &[Change]) -> Option<Problem> {
    let table = view.staged.peek().clone();
    for (row, change) in saved.rows.iter().zip(changes) {
        staged::discard_saved(&table, row, &change.set);
    }
    let (cells, rows) = saved.counts();
    messages::show(format!("Saved {}", counts_in_words(cells, rows)));
    view.refresh();
    None
}

/// Returns the numbers as text, for example `3 changes in 2 rows`.
pub(super) fn counts_in_words(cells: usize, rows: usize) -> String {
    format!("{} in {}", text::count(cells as i64, "change", "changes"), text::count(rows as i64, "row", "rows"))
}

/// Returns the request for a row's changes. Fails with the column whose text can't be stored, and the reason.
fn update(row: &StagedRow, detail: &TableDetail) -> Result<Change, (String, String)> {
    let (mut set, mut was) = (Values::new(), Values::new());
    for (column, cell) in &row.cells {
        let json =
            value::to_json(cell.now.as_deref(), type_of(column, detail)).map_err(|reason| (column.clone(), reason))?;
        set.insert(column.clone(), json);
        // `was` is empty if the value is too large to be compared.
        if !cell.was.is_empty() {
            was.insert(column.clone(), raw(&cell.was));
        }
    }
    Ok(Change { op: "update", key: key_values(&row.key, detail), set, was })
}

/// Sends the changes. In a dry run, the server only counts their effects.
pub(super) async fn send(view: View, changes: &[Change], dry_run: bool) -> Result<ChangedRows, Failure> {
    remote::send(Method::Post, &view.path("changes", &[]), &Changes { changes, dry_run }).await
}

fn problem_of(failure: &Failure, staged: &Staged, detail: &TableDetail) -> Problem {
    let details = failure.details();
    let member = |name: &str| details.and_then(|details| details.get(name));
    let index = member("change").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
    let row = index.and_then(|index| staged.rows.get(index));
    match (is_row_changed(failure), member("reason").and_then(Value::as_str), row) {
        (true, Some("gone"), Some(row)) => Problem::Gone { key: row.key.clone() },
        (true, _, Some(row)) => {
            let now = member("now").and_then(Value::as_object).into_iter().flatten();
            let cell = |(column, value): (&String, &Value)| {
                (column.clone(), Cell::new(&raw(&value.to_string()), type_of(column, detail), None))
            };
            Problem::Changed { key: row.key.clone(), now: now.map(cell).collect() }
        }
        _ => {
            let changed = |row: &StagedRow| row.cells.keys().cloned().collect::<Vec<_>>();
            let columns = match row {
                Some(row) => {
                    let refused = refused_columns(failure, detail);
                    let known: Vec<String> = refused.into_iter().filter(|name| row.cells.contains_key(name)).collect();
                    if known.is_empty() { changed(row) } else { known }
                }
                None => Vec::new(),
            };
            Problem::Refused { row: row.map(|row| row.key.clone()), columns, message: failure.message() }
        }
    }
}

/// Returns the columns that an error is about: the column that it names, or the columns of its constraint.
pub(super) fn refused_columns(failure: &Failure, detail: &TableDetail) -> Vec<String> {
    let Some(details) = failure.details() else { return Vec::new() };
    if let Some(column) = details.get("column").and_then(Value::as_str) {
        return vec![column.to_owned()];
    }
    if let Some(columns) = details.get("columns").and_then(Value::as_array) {
        return columns.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    }
    let constraint = details.get("constraint").and_then(Value::as_str);
    let constraint = detail.constraints.iter().find(|known| Some(known.name.as_str()) == constraint);
    constraint.map(|constraint| constraint.columns.clone()).unwrap_or_default()
}

fn is_row_changed(failure: &Failure) -> bool {
    failure.code() == Some("row_changed")
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap_or_default()
}

fn key_values(key: &RowKey, detail: &TableDetail) -> Values {
    let json = |name: &str, text: String| {
        value::to_json(Some(&text), type_of(name, detail)).unwrap_or_else(|_| raw(&Value::from(text).to_string()))
    };
    key.texts().map(|(name, text)| (name.to_owned(), json(name, text))).collect()
}

fn type_of<'a>(column: &str, detail: &'a TableDetail) -> &'a str {
    let known = detail.columns.iter().find(|known| known.name == column);
    known.map_or("text", |ColumnDetail { data_type, .. }| data_type)
}
