use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{ApiError, ApiResult, Code};

use super::{
    filter::Condition,
    query::{Filters, QueryParts, shortened},
    select::{SelectItem, parse_names},
    take_select,
};

/// What a write answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returning {
    /// The count alone.
    Minimal,
    /// The rows as they are now, or were before a delete.
    Representation,
}

/// What an upsert does with a row that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    Merge,
    Ignore,
}

/// A `POST` of rows. Values stay the JSON they came as, so that numbers keep every digit.
#[derive(Debug)]
pub struct InsertRequest<'b> {
    /// The array of rows as it came.
    pub rows_json: &'b str,
    pub rows: Vec<Row<'b>>,
    pub select: Vec<SelectItem>,
    pub returning: Option<Returning>,
    /// Empty when not given.
    pub on_conflict: Vec<String>,
    pub resolution: Option<Resolution>,
}

/// One JSON object: its text, and its members in the order they came, each key once.
#[derive(Debug)]
pub struct Row<'b> {
    pub json: &'b str,
    pub cells: Vec<(Cow<'b, str>, &'b RawValue)>,
}

/// A `PATCH`.
#[derive(Debug)]
pub struct UpdateRequest<'b> {
    pub values: Row<'b>,
    pub conditions: Vec<Condition>,
    pub select: Vec<SelectItem>,
    pub returning: Option<Returning>,
    pub max_affected: Option<u64>,
}

/// A `DELETE`.
#[derive(Debug)]
pub struct DeleteRequest {
    pub conditions: Vec<Condition>,
    pub select: Vec<SelectItem>,
    pub returning: Option<Returning>,
    pub max_affected: Option<u64>,
}

impl<'b> InsertRequest<'b> {
    /// Reads the raw query string and the body `{"rows":[{…}]}`.
    pub fn parse(query: &str, body: &'b [u8], max_rows: usize) -> ApiResult<Self> {
        let known = &["select", "returning", "onConflict", "resolution"];
        let mut parts = QueryParts::parse(query, known, Filters::Refused)?;
        let rows_json = body_member(body, "rows", "{\"rows\":[{…}]}")?;
        let raw_rows: Vec<&'b RawValue> = serde_json::from_str(rows_json)
            .map_err(|_| ApiError::new(Code::InvalidJson, "`rows` must be an array of objects."))?;
        if raw_rows.is_empty() {
            return Err(ApiError::invalid("`rows` is empty; there is nothing to insert."));
        }
        if raw_rows.len() > max_rows {
            return Err(ApiError::invalid(format!(
                "`rows` has {} rows; at most {max_rows} can be inserted at once.",
                raw_rows.len()
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
            select: take_select(&mut parts)?,
            returning: take_returning(&mut parts)?,
            on_conflict: match parts.take("onConflict") {
                Some(names) => parse_names("onConflict", &names)?,
                None => Vec::new(),
            },
            resolution: parts
                .take_word("resolution", &[("merge", Resolution::Merge), ("ignore", Resolution::Ignore)])?,
        })
    }
}

impl<'b> UpdateRequest<'b> {
    /// Reads the raw query string and the body `{"values":{…}}`.
    pub fn parse(query: &str, body: &'b [u8]) -> ApiResult<Self> {
        let mut parts = QueryParts::parse(query, &["select", "returning", "maxAffected"], Filters::Allowed)?;
        let values = Row::parse(body_member(body, "values", "{\"values\":{…}}")?, format_args!("values"))?;
        if values.cells.is_empty() {
            return Err(ApiError::invalid("`values` is empty; there is nothing to change."));
        }
        require_filter(&parts, "update")?;
        Ok(Self {
            values,
            select: take_select(&mut parts)?,
            returning: take_returning(&mut parts)?,
            max_affected: parts.take_number("maxAffected")?,
            conditions: parts.conditions,
        })
    }
}

impl DeleteRequest {
    /// Reads the raw query string.
    pub fn parse(query: &str) -> ApiResult<Self> {
        let mut parts = QueryParts::parse(query, &["select", "returning", "maxAffected"], Filters::Allowed)?;
        require_filter(&parts, "delete")?;
        Ok(Self {
            select: take_select(&mut parts)?,
            returning: take_returning(&mut parts)?,
            max_affected: parts.take_number("maxAffected")?,
            conditions: parts.conditions,
        })
    }
}

fn require_filter(parts: &QueryParts<'_>, act: &str) -> ApiResult<()> {
    if !parts.conditions.is_empty() {
        return Ok(());
    }
    Err(ApiError::new(Code::FilterRequired, format!("This would {act} every row of the table; add a filter."))
        .with_hint("For example `eq.id=1`. A filter that is true for every row, such as `not.is.id=null`, says that all are meant."))
}

fn take_returning(parts: &mut QueryParts<'_>) -> ApiResult<Option<Returning>> {
    parts.take_word("returning", &[("minimal", Returning::Minimal), ("representation", Returning::Representation)])
}

/// The one member that the body's object must have, as raw JSON.
fn body_member<'b>(body: &'b [u8], member: &str, shape: &str) -> ApiResult<&'b str> {
    let text = std::str::from_utf8(body).map_err(|_| ApiError::new(Code::InvalidJson, "The body is not UTF-8."))?;
    let raw: &RawValue = serde_json::from_str(text)
        .map_err(|error| ApiError::new(Code::InvalidJson, format!("The body is not valid JSON: {error}.")))?;
    let expected = || ApiError::new(Code::InvalidJson, format!("The body must be an object of the form {shape}."));
    if !raw.get().starts_with('{') {
        return Err(expected());
    }
    let whole = Row::parse(raw.get(), format_args!("the body"))?;
    match whole.cells.as_slice() {
        [(key, value)] if key == member => Ok(value.get()),
        cells => match cells.iter().find(|(key, _)| key != member) {
            Some((key, _)) => Err(ApiError::new(
                Code::InvalidJson,
                format!("The body has an unknown member `{}`; it must be of the form {shape}.", shortened(key)),
            )),
            None => Err(expected()),
        },
    }
}

impl<'b> Row<'b> {
    fn parse(json: &'b str, place: fmt::Arguments<'_>) -> ApiResult<Self> {
        if !json.starts_with('{') {
            return Err(ApiError::new(Code::InvalidJson, format!("{place} is not an object.")));
        }
        let Cells(cells) = serde_json::from_str(json)
            .map_err(|error| ApiError::new(Code::InvalidJson, format!("{place} can't be read: {}.", bare(&error))))?;
        Ok(Self { json, cells })
    }
}

/// serde's message without the line and column, which count from the start of a part that the client can't see.
fn bare(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message,
    }
}

struct Cells<'b>(Vec<(Cow<'b, str>, &'b RawValue)>);

/// A key, borrowed where it has no escapes.
struct Key<'b>(Cow<'b, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

impl<'de> Deserialize<'de> for Cells<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CellsVisitor;
        impl<'de> Visitor<'de> for CellsVisitor {
            type Value = Cells<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut cells: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    if cells.len() == MAX_CELLS {
                        return Err(A::Error::custom("it has more members than a table can have columns"));
                    }
                    cells.push((key, value));
                }
                match repeated_key(&cells) {
                    Some(key) => Err(A::Error::custom(format_args!("the key `{}` is there twice", shortened(key)))),
                    None => Ok(Cells(cells)),
                }
            }
        }
        deserializer.deserialize_map(CellsVisitor)
    }
}

fn repeated_key<'c>(cells: &'c [(Cow<'_, str>, &RawValue)]) -> Option<&'c str> {
    if cells.len() <= 16 {
        let repeated = |position: &usize| cells[..*position].iter().any(|(seen, _)| *seen == cells[*position].0);
        return (1..cells.len()).find(repeated).map(|position| &*cells[position].0);
    }
    let mut keys: Vec<&str> = cells.iter().map(|(key, _)| &**key).collect();
    keys.sort_unstable();
    keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

/// Postgres's limit of columns.
const MAX_CELLS: usize = 1600;

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
    fn rows_keep_their_text() {
        let check = |body: &str, expected: &str| assert_eq!(insert("", body).unwrap(), expected, "{body}");
        check(r#"{"rows":[{"a":1.10,"b":"x"},{}]}"#, r#"a=1.10 b="x"; "#);
        check(r#" {"rows" : [ {"n" : 123456789012345678901234567890.10 } ] } "#, "n=123456789012345678901234567890.10");
        check(r#"{"rows":[{"\u0061 b":null,"é":[1, 2]}]}"#, "a b=null é=[1, 2]");
    }

    #[test]
    fn refusals() {
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
        check("", r#"{"rows":[]}"#, "nothing to insert");
        check("", r#"{"rows":[{},{},{},{}]}"#, "at most 3");
        check("", r#"{"rows":[{}],"upsert":true}"#, "unknown member `upsert`");
        check("", r#"{"rows":[{"a":1,"a":2}]}"#, "`a` is there twice");
        check("eq.id=1", r#"{"rows":[{}]}"#, "no parameter `eq.id`");
        check("resolution=replace", r#"{"rows":[{}]}"#, "one of merge, ignore");
        check("returning=all", r#"{"rows":[{}]}"#, "one of minimal, representation");
        check("onConflict=", r#"{"rows":[{}]}"#, "onConflict");
    }

    #[test]
    fn changes_need_a_filter() {
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
