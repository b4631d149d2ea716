//! Plans updates and deletes.

use crate::{
    data::{
        request::{DeleteRequest, Returning, UpdateRequest},
        schema::Schema,
    },
    error::ApiResult,
};

use super::{
    filter::{fixes_unique_key, plan_conditions},
    ident::TableRef,
    model::{ChangePlan, DeletePlan, UpdatePlan},
    resolve::{self, forbidden, forbidden_column},
    write::{cell_value, plan_output, unsupported_write, writable_column},
};

/// Plans an update.
///
/// # Errors
/// Returns `unknown_table` or `unknown_column` for a name that the schema does not contain, `forbidden` for a name that
/// the role may not use in this way, `unprocessable` if the relation does not support updates, and `invalid_value` or
/// `invalid_request` for other problems.
pub fn plan_update<'p>(
    schema: &'p Schema,
    table_name: &str,
    request: &'p UpdateRequest<'_>,
) -> ApiResult<UpdatePlan<'p>> {
    let table = resolve::table(schema, table_name)?;
    if !table.accepts.update {
        return Err(unsupported_write(table, "update"));
    }
    if !table.can_update && !table.columns.iter().any(|column| column.can_update) {
        return Err(forbidden(table, "update"));
    }
    let mut values = Vec::with_capacity(request.values.cells.len());
    for (key, value) in &request.values.cells {
        let (position, column) = writable_column(table, key)?;
        if !column.column.can_update {
            return Err(forbidden_column(table, column.column, "update"));
        }
        values.push((position, (column, cell_value(column, value)?)));
    }
    // The values are in the table's order, so that the same set of columns renders the same SQL.
    values.sort_unstable_by_key(|(position, _)| *position);
    let filter = plan_conditions(table, &request.conditions)?;
    Ok(UpdatePlan {
        table: TableRef::new(table),
        values: values.into_iter().map(|(_, value)| value).collect(),
        change: ChangePlan {
            single: fixes_unique_key(table, &filter),
            filter,
            max_affected: request.max_affected,
            output: plan_output(table, &request.select, request.returning, Returning::Representation)?,
        },
    })
}

/// Plans a delete.
///
/// # Errors
/// Returns the errors of [`plan_update`].
pub fn plan_delete<'p>(schema: &'p Schema, table_name: &str, request: &'p DeleteRequest) -> ApiResult<DeletePlan<'p>> {
    let table = resolve::table(schema, table_name)?;
    if !table.accepts.delete {
        return Err(unsupported_write(table, "delete from"));
    }
    if !table.can_delete {
        return Err(forbidden(table, "delete from"));
    }
    let filter = plan_conditions(table, &request.conditions)?;
    Ok(DeletePlan {
        table: TableRef::new(table),
        change: ChangePlan {
            single: fixes_unique_key(table, &filter),
            filter,
            max_affected: request.max_affected,
            output: plan_output(table, &request.select, request.returning, Returning::Minimal)?,
        },
    })
}
