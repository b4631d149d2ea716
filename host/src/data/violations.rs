//! Errors for rows that a constraint of their table rejects.

use serde_json::json;
use tokio_postgres::error::DbError as PostgresError;

use crate::error::{ApiError, Code};

use super::schema::Schema;

/// Returns the error for a violated constraint. `message` names the kind of constraint.
pub(super) fn constraint_violation(error: &PostgresError, schema: &Schema, code: Code, message: &str) -> ApiError {
    let Some(constraint) = error.constraint() else { return ApiError::new(code, format!("{message}.")) };
    // A trigger may violate a constraint of a table that the client can't see. Then only the name is passed on.
    let table = error.table().filter(|_| error.schema() == Some("public")).unwrap_or_default();
    let columns: Option<Vec<&str>> = schema.table(table).and_then(|table| {
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

/// Returns the error for a row that no partition accepts, or that does not belong to the partition it is written to.
/// `target` is the table of the request.
pub(super) fn partition_violation(error: &PostgresError, schema: &Schema, target: &str) -> Option<ApiError> {
    // A trigger may write to a table that the client can't see.
    let table = error.table().filter(|_| error.schema() == Some("public"));
    let table = table.and_then(|table| schema.table(table));
    let name = table.map_or(target, |table| table.name.as_str());
    if error.message().ends_with("violates partition constraint") {
        return Some(
            ApiError::new(Code::CheckViolation, format!("The row does not belong to the partition `{name}`."))
                .with_hint("Write it to the partitioned table instead."),
        );
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
    let key = match columns.is_empty() {
        true => String::new(),
        false => format!(" Its partition key is ({}).", columns.join(", ")),
    };
    Some(
        ApiError::new(Code::CheckViolation, format!("`{name}` has no partition for this row.{key}"))
            .with_hint("Create a partition that accepts it, or a default partition.")
            .with_details(json!({ "constraint": null, "columns": columns })),
    )
}

/// Returns the error for a null in a column that allows none.
pub(super) fn not_null_violation(error: &PostgresError, schema: &Schema) -> ApiError {
    let visible = error.table().and_then(|table| schema.table(table));
    let (Some(column), Some(table)) = (error.column(), visible) else {
        return ApiError::new(Code::NotNullViolation, "A required column has no value.");
    };
    ApiError::new(Code::NotNullViolation, format!("Column `{column}` of `{}` must not be null.", table.name))
        .with_details(json!({ "column": column }))
}
