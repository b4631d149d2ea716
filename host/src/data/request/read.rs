//! Parses the request for rows of a table.

use std::borrow::Cow;

use crate::error::{ApiError, ApiResult};

use super::{
    filter::Condition,
    order::{OrderItem, parse_order},
    query::{Filters, QueryParts},
    select::SelectItem,
    viewer::Viewer,
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
    /// Number of bytes above which a value is cut. Only the owner's requests can set it.
    pub max_cell_bytes: Option<u64>,
}

/// Maximum of `maxCellBytes`.
const MAX_CELL_BYTES: u64 = 1 << 20;

/// Whether the response includes the total number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    None,
    Exact,
    Estimated,
}

impl ReadRequest {
    /// Parses the raw query string of an app's request.
    ///
    /// # Errors
    /// Returns `invalid_request` or `unknown_operator` if the query string is invalid.
    pub fn parse(query: &str) -> ApiResult<Self> {
        let supported = &["select", "limit", "offset", "order", "count", "after"];
        Self::from_parts(QueryParts::parse(query, supported, Filters::WithEmbeds)?)
    }

    /// Parses the raw query string of the owner's request, which may limit the size of values, and read the rows as
    /// another caller.
    ///
    /// # Errors
    /// Returns the errors of [`Self::parse`].
    pub fn parse_for_owner(query: &str) -> ApiResult<(Self, Option<Viewer>)> {
        let supported = &["select", "limit", "offset", "order", "count", "after", "maxCellBytes", "as"];
        let mut parts = QueryParts::parse(query, supported, Filters::WithEmbeds)?;
        let max_cell_bytes = parts.take_number("maxCellBytes")?;
        if max_cell_bytes.is_some_and(|bytes| !(1..=MAX_CELL_BYTES).contains(&bytes)) {
            return Err(ApiError::invalid(format!("`maxCellBytes` must be from 1 to {MAX_CELL_BYTES}.")));
        }
        let viewer = parts.take("as").map(|viewer| Viewer::parse(&viewer)).transpose()?;
        Ok((Self { max_cell_bytes, ..Self::from_parts(parts)? }, viewer))
    }

    fn from_parts(mut parts: QueryParts<'_>) -> ApiResult<Self> {
        Ok(Self {
            select: parts.take_select_with_options()?,
            order: match parts.take("order") {
                Some(order) => parse_order("order", &order)?,
                None => Vec::new(),
            },
            limit: parts.take_limit()?,
            offset: parts.take_number("offset")?.unwrap_or(0),
            count: parts
                .take_choice("count", &[("exact", Count::Exact), ("estimated", Count::Estimated)])?
                .unwrap_or(Count::None),
            after: parts.take("after").map(Cow::into_owned),
            max_cell_bytes: None,
            conditions: parts.filters.finish(),
        })
    }
}
