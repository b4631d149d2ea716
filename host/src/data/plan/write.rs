//! The parts that inserts, updates and deletes share: checks, values and output.

use serde_json::value::RawValue;

use api_types::TableKind;

use crate::{
    data::{
        errors, json_input,
        request::{Returning, SelectItem},
        schema::{Generated, Table, TypeClass},
    },
    error::{ApiError, ApiResult, Code},
};

use super::{
    model::{CellValue, ColumnRef, ReturnedRows, WriteOutput},
    output::{NoEmbeds, plan_outputs},
    resolve::{column, forbidden},
};

/// Returns the error for a view or other relation that does not support an operation.
pub(super) fn unsupported_write(table: &Table, operation: &str) -> ApiError {
    let (kind, hint) = match table.kind {
        TableKind::MaterializedView => ("materialized view", "Write to the tables that it is computed from."),
        TableKind::ForeignTable => ("foreign table", "Check whether its foreign data wrapper supports writes."),
        TableKind::View | TableKind::Table => {
            ("view", "Write to the underlying tables, or give the view an INSTEAD OF trigger.")
        }
    };
    ApiError::new(Code::Unprocessable, format!("Can't {operation} `{}`: the {kind} does not support it.", table.name))
        .with_hint(hint)
}

/// Converts a JSON value as `json_to_record` does, and also the values that only [`json_input`] accepts.
pub(super) fn cell_value(column: ColumnRef<'_>, value: &RawValue) -> ApiResult<CellValue> {
    let json = json_input::convert(value.get(), &column.column.json_input)
        .map_err(|reason| errors::invalid_value(column.column, &reason))?;
    let json = &*json;
    Ok(match json.as_bytes().first() {
        Some(b'n') => CellValue::Null,
        _ if matches!(column.column.class, TypeClass::Json | TypeClass::Jsonb) => CellValue::Text(json.into()),
        Some(b'"') => {
            let text: std::borrow::Cow<'_, str> = serde_json::from_str(json).map_err(|_| {
                ApiError::new(
                    Code::InvalidValue,
                    format!("Column `{}`: the string contains an escape that is not a character.", column.column.name),
                )
            })?;
            CellValue::Text(text.into())
        }
        Some(b'[' | b'{') => CellValue::Json(format!("{{\"v\":{json}}}").into()),
        _ => CellValue::Text(json.into()),
    })
}

/// Returns a column whose values are not generated, and its position, regardless of the role's privileges.
pub(super) fn writable_column<'p>(table: &'p Table, name: &str) -> ApiResult<(usize, ColumnRef<'p>)> {
    let (position, column) = column(table, name)?;
    let reason = match column.generated {
        Generated::No => return Ok((position, ColumnRef::at(table, position))),
        Generated::AlwaysIdentity => "an identity column that is always generated",
        Generated::Computed => "computed from other columns",
    };
    Err(ApiError::new(Code::InvalidValue, format!("Column `{}` can't be set: it is {reason}. Omit it.", column.name)))
}

/// Plans the output of a write. `default` applies if the request has no `returning`. If rows are the default and the
/// role can't read any column, only the count is returned.
pub(super) fn plan_output<'p>(
    table: &'p Table,
    select: &'p [SelectItem],
    returning: Option<Returning>,
    default: Returning,
) -> ApiResult<WriteOutput<'p>> {
    let readable = table.can_select || table.columns.iter().any(|column| column.can_select);
    match returning.unwrap_or(default) {
        Returning::Minimal => Ok(WriteOutput::Count { unreadable: false }),
        Returning::Representation if !readable && returning.is_none() => Ok(WriteOutput::Count { unreadable: true }),
        Returning::Representation if !readable => Err(forbidden(table, "read").with_hint("Send returning=minimal.")),
        Returning::Representation => Ok(WriteOutput::Rows(ReturnedRows {
            outputs: plan_outputs(table, select, &mut NoEmbeds)?,
            whole_row: matches!(select, [SelectItem::All])
                && !table.has_hidden_columns
                && table.columns.iter().all(|column| column.can_select),
        })),
    }
}
