//! Plans filters: finds their columns, and checks that the types of the columns support the operators.

use std::sync::Arc;

use crate::{
    data::{
        array_literal, errors, json_input,
        message::not_value,
        request::{Condition, Filter, Operator},
        schema::{Comparable, Table, TypeClass},
    },
    error::{ApiError, ApiResult, Code},
};

use super::{
    model::{Cast, ColumnRef, IsValue, Predicate, SqlOperator, Test},
    resolve::readable_column,
};

/// Resolves the columns of conditions, and checks that their types support the operators.
pub(super) fn plan_conditions<'p>(
    table: &'p Table,
    conditions: impl IntoIterator<Item = &'p Condition>,
) -> ApiResult<Vec<Predicate<'p>>> {
    conditions
        .into_iter()
        .map(|condition| match condition {
            Condition::Filter(filter) => plan_filter(table, filter, &filter.column),
            Condition::Group(group) => Ok(Predicate::Group {
                join: group.join,
                negated: group.negated,
                predicates: plan_conditions(table, &group.conditions)?,
            }),
        })
        .collect()
}

/// Plans a filter as a test of the column with this name.
pub(super) fn plan_filter<'p>(table: &'p Table, filter: &'p Filter, column: &str) -> ApiResult<Predicate<'p>> {
    let (_, column) = readable_column(table, column)?;
    let class = &column.column.class;
    let to_column = Cast::To(&column.column.base_type);
    let comparison = |operator, required: Comparable| {
        if column.column.comparable < required {
            let reason = match column.column.comparable {
                Comparable::Equality => "the type has no order. Supported: eq, neq, in, is",
                Comparable::No | Comparable::Ordered => "the type does not support comparisons. Supported: is",
            };
            return Err(unsupported(filter, column, reason));
        }
        Ok(Test::Compare { operator, cast: to_column, value: comparison_value(filter, column)? })
    };
    let pattern = |operator| match class {
        TypeClass::Text if ends_in_escape(&filter.value) => Err(ApiError::new(
            Code::InvalidValue,
            format!(
                "The pattern of `{}.{}` ends in a single backslash. A backslash escapes the next character; to match \
                 one, write two.",
                filter.operator.name(),
                column.column.name
            ),
        )),
        TypeClass::Text => Ok(Test::Compare { operator, cast: Cast::Text, value: filter.value.clone() }),
        _ => Err(unsupported(filter, column, "it requires a text column")),
    };
    let test = match filter.operator {
        Operator::Eq => comparison(SqlOperator::Equal, Comparable::Equality)?,
        Operator::Neq => comparison(SqlOperator::NotEqual, Comparable::Equality)?,
        Operator::Lt => comparison(SqlOperator::Less, Comparable::Ordered)?,
        Operator::Lte => comparison(SqlOperator::LessOrEqual, Comparable::Ordered)?,
        Operator::Gt => comparison(SqlOperator::Greater, Comparable::Ordered)?,
        Operator::Gte => comparison(SqlOperator::GreaterOrEqual, Comparable::Ordered)?,
        Operator::Like => pattern(SqlOperator::Like)?,
        Operator::Ilike => pattern(SqlOperator::CaseInsensitiveLike)?,
        Operator::In => match class {
            TypeClass::Array => return Err(unsupported(filter, column, "for arrays, use cs, cd or ov")),
            _ if column.column.comparable == Comparable::No => {
                return Err(unsupported(filter, column, "the type does not support equality"));
            }
            _ => Test::AnyOf { list: filter.value.clone() },
        },
        Operator::Is => plan_is(filter, column)?,
        Operator::Cs => plan_containment(filter, column, SqlOperator::Contains)?,
        Operator::Cd => plan_containment(filter, column, SqlOperator::ContainedBy)?,
        Operator::Ov => plan_containment(filter, column, SqlOperator::Overlaps)?,
        Operator::Fts => match class {
            TypeClass::Text | TypeClass::TsVector => Test::Search { text: filter.value.clone() },
            _ => return Err(unsupported(filter, column, "it requires a text or tsvector column")),
        },
    };
    Ok(Predicate::Test { column, negated: filter.negated, test })
}

/// Returns whether a pattern ends in a backslash that escapes nothing.
fn ends_in_escape(pattern: &str) -> bool {
    pattern.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn plan_is<'p>(filter: &Filter, column: ColumnRef<'p>) -> ApiResult<Test<'p>> {
    let value = match &*filter.value {
        "null" => IsValue::Null,
        "true" => IsValue::True,
        "false" => IsValue::False,
        "unknown" => IsValue::Unknown,
        other => {
            return Err(ApiError::new(
                Code::InvalidValue,
                format!("`is.{}` must be one of null, true, false, unknown{}.", column.column.name, not_value(other)),
            ));
        }
    };
    if value != IsValue::Null && column.column.class != TypeClass::Boolean {
        return Err(unsupported(filter, column, "a column that is not boolean only supports the value null"));
    }
    Ok(Test::Is(value))
}

fn plan_containment<'p>(filter: &Filter, column: ColumnRef<'p>, operator: SqlOperator) -> ApiResult<Test<'p>> {
    let value = &filter.value;
    let to_column = Cast::To(&column.column.base_type);
    let from_json = || {
        array_literal::from_json(value).ok_or_else(|| {
            ApiError::new(
                Code::InvalidValue,
                format!(
                    "`{}.{}` requires an array, for example {{a,b}} or [\"a\",\"b\"].",
                    filter.operator.name(),
                    column.column.name
                ),
            )
        })
    };
    let (operator, cast, value) = match &column.column.class {
        // `[2:3]={a,b}` is an array literal, not JSON.
        TypeClass::Array if value.starts_with('[') && !value.contains("]={") => (operator, to_column, from_json()?),
        TypeClass::Array => (operator, to_column, value.clone()),
        TypeClass::Jsonb if operator == SqlOperator::Overlaps => {
            let list = if value.starts_with('{') { value.clone() } else { from_json()? };
            (SqlOperator::HasAnyKey, Cast::TextArray, list)
        }
        TypeClass::Jsonb => (operator, to_column, value.clone()),
        TypeClass::Range { range, element } => {
            let cast = match value.trim_start().as_bytes().first() {
                Some(b'{') => to_column,
                Some(b'[' | b'(') => Cast::To(range),
                _ if value.trim().eq_ignore_ascii_case("empty") => Cast::To(range),
                _ if operator == SqlOperator::Contains => Cast::To(element),
                _ => Cast::To(range),
            };
            (operator, cast, value.clone())
        }
        TypeClass::Hstore if operator == SqlOperator::Overlaps => {
            let list = if value.starts_with('{') { value.clone() } else { from_json()? };
            (SqlOperator::HasAnyKey, Cast::TextArray, list)
        }
        // The type defines this operator itself, for example a type of an extension.
        TypeClass::Hstore | TypeClass::Other if column.column.operators.get(operator.name()).is_some() => {
            (operator, to_column, comparison_value(filter, column)?)
        }
        _ => return Err(unsupported(filter, column, "it requires an array, jsonb, hstore or range column")),
    };
    Ok(Test::Compare { operator, cast, value })
}

/// Returns the value to compare with. Converts a JSON object for hstore.
fn comparison_value(filter: &Filter, column: ColumnRef<'_>) -> ApiResult<Arc<str>> {
    match column.column.class {
        TypeClass::Hstore if filter.value.starts_with('{') => json_input::hstore_literal(&filter.value)
            .map(Arc::from)
            .map_err(|reason| errors::invalid_value(column.column, &reason)),
        _ => Ok(filter.value.clone()),
    }
}

fn unsupported(filter: &Filter, column: ColumnRef<'_>, reason: &str) -> ApiError {
    ApiError::invalid(format!(
        "`{}` can't be used on column `{}` of type {}: {reason}.",
        filter.operator.name(),
        column.column.name,
        column.column.data_type
    ))
}

/// Returns whether at most one row can match, because the conditions fix every column of a unique key.
pub(super) fn fixes_unique_key(table: &Table, predicates: &[Predicate<'_>]) -> bool {
    let is_fixed = |position: &usize| {
        predicates.iter().any(|predicate| match predicate {
            Predicate::Test { column, negated: false, test: Test::Compare { operator: SqlOperator::Equal, .. } } => {
                std::ptr::eq(column.column, &table.columns[*position])
            }
            _ => false,
        })
    };
    table.unique_keys.iter().any(|key| key.identifies && key.columns.iter().all(is_fixed))
}
