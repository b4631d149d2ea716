//! Plans exports.

use crate::{
    data::{
        message::shortened,
        request::{Embed, ExportField, ExportRequest, SelectItem},
        schema::{Schema, Table},
    },
    error::{ApiError, ApiResult},
};

use super::{
    filter::plan_conditions,
    ident::TableRef,
    model::{EmbedPlan, ExportPlan},
    output::{PlanEmbed, plan_outputs},
    read::plan_order,
    resolve::{self, forbidden, forbidden_column},
};

/// Plans an export.
///
/// # Errors
/// Returns `unknown_table` or `unknown_column` for a name that the schema does not contain, `forbidden` for a name that
/// the role may not read, and `invalid_value` or `invalid_request` for other problems. If the filter, the order or the
/// selected columns have the problem, the detail `field` says which of them.
pub fn plan_export<'p>(schema: &'p Schema, table_name: &str, request: &'p ExportRequest) -> ApiResult<ExportPlan<'p>> {
    let table = resolve::table(schema, table_name)?;
    if !table.can_select && !table.columns.iter().any(|column| column.can_select) {
        return Err(forbidden(table, "read"));
    }
    // Without `select`, an export contains all columns of the table. An export that is planned here, because it has a
    // filter or an order, must not silently lack the columns that the role can't read.
    if let [SelectItem::All] = request.select.as_slice()
        && let Some(column) = table.columns.iter().find(|column| !column.can_select)
    {
        let error = forbidden_column(table, column, "read")
            .with_hint("Name the columns in `select`, or export the table without a filter and an order.");
        return Err(ExportField::Select.of(error));
    }
    let outputs = plan_outputs(table, &request.select, &mut FlatRows);
    let filter = plan_conditions(table, &request.conditions);
    let order = plan_order(table, &request.order);
    Ok(ExportPlan {
        table: TableRef::new(table),
        outputs: outputs.map_err(|error| ExportField::Select.of(error))?,
        filter: filter.map_err(|error| ExportField::Filter.of(error))?,
        order: order.map_err(|error| ExportField::Order.of(error))?,
    })
}

/// Rejects embedded tables: a CSV file can't contain them, and every format supports the same columns.
struct FlatRows;

impl<'p> PlanEmbed<'p> for FlatRows {
    fn plan_embed(&mut self, _: &'p Table, embed: &'p Embed) -> ApiResult<EmbedPlan<'p>> {
        Err(ApiError::invalid(format!("`{}` can't be embedded in an export of a table.", shortened(&embed.table)))
            .with_hint("Export a query that joins the tables."))
    }
}
