//! First stage: the HTTP request as text → what is asked for. Knows query syntax and JSON, no schema.

mod filter;
mod order;
mod query;
mod select;
mod text;
mod write;

use std::borrow::Cow;

use crate::error::ApiResult;

pub use filter::{Condition, Filter, Group, Join, Operator};
pub use order::{Direction, Nulls, OrderItem};
pub(super) use query::shortened;
pub use select::{Embed, SelectItem};
pub use write::{DeleteRequest, InsertRequest, Resolution, Returning, Row, UpdateRequest};

use query::{Filters, QueryParts};

/// A `GET` of a table's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRequest {
    pub select: Vec<SelectItem>,
    /// AND-ed.
    pub conditions: Vec<Condition>,
    pub order: Vec<OrderItem>,
    pub limit: Option<u64>,
    pub offset: u64,
    pub count: Count,
    /// `page.nextCursor` of the page before.
    pub after: Option<String>,
}

/// Whether the answer tells how many rows there are over all pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    None,
    Exact,
    Estimated,
}

impl ReadRequest {
    /// Reads the raw query string.
    pub fn parse(query: &str) -> ApiResult<Self> {
        let known = &["select", "limit", "offset", "order", "count", "after"];
        let mut parts = QueryParts::parse(query, known, Filters::Allowed)?;
        Ok(Self {
            select: take_select(&mut parts)?,
            order: match parts.take("order") {
                Some(order) => order::parse_order(&order)?,
                None => Vec::new(),
            },
            limit: parts.take_number("limit")?,
            offset: parts.take_number("offset")?.unwrap_or(0),
            count: parts
                .take_word("count", &[("exact", Count::Exact), ("estimated", Count::Estimated)])?
                .unwrap_or(Count::None),
            after: parts.take("after").map(Cow::into_owned),
            conditions: parts.conditions,
        })
    }
}

fn take_select(parts: &mut QueryParts<'_>) -> ApiResult<Vec<SelectItem>> {
    match parts.take("select") {
        Some(select) => select::parse_select(&select),
        None => Ok(vec![SelectItem::All]),
    }
}
