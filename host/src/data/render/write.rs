//! Renders inserts, updates and deletes as SQL.

use std::sync::Arc;

use crate::data::{
    plan::{
        Cast, CellValue, ChangePlan, ColumnRef, Conflict, DeletePlan, GroupRows, InsertGroup, InsertPlan, QuotedIdent,
        ReturnedRows, UpdatePlan, WriteOutput,
    },
    request::Resolution,
};

use super::{
    filter::write_where,
    read::write_outputs,
    writer::{Alias, Origin, Rendered, SqlWriter, StatementKind},
};

/// Marks the error of a statement that affected more rows than `maxAffected`. The number of rows follows.
pub const MAX_AFFECTED_MARKER: &str = "atlashub_max_affected:";

/// Marks the error of a write whose returned rows are too large. The size of the rows follows.
pub const RETURNED_BYTES_MARKER: &str = "atlashub_returned_bytes:";

/// Maximum number of rows that an update or delete returns. The count includes all affected rows.
pub const MAX_RETURNED_ROWS: u64 = 10_000;

/// Number of rows above which an insert counts as heavy.
const HEAVY_INSERT_ROWS: usize = 100;

/// The shape of a write's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultShape {
    /// One row for each row written: its JSON object, or a number if no rows are returned.
    RowPerWrite,
    /// One row. It begins with two columns for each group of rows: a JSON array (null if empty, or if no rows are
    /// returned) and the number of rows written.
    ArrayPerGroup,
}

/// Returns the shape of an insert's result.
pub fn insert_result_shape(plan: &InsertPlan<'_>) -> ResultShape {
    match plan.groups.as_slice() {
        [InsertGroup { rows: GroupRows::One(_) | GroupRows::Defaults { count: 1 }, .. }] => ResultShape::RowPerWrite,
        _ => ResultShape::ArrayPerGroup,
    }
}

/// Returns the shape of an update's or delete's result.
pub fn change_result_shape(change: &ChangePlan<'_>) -> ResultShape {
    match (change.single, change.max_affected) {
        (true, None | Some(1..)) => ResultShape::RowPerWrite,
        _ => ResultShape::ArrayPerGroup,
    }
}

/// Renders an insert. All groups are in one statement, so that either all rows are inserted or none. Postgres runs the
/// subquery of a group when the main query first reads it, so the groups are inserted in their order.
///
/// As with every write, the statement fails if the JSON of the returned rows is larger than `max_bytes`. So a write
/// whose rows are too large for a response normally changes nothing. It can still succeed without a response, for
/// example if the memory for responses is full: see `respond::unreported_write`.
pub fn render_insert<'p>(plan: &InsertPlan<'p>, max_bytes: u64) -> Rendered<'p> {
    let mut sql = SqlWriter::new();
    // A list of rows or of groups is unlikely to be sent again in the same form.
    let is_common = plan.groups.len() == 1 && !matches!(plan.groups[0].rows, GroupRows::Listed(_));
    if insert_result_shape(plan) == ResultShape::RowPerWrite {
        sql.joined(&plan.groups, "", |sql, group| write_insert(sql, plan, group));
        write_returning_rows(&mut sql, &plan.output, max_bytes);
        return sql.finish(StatementKind::WRITE);
    }
    sql.push("WITH ");
    sql.joined(plan.groups.iter().enumerate(), ", ", |sql, (number, group)| {
        write_group_name(sql, number);
        sql.push(" AS (");
        write_insert(sql, plan, group);
        write_returning_columns(sql, &plan.output);
        sql.push(")");
    });
    sql.push(" SELECT ");
    match &plan.output {
        WriteOutput::Rows(rows) => {
            write_limited(&mut sql, plan.groups.len(), max_bytes, |sql| {
                sql.joined(0..plan.groups.len(), ", ", |sql, number| {
                    sql.push("(SELECT json_agg(");
                    if rows.outputs.is_empty() {
                        sql.push("'{}'::json");
                    } else {
                        write_group_name(sql, number);
                        sql.push(".*");
                    }
                    sql.push(") FROM ");
                    write_group_name(sql, number);
                    sql.push(") AS a");
                    sql.number(number as u64);
                    sql.push(", (SELECT count(*) FROM ");
                    write_group_name(sql, number);
                    sql.push(") AS n");
                    sql.number(number as u64);
                });
            });
        }
        WriteOutput::Count { .. } => sql.joined(0..plan.groups.len(), ", ", |sql, number| {
            sql.push("NULL::json, (SELECT count(*) FROM ");
            write_group_name(sql, number);
            sql.push(")");
        }),
    }
    sql.finish(StatementKind {
        cacheable: is_common,
        heavy: plan.row_count > HEAVY_INSERT_ROWS,
        ..StatementKind::WRITE
    })
}

/// Renders an update.
pub fn render_update<'p>(plan: &UpdatePlan<'p>, max_bytes: u64) -> Rendered<'p> {
    let mut sql = SqlWriter::new();
    write_change(&mut sql, &plan.change, max_bytes, |sql| {
        sql.push("UPDATE ");
        sql.table(plan.table);
        sql.push(" AS t SET ");
        sql.joined(&plan.values, ", ", |sql, (column, value)| {
            sql.ident(column.ident);
            sql.push(" = ");
            write_cell(sql, *column, value);
        });
    });
    sql.finish(StatementKind { heavy: !plan.change.single, ..StatementKind::WRITE })
}

/// Renders a delete.
pub fn render_delete<'p>(plan: &DeletePlan<'p>, max_bytes: u64) -> Rendered<'p> {
    let mut sql = SqlWriter::new();
    write_change(&mut sql, &plan.change, max_bytes, |sql| {
        sql.push("DELETE FROM ");
        sql.table(plan.table);
        sql.push(" AS t");
    });
    sql.finish(StatementKind { heavy: !plan.change.single, ..StatementKind::WRITE })
}

/// Renders a read that converts the rows' values of these columns to the columns' types.
pub fn render_value_check<'p>(columns: &[ColumnRef<'p>], rows: Arc<str>) -> Rendered<'p> {
    let mut sql = SqlWriter::new();
    sql.push("SELECT ");
    sql.joined(columns, ", ", |sql, column| {
        sql.push("count(x.");
        sql.ident(column.ident);
        sql.push(")");
    });
    sql.push(" FROM json_to_recordset(");
    sql.untyped_param(Some(rows), Origin::Rows);
    sql.push("::json) AS x(");
    sql.joined(columns, ", ", |sql, column| {
        sql.ident(column.ident);
        sql.push(" ");
        sql.declared_type(*column);
    });
    sql.push(")");
    sql.finish(StatementKind { cacheable: false, ..StatementKind::READ })
}

/// Writes the name of a group's subquery: `g0`, `g1`, ….
fn write_group_name<'p>(sql: &mut SqlWriter<'p>, number: usize) {
    sql.push("g");
    sql.number(number as u64);
}

/// Writes an update or delete. `statement` writes its part before the `WHERE`.
fn write_change<'p>(
    sql: &mut SqlWriter<'p>,
    change: &ChangePlan<'p>,
    max_bytes: u64,
    statement: impl FnOnce(&mut SqlWriter<'p>),
) {
    if change_result_shape(change) == ResultShape::RowPerWrite {
        statement(sql);
        write_where(sql, Alias::ROOT, &change.filter);
        write_returning_rows(sql, &change.output, max_bytes);
        return;
    }
    sql.push("WITH g0 AS (");
    statement(sql);
    write_where(sql, Alias::ROOT, &change.filter);
    write_returning_columns(sql, &change.output);
    sql.push(") SELECT ");
    if let WriteOutput::Rows(rows) = &change.output {
        write_limited(sql, 1, max_bytes, |sql| {
            // A table without columns has rows without members.
            sql.push(if rows.outputs.is_empty() {
                "(SELECT json_agg('{}'::json) FROM (SELECT FROM g0 LIMIT "
            } else {
                "(SELECT json_agg(r.*) FROM (SELECT * FROM g0 LIMIT "
            });
            sql.number(MAX_RETURNED_ROWS);
            sql.push(") r) AS a0, count(*) AS n0");
            write_max_affected(sql, change);
            sql.push(" FROM g0");
        });
    } else {
        sql.push("NULL::json, count(*)");
        write_max_affected(sql, change);
        sql.push(" FROM g0");
    }
}

/// Writes a column whose evaluation fails if too many rows were affected.
fn write_max_affected<'p>(sql: &mut SqlWriter<'p>, change: &ChangePlan<'p>) {
    if let Some(max_affected) = change.max_affected {
        // Casting a string that is not a number fails, and the whole statement with it.
        sql.push(", CASE WHEN count(*) > ");
        sql.untyped_param(Some(max_affected.to_string().into()), Origin::MaxAffected);
        sql.push("::int8 THEN ('");
        sql.push(MAX_AFFECTED_MARKER);
        sql.push("' || count(*))::int4 END");
    }
}

/// Writes the columns of a query, without `SELECT`, and another column whose evaluation fails if the JSON arrays `a0`,
/// `a1`, … among them are too large.
fn write_limited<'p>(sql: &mut SqlWriter<'p>, arrays: usize, max_bytes: u64, columns: impl FnOnce(&mut SqlWriter<'p>)) {
    let write_size = |sql: &mut SqlWriter<'p>| {
        sql.joined(0..arrays, " + ", |sql, number| {
            // The sizes are 8-byte integers, because their sum can exceed 4 bytes. An array is null if there are no
            // rows.
            sql.push("coalesce(pg_catalog.pg_column_size(x.a");
            sql.number(number as u64);
            sql.push(")::int8, 0)");
        });
    };
    sql.push("x.*, CASE WHEN ");
    write_size(sql);
    sql.push(" > ");
    sql.number(max_bytes);
    sql.push(" THEN ('");
    sql.push(RETURNED_BYTES_MARKER);
    sql.push("' || (");
    write_size(sql);
    // `OFFSET 0` prevents Postgres from building the arrays once for each use.
    sql.push(")::text)::int4 END FROM (SELECT ");
    columns(sql);
    sql.push(" OFFSET 0) x");
}

/// Writes ` RETURNING` with one value for each row.
fn write_returning_rows<'p>(sql: &mut SqlWriter<'p>, output: &WriteOutput<'p>, max_bytes: u64) {
    sql.push(" RETURNING ");
    match output {
        WriteOutput::Count { .. } => sql.push("1"),
        WriteOutput::Rows(ReturnedRows { whole_row: true, .. }) => {
            // Building the JSON of a row twice costs less than a subquery that builds it once.
            sql.push("CASE WHEN pg_catalog.pg_column_size(row_to_json(t.*)) > ");
            sql.number(max_bytes);
            sql.push(" THEN pg_catalog.to_json(('");
            sql.push(RETURNED_BYTES_MARKER);
            sql.push("' || pg_catalog.pg_column_size(row_to_json(t.*))::text)::int4) ELSE row_to_json(t.*) END");
        }
        WriteOutput::Rows(ReturnedRows { outputs, .. }) => {
            sql.push("(SELECT CASE WHEN pg_catalog.pg_column_size(x.a) > ");
            sql.number(max_bytes);
            sql.push(" THEN pg_catalog.to_json(('");
            sql.push(RETURNED_BYTES_MARKER);
            sql.push("' || pg_catalog.pg_column_size(x.a)::text)::int4) ELSE x.a END ");
            sql.push("FROM (SELECT row_to_json(r.*) AS a FROM (SELECT ");
            write_outputs(sql, Alias::ROOT, outputs, &mut 0);
            sql.push(") r OFFSET 0) x)");
        }
    }
}

/// Writes ` RETURNING` with the columns, for an enclosing query.
fn write_returning_columns<'p>(sql: &mut SqlWriter<'p>, output: &WriteOutput<'p>) {
    sql.push(" RETURNING ");
    match output {
        WriteOutput::Count { .. } => sql.push("1"),
        WriteOutput::Rows(rows) if rows.outputs.is_empty() => sql.push("1"),
        WriteOutput::Rows(rows) => write_outputs(sql, Alias::ROOT, &rows.outputs, &mut 0),
    }
}

fn write_insert<'p>(sql: &mut SqlWriter<'p>, plan: &InsertPlan<'p>, group: &InsertGroup<'p>) {
    sql.push("INSERT INTO ");
    sql.table(plan.table);
    sql.push(" AS t ");
    match &group.rows {
        GroupRows::Defaults { count: 1 } => sql.push("DEFAULT VALUES"),
        GroupRows::Defaults { count } => {
            // A query without columns: every column takes its default.
            sql.push("SELECT FROM generate_series(1, ");
            sql.untyped_param(Some(count.to_string().into()), Origin::Rows);
            sql.push("::int4)");
        }
        GroupRows::One(values) => {
            write_column_list(sql, &group.columns);
            sql.push(" VALUES (");
            sql.joined(group.columns.iter().zip(values), ", ", |sql, (column, value)| {
                write_cell(sql, *column, value);
            });
            sql.push(")");
        }
        GroupRows::Listed(rows) => {
            write_column_list(sql, &group.columns);
            sql.push(" VALUES ");
            sql.joined(rows, ", ", |sql, values| {
                sql.push("(");
                sql.joined(group.columns.iter().zip(values), ", ", |sql, (column, value)| match value {
                    Some(value) => write_cell(sql, *column, value),
                    None => sql.push("DEFAULT"),
                });
                sql.push(")");
            });
        }
        GroupRows::Many(json) => {
            write_column_list(sql, &group.columns);
            sql.push(" SELECT ");
            sql.joined(&group.columns, ", ", |sql, column| {
                sql.push("x.");
                sql.ident(column.ident);
            });
            sql.push(" FROM json_to_recordset(");
            sql.untyped_param(Some(json.clone()), Origin::Rows);
            sql.push("::json) AS x(");
            sql.joined(&group.columns, ", ", |sql, column| {
                sql.ident(column.ident);
                sql.push(" ");
                sql.sql_type(&column.column.base_type);
            });
            sql.push(")");
        }
    }
    if let Some(conflict) = &plan.conflict {
        write_conflict(sql, conflict, &group.columns);
    }
}

fn write_column_list<'p>(sql: &mut SqlWriter<'p>, columns: &[ColumnRef<'p>]) {
    sql.push("(");
    sql.joined(columns, ", ", |sql, column| sql.ident(column.ident));
    sql.push(")");
}

fn write_conflict<'p>(sql: &mut SqlWriter<'p>, conflict: &Conflict<'p>, columns: &[ColumnRef<'p>]) {
    sql.push(" ON CONFLICT ");
    if !conflict.columns.is_empty() {
        write_column_list(sql, &conflict.columns);
    }
    if conflict.resolution == Resolution::Ignore {
        sql.push(" DO NOTHING");
        return;
    }
    sql.push(" DO UPDATE SET ");
    let is_key = |column: &ColumnRef<'p>| conflict.columns.iter().any(|key| key.ident == column.ident);
    // A key of an exact type is the same in both rows. Not assigning it takes a weaker lock.
    let is_unchanged = |column: &&ColumnRef<'p>| is_key(column) && column.column.exact;
    let mut assigned: Vec<QuotedIdent<'p>> =
        columns.iter().filter(|column| !is_unchanged(column)).map(|column| column.ident).collect();
    if assigned.is_empty() {
        // The assignment changes nothing, but `RETURNING` returns only updated rows.
        assigned.extend(conflict.columns.first().map(|column| column.ident));
    }
    sql.joined(assigned, ", ", |sql, column| {
        sql.ident(column);
        sql.push(" = EXCLUDED.");
        sql.ident(column);
    });
}

pub(super) fn write_cell<'p>(sql: &mut SqlWriter<'p>, column: ColumnRef<'p>, value: &CellValue) {
    let origin = Origin::Column(column.column);
    let to_column = Cast::To(&column.column.base_type);
    match value {
        CellValue::Null => sql.param(None::<Arc<str>>, to_column, origin),
        CellValue::Text(text) => sql.param(Some(text.clone()), to_column, origin),
        CellValue::Json(json) => {
            sql.push("(SELECT x.v FROM json_to_record(");
            sql.untyped_param(Some(json.clone()), origin);
            sql.push("::json) AS x(v ");
            sql.sql_type(&column.column.base_type);
            sql.push("))");
        }
    }
}
