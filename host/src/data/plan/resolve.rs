//! Names of a request → things of the schema, or an error that names the unknown one and lists those there are.

use crate::{
    data::{
        request::shortened,
        schema::{Column, Schema, Table},
    },
    error::{ApiError, ApiResult, Code},
};

use super::ident::QuotedIdent;

/// Most names in a message.
const LISTED: usize = 30;

/// A column together with the right to write its name into SQL.
#[derive(Debug, Clone, Copy)]
pub struct ColumnRef<'p> {
    pub ident: QuotedIdent<'p>,
    pub column: &'p Column,
}

impl<'p> ColumnRef<'p> {
    pub(super) fn at(table: &'p Table, position: usize) -> Self {
        let column = &table.columns[position];
        Self { ident: QuotedIdent::new(&column.name), column }
    }
}

pub(super) fn table<'p>(schema: &'p Schema, name: &str) -> ApiResult<&'p Table> {
    schema.table(name).ok_or_else(|| {
        let names: Vec<&str> = schema.sorted_tables().into_iter().map(|table| table.name.as_str()).collect();
        ApiError::new(
            Code::UnknownTable,
            format!("There is no table `{}`; this key can see {}.", shortened(name), listed(&names, "none")),
        )
        .with_hint("Names are case-sensitive. A new table is for the secret key alone until it is exposed.")
    })
}

/// A column by name and position, whatever the role may do with it.
pub(super) fn column<'p>(table: &'p Table, name: &str) -> ApiResult<(usize, &'p Column)> {
    match table.column_position(name) {
        Some(position) => Ok((position, &table.columns[position])),
        None => Err(unknown_column(table, name)),
    }
}

/// A column that the role may read.
pub(super) fn readable_column<'p>(table: &'p Table, name: &str) -> ApiResult<(usize, ColumnRef<'p>)> {
    let (position, column) = column(table, name)?;
    if !column.can_select {
        return Err(ApiError::new(
            Code::Forbidden,
            format!("This key may not read column `{}` of `{}`.", column.name, table.name),
        ));
    }
    Ok((position, ColumnRef::at(table, position)))
}

pub(super) fn unknown_column(table: &Table, name: &str) -> ApiError {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    ApiError::new(
        Code::UnknownColumn,
        format!("`{}` has no column `{}`; there are {}.", table.name, shortened(name), listed(&names, "none")),
    )
}

pub(super) fn forbidden(table: &Table, act: &str) -> ApiError {
    ApiError::new(Code::Forbidden, format!("This key may not {act} `{}`.", table.name))
}

/// `a, b and 3 more`.
pub(in crate::data) fn listed(names: &[&str], none: &str) -> String {
    match names.len() {
        0 => none.to_owned(),
        count if count > LISTED => format!("{} and {} more", names[..LISTED].join(", "), count - LISTED),
        _ => names.join(", "),
    }
}
