//! Plans one of several changes of rows.

use crate::{
    data::{
        message::name_list,
        request::{ChangeRequest, Row},
        schema::{Schema, Table},
    },
    error::{ApiError, ApiResult},
};

use super::{
    change::{plan_delete, plan_update},
    insert::plan_insert,
    model::{ColumnRef, DeletePlan, InsertPlan, Output, Predicate, ReturnedRows, Test, UpdatePlan, WriteOutput},
    resolve::{self, readable_column},
    write::cell_value,
};

/// A planned change of one row. It returns the row's primary key, if the table has one.
#[derive(Debug)]
pub enum RowChangePlan<'p> {
    Insert(InsertPlan<'p>),
    Update(UpdatePlan<'p>),
    Delete(DeletePlan<'p>),
}

/// Plans one of several changes.
///
/// # Errors
/// Returns the errors of [`plan_insert`], [`plan_update`] or [`plan_delete`], and `invalid_request` if the key is not
/// unique.
pub fn plan_row_change<'p>(
    schema: &'p Schema,
    table_name: &str,
    request: &'p ChangeRequest<'_>,
) -> ApiResult<RowChangePlan<'p>> {
    let table = resolve::table(schema, table_name)?;
    Ok(match request {
        ChangeRequest::Insert(request) => {
            let plan = plan_insert(schema, table_name, request)?;
            RowChangePlan::Insert(InsertPlan { output: key_output(table), ..plan })
        }
        ChangeRequest::Update { request, was } => {
            let mut plan = plan_update(schema, table_name, request)?;
            check_key(table, plan.change.single)?;
            plan.change.filter.extend(unchanged(table, was)?);
            plan.change.output = key_output(table);
            RowChangePlan::Update(plan)
        }
        ChangeRequest::Delete { request, was } => {
            let mut plan = plan_delete(schema, table_name, request)?;
            check_key(table, plan.change.single)?;
            plan.change.filter.extend(unchanged(table, was)?);
            plan.change.output = key_output(table);
            RowChangePlan::Delete(plan)
        }
    })
}

/// Returns an output with the columns of the primary key, or only a count if the table has none.
fn key_output(table: &Table) -> WriteOutput<'_> {
    let Some(key) = table.primary_key() else { return WriteOutput::Count { unreadable: false } };
    let column = |position: &usize| ColumnRef::at(table, *position);
    let outputs = key.columns.iter().map(column).map(|column| Output::Column { column, name: column.ident }).collect();
    WriteOutput::Rows(ReturnedRows { outputs, whole_row: false })
}

/// Returns the conditions that a row still has these values.
fn unchanged<'p>(table: &'p Table, was: &Row<'_>) -> ApiResult<Vec<Predicate<'p>>> {
    was.cells
        .iter()
        .map(|(name, value)| {
            let (_, column) = readable_column(table, name)?;
            Ok(Predicate::Test { column, negated: false, test: Test::Unchanged(cell_value(column, value)?) })
        })
        .collect()
}

fn check_key(table: &Table, is_unique: bool) -> ApiResult<()> {
    if is_unique {
        return Ok(());
    }
    if table.unique_keys.is_empty() {
        let message = format!("`{}` has no unique key, so no single row can be updated or deleted.", table.name);
        return Err(ApiError::invalid(message).with_hint("Add a primary key if it is a table, or run SQL."));
    }
    let keys: Vec<String> =
        table.unique_keys.iter().map(|key| format!("({})", table.column_names(&key.columns).join(", "))).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    Err(ApiError::invalid(format!(
        "`key` must contain every column of a unique key of `{}`. Unique keys: {}.",
        table.name,
        name_list(&keys)
    )))
}
