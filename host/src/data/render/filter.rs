//! Renders conditions as SQL.

use crate::data::{
    plan::{CellValue, ColumnRef, IsValue, Predicate, SqlOperator, Test},
    request::Join,
    schema::{Comparable, TypeClass},
};

use super::{
    write::write_cell,
    writer::{Alias, Origin, SqlWriter},
};

/// Writes ` WHERE …`, or nothing if there are no predicates.
pub(super) fn write_where<'p>(sql: &mut SqlWriter<'p>, alias: Alias, predicates: &[Predicate<'p>]) {
    if predicates.is_empty() {
        return;
    }
    sql.push(" WHERE ");
    write_predicates(sql, alias, predicates);
}

/// Writes conditions joined by AND.
pub(super) fn write_predicates<'p>(sql: &mut SqlWriter<'p>, alias: Alias, predicates: &[Predicate<'p>]) {
    sql.joined(predicates, " AND ", |sql, predicate| write_predicate(sql, alias, predicate));
}

fn write_predicate<'p>(sql: &mut SqlWriter<'p>, alias: Alias, predicate: &Predicate<'p>) {
    match predicate {
        Predicate::Group { join, negated, predicates } => {
            sql.push(if *negated { "NOT (" } else { "(" });
            let separator = match join {
                Join::And => " AND ",
                Join::Or => " OR ",
            };
            sql.joined(predicates, separator, |sql, predicate| write_predicate(sql, alias, predicate));
            sql.push(")");
        }
        Predicate::Test { column, test: Test::Unchanged(value), .. } => write_unchanged(sql, alias, *column, value),
        Predicate::Test { column, negated, test } => {
            if *negated {
                sql.push("NOT (");
            }
            // A text column must be converted to a tsvector.
            let is_text_search = matches!(test, Test::Search { .. }) && column.column.class == TypeClass::Text;
            if is_text_search {
                sql.push("to_tsvector(");
            }
            sql.qualified(alias, column.ident);
            if is_text_search {
                sql.push(")");
            }
            match test {
                Test::Compare { operator, cast, value } => {
                    sql.operator(column.column, *operator);
                    sql.param(Some(value.clone()), *cast, Origin::Column(column.column));
                }
                Test::AnyOf { list } => {
                    sql.operator(column.column, SqlOperator::Equal);
                    sql.push("ANY (");
                    sql.untyped_param(Some(list.clone()), Origin::Column(column.column));
                    sql.push("::");
                    sql.sql_type(&column.column.base_type);
                    sql.push("[])");
                }
                // An arm of the outer `match` writes these tests.
                Test::Unchanged(_) => {}
                Test::Is(value) => match value {
                    IsValue::Null => sql.null_test(column.column, true),
                    IsValue::True => sql.push(" IS TRUE"),
                    IsValue::False => sql.push(" IS FALSE"),
                    IsValue::Unknown => sql.push(" IS UNKNOWN"),
                },
                Test::Search { text } => {
                    sql.push(" @@ websearch_to_tsquery(");
                    sql.untyped_param(Some(text.clone()), Origin::Column(column.column));
                    sql.push("::text)");
                }
            }
            if *negated {
                sql.push(")");
            }
        }
    }
}

/// Writes the condition that a column still has the given value.
fn write_unchanged<'p>(sql: &mut SqlWriter<'p>, alias: Alias, column: ColumnRef<'p>, value: &CellValue) {
    if *value == CellValue::Null && matches!(column.column.class, TypeClass::Json | TypeClass::Jsonb) {
        // In the JSON of a row, the SQL value NULL and the JSON value `null` look the same.
        sql.push("coalesce(");
        sql.qualified(alias, column.ident);
        sql.push("::pg_catalog.jsonb, 'null'::pg_catalog.jsonb) = 'null'::pg_catalog.jsonb");
        return;
    }
    let is_json = column.column.class == TypeClass::Json;
    // Types without an order have no equality, or an equality that also holds for different values: boxes of the same
    // area are equal. `IS NOT DISTINCT FROM` does not find the equality of a type in another schema. Values of all
    // these types are compared as text.
    let is_own_type = !column.column.operators.is_empty();
    let as_text = (column.column.comparable < Comparable::Ordered || is_own_type) && !is_json;
    let conversion = match (is_json, as_text) {
        (true, _) => "::pg_catalog.jsonb",
        (false, true) => "::pg_catalog.text",
        (false, false) => "",
    };
    sql.qualified(alias, column.ident);
    sql.push(conversion);
    sql.push(" IS NOT DISTINCT FROM ");
    write_cell(sql, column, value);
    sql.push(conversion);
}
