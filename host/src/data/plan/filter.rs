use std::sync::Arc;

use crate::{
    data::{
        array_literal,
        request::{Condition, Filter, Join, Operator, shortened},
        schema::{Comparable, SqlType, Table, TypeClass},
    },
    error::{ApiError, ApiResult, Code},
};

use super::resolve::{ColumnRef, readable_column};

/// A condition all of whose names exist and whose comparison its column's type has.
#[derive(Debug, Clone)]
pub enum Predicate<'p> {
    Test { column: ColumnRef<'p>, negated: bool, test: Test<'p> },
    Group { join: Join, negated: bool, predicates: Vec<Predicate<'p>> },
}

/// What a column's value is held against.
#[derive(Debug, Clone)]
pub enum Test<'p> {
    /// `column operator $n::type`
    Compare {
        operator: SqlOperator,
        cast: Cast<'p>,
        value: Arc<str>,
    },
    /// `column = ANY ($n::type[])`
    AnyOf {
        list: Arc<str>,
    },
    Is(IsValue),
    /// `column @@ websearch_to_tsquery($n)`
    Search {
        text: Arc<str>,
    },
}

/// What a parameter is cast to.
#[derive(Debug, Clone, Copy)]
pub enum Cast<'p> {
    To(&'p SqlType),
    Text,
    TextArray,
}

/// Operators as Postgres spells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlOperator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    CaseInsensitiveLike,
    Contains,
    ContainedBy,
    Overlaps,
    HasAnyKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsValue {
    Null,
    True,
    False,
    Unknown,
}

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
    let comparison = |operator, needed: Comparable| {
        if column.column.comparable < needed {
            return Err(unsuited(filter, column, "this type has no such comparison; is and not.is work"));
        }
        Ok(Test::Compare { operator, cast: to_column, value: filter.value.clone() })
    };
    let pattern = |operator| match class {
        TypeClass::Text => Ok(Test::Compare { operator, cast: Cast::Text, value: filter.value.clone() }),
        _ => Err(unsuited(filter, column, "it works on text columns")),
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
            TypeClass::Array => return Err(unsuited(filter, column, "use cs, cd or ov for arrays")),
            _ if column.column.comparable == Comparable::No => {
                return Err(unsuited(filter, column, "this type has no equality"));
            }
            _ => Test::AnyOf { list: filter.value.clone() },
        },
        Operator::Is => plan_is(filter, column)?,
        Operator::Cs => plan_containment(filter, column, SqlOperator::Contains)?,
        Operator::Cd => plan_containment(filter, column, SqlOperator::ContainedBy)?,
        Operator::Ov => plan_containment(filter, column, SqlOperator::Overlaps)?,
        Operator::Fts => match class {
            TypeClass::Text | TypeClass::TsVector => Test::Search { text: filter.value.clone() },
            _ => return Err(unsuited(filter, column, "it works on text and tsvector columns")),
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
        return Err(unsuited(filter, column, "only is.…=null works on a column that is not boolean"));
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
                    "`{}.{}` needs an array, as {{a,b}} or [\"a\",\"b\"].",
                    filter.operator.name(),
                    column.column.name
                ),
            )
        })
    };
    let (operator, cast, value) = match &column.column.class {
        // `[2:3]={a,b}` is an array literal too.
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
        _ => return Err(unsuited(filter, column, "it works on arrays, jsonb and ranges")),
    };
    Ok(Test::Compare { operator, cast, value })
}

fn unsuited(filter: &Filter, column: ColumnRef<'_>, why: &str) -> ApiError {
    ApiError::invalid(format!(
        "`{}` can't be used on column `{}` of type {}: {why}.",
        filter.operator.name(),
        column.column.name,
        column.column.data_type
    ))
}

/// Whether the conditions allow one row at most: they fix every column of some unique key.
pub(super) fn pins_unique_key(table: &Table, predicates: &[Predicate<'_>]) -> bool {
    let pinned = |position: &usize| {
        predicates.iter().any(|predicate| match predicate {
            Predicate::Test { column, negated: false, test: Test::Compare { operator: SqlOperator::Equal, .. } } => {
                std::ptr::eq(column.column, &table.columns[*position])
            }
            _ => false,
        })
    };
    table.unique_keys.iter().any(|key| key.columns.iter().all(pinned))
}
