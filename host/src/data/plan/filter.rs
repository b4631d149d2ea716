//! Plans filters: finds their columns, and checks that the types of the columns support the operators.

use std::{borrow::Cow, sync::Arc};

use serde_json::value::RawValue;

use crate::{
    data::{
        array_literal, errors, json_input,
        message::not_value,
        request::{Condition, Filter, Join, Operator},
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
    let pattern = |operator: SqlOperator| match class {
        TypeClass::Text if ends_in_escape(&filter.value) => Err(ApiError::new(
            Code::InvalidValue,
            format!(
                "The pattern of `{}.{}` ends in a single backslash. A backslash escapes the next character. To match a \
                 backslash, write two.",
                filter.operator.name(),
                column.column.name
            ),
        )),
        TypeClass::Text => match &column.column.nondeterministic_collation {
            Some(collation) if operator != SqlOperator::Like || !column.column.supports_like => {
                let reason =
                    format!("its collation `{collation}` is not deterministic, so Postgres can't match patterns");
                Err(unsupported(filter, column, &reason))
            }
            _ => Ok(Test::Compare { operator, cast: Cast::Text, value: filter.value.clone() }),
        },
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
            _ if column.column.comparable == Comparable::No => {
                return Err(unsupported(filter, column, "the type does not support equality"));
            }
            TypeClass::Array => return plan_any_array(filter, column, to_column),
            TypeClass::Composite | TypeClass::Hstore => Test::AnyOf { list: converted_list(filter, column)? },
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
    let value = match filter.value.to_ascii_lowercase().as_str() {
        "null" => IsValue::Null,
        "true" => IsValue::True,
        "false" => IsValue::False,
        "unknown" => IsValue::Unknown,
        _ => {
            let (name, sent) = (&column.column.name, not_value(&filter.value));
            let message = format!("`is.{name}` must be one of null, true, false, unknown{sent}.");
            return Err(ApiError::new(Code::InvalidValue, message));
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
    let (operator, cast, value) = match &column.column.class {
        TypeClass::Array => (operator, to_column, comparison_value(filter, column)?),
        TypeClass::Jsonb | TypeClass::Hstore if operator == SqlOperator::Overlaps => {
            (SqlOperator::HasAnyKey, Cast::TextArray, key_list(filter, column)?)
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
        // The type defines this operator itself, for example a type of an extension.
        TypeClass::Hstore | TypeClass::Other if column.column.operators.get(operator.name()).is_some() => {
            (operator, to_column, comparison_value(filter, column)?)
        }
        _ => return Err(unsupported(filter, column, "it requires an array, jsonb, hstore or range column")),
    };
    Ok(Test::Compare { operator, cast, value })
}

/// Plans an `in` on an array as comparisons with each array of the list, because there is no array of arrays.
fn plan_any_array<'p>(filter: &Filter, column: ColumnRef<'p>, cast: Cast<'p>) -> ApiResult<Predicate<'p>> {
    let mut predicates = Vec::new();
    for text in array_literal::to_texts(&filter.value) {
        let value = literal(filter, column, &text)?.unwrap_or_else(|| text.into());
        let test = Test::Compare { operator: SqlOperator::Equal, cast, value };
        predicates.push(Predicate::Test { column, negated: false, test });
    }
    if predicates.is_empty() {
        // An empty list matches no row.
        let is_null = |negated| Predicate::Test { column, negated, test: Test::Is(IsValue::Null) };
        let predicates = vec![is_null(false), is_null(true)];
        return Ok(Predicate::Group { join: Join::And, negated: filter.negated, predicates });
    }
    Ok(Predicate::Group { join: Join::Or, negated: filter.negated, predicates })
}

/// Returns the list of an `in`, with each JSON object converted.
fn converted_list(filter: &Filter, column: ColumnRef<'_>) -> ApiResult<Arc<str>> {
    let mut values: Vec<Cow<'_, str>> = Vec::new();
    for text in array_literal::to_texts(&filter.value) {
        values.push(match literal(filter, column, &text)? {
            Some(value) => Cow::Owned(value.to_string()),
            None => Cow::Owned(text),
        });
    }
    Ok(array_literal::from_texts(&values))
}

/// Returns the keys of an `ov` on jsonb or hstore as a Postgres array. The request contains a Postgres or JSON array.
fn key_list(filter: &Filter, column: ColumnRef<'_>) -> ApiResult<Arc<str>> {
    let value = &filter.value;
    // `{a,b}` and `{}` are arrays, `{"a":1}` is an object.
    let is_object = || {
        let json: Option<serde_json::Value> = serde_json::from_str(value).ok();
        json.is_some_and(|json| json.as_object().is_some_and(|members| !members.is_empty()))
    };
    let list = match value.starts_with('{') && !is_object() {
        true => Some(value.clone()),
        false => array_literal::from_json(value),
    };
    list.ok_or_else(|| requires(filter, column, "an array of keys"))
}

/// Returns the value to compare with. If the type does not accept JSON, converts JSON in the form that the API returns.
fn comparison_value(filter: &Filter, column: ColumnRef<'_>) -> ApiResult<Arc<str>> {
    Ok(literal(filter, column, &filter.value)?.unwrap_or_else(|| filter.value.clone()))
}

/// Converts a JSON array for an array column, and a JSON object for a composite type or hstore. Returns `None` for
/// other values.
fn literal(filter: &Filter, column: ColumnRef<'_>, value: &str) -> ApiResult<Option<Arc<str>>> {
    let json = value.trim();
    let is_json = match column.column.class {
        TypeClass::Array => json.starts_with('[') && !has_bounds(json),
        TypeClass::Composite | TypeClass::Hstore => json.starts_with('{'),
        _ => false,
    };
    if !is_json {
        return Ok(None);
    }
    if column.column.class == TypeClass::Array && serde_json::from_str::<&RawValue>(json).is_err() {
        return Err(requires(filter, column, "an array"));
    }
    let literal = json_input::literal(json, &column.column.json_input)
        .map_err(|reason| errors::invalid_value(column.column, &reason))?;
    Ok(literal.map(Arc::from))
}

/// Returns whether a text begins with the bounds of an array, such as `[2:3]={a,b}`. Such a text is not JSON.
fn has_bounds(text: &str) -> bool {
    let is_of_bounds = |character: char| character.is_ascii_digit() || "[]:+- ".contains(character);
    text.split_once('=').is_some_and(|(bounds, _)| bounds.chars().all(is_of_bounds))
}

/// Returns the error for a value that is not the kind of array that the operator requires.
fn requires(filter: &Filter, column: ColumnRef<'_>, kind: &str) -> ApiError {
    let (operator, name) = (filter.operator.name(), &column.column.name);
    let message = format!("`{operator}.{name}` requires {kind}, for example {{a,b}} or [\"a\",\"b\"].");
    ApiError::new(Code::InvalidValue, message)
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
