//! Finds the column of an invalid value, after Postgres rejected a write without naming the column.
//!
//! Runs only after such a failure, and reads nothing but the values that the client sent.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    db::{DbError, is_in_function},
    error::ApiError,
};

use super::{
    errors,
    execute::Executor,
    plan::{CellValue, ColumnRef, GroupRows, InsertGroup, InsertPlan, UpdatePlan, column_json, rows_json},
    project_errors::is_raised,
    render::{MAX_AFFECTED_MARKER, RETURNED_BYTES_MARKER, render_value_check},
    request::{InsertRequest, Row, UpdateRequest},
};

/// Returns the error for the invalid value that made an insert fail. `None` if the insert failed for another reason, or
/// if the column is not found.
pub(super) async fn invalid_insert_value(
    executor: Executor<'_>,
    error: &DbError,
    plan: &InsertPlan<'_>,
    request: &InsertRequest<'_>,
) -> Option<ApiError> {
    if !is_invalid_value(error) {
        return None;
    }
    let unstorable = plan.groups.iter().find_map(|group| {
        group.positions.iter().find_map(|position| unstorable_text(&group.columns, &request.rows[*position]))
    });
    if unstorable.is_some() {
        return unstorable;
    }
    let key_sets: Vec<KeySet<'_>> = plan.groups.iter().flat_map(key_sets).collect();
    for (columns, positions) in &key_sets {
        if columns.is_empty() {
            continue;
        }
        let sent = positions.iter().map(|position| &request.rows[*position]);
        let rows = match columns.as_slice() {
            // There may be a check for each column, so it does not send whole rows.
            [column] => column_json(*column, sent),
            _ => rows_json(columns, sent),
        };
        let rows = rows.ok()?;
        if let Some(found) = invalid_column(executor, columns, &rows).await {
            return Some(found);
        }
    }
    None
}

/// A set of columns, and the positions of the rows that have exactly these.
type KeySet<'p> = (Vec<ColumnRef<'p>>, Vec<usize>);

/// Returns the key sets of a group. A row is checked only with its own columns, because a domain may reject the null
/// of a column that the row omits. If there are more key sets than columns, returns a set for each column instead, so
/// that there are fewer checks.
fn key_sets<'p>(group: &InsertGroup<'p>) -> Vec<KeySet<'p>> {
    let GroupRows::Listed(rows) = &group.rows else {
        return vec![(group.columns.clone(), group.positions.clone())];
    };
    let mut key_sets: Vec<KeySet<'p>> = Vec::new();
    for (values, position) in rows.iter().zip(&group.positions) {
        let sent = group.columns.iter().zip(values).filter(|(_, value)| value.is_some());
        let columns: Vec<ColumnRef<'p>> = sent.map(|(column, _)| *column).collect();
        let has_columns = |(others, _): &&mut KeySet<'p>| {
            others.iter().map(|column| column.ident).eq(columns.iter().map(|column| column.ident))
        };
        let is_full = key_sets.len() == group.columns.len();
        match key_sets.iter_mut().find(has_columns) {
            Some((_, positions)) => positions.push(*position),
            None if is_full => return single_columns(group, rows),
            None => key_sets.push((columns, vec![*position])),
        }
    }
    key_sets
}

/// Returns a set for each column of a group, with the rows that contain the column.
fn single_columns<'p>(group: &InsertGroup<'p>, rows: &[Vec<Option<CellValue>>]) -> Vec<KeySet<'p>> {
    let set_of = |(index, column): (usize, &ColumnRef<'p>)| {
        let sent = rows.iter().zip(&group.positions).filter(|(values, _)| values[index].is_some());
        (vec![*column], sent.map(|(_, position)| *position).collect())
    };
    group.columns.iter().enumerate().map(set_of).collect()
}

/// Returns the error for the invalid value that made an update fail. `None` if the update failed for another reason, or
/// if the column is not found.
pub(super) async fn invalid_update_value(
    executor: Executor<'_>,
    error: &DbError,
    plan: &UpdatePlan<'_>,
    request: &UpdateRequest<'_>,
) -> Option<ApiError> {
    if !is_invalid_value(error) {
        return None;
    }
    let columns: Vec<ColumnRef<'_>> = plan.values.iter().map(|(column, _)| *column).collect();
    match unstorable_text(&columns, &request.values) {
        Some(found) => Some(found),
        None => {
            let rows = rows_json(&columns, std::iter::once(&request.values)).ok()?;
            invalid_column(executor, &columns, &rows).await
        }
    }
}

/// Returns whether Postgres rejected a value but did not report the parameter, so the column is not known. Errors that
/// the project's SQL or this slice's own checks raise don't count.
fn is_invalid_value(error: &DbError) -> bool {
    error.as_db_error().is_some_and(|postgres_error| {
        errors::rejects_value(postgres_error)
            && !is_raised(postgres_error)
            && !is_in_function(postgres_error)
            && errors::invalid_parameter(error).is_none()
            && !postgres_error.message().contains(MAX_AFFECTED_MARKER)
            && !postgres_error.message().contains(RETURNED_BYTES_MARKER)
    })
}

/// Finds the column by bisection. Returns its error, or `None` if the checks accept all values.
async fn invalid_column(executor: Executor<'_>, columns: &[ColumnRef<'_>], rows: &Arc<str>) -> Option<ApiError> {
    let mut suspects = columns;
    let mut reason = rejection_reason(executor, suspects, rows).await?;
    while suspects.len() > 1 {
        let (first, second) = suspects.split_at(suspects.len() / 2);
        match rejection_reason(executor, first, rows).await {
            Some(first_reason) => (suspects, reason) = (first, first_reason),
            None => (suspects, reason) = (second, rejection_reason(executor, second, rows).await?),
        }
    }
    Some(errors::invalid_value(suspects.first()?.column, &reason))
}

/// Returns Postgres's message if it rejects the values of these columns alone.
async fn rejection_reason(executor: Executor<'_>, columns: &[ColumnRef<'_>], rows: &Arc<str>) -> Option<String> {
    let check = render_value_check(columns, rows.clone());
    let error = executor.fetch(&check.statement).await.err()?;
    let postgres_error = error.as_db_error()?;
    errors::rejects_value(postgres_error).then(|| postgres_error.message().to_owned())
}

/// Returns the error for a string with a NUL or half a surrogate pair. JSON can contain these, but Postgres rejects the
/// whole parameter because of them.
fn unstorable_text(columns: &[ColumnRef<'_>], row: &Row<'_>) -> Option<ApiError> {
    let is_unstorable = |json: &str| {
        json.contains("\\u") && serde_json::from_str::<Value>(json).map_or(true, |value| contains_nul(&value))
    };
    let (key, _) = row.cells.iter().find(|(_, value)| is_unstorable(value.get()))?;
    let column = columns.iter().find(|column| column.column.name == *key)?.column;
    Some(errors::invalid_value(column, "the value contains a NUL character or half a surrogate pair"))
}

fn contains_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(contains_nul),
        Value::Object(members) => members.iter().any(|(key, value)| key.contains('\0') || contains_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
