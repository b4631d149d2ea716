//! Errors for rows that a constraint of their table rejects, and for constraints and columns that a write does not
//! support.

use serde_json::json;
use tokio_postgres::error::DbError as PostgresError;

use crate::error::{ApiError, Code};

use super::{
    errors::StatementContext,
    message::name_list,
    project_errors::Audience,
    schema::{Generated, Schema, Table},
};

/// Returns the error for a violated constraint. `message` names the kind of constraint.
///
/// The constraint's name often contains the names of its table and columns. So a caller without the secret key does not
/// learn the name of a constraint whose table it can't access.
pub(super) fn constraint_violation(
    error: &PostgresError,
    context: &StatementContext<'_>,
    code: Code,
    message: &str,
) -> ApiError {
    let schema = context.schema;
    let table = violated_table(error, schema);
    let is_shown = table.is_some() || context.audience == Audience::Owner;
    let Some(constraint) = error.constraint().filter(|_| is_shown) else {
        return ApiError::new(code, format!("{message}.")).with_details(json!({ "constraint": null, "columns": null }));
    };
    let columns: Option<Vec<&str>> = table.and_then(|table| {
        table.key_column_names(constraint).or_else(|| {
            let key = schema.foreign_key(&table.name, constraint)?;
            Some(table.column_names(&key.columns))
        })
    });
    let column_list = match &columns {
        Some(columns) => format!(" ({})", columns.join(", ")),
        None => String::new(),
    };
    ApiError::new(code, format!("{message}: constraint `{constraint}`{column_list}."))
        .with_details(json!({ "constraint": constraint, "columns": columns }))
}

/// Returns the error for an upsert with `ignore` and without `onConflict` on a table with a deferrable constraint.
pub(super) fn deferrable_constraint(table: &Table, constraint: &str) -> ApiError {
    let targets = table.conflict_targets();
    let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
    ApiError::invalid(format!(
        "`resolution=ignore` without `onConflict` can't be used on `{}`, because its constraint `{constraint}` is \
         deferrable. Supported: {}.",
        table.name,
        name_list(&targets)
    ))
}

/// Returns the error for a deferrable constraint that the schema does not contain: an exclusion constraint, or a
/// constraint of hidden columns, of a partition or of a view's table.
pub(super) fn unsupported_constraint(error: &PostgresError, context: &StatementContext<'_>) -> ApiError {
    let is_shown = violated_table(error, context.schema).is_some() || context.audience == Audience::Owner;
    match (context.schema.table(context.table), error.constraint().filter(|_| is_shown)) {
        (Some(table), Some(constraint)) => deferrable_constraint(table, constraint),
        _ => ApiError::invalid(format!(
            "`resolution=ignore` without `onConflict` can't be used on `{}`, because it has a deferrable constraint.",
            context.table
        )),
    }
}

/// Returns the error for a column that a view computes. Returns `None` for other errors, and if the column belongs to a
/// view below the one that the request names.
pub(super) fn computed_column(error: &PostgresError, context: &StatementContext<'_>) -> Option<ApiError> {
    let view = context.schema.table(context.table)?;
    let is_named = |name: &str| {
        let end = format!(" column \"{name}\" of view \"{}\"", view.name);
        error.message().starts_with("cannot ") && error.message().ends_with(&end)
    };
    let column = view.columns.iter().find(|column| is_named(&column.name))?;
    let message = format!("Column `{}` can't be set: it is computed by the view. Omit it.", column.name);
    Some(ApiError::new(Code::InvalidValue, message))
}

/// Returns the error for a row that no partition accepts, or that does not belong to the partition it is written to.
/// Returns `None` for other violations.
pub(super) fn partition_violation(error: &PostgresError, schema: &Schema) -> Option<ApiError> {
    let table = violated_table(error, schema);
    if error.message().ends_with("violates partition constraint") {
        let message = match table {
            Some(table) => format!("The row does not belong to the partition `{}`.", table.name),
            None => "The row does not belong to the partition that it is written to.".to_owned(),
        };
        let error = ApiError::new(Code::CheckViolation, message);
        return Some(error.with_hint("Write the row to the partitioned table instead."));
    }
    if !error.message().starts_with("no partition of relation") {
        return None;
    }
    // `Partition key of the failing row contains (at, kind) = (2024-01-01, x).`
    let key = error.detail().and_then(|detail| detail.split_once("contains (")?.1.split_once(") = ("));
    let columns: Vec<&str> = match (key, table) {
        (Some((key, _)), Some(table)) => table
            .columns
            .iter()
            .map(|column| &*column.name)
            .filter(|name| key.split(", ").any(|part| part == *name))
            .collect(),
        _ => Vec::new(),
    };
    let mut message = match table {
        Some(table) => format!("`{}` has no partition for this row.", table.name),
        None => "A partitioned table has no partition for this row.".to_owned(),
    };
    if !columns.is_empty() {
        message = format!("{message} Its partition key is ({}).", columns.join(", "));
    }
    Some(
        ApiError::new(Code::CheckViolation, message)
            .with_hint("Create a partition that accepts the row, or a default partition.")
            .with_details(json!({ "constraint": null, "columns": columns })),
    )
}

/// Returns the error for a null in a column that allows none.
pub(super) fn not_null_violation(error: &PostgresError, schema: &Schema) -> ApiError {
    let (Some(column), Some(table)) = (error.column(), violated_table(error, schema)) else {
        return ApiError::new(Code::NotNullViolation, "A required column has no value.");
    };
    ApiError::new(Code::NotNullViolation, format!("Column `{column}` of `{}` must not be null.", table.name))
        .with_details(json!({ "column": column }))
}

/// Returns the error for a value that does not fit its column. Postgres does not name the column. If the request
/// contains the column, `diagnose` finds it. The column can also be one that Postgres computes, so the message names
/// those.
pub(super) fn does_not_fit(message: &str, context: &StatementContext<'_>) -> ApiError {
    let columns = context.schema.table(context.table).into_iter().flat_map(|table| &table.columns);
    let computed = columns.filter(|column| column.generated == Generated::Computed);
    let computed: Vec<&str> = computed.map(|column| column.name.as_str()).collect();
    let message = match computed.is_empty() {
        true => format!("{message}."),
        false => format!("{message}, or of a column computed from other columns: {}.", name_list(&computed)),
    };
    ApiError::new(Code::InvalidValue, message)
}

/// Returns the table that the error is about, or `None` if it is not in schema `public`, or if the caller's role has no
/// privilege on it. Triggers and views can write to tables of other schemas, whose names the API does not show.
fn violated_table<'a>(error: &PostgresError, schema: &'a Schema) -> Option<&'a Table> {
    schema.table(error.table().filter(|_| error.schema() == Some("public"))?)
}
