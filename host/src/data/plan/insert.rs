//! Plans inserts and upserts.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use serde_json::value::RawValue;

use crate::{
    data::{
        errors, json_input,
        message::{name_list, shortened},
        request::{InsertRequest, Resolution, Returning, Row},
        schema::{Schema, Table},
        violations,
    },
    error::{ApiError, ApiResult, Code},
};

use super::{
    ident::TableRef,
    model::{CellValue, ColumnRef, Conflict, GroupRows, InsertGroup, InsertPlan},
    resolve::{self, forbidden, forbidden_column, unknown_column},
    write::{cell_value, plan_output, unsupported_write, writable_column},
};

/// Maximum number of values in a group of [`GroupRows::Listed`], including those of omitted columns. Less than
/// Postgres's limit on parameters.
const MAX_LISTED_VALUES: usize = 50_000;

/// Number of values that a [`CellValue::Json`] counts as, because Postgres plans a subquery for it.
const LISTED_JSON_VALUE: usize = 30;

/// Maximum number of groups of a request whose rows have different keys. Postgres plans a subquery for each group.
const MAX_GROUPS: usize = 200;

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

/// Groups the rows so that they are inserted in the order of the request, if possible.
///
/// The ids that Postgres generates follow this order. So rows with different keys are listed in one group, with two
/// exceptions: there are too many values to list, or the request is an upsert that merges. A merge updates only the
/// columns sent, so it needs a group for each set of keys. In both cases, each run of consecutive rows with the same
/// keys is a group. If there are too many runs, all rows with the same keys are one group.
///
/// # Errors
/// Returns `invalid_request` if there are also too many sets of keys.
fn plan_groups<'p>(table: &'p Table, request: &'p InsertRequest<'_>) -> ApiResult<Vec<InsertGroup<'p>>> {
    let key_sets = key_sets(table, &request.rows)?;
    if key_sets.len() == 1 {
        return key_sets.into_iter().map(|key_set| plan_group(table, request, key_set, true)).collect();
    }
    if !merges(request)
        && let Some(group) = listed_group(table, &request.rows, &key_sets)?
    {
        return Ok(vec![group]);
    }
    let groups = match runs(&key_sets, request.rows.len()) {
        Some(runs) => runs,
        None if key_sets.len() <= MAX_GROUPS => key_sets,
        None => {
            return Err(ApiError::invalid(format!(
                "The rows contain more than {MAX_GROUPS} different sets of keys. This is supported neither by an \
                 upsert with `merge` nor for more than {MAX_LISTED_VALUES} values. Send the rows in several requests."
            )));
        }
    };
    groups.into_iter().map(|key_set| plan_group(table, request, key_set, false)).collect()
}

/// A set of columns, and the positions of rows whose keys are exactly these columns.
struct KeySet {
    columns: Vec<usize>,
    positions: Vec<usize>,
}

/// Plans a group of rows with the same keys. `is_all` is whether these are all rows of the request.
fn plan_group<'p>(
    table: &'p Table,
    request: &'p InsertRequest<'_>,
    KeySet { columns, positions }: KeySet,
    is_all: bool,
) -> ApiResult<InsertGroup<'p>> {
    let columns = column_refs(table, &columns);
    let rows = match positions.as_slice() {
        _ if columns.is_empty() => GroupRows::Defaults { count: positions.len() },
        [position] => GroupRows::One(row_values(&columns, &request.rows[*position])?),
        _ if is_all && !needs_conversion(&columns) => GroupRows::Many(request.rows_json.into()),
        positions => GroupRows::Many(rows_json(&columns, positions.iter().map(|position| &request.rows[*position]))?),
    };
    Ok(InsertGroup { columns, rows, positions })
}

/// Returns whether the request updates rows that already exist.
fn merges(request: &InsertRequest<'_>) -> bool {
    match request.resolution {
        Some(Resolution::Merge) => true,
        Some(Resolution::Ignore) => false,
        None => !request.on_conflict.is_empty(),
    }
}

/// Returns a group that lists all rows, or `None` if they have too many values.
fn listed_group<'p>(table: &'p Table, rows: &[Row<'_>], key_sets: &[KeySet]) -> ApiResult<Option<InsertGroup<'p>>> {
    let mut columns: Vec<usize> = key_sets.iter().flat_map(|key_set| key_set.columns.iter().copied()).collect();
    columns.sort_unstable();
    columns.dedup();
    let columns = column_refs(table, &columns);
    let mut value_count = rows.len() * columns.len();
    if value_count > MAX_LISTED_VALUES {
        return Ok(None);
    }
    let indexes: HashMap<&str, usize> =
        columns.iter().enumerate().map(|(index, column)| (column.column.name.as_str(), index)).collect();
    let mut listed = Vec::with_capacity(rows.len());
    for row in rows {
        let mut values: Vec<Option<CellValue>> = vec![None; columns.len()];
        for (key, json) in &row.cells {
            let Some(index) = indexes.get(&**key).copied() else { continue };
            let value = cell_value(columns[index], json)?;
            if matches!(value, CellValue::Json(_)) {
                value_count += LISTED_JSON_VALUE - 1;
            }
            values[index] = Some(value);
        }
        if value_count > MAX_LISTED_VALUES {
            return Ok(None);
        }
        listed.push(values);
    }
    Ok(Some(InsertGroup { columns, rows: GroupRows::Listed(listed), positions: (0..rows.len()).collect() }))
}

/// Splits the rows into runs of consecutive rows with the same keys. Returns `None` if there are more than
/// [`MAX_GROUPS`].
fn runs(key_sets: &[KeySet], row_count: usize) -> Option<Vec<KeySet>> {
    let mut set_of_row = vec![0; row_count];
    for (number, key_set) in key_sets.iter().enumerate() {
        for position in &key_set.positions {
            set_of_row[*position] = number;
        }
    }
    let mut runs: Vec<KeySet> = Vec::new();
    for run in set_of_row.chunk_by(|left, right| left == right) {
        if runs.len() == MAX_GROUPS {
            return None;
        }
        let start = runs.last().and_then(|run| run.positions.last()).map_or(0, |last| last + 1);
        let positions = (start..start + run.len()).collect();
        runs.push(KeySet { columns: key_sets[run[0]].columns.clone(), positions });
    }
    Some(runs)
}

/// Returns the key sets in the order of their first row.
fn key_sets(table: &Table, rows: &[Row<'_>]) -> ApiResult<Vec<KeySet>> {
    let mut key_sets: Vec<KeySet> = Vec::new();
    let mut indexes: HashMap<Vec<usize>, usize> = HashMap::new();
    // Consecutive rows mostly have the same keys, so the previous row's set is tried first.
    let mut previous: Option<(&Row<'_>, usize)> = None;
    for (position, row) in rows.iter().enumerate() {
        let index = match previous {
            Some((previous_row, index)) if have_same_keys(previous_row, row) => index,
            _ => {
                let columns = row_columns(table, row)?;
                match indexes.get(&columns) {
                    Some(index) => *index,
                    None => {
                        let index = key_sets.len();
                        indexes.insert(columns.clone(), index);
                        key_sets.push(KeySet { columns, positions: Vec::new() });
                        index
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

/// Like [`rows_json`], for one column. Omits all other members of the rows.
///
/// # Errors
/// Fails like [`rows_json`].
pub fn column_json<'r, 'b: 'r>(column: ColumnRef<'_>, rows: impl Iterator<Item = &'r Row<'b>>) -> ApiResult<Arc<str>> {
    let mut json = String::new();
    for row in rows {
        json.push(if json.is_empty() { '[' } else { ',' });
        let cells = row.cells.iter().filter(|(key, _)| *key == column.column.name).cloned().collect();
        json.push_str(&converted_row(&[column], &Row { json: "", cells })?);
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
            Some(Resolution::Ignore) => match table.unique_keys.iter().find(|key| key.deferrable) {
                Some(key) => Err(violations::deferrable_constraint(table, &key.name)),
                None => Ok(Some(Conflict { columns: Vec::new(), resolution: Resolution::Ignore })),
            },
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
        let targets = table.conflict_targets();
        let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
        return Err(ApiError::invalid(format!(
            "`onConflict={}` is not a unique key of `{}` that an upsert can use. Supported: {}.",
            shortened(&request.on_conflict.join(",")),
            table.name,
            name_list(&targets)
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
