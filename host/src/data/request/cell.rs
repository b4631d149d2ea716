//! Parses the request for one value.

use crate::error::{ApiError, ApiResult, Code};

use super::{
    filter::Condition,
    query::{Filters, QueryParts},
};

/// A `GET` of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellRequest {
    pub column: String,
    /// Joined by AND. They must select one row.
    pub conditions: Vec<Condition>,
    /// Whether a browser stores the value as a file.
    pub download: bool,
}

impl CellRequest {
    /// Parses the raw query string.
    ///
    /// # Errors
    /// Returns `filter_required` if there is no filter, and `invalid_request` or `unknown_operator` if the query string
    /// is invalid.
    pub fn parse(query: &str) -> ApiResult<Self> {
        let mut parts = QueryParts::parse(query, &["column", "download"], Filters::Allowed)?;
        let column = parts.take("column").filter(|name| !name.is_empty());
        let column = column.ok_or_else(|| ApiError::invalid("The parameter `column` is missing."))?.into_owned();
        let download = parts.take_choice("download", &[("true", true), ("false", false)])?.unwrap_or(false);
        if parts.filters.is_empty() {
            return Err(ApiError::new(Code::FilterRequired, "A filter must select the row, for example `eq.id=1`."));
        }
        Ok(Self { column, conditions: parts.filters.finish(), download })
    }
}
