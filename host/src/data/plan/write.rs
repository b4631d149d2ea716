use std::sync::Arc;

use serde_json::value::RawValue;

use crate::{
    data::{
        request::{DeleteRequest, InsertRequest, Resolution, Returning, Row, SelectItem, UpdateRequest, shortened},
        schema::{Generated, Schema, Table, TypeClass},
    },
    error::{ApiError, ApiResult, Code},
};

use super::{
    filter::{Predicate, pins_unique_key, plan_conditions},
    ident::QuotedIdent,
    output::{Embedding, Output, plan_outputs},
    resolve::{self, ColumnRef, column, forbidden, listed, unknown_column},
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

/// One value of a row on its way into a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CellValue {
    Null,
    /// In the form that the type's input function reads.
    Text(Arc<str>),
    /// JSON that Postgres must turn into an array or composite.
    Json(Arc<str>),
}

/// `ON CONFLICT`.
#[derive(Debug)]
pub struct Conflict<'p> {
    /// Empty means any key.
    pub columns: Vec<ColumnRef<'p>>,
    pub resolution: Resolution,
}

/// What a write answers with.
#[derive(Debug)]
pub enum Answer<'p> {
    /// The count; `forced` when rows were not refused but can't be read.
    Count {
        forced: bool,
    },
    Rows(Answered<'p>),
}

/// The members of each row that a write answers.
#[derive(Debug)]
pub struct Answered<'p> {
    pub outputs: Vec<Output<'p>>,
    /// All columns of the table under their own names.
    pub whole_row: bool,
}

/// An update all of whose names exist and may be written.
#[derive(Debug)]
pub struct UpdatePlan<'p> {
    pub table: QuotedIdent<'p>,
    pub values: Vec<(ColumnRef<'p>, CellValue)>,
    pub target: Target<'p>,
}

/// A delete all of whose names exist.
#[derive(Debug)]
pub struct DeletePlan<'p> {
    pub table: QuotedIdent<'p>,
    pub target: Target<'p>,
}

/// Which rows an update or delete meets, and what it answers.
#[derive(Debug)]
pub struct Target<'p> {
    pub filter: Vec<Predicate<'p>>,
    /// The filter fixes a unique key.
    pub single: bool,
    pub max_affected: Option<u64>,
    pub returning: Answer<'p>,
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

/// Resolves an update against the schema.
pub fn plan_update<'p>(
    schema: &'p Schema,
    table_name: &str,
    request: &'p UpdateRequest<'_>,
) -> ApiResult<UpdatePlan<'p>> {
    let table = resolve::table(schema, table_name)?;
    require_accepts(table, table.accepts.update, "update")?;
    if !table.can_update && !table.columns.iter().any(|column| column.can_update) {
        return Err(forbidden(table, "update"));
    }
    let mut values = Vec::with_capacity(request.values.cells.len());
    for (key, value) in &request.values.cells {
        let (position, column) = writable_column(table, key)?;
        if !column.column.can_update {
            return Err(forbidden_column(table, column, "update"));
        }
        values.push((position, (column, cell_value(column, value)?)));
    }
    // The same columns make the same SQL, in whatever order they come.
    values.sort_unstable_by_key(|(position, _)| *position);
    let filter = plan_conditions(table, &request.conditions)?;
    Ok(UpdatePlan {
        table: QuotedIdent::new(&table.name),
        values: values.into_iter().map(|(_, value)| value).collect(),
        target: Target {
            single: pins_unique_key(table, &filter),
            filter,
            max_affected: request.max_affected,
            returning: plan_answer(schema, table, &request.select, request.returning, Returning::Representation)?,
        },
    })
}

/// Resolves a delete against the schema.
pub fn plan_delete<'p>(schema: &'p Schema, table_name: &str, request: &'p DeleteRequest) -> ApiResult<DeletePlan<'p>> {
    let table = resolve::table(schema, table_name)?;
    require_accepts(table, table.accepts.delete, "delete from")?;
    if !table.can_delete {
        return Err(forbidden(table, "delete from"));
    }
    let filter = plan_conditions(table, &request.conditions)?;
    Ok(DeletePlan {
        table: QuotedIdent::new(&table.name),
        target: Target {
            single: pins_unique_key(table, &filter),
            filter,
            max_affected: request.max_affected,
            returning: plan_answer(schema, table, &request.select, request.returning, Returning::Minimal)?,
        },
    })
}

fn require_accepts(table: &Table, accepts: bool, act: &str) -> ApiResult<()> {
    if accepts {
        return Ok(());
    }
    let kind = match table.kind {
        api_types::TableKind::MaterializedView => "materialized view",
        api_types::TableKind::ForeignTable => "foreign table",
        api_types::TableKind::View | api_types::TableKind::Table => "view",
    };
    Err(ApiError::new(Code::Unprocessable, format!("`{}` is a {kind} that one can't {act}.", table.name))
        .with_hint("Write to the tables below it, or give the view an INSTEAD OF trigger."))
}

fn plan_groups<'p>(table: &'p Table, request: &'p InsertRequest<'_>) -> ApiResult<Vec<InsertGroup<'p>>> {
    // (columns, places of the rows), in order of first appearance.
    let mut shapes: Vec<(Vec<usize>, Vec<usize>)> = Vec::new();
    let mut last_keys: &[(std::borrow::Cow<'_, str>, &RawValue)] = &[];
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

/// As `json_to_record` would read it.
fn cell_value(column: ColumnRef<'_>, value: &RawValue) -> ApiResult<CellValue> {
    let json = value.get();
    Ok(match json.as_bytes().first() {
        Some(b'n') => CellValue::Null,
        _ if matches!(column.column.class, TypeClass::Json | TypeClass::Jsonb) => CellValue::Text(json.into()),
        Some(b'"') => {
            let text: std::borrow::Cow<'_, str> = serde_json::from_str(json).map_err(|_| {
                ApiError::new(
                    Code::InvalidValue,
                    format!("Column `{}`: the string has an escape that is no character.", column.column.name),
                )
            })?;
            CellValue::Text(text.into())
        }
        Some(b'[' | b'{') => CellValue::Json(format!("{{\"v\":{json}}}").into()),
        _ => CellValue::Text(json.into()),
    })
}

fn writable_column<'p>(table: &'p Table, name: &str) -> ApiResult<(usize, ColumnRef<'p>)> {
    let (position, found) = column(table, name)?;
    let why = match found.generated {
        Generated::No => return Ok((position, ColumnRef::at(table, position))),
        Generated::AlwaysIdentity => "an identity that is always generated",
        Generated::Stored => "computed from other columns",
    };
    Err(ApiError::new(Code::InvalidValue, format!("Column `{}` is {why}; leave it out.", found.name)))
}

fn forbidden_column(table: &Table, column: ColumnRef<'_>, act: &str) -> ApiError {
    ApiError::new(
        Code::Forbidden,
        format!("This key may not {act} column `{}` of `{}`.", column.column.name, table.name),
    )
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

fn plan_answer<'p>(
    schema: &'p Schema,
    table: &'p Table,
    select: &'p [SelectItem],
    returning: Option<Returning>,
    default: Returning,
) -> ApiResult<Answer<'p>> {
    let readable = table.columns.iter().any(|column| column.can_select);
    match returning.unwrap_or(default) {
        Returning::Minimal => Ok(Answer::Count { forced: false }),
        Returning::Representation if !readable && returning.is_none() => Ok(Answer::Count { forced: true }),
        Returning::Representation if !readable => Err(forbidden(table, "read").with_hint("Ask for returning=minimal.")),
        Returning::Representation => Ok(Answer::Rows(Answered {
            outputs: plan_outputs(schema, table, select, Embedding::Refused)?,
            whole_row: matches!(select, [SelectItem::All])
                && !table.has_hidden_columns
                && table.columns.iter().all(|column| column.can_select),
        })),
    }
}
