//! Decides which reads can share a statement with others.

use uuid::Uuid;

use crate::data::{request::Count, schema::SqlType};

use super::model::{Cast, Output, Predicate, ReadPlan, SqlOperator, Test};

/// Returns whether a read only looks up one row by the values of a unique key, and each value is valid for its type.
/// Such reads can share a statement, because no value can make it fail.
pub(super) fn is_lookup(plan: &ReadPlan<'_>) -> bool {
    plan.single
        && plan.count != Count::Estimated
        && !plan.json_rows()
        && plan.max_cell_bytes.is_none()
        && plan.outputs.iter().all(|output| matches!(output, Output::Column { .. }))
        && plan.filter.iter().all(compares_with_valid_value)
}

fn compares_with_valid_value(predicate: &Predicate<'_>) -> bool {
    match predicate {
        Predicate::Test {
            negated: false,
            test: Test::Compare { operator: SqlOperator::Equal, cast: Cast::To(sql_type), value },
            ..
        } => is_valid(sql_type, value),
        _ => false,
    }
}

/// Returns whether the type's input function certainly accepts `text`. Returns false for types that are not listed
/// here.
fn is_valid(sql_type: &SqlType, text: &str) -> bool {
    match sql_type.as_str() {
        "pg_catalog.int2" => text.parse::<i16>().is_ok(),
        "pg_catalog.int4" => text.parse::<i32>().is_ok(),
        "pg_catalog.int8" => text.parse::<i64>().is_ok(),
        "pg_catalog.uuid" => text.len() == 36 && Uuid::try_parse(text).is_ok(),
        "pg_catalog.text" | "pg_catalog.\"varchar\"" | "pg_catalog.varchar" => !text.contains('\0'),
        _ => false,
    }
}
