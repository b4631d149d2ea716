use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::error::{ApiError, ApiResult};

use super::filter::{Condition, FilterParser};

/// Longest query string taken, in bytes.
const MAX_QUERY_BYTES: usize = 64 * 1024;

/// Parameters that are no filters; everything else is `operator.column=value`.
const RESERVED: [&str; 10] =
    ["select", "limit", "offset", "order", "count", "after", "returning", "onConflict", "resolution", "maxAffected"];

/// A query string taken apart: its conditions, and the reserved parameters that this method knows.
pub(super) struct QueryParts<'q> {
    pub(super) conditions: Vec<Condition>,
    reserved: Vec<(&'static str, Cow<'q, str>)>,
}

/// Whether a method takes filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filters {
    Allowed,
    Refused,
}

impl<'q> QueryParts<'q> {
    pub(super) fn parse(query: &'q str, known: &'static [&'static str], filters: Filters) -> ApiResult<Self> {
        if query.len() > MAX_QUERY_BYTES {
            return Err(ApiError::invalid(format!("The query string is longer than {MAX_QUERY_BYTES} bytes.")));
        }
        let mut parser = FilterParser::new();
        let mut reserved: Vec<(&'static str, Cow<'q, str>)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decode(key)?, decode(value)?);
            match known.iter().find(|name| **name == key) {
                Some(name) if reserved.iter().any(|(seen, _)| seen == name) => {
                    return Err(ApiError::invalid(format!("The parameter `{name}` is given twice.")));
                }
                Some(name) => reserved.push((name, value)),
                None if RESERVED.contains(&key.as_ref()) => return Err(unknown_parameter(&key, known, filters)),
                None if filters == Filters::Allowed => {
                    if !parser.take(&key, &value)? {
                        return Err(unknown_parameter(&key, known, filters));
                    }
                }
                None => return Err(unknown_parameter(&key, known, filters)),
            }
        }
        Ok(Self { conditions: parser.finish(), reserved })
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Cow<'q, str>> {
        let position = self.reserved.iter().position(|(seen, _)| *seen == name)?;
        Some(self.reserved.swap_remove(position).1)
    }

    /// A whole number from 0.
    pub(super) fn take_number(&mut self, name: &str) -> ApiResult<Option<u64>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        // Postgres counts rows in int8.
        match value.parse::<u64>() {
            Ok(number) if i64::try_from(number).is_ok() => Ok(Some(number)),
            _ => {
                Err(ApiError::invalid(format!("`{name}` must be a whole number from 0, not `{}`.", shortened(&value))))
            }
        }
    }

    /// One word of a list.
    pub(super) fn take_word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> ApiResult<Option<T>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == value) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(ApiError::invalid(format!(
                    "`{name}` must be one of {}, not `{}`.",
                    allowed.join(", "),
                    shortened(&value)
                )))
            }
        }
    }
}

fn unknown_parameter(key: &str, known: &[&str], filters: Filters) -> ApiError {
    let key = shortened(key);
    let error = ApiError::invalid(match known {
        [] => format!("There is no parameter `{key}` here."),
        _ => format!("There is no parameter `{key}` here; there are {}.", known.join(", ")),
    });
    match filters {
        Filters::Allowed => error.with_hint(format!(
            "A filter is written operator.column=value, for example `eq.{key}=…`; alternatives are written or=(eq.a:1,gt.b:2)."
        )),
        Filters::Refused => error,
    }
}

/// Percent-decoding as forms do it: `+` is a space.
fn decode(text: &str) -> ApiResult<Cow<'_, str>> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Ok(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    match percent_decode(spaced.as_bytes()).decode_utf8() {
        Ok(decoded) if decoded.contains('\0') => Err(ApiError::invalid("The query string contains a NUL character.")),
        Ok(decoded) => Ok(Cow::Owned(decoded.into_owned())),
        Err(_) => Err(ApiError::invalid("The query string is not UTF-8 when percent-decoded.")),
    }
}

/// At most 80 characters of a client's text, for a message.
pub(in crate::data) fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(80) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_as_forms_do() {
        let check = |input: &str, expected: &str| assert_eq!(decode(input).unwrap(), expected);
        check("plain", "plain");
        check("a+b%2Bc", "a b+c");
        check("%C3%A9", "é");
        check("100%", "100%");
        assert!(decode("%ff").is_err());
        assert!(decode("a%00").is_err());
    }

    #[test]
    fn reserved_parameters_once_and_only_where_known() {
        let check = |query: &str, expected: &str| {
            let error = QueryParts::parse(query, &["limit", "select"], Filters::Allowed).err().unwrap();
            assert!(error.message().contains(expected), "{query}: {}", error.message());
        };
        check("limit=1&limit=2", "`limit` is given twice");
        check("maxAffected=1", "no parameter `maxAffected` here; there are limit, select");
        check("price=eq.10", "no parameter `price`");
        let mut parts = QueryParts::parse("&limit=12&select=*&", &["limit", "select"], Filters::Refused).unwrap();
        assert_eq!(parts.take_number("limit").unwrap(), Some(12));
        assert_eq!(parts.take_number("limit").unwrap(), None);
        for bad in ["limit=-1", "limit=x", "limit=", "limit=18446744073709551615", "limit=1.5"] {
            let mut parts = QueryParts::parse(bad, &["limit"], Filters::Refused).unwrap();
            assert!(parts.take_number("limit").is_err(), "{bad}");
        }
    }
}
