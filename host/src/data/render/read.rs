use std::sync::Arc;

use crate::data::{
    plan::{Cast, EmbedPlan, EmbedShape, OrderTerm, Output, Predicate, ReadPlan, SqlOperator, Test},
    request::{Count, Direction, Nulls},
};

use super::{
    filter::write_where,
    writer::{Alias, Origin, Rendered, SqlWriter, StatementKind},
};

/// Offset above which a read counts as heavy: Postgres reads every skipped row.
const HEAVY_OFFSET: u64 = 1000;

/// Renders a read. The result of its statement is:
/// - for a `single` plan, rows of one JSON object each;
/// - otherwise one row: the JSON array of up to `limit + 1` rows (null if there are none); their number; the exact
///   total if requested; and, unless all members of the keyset are selected, the text of each term in row `limit`.
pub fn render_read<'p>(plan: &ReadPlan<'p>) -> Rendered<'p> {
    let mut sql = SqlWriter::new();
    if plan.single {
        sql.push("SELECT row_to_json(r.*) FROM (SELECT ");
        write_outputs(&mut sql, Alias::ROOT, &plan.outputs, &mut 0);
        write_from(&mut sql, plan);
        write_where(&mut sql, Alias::ROOT, &plan.filter);
        sql.push(") r");
        return sql.finish(StatementKind::READ);
    }
    let unselected = plan.keyset.as_ref().filter(|keyset| keyset.members.is_none());
    let unselected_terms = unselected.map_or(&[][..], |keyset| &plan.order[..keyset.terms]);
    sql.push("SELECT json_agg(r.");
    sql.push(if unselected_terms.is_empty() { "*), count(*)" } else { "json), count(*)" });
    if plan.count == Count::Exact {
        sql.push(", (SELECT count(*)");
        write_from(&mut sql, plan);
        write_where(&mut sql, Alias::ROOT, &plan.filter);
        sql.push(")");
    }
    for position in 0..unselected_terms.len() {
        sql.push(", (array_agg(r.k");
        sql.number(position as u64);
        sql.push("))[");
        sql.number(plan.limit);
        sql.push("]");
    }
    sql.push(" FROM (SELECT ");
    if unselected_terms.is_empty() {
        write_outputs(&mut sql, Alias::ROOT, &plan.outputs, &mut 0);
    } else {
        // The rows' JSON must not contain the key columns, so it is a separate column.
        sql.push("(SELECT row_to_json(r.*) FROM (SELECT ");
        write_outputs(&mut sql, Alias::ROOT, &plan.outputs, &mut 0);
        sql.push(") r) AS json");
        for (position, term) in unselected_terms.iter().enumerate() {
            sql.push(", ");
            sql.qualified(Alias::ROOT, term.column.ident);
            sql.push("::text AS k");
            sql.number(position as u64);
        }
    }
    write_page(&mut sql, plan);
    sql.push(") r");
    sql.finish(StatementKind { heavy: is_heavy(plan), ..StatementKind::READ })
}

/// Renders the `EXPLAIN` whose JSON contains the estimated number of rows over all pages.
pub fn render_estimate<'p>(plan: &ReadPlan<'p>) -> Rendered<'p> {
    let mut sql = SqlWriter::new();
    sql.push("EXPLAIN (FORMAT JSON) SELECT 1");
    write_from(&mut sql, plan);
    write_where(&mut sql, Alias::ROOT, &plan.filter);
    sql.finish(StatementKind::READ)
}

/// Returns whether the read probably takes long: it may scan the table, or counts or skips many rows.
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
                        Test::AnyOf { .. } | Test::Is(_) => false,
                    }
            }
        }
    }
    plan.count == Count::Exact
        || plan.offset > HEAVY_OFFSET
        || plan.filter.iter().any(scans)
        || plan.outputs.iter().any(|output| match output {
            Output::Embed(embed) => matches!(embed.shape, EmbedShape::Array { .. }),
            Output::Column { .. } => false,
        })
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
    if let (Some(after), Some(keyset)) = (&plan.after, &plan.keyset) {
        sql.push(if plan.filter.is_empty() { " WHERE " } else { " AND " });
        write_keyset(sql, &plan.order[..keyset.terms], after);
    }
    write_order(sql, &plan.order);
    sql.push(" LIMIT ");
    // One row more than the limit shows whether there is a next page.
    sql.number(if plan.limit == 0 { 0 } else { plan.limit + 1 });
    if plan.offset > 0 {
        sql.push(" OFFSET ");
        sql.untyped_param(Some(plan.offset.to_string().into()), Origin::Offset);
        sql.push("::int8");
    }
}

fn write_order<'p>(sql: &mut SqlWriter<'p>, order: &[OrderTerm<'p>]) {
    if order.is_empty() {
        return;
    }
    sql.push(" ORDER BY ");
    sql.joined(order, ", ", |sql, term| {
        sql.qualified(Alias::ROOT, term.column.ident);
        if term.direction == Direction::Desc {
            sql.push(" DESC");
        }
        // Omitted where it changes nothing, so that an index with another order of nulls can be used.
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
        Output::Embed(embed) => write_embed(sql, alias, embed, embeds),
    });
}

/// Writes an embedded table as a subquery.
fn write_embed<'p>(sql: &mut SqlWriter<'p>, parent: Alias, embed: &EmbedPlan<'p>, embeds: &mut usize) {
    *embeds += 1;
    let alias = Alias(*embeds);
    sql.push(match embed.shape {
        EmbedShape::Object => "(SELECT row_to_json(r.*) FROM (SELECT ",
        EmbedShape::Array { .. } => "(SELECT coalesce(json_agg(r.*), '[]') FROM (SELECT ",
    });
    write_outputs(sql, alias, &embed.outputs, embeds);
    sql.push(" FROM ");
    sql.table(embed.table);
    sql.push(" AS ");
    sql.alias(alias);
    sql.push(" WHERE ");
    sql.joined(&embed.on, " AND ", |sql, (column, parent_column)| {
        sql.qualified(alias, *column);
        sql.push(" = ");
        sql.qualified(parent, *parent_column);
    });
    match &embed.shape {
        EmbedShape::Object => sql.push(" LIMIT 1"),
        EmbedShape::Array { order, limit } => {
            if !order.is_empty() {
                sql.push(" ORDER BY ");
                sql.joined(order, ", ", |sql, column| sql.qualified(alias, *column));
            }
            sql.push(" LIMIT ");
            sql.number(*limit);
        }
    }
    sql.push(") r) AS ");
    sql.ident(embed.name);
}

/// Writes the condition that a row comes after the row with these key values.
fn write_keyset<'p>(sql: &mut SqlWriter<'p>, terms: &[OrderTerm<'p>], values: &[Option<Arc<str>>]) {
    // A row comparison is possible only without nulls and with one direction.
    let is_comparable = |term: &OrderTerm<'p>| term.column.column.not_null && term.direction == terms[0].direction;
    if terms.iter().all(is_comparable) {
        let is_row = terms.len() > 1;
        sql.push(if is_row { "(" } else { "" });
        sql.joined(terms, ", ", |sql, term| sql.qualified(Alias::ROOT, term.column.ident));
        sql.push(match (is_row, terms[0].direction) {
            (true, Direction::Asc) => ") > (",
            (true, Direction::Desc) => ") < (",
            (false, Direction::Asc) => " > ",
            (false, Direction::Desc) => " < ",
        });
        sql.joined(terms.iter().zip(values), ", ", |sql, (term, value)| write_key_param(sql, term, value));
        sql.push(if is_row { ")" } else { "" });
        return;
    }
    // One alternative for each term: the previous terms are equal, and this one is greater.
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
                    sql.push(" = ");
                    write_key_param(sql, equal_term, equal_value);
                }
                None => sql.push(" IS NULL"),
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
        sql.push(" IS NOT NULL");
        return;
    }
    let nulls_follow = !term.column.column.not_null && term.nulls == Nulls::Last;
    sql.push(if nulls_follow { "(" } else { "" });
    sql.qualified(Alias::ROOT, term.column.ident);
    sql.push(match term.direction {
        Direction::Asc => " > ",
        Direction::Desc => " < ",
    });
    write_key_param(sql, term, value);
    if nulls_follow {
        sql.push(" OR ");
        sql.qualified(Alias::ROOT, term.column.ident);
        sql.push(" IS NULL)");
    }
}

fn write_key_param<'p>(sql: &mut SqlWriter<'p>, term: &OrderTerm<'p>, value: &Option<Arc<str>>) {
    sql.param(value.clone(), Cast::To(&term.column.column.base_type), Origin::Cursor);
}
