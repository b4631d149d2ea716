//! Renders the query of an export, and the statement that checks it.

use crate::data::plan::ExportPlan;

use super::{
    filter::write_where,
    read::{write_order, write_outputs},
    writer::{Alias, Rendered, SqlWriter, StatementKind},
};

/// Renders the query of an export, which `COPY` runs. `COPY` has no parameters, so the query reads each value from a
/// setting of the session instead; see [`VALUE_SETTINGS`](super::VALUE_SETTINGS).
pub fn render_export<'p>(plan: &ExportPlan<'p>) -> Rendered<'p> {
    let mut sql = SqlWriter::reading_settings();
    write_export(&mut sql, plan);
    sql.finish(StatementKind::READ)
}

/// Renders the `EXPLAIN` that makes Postgres check an export and the values of its filter, without reading rows.
pub fn render_export_check<'p>(plan: &ExportPlan<'p>) -> Rendered<'p> {
    let mut sql = SqlWriter::new();
    sql.push("EXPLAIN (FORMAT JSON) ");
    write_export(&mut sql, plan);
    sql.finish(StatementKind::READ)
}

fn write_export<'p>(sql: &mut SqlWriter<'p>, plan: &ExportPlan<'p>) {
    sql.push("SELECT ");
    write_outputs(sql, Alias::ROOT, &plan.outputs, &mut 0);
    sql.push(" FROM ");
    sql.table(plan.table);
    sql.push(" AS t");
    write_where(sql, Alias::ROOT, &plan.filter);
    write_order(sql, Alias::ROOT, &plan.order);
}
