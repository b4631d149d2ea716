//! Renders one statement for several lookups.

use std::{borrow::Cow, sync::Arc};

use crate::{
    data::{
        array_literal,
        plan::{Cast, ColumnRef, Predicate, ReadPlan, SqlOperator, Test},
    },
    db::{LookupKey, Statement},
};

use super::{
    read::write_members,
    writer::{Alias, Origin, SqlWriter, StatementKind},
};

/// Renders one statement for several lookups with the shape of `plan`. A key contains the parameters that
/// [`render_read`](super::render_read) returns for its lookup.
///
/// The result contains a row for each lookup that finds one: the columns of a single lookup, then the position of the
/// key, counted from 1.
pub fn render_lookups(plan: &ReadPlan<'_>, keys: &[LookupKey]) -> Statement {
    let mut sql = SqlWriter::new();
    sql.push("SELECT ");
    write_members(&mut sql, plan);
    sql.push(if plan.outputs.is_empty() { "b.n" } else { ", b.n" });
    sql.push(" FROM ROWS FROM (");
    sql.joined(key_columns(plan).enumerate(), ", ", |sql, (position, (column, cast))| {
        sql.push("pg_catalog.unnest(");
        sql.untyped_param(Some(values(keys, position)), Origin::Column(column.column));
        sql.push("::");
        sql.cast(cast);
        sql.push("[])");
    });
    sql.push(") WITH ORDINALITY AS b(");
    sql.joined(key_columns(plan).enumerate(), ", ", |sql, (position, _)| write_key(sql, position));
    sql.push(", n) JOIN ");
    sql.table(plan.table);
    sql.push(" AS t ON ");
    sql.joined(key_columns(plan).enumerate(), " AND ", |sql, (position, (column, _))| {
        sql.qualified(Alias::ROOT, column.ident);
        sql.operator(column.column, SqlOperator::Equal);
        sql.push("b.");
        write_key(sql, position);
    });
    sql.finish(StatementKind::READ).statement
}

fn write_key(sql: &mut SqlWriter<'_>, position: usize) {
    sql.push("k");
    sql.number(position as u64);
}

/// Returns the columns that a lookup compares, in the order of its parameters.
fn key_columns<'a, 'p>(plan: &'a ReadPlan<'p>) -> impl Iterator<Item = (ColumnRef<'p>, Cast<'p>)> + use<'a, 'p> {
    plan.filter.iter().filter_map(|predicate| match predicate {
        Predicate::Test { column, test: Test::Compare { cast, .. }, .. } => Some((*column, *cast)),
        _ => None,
    })
}

/// Returns one parameter of all keys, as an array literal.
fn values(keys: &[LookupKey], position: usize) -> Arc<str> {
    let value = |key: &'_ LookupKey| key.get(position).cloned().flatten().unwrap_or_else(|| "".into());
    let values: Vec<Arc<str>> = keys.iter().map(value).collect();
    let values: Vec<Cow<'_, str>> = values.iter().map(|value| Cow::Borrowed(&**value)).collect();
    array_literal::from_texts(&values)
}
