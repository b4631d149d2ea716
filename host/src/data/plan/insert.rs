//! Plans inserts and upserts.

use std::{borrow::Cow, sync::Arc};

use serde_json::value::RawValue;

use crate::{
    data::{
        errors, json_input,
        message::{name_list, shortened},
        request::{InsertRequest, Resolution, Returning, Row},
        schema::{Schema, Table},
    },
    error::{ApiError, ApiResult, Code},
};

use super::{
    ident::TableRef,
    model::{CellValue, ColumnRef, Conflict, GroupRows, InsertGroup, InsertPlan},
    resolve::{self, forbidden, forbidden_column, unknown_column},
    write::{cell_value, plan_output, unsupported_write, writable_column},
};

/// Maximum number of different sets of keys in the rows of one request.
const MAX_KEY_SETS: usize = 50;

/// Plans an insert.
///
/// # Errors
/// Returns `unknown_table` or `unknown_column` for a name that the schema does not contain, `forbidden` for a name that
/// the role may not use in this way, `unprocessable` if the relation does not support inserts, and `invalid_value` or
/// `invalid_request` for other problems.
pub fn plan_insert<'p>(
    schema: &'p Schema,
    table_name: &str,
    request: &'p InsertRequest<'_>,
) -> ApiResult<InsertPlan<'p>> {
    let table = resolve::table(schema, table_name)?;
    if !table.accepts.insert {
        return Err(unsupported_write(table, "insert into"));
    }
    if !table.can_insert && !table.columns.iter().any(|column| column.can_insert) {
        return Err(forbidden(table, "insert into"));
    }
    let groups = plan_groups(table, request)?;
    let conflict = plan_conflict(table, request, &groups)?;
    Ok(InsertPlan {
        table: TableRef::new(table),
        groups,
        conflict,
        output: plan_output(table, &request.select, request.returning, Returning::Representation)?,
        row_count: request.rows.len(),
    })
}

/// Groups the rows by their set of keys.
fn plan_groups<'p>(table: &'p Table, request: &'p InsertRequest<'_>) -> ApiResult<Vec<InsertGroup<'p>>> {
    let key_sets = key_sets(table, &request.rows)?;
    let is_only_group = key_sets.len() == 1;
    key_sets
        .into_iter()
        .map(|KeySet { columns, positions }| {
            let columns = column_refs(table, &columns);
            let rows = match positions.as_slice() {
                _ if columns.is_empty() => GroupRows::Defaults { count: positions.len() },
                [position] => GroupRows::One(row_values(&columns, &request.rows[*position])?),
                _ if is_only_group && !needs_conversion(&columns) => GroupRows::Many(request.rows_json.into()),
                positions => {
                    GroupRows::Many(rows_json(&columns, positions.iter().map(|position| &request.rows[*position]))?)
                }
            };
            Ok(InsertGroup { columns, rows, positions })
        })
        .collect()
}

/// A set of columns, and the positions of the rows whose keys are exactly these columns.
struct KeySet {
    columns: Vec<usize>,
    positions: Vec<usize>,
}

/// Returns the key sets in the order of their first row.
fn key_sets(table: &Table, rows: &[Row<'_>]) -> ApiResult<Vec<KeySet>> {
    let mut key_sets: Vec<KeySet> = Vec::new();
    // Consecutive rows mostly have the same keys, so the previous row's set is tried first.
    let mut previous: Option<(&Row<'_>, usize)> = None;
    for (position, row) in rows.iter().enumerate() {
        let index = match previous {
            Some((previous_row, index)) if have_same_keys(previous_row, row) => index,
            _ => {
                let columns = row_columns(table, row)?;
                match key_sets.iter().position(|set| set.columns == columns) {
                    Some(index) => index,
                    None if key_sets.len() == MAX_KEY_SETS => {
                        return Err(ApiError::invalid(format!(
                            "The rows contain more than {MAX_KEY_SETS} different sets of keys. Send them in several \
                             requests."
                        )));
                    }
                    None => {
                        key_sets.push(KeySet { columns, positions: Vec::new() });
                        key_sets.len() - 1
                    }
                }
            }
        };
        previous = Some((row, index));
        key_sets[index].positions.push(position);
    }
    Ok(key_sets)
}

/// Returns whether two rows have the same keys in the same order.
fn have_same_keys(left: &Row<'_>, right: &Row<'_>) -> bool {
    left.cells.len() == right.cells.len() && left.cells.iter().zip(&right.cells).all(|(left, right)| left.0 == right.0)
}

/// Returns the positions of a row's columns, ascending.
fn row_columns(table: &Table, row: &Row<'_>) -> ApiResult<Vec<usize>> {
    let mut columns = Vec::with_capacity(row.cells.len());
    for (key, _) in &row.cells {
        let (position, column) = writable_column(table, key)?;
        if !column.column.can_insert {
            return Err(forbidden_column(table, column.column, "insert into"));
        }
        columns.push(position);
    }
    columns.sort_unstable();
    Ok(columns)
}

fn row_values(columns: &[ColumnRef<'_>], row: &Row<'_>) -> ApiResult<Vec<CellValue>> {
    columns
        .iter()
        .map(|column| match row.cells.iter().find(|(key, _)| *key == column.column.name) {
            Some((_, value)) => cell_value(*column, value),
            None => Ok(CellValue::Null),
        })
        .collect()
}

fn needs_conversion(columns: &[ColumnRef<'_>]) -> bool {
    columns.iter().any(|column| json_input::needs_conversion(&column.column.json_input))
}

/// Joins the JSON of rows into an array that `json_to_recordset` converts to these columns.
///
/// # Errors
/// Returns `invalid_value` if a value can't be converted.
pub fn rows_json<'r, 'b: 'r>(
    columns: &[ColumnRef<'_>],
    rows: impl Iterator<Item = &'r Row<'b>> + Clone,
) -> ApiResult<Arc<str>> {
    let convert = needs_conversion(columns);
    let mut json = String::with_capacity(2 + rows.clone().map(|row| row.json.len() + 1).sum::<usize>());
    for row in rows {
        json.push(if json.is_empty() { '[' } else { ',' });
        if convert {
            json.push_str(&converted_row(columns, row)?);
        } else {
            json.push_str(row.json);
        }
    }
    json.push_str(if json.is_empty() { "[]" } else { "]" });
    Ok(json.into())
}

fn converted_row(columns: &[ColumnRef<'_>], row: &Row<'_>) -> ApiResult<String> {
    let column = |key: &str| columns.iter().find(|column| column.column.name == key);
    json_input::convert_members(row, |key| column(key).map(|column| &column.column.json_input)).map_err(|reason| {
        // This is rare, so the column is found by converting each value alone.
        let is_invalid = |(key, value): &&(Cow<'_, str>, &RawValue)| {
            column(key).is_some_and(|column| json_input::convert(value.get(), &column.column.json_input).is_err())
        };
        match row.cells.iter().find(is_invalid).and_then(|(key, _)| column(key)) {
            Some(column) => errors::invalid_value(column.column, &reason),
            None => ApiError::new(Code::InvalidValue, format!("A value can't be stored: {reason}.")),
        }
    })
}

fn plan_conflict<'p>(
    table: &'p Table,
    request: &InsertRequest<'_>,
    groups: &[InsertGroup<'_>],
) -> ApiResult<Option<Conflict<'p>>> {
    if request.on_conflict.is_empty() {
        return match request.resolution {
            None => Ok(None),
            Some(Resolution::Ignore) => Ok(Some(Conflict { columns: Vec::new(), resolution: Resolution::Ignore })),
            Some(Resolution::Merge) => {
                let primary = table.primary_key().filter(|key| !key.deferrable);
                let primary = primary.ok_or_else(|| {
                    ApiError::invalid(format!(
                        "`resolution=merge` requires `onConflict`, because `{}` has no primary key that supports it.",
                        table.name
                    ))
                })?;
                merge(table, &primary.columns, groups).map(Some)
            }
        };
    }
    let mut target = Vec::with_capacity(request.on_conflict.len());
    for name in &request.on_conflict {
        target.push(table.column_position(name).ok_or_else(|| unknown_column(table, name))?);
    }
    let same_columns =
        |columns: &[usize]| columns.len() == target.len() && columns.iter().all(|column| target.contains(column));
    let Some(key) = table.unique_keys.iter().find(|key| !key.deferrable && same_columns(&key.columns)) else {
        let keys: Vec<String> = table
            .unique_keys
            .iter()
            .filter(|key| !key.deferrable)
            .map(|key| format!("onConflict={}", table.column_names(&key.columns).join(",")))
            .collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        return Err(ApiError::invalid(format!(
            "`onConflict={}` is not a unique key of `{}` that an upsert can use. Supported: {}.",
            shortened(&request.on_conflict.join(",")),
            table.name,
            name_list(&keys)
        )));
    };
    match request.resolution.unwrap_or(Resolution::Merge) {
        Resolution::Merge => merge(table, &key.columns, groups).map(Some),
        Resolution::Ignore => {
            Ok(Some(Conflict { columns: column_refs(table, &key.columns), resolution: Resolution::Ignore }))
        }
    }
}

/// Plans an upsert that updates existing rows. The role must be allowed to update every column sent.
fn merge<'p>(table: &'p Table, key: &[usize], groups: &[InsertGroup<'_>]) -> ApiResult<Conflict<'p>> {
    for group in groups {
        if let Some(column) = group.columns.iter().find(|column| !column.column.can_update) {
            return Err(forbidden_column(table, column.column, "update"));
        }
    }
    Ok(Conflict { columns: column_refs(table, key), resolution: Resolution::Merge })
}

fn column_refs<'p>(table: &'p Table, positions: &[usize]) -> Vec<ColumnRef<'p>> {
    positions.iter().map(|position| ColumnRef::at(table, *position)).collect()
}
