//! Parses the requests that insert, update and delete rows.

use serde_json::value::RawValue;

use crate::{
    data::message::shortened,
    error::{ApiError, ApiResult, Code, count},
    http::json_syntax_error,
};

use super::{
    filter::Condition,
    query::{Filters, QueryParts},
    row::Row,
    select::{SelectItem, parse_names},
};

/// The rows that a write returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returning {
    /// Only the number of rows.
    Minimal,
    /// The rows after an insert or update, or before a delete.
    Representation,
}

/// The treatment of an existing row by an upsert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// Update the row with the values sent.
    Merge,
    /// Leave the row unchanged.
    Ignore,
}

/// A `POST` of rows. Values stay unparsed JSON, so that numbers keep every digit.
#[derive(Debug)]
pub struct InsertRequest<'b> {
    /// The unparsed array of rows.
    pub rows_json: &'b str,
    pub rows: Vec<Row<'b>>,
    pub select: Vec<SelectItem>,
    pub returning: Option<Returning>,
    /// Empty if the parameter is missing.
    pub on_conflict: Vec<String>,
    pub resolution: Option<Resolution>,
}

/// A `PATCH` of rows.
#[derive(Debug)]
pub struct UpdateRequest<'b> {
    pub values: Row<'b>,
    pub conditions: Vec<Condition>,
    pub select: Vec<SelectItem>,
    pub returning: Option<Returning>,
    pub max_affected: Option<u64>,
}

/// A `DELETE` of rows.
#[derive(Debug)]
pub struct DeleteRequest {
    pub conditions: Vec<Condition>,
    pub select: Vec<SelectItem>,
    pub returning: Option<Returning>,
    pub max_affected: Option<u64>,
}

impl<'b> InsertRequest<'b> {
    /// Parses the raw query string and the body `{"rows":[{…}]}`.
    ///
    /// # Errors
    /// Returns `invalid_json` if the body does not have this form, and `invalid_request` if it contains no rows or too
    /// many, or if the query string is invalid.
    pub fn parse(query: &str, body: &'b [u8], max_rows: usize) -> ApiResult<Self> {
        let supported = &["select", "returning", "onConflict", "resolution"];
        let mut parts = QueryParts::parse(query, supported, Filters::NotAllowed)?;
        let rows_json = body_member(body, "rows", "{\"rows\":[{…}]}")?;
        let raw_rows: Vec<&'b RawValue> = serde_json::from_str(rows_json)
            .map_err(|_| ApiError::new(Code::InvalidJson, "`rows` must be an array of objects."))?;
        if raw_rows.is_empty() {
            return Err(ApiError::invalid("`rows` is empty. Send at least one row."));
        }
        if raw_rows.len() > max_rows {
            return Err(ApiError::invalid(format!(
                "`rows` contains {}. A request can insert at most {max_rows}.",
                count(raw_rows.len(), "row", "rows")
            )));
        }
        let rows = raw_rows
            .iter()
            .enumerate()
            .map(|(position, raw)| Row::parse(raw.get(), format_args!("rows[{position}]")))
            .collect::<ApiResult<Vec<_>>>()?;
        Ok(Self {
            rows_json,
            rows,
            select: parts.take_select()?,
            returning: take_returning(&mut parts)?,
            on_conflict: match parts.take("onConflict") {
                Some(names) => parse_names("onConflict", &names)?,
                None => Vec::new(),
            },
            resolution: parts
                .take_choice("resolution", &[("merge", Resolution::Merge), ("ignore", Resolution::Ignore)])?,
        })
    }
}

impl<'b> UpdateRequest<'b> {
    /// Parses the raw query string and the body `{"values":{…}}`.
    ///
    /// # Errors
    /// Returns `invalid_json` if the body does not have this form, `filter_required` if there is no filter, and
    /// `invalid_request` or `unknown_operator` if the values or the query string are invalid.
    pub fn parse(query: &str, body: &'b [u8]) -> ApiResult<Self> {
        let mut parts = QueryParts::parse(query, &["select", "returning", "maxAffected"], Filters::Allowed)?;
        let values = Row::parse(body_member(body, "values", "{\"values\":{…}}")?, format_args!("values"))?;
        if values.cells.is_empty() {
            return Err(ApiError::invalid("`values` is empty. Send at least one column to change."));
        }
        require_filter(&parts, "update")?;
        Ok(Self {
            values,
            select: parts.take_select()?,
            returning: take_returning(&mut parts)?,
            max_affected: parts.take_number("maxAffected")?,
            conditions: parts.filters.finish(),
        })
    }
}

impl DeleteRequest {
    /// Parses the raw query string.
    ///
    /// # Errors
    /// Returns `filter_required` if there is no filter, and `invalid_request` or `unknown_operator` if the query string
    /// is invalid.
    pub fn parse(query: &str) -> ApiResult<Self> {
        let mut parts = QueryParts::parse(query, &["select", "returning", "maxAffected"], Filters::Allowed)?;
        require_filter(&parts, "delete")?;
        Ok(Self {
            select: parts.take_select()?,
            returning: take_returning(&mut parts)?,
            max_affected: parts.take_number("maxAffected")?,
            conditions: parts.filters.finish(),
        })
    }
}

fn require_filter(parts: &QueryParts<'_>, operation: &str) -> ApiResult<()> {
    if !parts.filters.is_empty() {
        return Ok(());
    }
    Err(ApiError::new(
        Code::FilterRequired,
        format!("Without a filter, this would {operation} every row of the table. Add a filter."),
    )
    .with_hint(
        "For example `eq.id=1`. To affect all rows on purpose, use a filter that matches every row, such as \
         `not.is.id=null`.",
    ))
}

fn take_returning(parts: &mut QueryParts<'_>) -> ApiResult<Option<Returning>> {
    parts.take_choice("returning", &[("minimal", Returning::Minimal), ("representation", Returning::Representation)])
}

/// Returns the unparsed JSON of the only member that the body must contain.
fn body_member<'b>(body: &'b [u8], member: &str, shape: &str) -> ApiResult<&'b str> {
    let text = std::str::from_utf8(body).map_err(|_| ApiError::new(Code::InvalidJson, "The body is not UTF-8."))?;
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| {
        let reason = json_syntax_error(&error);
        ApiError::new(Code::InvalidJson, format!("The body is not valid JSON: {reason}."))
    })?;
    let expected = || ApiError::new(Code::InvalidJson, format!("The body must be an object of the form {shape}."));
    if !raw.get().starts_with('{') {
        return Err(expected());
    }
    let object = Row::parse(raw.get(), format_args!("The body"))?;
    match object.cells.as_slice() {
        [(key, value)] if key == member => Ok(value.get()),
        cells => match cells.iter().find(|(key, _)| key != member) {
            Some((key, _)) => Err(ApiError::new(
                Code::InvalidJson,
                format!(
                    "The body contains the unknown member `{}`. It must be an object of the form {shape}.",
                    shortened(key)
                ),
            )),
            None => Err(expected()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(query: &str, body: &str) -> Result<String, String> {
        InsertRequest::parse(query, body.as_bytes(), 3)
            .map(|request| {
                let rows: Vec<String> = request
                    .rows
                    .iter()
                    .map(|row| {
                        row.cells
                            .iter()
                            .map(|(key, value)| format!("{key}={}", value.get()))
                            .collect::<Vec<_>>()
                            .join(" ")
                    })
                    .collect();
                rows.join("; ")
            })
            .map_err(|error| format!("{}: {}", error.code().as_str(), error.message()))
    }

    #[test]
    fn values_keep_their_json_text() {
        let check = |body: &str, expected: &str| assert_eq!(insert("", body).unwrap(), expected, "{body}");
        check(r#"{"rows":[{"a":1.10,"b":"x"},{}]}"#, r#"a=1.10 b="x"; "#);
        check(r#" {"rows" : [ {"n" : 123456789012345678901234567890.10 } ] } "#, "n=123456789012345678901234567890.10");
        check(r#"{"rows":[{"\u0061 b":null,"é":[1, 2]}]}"#, "a b=null é=[1, 2]");
    }

    #[test]
    fn invalid_inserts_are_rejected() {
        let check = |query: &str, body: &str, expected: &str| {
            let message = insert(query, body).unwrap_err();
            assert!(message.contains(expected), "{query} {body}: {message}");
        };
        check("", "", "invalid_json: The body is not valid JSON");
        check("", "{\"rows\":[{}]} x", "invalid_json");
        check("", "[{}]", "of the form");
        check("", "{}", "of the form");
        check("", r#"{"rows":{}}"#, "array of objects");
        check("", r#"{"rows":[1]}"#, "rows[0] is not an object");
        check("", r#"{"rows":[]}"#, "`rows` is empty");
        check("", r#"{"rows":[{},{},{},{}]}"#, "at most 3");
        check("", r#"{"rows":[{}],"upsert":true}"#, "unknown member `upsert`");
        check("", r#"{"rows":[{"a":1,"a":2}]}"#, "`a` occurs twice");
        check("eq.id=1", r#"{"rows":[{}]}"#, "Unknown parameter `eq.id`");
        check("resolution=replace", r#"{"rows":[{}]}"#, "one of merge, ignore");
        check("returning=all", r#"{"rows":[{}]}"#, "one of minimal, representation");
        check("onConflict=", r#"{"rows":[{}]}"#, "onConflict");
    }

    #[test]
    fn update_and_delete_require_a_filter() {
        let code = |error: ApiError| error.code();
        assert_eq!(DeleteRequest::parse("").map_err(code).err(), Some(Code::FilterRequired));
        assert_eq!(DeleteRequest::parse("maxAffected=1").map_err(code).err(), Some(Code::FilterRequired));
        assert!(DeleteRequest::parse("or=(eq.a:1)").is_ok());
        let body = br#"{"values":{"a":1}}"#;
        assert_eq!(UpdateRequest::parse("", body).map_err(code).err(), Some(Code::FilterRequired));
        assert_eq!(UpdateRequest::parse("eq.a=1&maxAffected=2", body).unwrap().max_affected, Some(2));
        assert!(UpdateRequest::parse("eq.a=1", br#"{"values":{}}"#).is_err());
    }
}
