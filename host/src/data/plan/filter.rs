use crate::{
    data::{
        array_literal,
        message::shortened,
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
pub(super) fn plan_conditions<'p>(table: &'p Table, conditions: &'p [Condition]) -> ApiResult<Vec<Predicate<'p>>> {
    conditions
        .iter()
        .map(|condition| match condition {
            Condition::Filter(filter) => plan_filter(table, filter),
            Condition::Group(group) => Ok(Predicate::Group {
                join: group.join,
                negated: group.negated,
                predicates: plan_conditions(table, &group.conditions)?,
            }),
        })
        .collect()
}

fn plan_filter<'p>(table: &'p Table, filter: &'p Filter) -> ApiResult<Predicate<'p>> {
    let (_, column) = readable_column(table, &filter.column)?;
    let class = &column.column.class;
    let to_column = Cast::To(&column.column.base_type);
    let comparison = |operator, required: Comparable| {
        if column.column.comparable < required {
            return Err(unsupported(
                filter,
                column,
                "the type does not support this comparison. Supported: is, not.is",
            ));
        }
        Ok(Test::Compare { operator, cast: to_column, value: filter.value.clone() })
    };
    let pattern = |operator| match class {
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

fn plan_is<'p>(filter: &Filter, column: ColumnRef<'p>) -> ApiResult<Test<'p>> {
    let value = match &*filter.value {
        "null" => IsValue::Null,
        "true" => IsValue::True,
        "false" => IsValue::False,
        "unknown" => IsValue::Unknown,
        other => {
            return Err(ApiError::new(
                Code::InvalidValue,
                format!(
                    "`is.{}` must be one of null, true, false, unknown, not `{}`.",
                    column.column.name,
                    shortened(other)
                ),
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
        _ => return Err(unsupported(filter, column, "it requires an array, jsonb or range column")),
    };
    Ok(Test::Compare { operator, cast, value })
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
    table.unique_keys.iter().any(|key| key.columns.iter().all(is_fixed))
}
