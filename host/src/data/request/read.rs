use std::borrow::Cow;

use crate::error::ApiResult;

use super::{
    filter::Condition,
    order::{OrderItem, parse_order},
    query::{Filters, QueryParts},
    select::SelectItem,
};

/// A `GET` of a table's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRequest {
    pub select: Vec<SelectItem>,
    /// Joined by AND.
    pub conditions: Vec<Condition>,
    pub order: Vec<OrderItem>,
    pub limit: Option<u64>,
    pub offset: u64,
    pub count: Count,
    /// `page.nextCursor` of the previous page.
    pub after: Option<String>,
}

/// Whether the response includes the total number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    None,
    Exact,
    Estimated,
}

impl ReadRequest {
    /// Parses the raw query string.
    pub fn parse(query: &str) -> ApiResult<Self> {
        let supported = &["select", "limit", "offset", "order", "count", "after"];
        let mut parts = QueryParts::parse(query, supported, Filters::WithEmbeds)?;
        Ok(Self {
            select: parts.take_select_with_options()?,
            order: match parts.take("order") {
                Some(order) => parse_order("order", &order)?,
                None => Vec::new(),
            },
            limit: parts.take_number("limit")?,
            offset: parts.take_number("offset")?.unwrap_or(0),
            count: parts
                .take_choice("count", &[("exact", Count::Exact), ("estimated", Count::Estimated)])?
                .unwrap_or(Count::None),
            after: parts.take("after").map(Cow::into_owned),
            conditions: parts.filters.finish(),
        })
    }
}
