//! Parses the texts that select the rows and columns of an export.

use crate::error::{ApiError, ApiResult};

use super::{
    filter::Condition,
    order::{OrderItem, parse_order},
    query::{Filters, QueryParts},
    select::{SelectItem, parse_select},
};

/// The texts that select the rows and columns of an export, as a client sent them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowSelection<'a> {
    /// Filters, as in a query string.
    pub filter: Option<&'a str>,
    pub order: Option<&'a str>,
    pub select: Option<&'a str>,
}

/// The rows and columns of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    pub select: Vec<SelectItem>,
    /// Joined by AND.
    pub conditions: Vec<Condition>,
    pub order: Vec<OrderItem>,
}

/// The field of a request for an export that an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) enum ExportField {
    Filter,
    Order,
    Select,
}

impl ExportField {
    /// Adds the field to the details of an error.
    pub(in crate::data) fn of(self, error: ApiError) -> ApiError {
        let path = match self {
            Self::Filter => "source.filter",
            Self::Order => "source.order",
            Self::Select => "source.select",
        };
        error.with_detail("field", path.into())
    }
}

impl ExportRequest {
    /// Parses the texts of a selection. Without `select`, all columns are selected.
    ///
    /// # Errors
    /// Returns `invalid_request` or `unknown_operator` if a text is invalid. The detail `field` names the text.
    pub fn parse(selection: RowSelection<'_>) -> ApiResult<Self> {
        let RowSelection { filter, order, select } = selection;
        let conditions = parsed(ExportField::Filter, filter, |filter| {
            Ok(QueryParts::parse(filter, &[], Filters::Allowed)?.filters.finish())
        })?;
        let order = parsed(ExportField::Order, order, |order| parse_order("order", order))?;
        let select = parsed(ExportField::Select, select, parse_select)?;
        Ok(Self {
            select: select.unwrap_or_else(|| vec![SelectItem::All]),
            conditions: conditions.unwrap_or_default(),
            order: order.unwrap_or_default(),
        })
    }
}

fn parsed<T>(field: ExportField, text: Option<&str>, parse: impl FnOnce(&str) -> ApiResult<T>) -> ApiResult<Option<T>> {
    let Some(text) = text else { return Ok(None) };
    // In a URL, a NUL is always percent-encoded, and refused when it is decoded.
    if text.contains('\0') {
        return Err(field.of(ApiError::unstorable_text()));
    }
    parse(text).map(Some).map_err(|error| field.of(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: RowSelection<'_> = RowSelection { filter: None, order: None, select: None };

    #[test]
    fn all_rows_and_columns_are_the_default() {
        let request = ExportRequest::parse(ALL).unwrap();
        assert_eq!((request.select, request.conditions, request.order), (vec![SelectItem::All], vec![], vec![]));
    }

    #[test]
    fn error_names_the_invalid_text() {
        let check = |selection: RowSelection<'_>, field: &str, message: &str| {
            let error = ExportRequest::parse(selection).unwrap_err();
            assert_eq!(error.details().unwrap()["field"], field, "{}", error.message());
            assert!(error.message().contains(message), "{}", error.message());
        };
        check(RowSelection { filter: Some("eq.=1"), ..ALL }, "source.filter", "has no column");
        check(RowSelection { filter: Some("limit=1"), ..ALL }, "source.filter", "Unknown parameter `limit`.");
        check(RowSelection { filter: Some("is-a.b=1"), ..ALL }, "source.filter", "Unknown operator");
        check(RowSelection { filter: Some("eq.a=\0"), ..ALL }, "source.filter", "NUL");
        check(RowSelection { filter: Some("eq.a=%00"), ..ALL }, "source.filter", "NUL");
        check(RowSelection { order: Some("a,a"), ..ALL }, "source.order", "a column twice");
        check(RowSelection { select: Some("a,"), ..ALL }, "source.select", "a name is missing");
    }
}
