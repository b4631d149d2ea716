//! Renders reads as SQL.

use std::sync::Arc;

use crate::data::{
    plan::{Cast, ColumnRef, OrderTerm, Output, Predicate, ReadPlan, SqlOperator, Test},
    request::{Direction, Nulls},
    schema::ResultForm,
};

use super::{
    cut::write_cut_members,
    embed::{write_cut, write_joined_row, write_joins, write_needed_columns, write_object},
    filter::write_where,
    writer::{Alias, Origin, Rendered, SqlWriter, StatementKind},
};

/// Offset above which a read counts as heavy, because Postgres reads every skipped row.
const HEAVY_OFFSET: u64 = 1000;

/// Renders a read. The result of its statement is a row for each row of the page, and one more if there is a next page.
///
/// The columns are the members of the row's JSON, in the result form of each column. If a term of the keyset is not a
/// member, the text of each term follows. With `max_cell_bytes`, members that may be long have their
/// [`CutForm`](crate::data::plan::CutForm).
///
/// For a plan with [`ReadPlan::json_rows`], the JSON object is one column instead. With embedded arrays, another column
/// contains a bit for each array that its limit cut. With [`ReadPlan::counts_rows`], the last column is the exact
/// total, and the object is null if the page is empty.
pub fn render_read<'p>(plan: &ReadPlan<'p>) -> Rendered<'p> {
    let mut sql = SqlWriter::new();
    if plan.counts_rows() {
        // Both parts see the same rows, and the total is returned even if the page is empty.
        sql.push("SELECT r.*, c.total FROM (SELECT count(*) AS total");
        write_from(&mut sql, plan);
        write_where(&mut sql, Alias::ROOT, &plan.filter);
        sql.push(") c LEFT JOIN (");
        write_json_rows(&mut sql, plan);
        sql.push(") r ON true");
        return sql.finish(StatementKind { heavy: true, ..StatementKind::READ });
    }
    let kind = StatementKind { heavy: !plan.single && is_heavy(plan), ..StatementKind::READ };
    if plan.json_rows() {
        write_json_rows(&mut sql, plan);
        return sql.finish(kind);
    }
    sql.push("SELECT ");
    match plan.max_cell_bytes {
        Some(max_bytes) => write_cut_members(&mut sql, plan, max_bytes),
        None => write_members(&mut sql, plan),
    }
    write_separate_terms(&mut sql, plan);
    write_page(&mut sql, plan);
    sql.finish(kind)
}

/// Writes a column for each member of a row's JSON.
pub(super) fn write_members<'p>(sql: &mut SqlWriter<'p>, plan: &ReadPlan<'p>) {
    let mut embeds = 0;
    sql.joined(&plan.outputs, ", ", |sql, output| write_member(sql, output, &mut embeds));
}

pub(super) fn write_member<'p>(sql: &mut SqlWriter<'p>, output: &Output<'p>, embeds: &mut usize) {
    match output {
        Output::Column { column, .. } => match column.column.result_form {
            ResultForm::Plain => sql.qualified(Alias::ROOT, column.ident),
            ResultForm::Text | ResultForm::Number => {
                sql.qualified(Alias::ROOT, column.ident);
                sql.push("::text");
            }
            ResultForm::Json => {
                sql.push("pg_catalog.to_json(");
                sql.qualified(Alias::ROOT, column.ident);
                sql.push(")");
            }
        },
        Output::Embed(embed) => write_object(sql, Alias::ROOT, embed, embeds),
    }
}

/// Writes the query of a page's rows as JSON objects.
fn write_json_rows<'p>(sql: &mut SqlWriter<'p>, plan: &ReadPlan<'p>) {
    if !plan.lists.is_empty() {
        let mut embeds = 0;
        sql.push("SELECT ");
        let joined = write_joined_row(sql, Alias::ROOT, &plan.outputs, &mut embeds);
        write_separate_terms(sql, plan);
        write_cut(sql, &joined);
        sql.push(" FROM (SELECT ");
        let terms = plan.separate_terms().iter().map(|term| term.column.ident);
        write_needed_columns(sql, Alias::ROOT, &plan.outputs, terms);
        write_page(sql, plan);
        sql.push(") AS t");
        write_joins(sql, Alias::ROOT, &joined, &mut embeds);
        return;
    }
    if plan.separate_terms().is_empty() {
        sql.push("SELECT row_to_json(r.*) AS json FROM (SELECT ");
        write_outputs(sql, Alias::ROOT, &plan.outputs, &mut 0);
        write_page(sql, plan);
        sql.push(") r");
        return;
    }
    // The key columns must not be part of the rows' JSON, so they are separate columns.
    sql.push("SELECT (SELECT row_to_json(r.*) FROM (SELECT ");
    write_outputs(sql, Alias::ROOT, &plan.outputs, &mut 0);
    sql.push(") r) AS json");
    write_separate_terms(sql, plan);
    write_page(sql, plan);
}

/// Writes a column for each term of the keyset, if the members of a row do not provide all of them.
fn write_separate_terms<'p>(sql: &mut SqlWriter<'p>, plan: &ReadPlan<'p>) {
    for (position, term) in plan.separate_terms().iter().enumerate() {
        sql.push(", ");
        write_text(sql, term.column);
        sql.push(" AS k");
        sql.number(position as u64);
    }
}

/// Renders the `EXPLAIN` whose JSON contains the estimated number of rows over all pages.
pub fn render_estimate<'p>(plan: &ReadPlan<'p>) -> Rendered<'p> {
    let mut sql = SqlWriter::new();
    sql.push("EXPLAIN (FORMAT JSON) SELECT 1");
    write_from(&mut sql, plan);
    write_where(&mut sql, Alias::ROOT, &plan.filter);
    sql.finish(StatementKind::READ)
}

/// Number of rows up to which an estimated total is exact.
pub const MAX_COUNTED_ROWS: u64 = 1000;

/// Renders the statement that counts the rows of all pages, up to one more than [`MAX_COUNTED_ROWS`].
pub fn render_bounded_count<'p>(plan: &ReadPlan<'p>) -> Rendered<'p> {
    let mut sql = SqlWriter::new();
    sql.push("SELECT pg_catalog.count(*) FROM (SELECT");
    write_from(&mut sql, plan);
    write_where(&mut sql, Alias::ROOT, &plan.filter);
    sql.push(" LIMIT ");
    sql.number(MAX_COUNTED_ROWS + 1);
    sql.push(") r");
    sql.finish(StatementKind { heavy: !plan.single && is_heavy(plan), ..StatementKind::READ })
}

/// Renders the statement that counts the rows of all pages.
pub fn render_count<'p>(plan: &ReadPlan<'p>) -> Rendered<'p> {
    let mut sql = SqlWriter::new();
    sql.push("SELECT pg_catalog.count(*)");
    write_from(&mut sql, plan);
    write_where(&mut sql, Alias::ROOT, &plan.filter);
    sql.finish(StatementKind { heavy: true, ..StatementKind::READ })
}

/// Returns whether the read probably takes long: it may scan the table, skips many rows, cuts values, or embeds arrays.
fn is_heavy(plan: &ReadPlan<'_>) -> bool {
    fn scans(predicate: &Predicate<'_>) -> bool {
        match predicate {
            Predicate::Group { .. } => true,
            Predicate::Test { negated, test, .. } => {
                *negated
                    || match test {
                        Test::Search { .. } => true,
                        Test::Compare { operator, .. } => !matches!(
                            operator,
                            SqlOperator::Equal
                                | SqlOperator::Less
                                | SqlOperator::LessOrEqual
                                | SqlOperator::Greater
                                | SqlOperator::GreaterOrEqual
                        ),
                        Test::AnyOf { .. } | Test::Is(_) | Test::Unchanged(_) => false,
                    }
            }
        }
    }
    plan.offset > HEAVY_OFFSET
        || plan.max_cell_bytes.is_some()
        || plan.filter.iter().any(scans)
        || !plan.lists.is_empty()
}

/// Writes a column's value as the text that its type's input function accepts.
fn write_text<'p>(sql: &mut SqlWriter<'p>, column: ColumnRef<'p>) {
    if column.column.has_text_cast {
        // `::text` would call the cast function of the project; `format` does not. `format` turns null into an empty
        // string, so `num_nulls` tests for null.
        sql.push("CASE num_nulls(");
        sql.qualified(Alias::ROOT, column.ident);
        sql.push(") WHEN 0 THEN format('%s', ");
        sql.qualified(Alias::ROOT, column.ident);
        sql.push(") END");
    } else {
        sql.qualified(Alias::ROOT, column.ident);
        sql.push("::text");
    }
}

fn write_from<'p>(sql: &mut SqlWriter<'p>, plan: &ReadPlan<'p>) {
    sql.push(" FROM ");
    sql.table(plan.table);
    sql.push(" AS t");
}

/// Writes the statement from `FROM` to `OFFSET`.
fn write_page<'p>(sql: &mut SqlWriter<'p>, plan: &ReadPlan<'p>) {
    write_from(sql, plan);
    write_where(sql, Alias::ROOT, &plan.filter);
    if plan.single {
        return;
    }
    if let (Some(after), Some(keyset)) = (&plan.after, &plan.keyset) {
        sql.push(if plan.filter.is_empty() { " WHERE " } else { " AND " });
        write_keyset(sql, &plan.order[..keyset.terms], after);
    }
    write_order(sql, Alias::ROOT, &plan.order);
    sql.push(" LIMIT ");
    // One row more than the limit means that there is a next page.
    sql.number(if plan.limit == 0 { 0 } else { plan.limit + 1 });
    if plan.offset > 0 {
        sql.push(" OFFSET ");
        sql.untyped_param(Some(plan.offset.to_string().into()), Origin::Offset);
        sql.push("::int8");
    }
}

/// Writes ` ORDER BY …`, or nothing.
pub(super) fn write_order<'p>(sql: &mut SqlWriter<'p>, alias: Alias, order: &[OrderTerm<'p>]) {
    if order.is_empty() {
        return;
    }
    sql.push(" ORDER BY ");
    sql.joined(order, ", ", |sql, term| {
        sql.qualified(alias, term.column.ident);
        if term.direction == Direction::Desc {
            sql.push(" DESC");
        }
        // The order of nulls is omitted where it changes nothing, so that an index with another order of nulls can be
        // used.
        if !term.column.column.not_null && term.nulls != term.direction.default_nulls() {
            sql.push(match term.nulls {
                Nulls::First => " NULLS FIRST",
                Nulls::Last => " NULLS LAST",
            });
        }
    });
}

/// Writes the list of outputs. `embeds` counts the embedded tables of the statement, to number their aliases.
pub(super) fn write_outputs<'p>(sql: &mut SqlWriter<'p>, alias: Alias, outputs: &[Output<'p>], embeds: &mut usize) {
    sql.joined(outputs, ", ", |sql, output| match output {
        Output::Column { column, name } => {
            sql.qualified(alias, column.ident);
            if *name != column.ident {
                sql.push(" AS ");
                sql.ident(*name);
            }
        }
        // An embedded table with arrays is joined instead; see `embed`.
        Output::Embed(embed) => write_object(sql, alias, embed, embeds),
    });
}

/// Writes the condition that a row comes after the row with these key values.
fn write_keyset<'p>(sql: &mut SqlWriter<'p>, terms: &[OrderTerm<'p>], values: &[Option<Arc<str>>]) {
    // A row comparison is possible only without nulls, with one direction, and with operators of `pg_catalog`.
    let is_comparable = |term: &OrderTerm<'p>| {
        let column = term.column.column;
        column.not_null && term.direction == terms[0].direction && (terms.len() == 1 || column.operators.is_empty())
    };
    if terms.iter().all(is_comparable) {
        let is_row = terms.len() > 1;
        sql.push(if is_row { "(" } else { "" });
        sql.joined(terms, ", ", |sql, term| sql.qualified(Alias::ROOT, term.column.ident));
        if is_row {
            sql.push(")");
        }
        sql.operator(terms[0].column.column, after_operator(terms[0].direction));
        if is_row {
            sql.push("(");
        }
        sql.joined(terms.iter().zip(values), ", ", |sql, (term, value)| write_key_param(sql, term, value));
        sql.push(if is_row { ")" } else { "" });
        return;
    }
    // One alternative for each term: the previous terms are equal, and this one comes after its value.
    sql.push("(");
    let mut is_first = true;
    for (position, (term, value)) in terms.iter().zip(values).enumerate() {
        if value.is_none() && term.nulls == Nulls::Last {
            continue; // Nothing sorts after null.
        }
        sql.push(if is_first { "(" } else { " OR (" });
        is_first = false;
        for (equal_term, equal_value) in terms.iter().zip(values).take(position) {
            sql.qualified(Alias::ROOT, equal_term.column.ident);
            match equal_value {
                Some(_) => {
                    sql.operator(equal_term.column.column, SqlOperator::Equal);
                    write_key_param(sql, equal_term, equal_value);
                }
                None => sql.null_test(equal_term.column.column, true),
            }
            sql.push(" AND ");
        }
        write_after(sql, term, value);
        sql.push(")");
    }
    sql.push(if is_first { "false)" } else { ")" });
}

/// Writes the condition that the term's column sorts after the value.
fn write_after<'p>(sql: &mut SqlWriter<'p>, term: &OrderTerm<'p>, value: &Option<Arc<str>>) {
    if value.is_none() {
        sql.qualified(Alias::ROOT, term.column.ident);
        sql.null_test(term.column.column, false);
        return;
    }
    let nulls_follow = !term.column.column.not_null && term.nulls == Nulls::Last;
    sql.push(if nulls_follow { "(" } else { "" });
    sql.qualified(Alias::ROOT, term.column.ident);
    sql.operator(term.column.column, after_operator(term.direction));
    write_key_param(sql, term, value);
    if nulls_follow {
        sql.push(" OR ");
        sql.qualified(Alias::ROOT, term.column.ident);
        sql.null_test(term.column.column, true);
        sql.push(")");
    }
}

/// Returns the operator that selects the values after a given value.
const fn after_operator(direction: Direction) -> SqlOperator {
    match direction {
        Direction::Asc => SqlOperator::Greater,
        Direction::Desc => SqlOperator::Less,
    }
}

fn write_key_param<'p>(sql: &mut SqlWriter<'p>, term: &OrderTerm<'p>, value: &Option<Arc<str>>) {
    sql.param(value.clone(), Cast::To(&term.column.column.base_type), Origin::Cursor);
}
