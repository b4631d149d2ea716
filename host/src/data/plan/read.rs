//! Plans reads of rows and of single values: their columns, order and cursor.

use std::sync::Arc;

use crate::{
    data::{
        DataLimits,
        cursor::{self, OrderSignature},
        message::name_list,
        request::{CellRequest, Direction, OrderItem, ReadRequest},
        schema::{Comparable, Schema, Table},
    },
    error::{ApiError, ApiResult},
};

use super::{
    embed::{Embeds, split_conditions},
    filter::{fixes_unique_key, plan_conditions},
    ident::TableRef,
    lookup::is_lookup,
    model::{CellPlan, ColumnRef, Keyset, OrderTerm, Output, ReadPlan},
    output::plan_outputs,
    resolve::{self, forbidden, readable_column},
};

/// Plans a read.
///
/// # Errors
/// Returns `unknown_table`, `unknown_column` or `unknown_relation` for a name that the schema does not contain,
/// `forbidden` for a name that the role may not read, and `invalid_value`, `invalid_cursor` or `invalid_request` for
/// other problems.
pub fn plan_read<'p>(
    schema: &'p Schema,
    table_name: &str,
    request: &'p ReadRequest,
    limits: &DataLimits,
) -> ApiResult<ReadPlan<'p>> {
    let table = resolve::table(schema, table_name)?;
    if !table.can_select && !table.columns.iter().any(|column| column.can_select) {
        return Err(forbidden(table, "read"));
    }
    let (conditions, scoped) = split_conditions(table, &request.select, &request.conditions);
    let mut lists = Vec::new();
    let (max_limit, path) = (limits.max_limit, String::new());
    let mut embeds = Embeds { schema, max_limit, path, filters: scoped, lists: &mut lists };
    let outputs = plan_outputs(table, &request.select, &mut embeds)?;
    let filter = plan_conditions(table, conditions)?;
    let order = plan_order(table, &request.order)?;
    if request.max_cell_bytes.is_some() && outputs.iter().any(|output| matches!(output, Output::Embed(_))) {
        return Err(ApiError::invalid("`maxCellBytes` can't be used with embedded tables."));
    }
    let keyset = plan_keyset(table, &order, &outputs).map(|keyset| Keyset {
        // With `maxCellBytes`, values in the rows may be cut, so no cursor can be built from them.
        members: keyset.members.filter(|_| request.max_cell_bytes.is_none()),
        ..keyset
    });
    let after = plan_after(table, request, &order, keyset.as_ref())?;
    let limit = request.limit.unwrap_or(limits.default_limit);
    let single = fixes_unique_key(table, &filter) && request.offset == 0 && after.is_none() && limit > 0;
    let mut plan = ReadPlan {
        table: TableRef::new(table),
        outputs,
        lists,
        filter,
        order,
        keyset,
        after,
        limit: limit.min(limits.max_limit),
        limit_capped: limit > limits.max_limit,
        offset: request.offset,
        count: request.count,
        single,
        lookup: false,
        max_cell_bytes: request.max_cell_bytes,
    };
    plan.lookup = limits.share_lookups && is_lookup(&plan);
    Ok(plan)
}

/// Plans a read of one value.
///
/// # Errors
/// Returns the errors of [`plan_read`], except those about embedded tables and cursors.
pub fn plan_cell<'p>(schema: &'p Schema, table_name: &str, request: &'p CellRequest) -> ApiResult<CellPlan<'p>> {
    let table = resolve::table(schema, table_name)?;
    let (_, column) = readable_column(table, &request.column)?;
    Ok(CellPlan { table: TableRef::new(table), column, filter: plan_conditions(table, &request.conditions)? })
}

/// Resolves the columns of an order.
pub(super) fn plan_order<'p>(table: &'p Table, items: &[OrderItem]) -> ApiResult<Vec<OrderTerm<'p>>> {
    items
        .iter()
        .map(|item| {
            let (_, column) = readable_column(table, &item.column)?;
            if column.column.comparable < Comparable::Ordered {
                return Err(ApiError::invalid(format!(
                    "`order` can't use column `{}`: type {} has no order.",
                    column.column.name, column.column.data_type
                )));
            }
            let nulls = item.nulls.unwrap_or(item.direction.default_nulls());
            Ok(OrderTerm { column, direction: item.direction, nulls })
        })
        .collect()
}

/// Returns the readable columns of the primary key.
pub(super) fn primary_key_terms<'p>(table: &'p Table) -> impl Iterator<Item = OrderTerm<'p>> {
    let columns = table.primary_key().map_or(&[][..], |primary| &primary.columns);
    let readable = columns.iter().filter(|position| table.columns[**position].can_select);
    readable.map(|position| OrderTerm {
        column: ColumnRef::at(table, *position),
        direction: Direction::Asc,
        nulls: Direction::Asc.default_nulls(),
    })
}

/// Decodes the cursor of the request.
fn plan_after(
    table: &Table,
    request: &ReadRequest,
    order: &[OrderTerm<'_>],
    keyset: Option<&Keyset<'_>>,
) -> ApiResult<Option<Vec<Option<Arc<str>>>>> {
    let Some(cursor) = &request.after else { return Ok(None) };
    let Some(keyset) = keyset else { return Err(order_without_unique_key(table)) };
    if request.offset > 0 {
        return Err(ApiError::invalid("`after` and `offset` can't be used together."));
    }
    let values = cursor::decode(cursor, &keyset.signature, keyset.terms)?;
    let is_missing =
        |(term, value): (&OrderTerm<'_>, &Option<Arc<str>>)| term.column.column.not_null && value.is_none();
    if order.iter().zip(&values).any(is_missing) {
        return Err(cursor::invalid_cursor());
    }
    Ok(Some(values))
}

fn plan_keyset<'p>(table: &'p Table, order: &[OrderTerm<'p>], outputs: &[Output<'p>]) -> Option<Keyset<'p>> {
    let position_in_order = |position: usize| {
        let column = &table.columns[position];
        order.iter().position(|term| column.not_null && std::ptr::eq(term.column.column, column))
    };
    // The smallest number of leading terms that contain a whole unique key.
    let terms = table
        .unique_keys
        .iter()
        .filter(|key| key.identifies)
        .filter_map(|key| {
            key.columns.iter().try_fold(0, |terms, position| Some(terms.max(position_in_order(*position)? + 1)))
        })
        .min()?;
    let order = order.get(..terms)?;
    let member = |term: &OrderTerm<'p>| {
        if !term.column.column.json_scalar {
            return None;
        }
        outputs.iter().find_map(|output| match output {
            Output::Column { column, name } if std::ptr::eq(column.column, term.column.column) => Some(name.name()),
            _ => None,
        })
    };
    Some(Keyset {
        terms,
        signature: OrderSignature::new(
            &table.name,
            order.iter().map(|term| (term.column.ident.name(), term.direction, term.nulls)),
        ),
        members: order.iter().map(member).collect(),
    })
}

fn order_without_unique_key(table: &Table) -> ApiError {
    let keys: Vec<String> = table
        .unique_keys
        .iter()
        .filter(|key| key.identifies && key.columns.iter().all(|position| table.columns[*position].not_null))
        .map(|key| format!("({})", table.column_names(&key.columns).join(", ")))
        .collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    if keys.is_empty() {
        let message = format!("`after` can't be used: `{}` has no unique key that an `order` can contain.", table.name);
        return ApiError::invalid(message).with_hint("Use `offset`.");
    }
    ApiError::invalid(format!(
        "`after` requires an `order` that contains a unique key of `{}`. Unique keys: {}.",
        table.name,
        name_list(&keys)
    ))
}
