use crate::data::{
    plan::{IsValue, Predicate, SqlOperator, Test},
    request::Join,
    schema::TypeClass,
};

use super::writer::{Alias, Origin, SqlWriter};

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
