use std::sync::Arc;

use serde_json::value::RawValue;

use crate::{
    data::{
        request::{DeleteRequest, Returning, SelectItem, UpdateRequest},
        schema::{Generated, Schema, Table, TypeClass},
    },
    error::{ApiError, ApiResult, Code},
};

use super::{
    filter::{Predicate, pins_unique_key, plan_conditions},
    ident::QuotedIdent,
    output::{Embedding, Output, plan_outputs},
    resolve::{self, ColumnRef, column, forbidden},
};

/// One value of a row on its way into a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CellValue {
    Null,
    /// In the form that the type's input function reads.
    Text(Arc<str>),
    /// JSON that Postgres must turn into an array or composite.
    Json(Arc<str>),
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

pub(super) fn require_accepts(table: &Table, accepts: bool, act: &str) -> ApiResult<()> {
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

/// As `json_to_record` would read it.
pub(super) fn cell_value(column: ColumnRef<'_>, value: &RawValue) -> ApiResult<CellValue> {
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

pub(super) fn writable_column<'p>(table: &'p Table, name: &str) -> ApiResult<(usize, ColumnRef<'p>)> {
    let (position, found) = column(table, name)?;
    let why = match found.generated {
        Generated::No => return Ok((position, ColumnRef::at(table, position))),
        Generated::AlwaysIdentity => "an identity that is always generated",
        Generated::Stored => "computed from other columns",
    };
    Err(ApiError::new(Code::InvalidValue, format!("Column `{}` is {why}; leave it out.", found.name)))
}

pub(super) fn forbidden_column(table: &Table, column: ColumnRef<'_>, act: &str) -> ApiError {
    ApiError::new(
        Code::Forbidden,
        format!("This key may not {act} column `{}` of `{}`.", column.column.name, table.name),
    )
}

pub(super) fn plan_answer<'p>(
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
