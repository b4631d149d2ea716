//! Looks up names in the schema. The error for an unknown name lists the known names.

use crate::{
    data::{
        message::{name_list, shortened},
        schema::{Column, Schema, Table},
    },
    error::{ApiError, ApiResult, Code},
};

use super::{ident::QuotedIdent, model::ColumnRef};

impl<'p> ColumnRef<'p> {
    pub(super) fn at(table: &'p Table, position: usize) -> Self {
        let column = &table.columns[position];
        Self { ident: QuotedIdent::new(&column.name), column }
    }
}

/// Returns a table by name.
pub(super) fn table<'p>(schema: &'p Schema, name: &str) -> ApiResult<&'p Table> {
    schema.table(name).ok_or_else(|| {
        let names: Vec<&str> = schema.sorted_tables().into_iter().map(|table| table.name.as_str()).collect();
        let (caller, hint) = if schema.is_of_user {
            (
                "user",
                "Names are case-sensitive. A user has only the access that is set for signed-in users. Views also need \
                 `security_invoker`.",
            )
        } else {
            (
                "key",
                "Names are case-sensitive. Until a table is exposed, only the secret key can access it. Exposed views \
                 also need `security_invoker`.",
            )
        };
        let (name, known) = (shortened(name), name_list(&names));
        ApiError::new(
            Code::UnknownTable,
            format!("Unknown table `{name}`. Tables that this {caller} can access: {known}."),
        )
        .with_hint(hint)
    })
}

/// Returns a column and its position, regardless of the role's privileges.
pub(super) fn column<'p>(table: &'p Table, name: &str) -> ApiResult<(usize, &'p Column)> {
    match table.column_position(name) {
        Some(position) => Ok((position, &table.columns[position])),
        None => Err(unknown_column(table, name)),
    }
}

/// Returns a column that the role may read, and its position.
pub(super) fn readable_column<'p>(table: &'p Table, name: &str) -> ApiResult<(usize, ColumnRef<'p>)> {
    let (position, column) = column(table, name)?;
    if !column.can_select {
        return Err(forbidden_column(table, column, "read"));
    }
    Ok((position, ColumnRef::at(table, position)))
}

pub(super) fn unknown_column(table: &Table, name: &str) -> ApiError {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    ApiError::new(
        Code::UnknownColumn,
        format!("`{}` has no column `{}`. Columns: {}.", table.name, shortened(name), name_list(&names)),
    )
}

/// Returns the error for an operation that the role may not perform on the table.
pub(super) fn forbidden(table: &Table, operation: &str) -> ApiError {
    ApiError::new(Code::Forbidden, format!("This key may not {operation} `{}`.", table.name))
}

/// Returns the error for an operation that the role may not perform on the column.
pub(super) fn forbidden_column(table: &Table, column: &Column, operation: &str) -> ApiError {
    ApiError::new(
        Code::Forbidden,
        format!("This key may not {operation} column `{}` of `{}`.", column.name, table.name),
    )
}
