use std::sync::Arc;

use crate::{
    data::{
        DataLimits,
        cursor::{self, OrderSignature},
        request::{Count, Direction, Nulls, ReadRequest},
        schema::{Comparable, Schema, Table, TypeClass},
    },
    error::{ApiError, ApiResult},
};

use super::{
    filter::{Predicate, pins_unique_key, plan_conditions},
    ident::QuotedIdent,
    output::{Embedding, Output, plan_outputs},
    resolve::{self, ColumnRef, forbidden, listed, readable_column},
};

/// A read all of whose names exist and may be read.
#[derive(Debug)]
pub struct ReadPlan<'p> {
    pub table: QuotedIdent<'p>,
    pub outputs: Vec<Output<'p>>,
    pub filter: Vec<Predicate<'p>>,
    pub order: Vec<OrderTerm<'p>>,
    /// Present when the order is that of a unique key, so that a cursor can tell where a page ended.
    pub keyset: Option<Keyset<'p>>,
    /// Values of the keyset's columns in the last row of the page before.
    pub after: Option<Vec<Option<Arc<str>>>>,
    pub limit: u64,
    /// The client asked for more than the limit.
    pub limit_capped: bool,
    pub offset: u64,
    pub count: Count,
    /// The filter fixes a unique key and nothing is skipped: no more than one row can come.
    pub single: bool,
    /// `, \n ` stands between rows in the JSON array and nowhere else.
    pub line_per_row: bool,
}

/// One column of the order, with Postgres's defaults made explicit.
#[derive(Debug, Clone, Copy)]
pub struct OrderTerm<'p> {
    pub column: ColumnRef<'p>,
    pub direction: Direction,
    pub nulls: Nulls,
}

/// How to make and read cursors of this order.
#[derive(Debug)]
pub struct Keyset<'p> {
    /// So many of the first order terms contain a unique key.
    pub terms: usize,
    pub signature: OrderSignature,
    /// Where the terms are found in a row's JSON; `None` when one of them is not selected.
    pub members: Option<Vec<&'p str>>,
}

/// Resolves a read against the schema.
pub fn plan_read<'p>(
    schema: &'p Schema,
    table_name: &str,
    request: &'p ReadRequest,
    limits: &DataLimits,
) -> ApiResult<ReadPlan<'p>> {
    let table = resolve::table(schema, table_name)?;
    if !table.columns.iter().any(|column| column.can_select) {
        return Err(forbidden(table, "read"));
    }
    let outputs = plan_outputs(schema, table, &request.select, Embedding::Allowed { limit: limits.max_limit })?;
    let filter = plan_conditions(table, &request.conditions)?;
    let order = plan_order(table, request)?;
    let keyset = plan_keyset(table, &order, &outputs);
    let after = match (&request.after, &keyset) {
        (None, _) => None,
        (Some(_), None) => return Err(not_unique(table)),
        (Some(_), Some(_)) if request.offset > 0 => {
            return Err(ApiError::invalid("`after` and `offset` can't be used together."));
        }
        (Some(cursor), Some(keyset)) => {
            let values = cursor::decode(cursor, &keyset.signature, keyset.terms)?;
            let missing =
                |(term, value): (&OrderTerm<'_>, &Option<Arc<str>>)| term.column.column.not_null && value.is_none();
            if order.iter().zip(&values).any(missing) {
                return Err(cursor::invalid());
            }
            Some(values)
        }
    };
    let limit = request.limit.unwrap_or(limits.default_limit);
    let single = pins_unique_key(table, &filter) && request.offset == 0 && after.is_none() && limit > 0;
    Ok(ReadPlan {
        table: QuotedIdent::new(&table.name),
        line_per_row: keyset.as_ref().is_none_or(|keyset| keyset.members.is_some())
            && outputs
                .iter()
                .all(|output| matches!(output, Output::Column { column, .. } if column.column.single_line)),
        outputs,
        filter,
        order,
        keyset,
        after,
        limit: limit.min(limits.max_limit),
        limit_capped: limit > limits.max_limit,
        offset: request.offset,
        count: request.count,
        single,
    })
}

fn plan_order<'p>(table: &'p Table, request: &'p ReadRequest) -> ApiResult<Vec<OrderTerm<'p>>> {
    request
        .order
        .iter()
        .map(|item| {
            let (_, column) = readable_column(table, &item.column)?;
            if column.column.comparable < Comparable::Ordered {
                return Err(ApiError::invalid(format!(
                    "`order` can't use column `{}`: values of type {} have no order.",
                    column.column.name, column.column.data_type
                )));
            }
            let nulls = item.nulls.unwrap_or(item.direction.default_nulls());
            Ok(OrderTerm { column, direction: item.direction, nulls })
        })
        .collect()
}

fn plan_keyset<'p>(table: &'p Table, order: &[OrderTerm<'p>], outputs: &[Output<'p>]) -> Option<Keyset<'p>> {
    let position_in_order = |position: usize| {
        let column = &table.columns[position];
        order.iter().position(|term| column.not_null && std::ptr::eq(term.column.column, column))
    };
    // How many terms it takes until a whole unique key is among them.
    let terms = table
        .unique_keys
        .iter()
        .filter_map(|key| {
            key.columns.iter().try_fold(0, |terms, position| Some(terms.max(position_in_order(*position)? + 1)))
        })
        .min()?;
    let order = order.get(..terms)?;
    if !order.iter().all(|term| has_text_form(&term.column.column.class)) {
        return None;
    }
    let member = |term: &OrderTerm<'p>| {
        outputs.iter().find_map(|output| match output {
            Output::Column { column, name } if std::ptr::eq(column.column, term.column.column) => Some(name.name()),
            _ => None,
        })
    };
    Some(Keyset {
        terms,
        signature: OrderSignature::of(&table.name, order),
        members: order.iter().map(member).collect(),
    })
}

/// JSON has these values as a number, a word or a string that the type's input function reads back.
fn has_text_form(class: &TypeClass) -> bool {
    match class {
        TypeClass::Text | TypeClass::Boolean | TypeClass::Time | TypeClass::Other => true,
        TypeClass::Json
        | TypeClass::Jsonb
        | TypeClass::TsVector
        | TypeClass::Array
        | TypeClass::Range { .. }
        | TypeClass::Composite => false,
    }
}

fn not_unique(table: &Table) -> ApiError {
    let keys: Vec<String> = table
        .unique_keys
        .iter()
        .filter(|key| key.columns.iter().all(|position| table.columns[*position].not_null))
        .map(|key| format!("({})", table.column_names(&key.columns).join(", ")))
        .collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    ApiError::invalid(format!(
        "`after` needs an `order` that contains a unique key of `{}`; its keys are {}.",
        table.name,
        listed(&keys, "none")
    ))
}

impl Direction {
    /// Where Postgres puts nulls unless told.
    pub const fn default_nulls(self) -> Nulls {
        match self {
            Self::Asc => Nulls::Last,
            Self::Desc => Nulls::First,
        }
    }
}
