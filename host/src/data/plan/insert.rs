use std::{borrow::Cow, sync::Arc};

use serde_json::value::RawValue;

use crate::{
    data::{
        request::{InsertRequest, Resolution, Returning, Row, shortened},
        schema::{Schema, Table},
    },
    error::{ApiError, ApiResult},
};

use super::{
    ident::QuotedIdent,
    resolve::{self, ColumnRef, forbidden, listed, unknown_column},
    write::{Answer, CellValue, cell_value, forbidden_column, plan_answer, require_accepts, writable_column},
};

/// Most sets of keys that the rows of one request may have.
const MAX_SHAPES: usize = 50;

/// An insert all of whose names exist and may be written.
#[derive(Debug)]
pub struct InsertPlan<'p> {
    pub table: QuotedIdent<'p>,
    /// Rows by the set of their keys.
    pub groups: Vec<InsertGroup<'p>>,
    pub conflict: Option<Conflict<'p>>,
    pub returning: Answer<'p>,
    pub row_count: usize,
}

/// Rows that have the same keys.
#[derive(Debug)]
pub struct InsertGroup<'p> {
    /// In the table's order; empty when the rows are all defaults.
    pub columns: Vec<ColumnRef<'p>>,
    pub rows: GroupRows<'p>,
    /// Places of the rows in the request.
    pub positions: Vec<usize>,
}

#[derive(Debug)]
pub enum GroupRows<'p> {
    /// So many rows without a key; `column` can be named to write them.
    Defaults { count: usize, column: Option<ColumnRef<'p>> },
    /// One row, each value a parameter of its own.
    One(Vec<CellValue>),
    /// A JSON array of the rows, one parameter.
    Many(Arc<str>),
}

/// `ON CONFLICT`.
#[derive(Debug)]
pub struct Conflict<'p> {
    /// Empty means any key.
    pub columns: Vec<ColumnRef<'p>>,
    pub resolution: Resolution,
}

/// Resolves an insert against the schema.
pub fn plan_insert<'p>(
    schema: &'p Schema,
    table_name: &str,
    request: &'p InsertRequest<'_>,
) -> ApiResult<InsertPlan<'p>> {
    let table = resolve::table(schema, table_name)?;
    require_accepts(table, table.accepts.insert, "insert into")?;
    if !table.can_insert && !table.columns.iter().any(|column| column.can_insert) {
        return Err(forbidden(table, "insert into"));
    }
    let groups = plan_groups(table, request)?;
    let conflict = plan_conflict(table, request, &groups)?;
    let default_answer = Returning::Representation;
    Ok(InsertPlan {
        table: QuotedIdent::new(&table.name),
        groups,
        conflict,
        returning: plan_answer(schema, table, &request.select, request.returning, default_answer)?,
        row_count: request.rows.len(),
    })
}

fn plan_groups<'p>(table: &'p Table, request: &'p InsertRequest<'_>) -> ApiResult<Vec<InsertGroup<'p>>> {
    // (columns, places of the rows), in order of first appearance.
    let mut shapes: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
    let mut last_keys: &[(Cow<'_, str>, &RawValue)] = &[];
    let mut last_shape = None;
    for (place, row) in request.rows.iter().enumerate() {
        let like_last = last_keys.len() == row.cells.len() && last_keys.iter().zip(&row.cells).all(|(a, b)| a.0 == b.0);
        let shape = match last_shape {
            Some(shape) if like_last => shape,
            _ => {
                let columns = row_columns(table, row)?;
                match shapes.iter().position(|(seen, _)| *seen == columns) {
                    Some(shape) => shape,
                    None if shapes.len() == MAX_SHAPES => {
                        return Err(ApiError::invalid(format!(
                            "The rows have more than {MAX_SHAPES} different sets of keys; send them in several requests."
                        )));
                    }
                    None => {
                        shapes.push((columns, Vec::new()));
                        shapes.len() - 1
                    }
                }
            }
        };
        (last_keys, last_shape) = (&row.cells, Some(shape));
        shapes[shape].1.push(place);
    }
    let all_alike = shapes.len() == 1;
    shapes
        .into_iter()
        .map(|(columns, positions)| {
            let columns: Vec<ColumnRef<'p>> =
                columns.into_iter().map(|position| ColumnRef::at(table, position)).collect();
            let rows = match positions.as_slice() {
                _ if columns.is_empty() => GroupRows::Defaults {
                    count: positions.len(),
                    column: (0..table.columns.len())
                        .find(|position| table.columns[*position].can_insert)
                        .map(|position| ColumnRef::at(table, position)),
                },
                [place] => GroupRows::One(row_values(&columns, &request.rows[*place])?),
                _ if all_alike => GroupRows::Many(request.rows_json.into()),
                places => GroupRows::Many(joined_rows(request, places)),
            };
            Ok(InsertGroup { columns, rows, positions })
        })
        .collect()
}

/// Positions of a row's columns, ascending.
fn row_columns(table: &Table, row: &Row<'_>) -> ApiResult<Vec<usize>> {
    let mut columns = Vec::with_capacity(row.cells.len());
    for (key, _) in &row.cells {
        let (position, column) = writable_column(table, key)?;
        if !column.column.can_insert {
            return Err(forbidden_column(table, column, "insert into"));
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

fn joined_rows(request: &InsertRequest<'_>, places: &[usize]) -> Arc<str> {
    let mut json =
        String::with_capacity(2 + places.iter().map(|place| request.rows[*place].json.len() + 1).sum::<usize>());
    for (position, place) in places.iter().enumerate() {
        json.push(if position == 0 { '[' } else { ',' });
        json.push_str(request.rows[*place].json);
    }
    json.push(']');
    json.into()
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
                        "`resolution=merge` needs `onConflict`, since `{}` has no primary key.",
                        table.name
                    ))
                })?;
                merge(table, &primary.columns, groups).map(Some)
            }
        };
    }
    let mut wanted = Vec::with_capacity(request.on_conflict.len());
    for name in &request.on_conflict {
        wanted.push(table.column_position(name).ok_or_else(|| unknown_column(table, name))?);
    }
    let same_columns =
        |columns: &[usize]| columns.len() == wanted.len() && columns.iter().all(|column| wanted.contains(column));
    let Some(key) = table.unique_keys.iter().find(|key| !key.deferrable && same_columns(&key.columns)) else {
        let keys: Vec<String> = table
            .unique_keys
            .iter()
            .filter(|key| !key.deferrable)
            .map(|key| format!("onConflict={}", table.column_names(&key.columns).join(",")))
            .collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        return Err(ApiError::invalid(format!(
            "`onConflict={}` is not a unique key of `{}`; there are {}.",
            shortened(&request.on_conflict.join(",")),
            table.name,
            listed(&keys, "none")
        )));
    };
    match request.resolution.unwrap_or(Resolution::Merge) {
        Resolution::Merge => merge(table, &key.columns, groups).map(Some),
        Resolution::Ignore => Ok(Some(Conflict { columns: refs(table, &key.columns), resolution: Resolution::Ignore })),
    }
}

fn merge<'p>(table: &'p Table, key: &[usize], groups: &[InsertGroup<'_>]) -> ApiResult<Conflict<'p>> {
    for group in groups {
        if let Some(column) = group.columns.iter().find(|column| !column.column.can_update) {
            return Err(forbidden_column(table, *column, "update"));
        }
    }
    Ok(Conflict { columns: refs(table, key), resolution: Resolution::Merge })
}

fn refs<'p>(table: &'p Table, positions: &[usize]) -> Vec<ColumnRef<'p>> {
    positions.iter().map(|position| ColumnRef::at(table, *position)).collect()
}
