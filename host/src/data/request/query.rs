//! Splits a query string into reserved parameters and filters.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::{
    data::message::{not_value, shortened},
    error::{ApiError, ApiResult},
};

use super::{
    embed::{EmbedParameter, apply_parameters},
    filter::{FilterParser, ParsedParameter},
    select::{SelectItem, parse_select},
};

/// Maximum length of a query string.
const MAX_QUERY_BYTES: usize = 64 * 1024;

/// The reserved parameters of all requests. They are never filters.
const RESERVED: [&str; 14] = [
    "select",
    "limit",
    "offset",
    "order",
    "count",
    "after",
    "returning",
    "onConflict",
    "resolution",
    "maxAffected",
    "maxCellBytes",
    "as",
    "column",
    "download",
];

/// A query string, split into its conditions and the reserved parameters.
pub(super) struct QueryParts<'q> {
    pub(super) filters: FilterParser,
    embed_parameters: Vec<EmbedParameter<'q>>,
    reserved: Vec<(&'static str, Cow<'q, str>)>,
}

/// Whether a request may have filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filters {
    Allowed,
    /// Filters and other parameters are allowed on embedded tables too.
    WithEmbeds,
    NotAllowed,
}

impl<'q> QueryParts<'q> {
    /// Splits a raw query string. `supported` lists the reserved parameters that the request may have.
    pub(super) fn parse(query: &'q str, supported: &'static [&'static str], filters: Filters) -> ApiResult<Self> {
        if query.len() > MAX_QUERY_BYTES {
            return Err(ApiError::invalid(format!("The query string is longer than {MAX_QUERY_BYTES} bytes.")));
        }
        let mut parser = FilterParser::new();
        let mut embed_parameters = Vec::new();
        let mut reserved: Vec<(&'static str, Cow<'q, str>)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (decode(key)?, decode(value)?);
            match supported.iter().find(|name| **name == key) {
                Some(name) if reserved.iter().any(|(other, _)| other == name) => {
                    return Err(ApiError::invalid(format!("The parameter `{name}` is given twice.")));
                }
                Some(name) => reserved.push((name, value)),
                None => {
                    if filters == Filters::WithEmbeds
                        && let Some(parameter) = EmbedParameter::from_pair(&key, &value)
                    {
                        embed_parameters.push(parameter);
                        continue;
                    }
                    let is_filter = filters != Filters::NotAllowed
                        && !RESERVED.contains(&key.as_ref())
                        && parser.parse_parameter(&key, &value)? == ParsedParameter::Filter;
                    if !is_filter {
                        return Err(unknown_parameter(&key, supported, filters));
                    }
                }
            }
        }
        Ok(Self { filters: parser, embed_parameters, reserved })
    }

    /// Removes and returns a parameter.
    pub(super) fn take(&mut self, name: &str) -> Option<Cow<'q, str>> {
        let position = self.reserved.iter().position(|(other, _)| *other == name)?;
        Some(self.reserved.swap_remove(position).1)
    }

    /// Removes `select` and parses it. The default is `*`.
    pub(super) fn take_select(&mut self) -> ApiResult<Vec<SelectItem>> {
        match self.take("select") {
            Some(select) => parse_select(&select),
            None => Ok(vec![SelectItem::All]),
        }
    }

    /// Like [`Self::take_select`], for a read: also applies the parameters of embedded tables.
    pub(super) fn take_select_with_options(&mut self) -> ApiResult<Vec<SelectItem>> {
        let mut select = self.take_select()?;
        apply_parameters(&mut select, std::mem::take(&mut self.embed_parameters), &mut self.filters)?;
        Ok(select)
    }

    /// Removes a parameter and parses it as a whole number.
    pub(super) fn take_number(&mut self, name: &str) -> ApiResult<Option<u64>> {
        self.take(name).map(|value| parse_number(name, &value)).transpose()
    }

    /// Removes `limit` and parses it. A number that is too large becomes the largest one.
    pub(super) fn take_limit(&mut self) -> ApiResult<Option<u64>> {
        self.take("limit").map(|value| parse_limit("limit", &value)).transpose()
    }

    /// Removes a parameter and parses it as one of the given choices.
    pub(super) fn take_choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> ApiResult<Option<T>> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match choices.iter().find(|(text, _)| *text == value) {
            Some((_, choice)) => Ok(Some(*choice)),
            None => {
                let texts: Vec<&str> = choices.iter().map(|(text, _)| *text).collect();
                Err(ApiError::invalid(format!("`{name}` must be one of {}{}.", texts.join(", "), not_value(&value))))
            }
        }
    }
}

/// Like [`parse_number`], for a number that is reduced to a maximum anyway: one that is too large becomes the largest.
pub(super) fn parse_limit(name: &str, value: &str) -> ApiResult<u64> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse::<u64>() {
        Ok(number) if i64::try_from(number).is_ok() => Ok(number),
        _ if is_number => Ok(i64::MAX.unsigned_abs()),
        _ => parse_number(name, value),
    }
}

/// Parses the value of a parameter as a whole number.
pub(super) fn parse_number(name: &str, value: &str) -> ApiResult<u64> {
    // Postgres counts rows in int8.
    match value.parse::<u64>() {
        Ok(number) if i64::try_from(number).is_ok() => Ok(number),
        _ => Err(ApiError::invalid(format!(
            "`{name}` must be a whole number from 0 to {}{}.",
            i64::MAX,
            not_value(value)
        ))),
    }
}

fn unknown_parameter(key: &str, supported: &[&str], filters: Filters) -> ApiError {
    let key = shortened(key);
    let mut names = supported.to_vec();
    if filters != Filters::NotAllowed {
        names.extend(["or", "and", "not.or", "not.and"]);
    }
    let and_filters = if filters == Filters::NotAllowed { "" } else { " and filters" };
    let error = match names.as_slice() {
        [] => ApiError::invalid(format!("Unknown parameter `{key}`.")),
        names => ApiError::invalid(format!("Unknown parameter `{key}`. Supported: {}{and_filters}.", names.join(", "))),
    };
    match filters {
        // A reserved parameter is no misspelt filter.
        Filters::Allowed | Filters::WithEmbeds if !RESERVED.contains(&&*key) => error.with_hint(format!(
            "Write a filter as operator.column=value, for example `eq.{key}=…`, and alternatives as \
             or=(eq.a:1,gt.b:2)."
        )),
        Filters::Allowed | Filters::WithEmbeds | Filters::NotAllowed => error,
    }
}

/// Decodes percent-encoding as in HTML forms: `+` is a space.
fn decode(text: &str) -> ApiResult<Cow<'_, str>> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Ok(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    match percent_decode(spaced.as_bytes()).decode_utf8() {
        Ok(decoded) if decoded.contains('\0') => Err(ApiError::invalid("The query string contains a NUL character.")),
        Ok(decoded) => Ok(Cow::Owned(decoded.into_owned())),
        Err(_) => Err(ApiError::invalid("The query string is not valid UTF-8 after percent-decoding.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decoded_as_in_forms() {
        let check = |input: &str, expected: &str| assert_eq!(decode(input).unwrap(), expected);
        check("plain", "plain");
        check("a+b%2Bc", "a b+c");
        check("%C3%A9", "é");
        check("100%", "100%");
        assert!(decode("%ff").is_err());
        assert!(decode("a%00").is_err());
    }

    #[test]
    fn repeated_and_unsupported_parameters_are_rejected() {
        let check = |query: &str, expected: &str| {
            let error = QueryParts::parse(query, &["limit", "select"], Filters::Allowed).err().unwrap();
            assert!(error.message().contains(expected), "{query}: {}", error.message());
        };
        check("limit=1&limit=2", "`limit` is given twice");
        let supported = "limit, select, or, and, not.or, not.and and filters";
        check("maxAffected=1", &format!("Unknown parameter `maxAffected`. Supported: {supported}."));
        check("price=eq.10", "Unknown parameter `price`");
        let hint = |query: &str| {
            let error = QueryParts::parse(query, &["limit"], Filters::Allowed).err().unwrap();
            error.hint().map(str::to_owned)
        };
        assert!(hint("price=eq.10").unwrap().contains("for example `eq.price=…`"));
        assert_eq!(hint("maxAffected=1"), None);
        let mut parts = QueryParts::parse("&limit=12&select=*&", &["limit", "select"], Filters::NotAllowed).unwrap();
        assert_eq!(parts.take_number("limit").unwrap(), Some(12));
        assert_eq!(parts.take_number("limit").unwrap(), None);
        for bad in ["limit=-1", "limit=x", "limit=", "limit=18446744073709551615", "limit=1.5"] {
            let mut parts = QueryParts::parse(bad, &["limit"], Filters::NotAllowed).unwrap();
            assert!(parts.take_number("limit").is_err(), "{bad}");
        }
    }

    #[test]
    fn limit_that_is_too_large_becomes_the_largest_number() {
        let limit = |query: &str| {
            let mut parts = QueryParts::parse(query, &["limit"], Filters::NotAllowed).unwrap();
            parts.take_limit().map_err(|error| error.message().to_owned())
        };
        assert_eq!(limit("limit=7"), Ok(Some(7)));
        assert_eq!(limit(""), Ok(None));
        for large in ["9223372036854775807", "9223372036854775808", "99999999999999999999"] {
            assert_eq!(limit(&format!("limit={large}")), Ok(Some(9_223_372_036_854_775_807)), "{large}");
        }
        for bad in ["", "-1", "-99999999999999999999", "1.5", "99999999999999999999x"] {
            assert!(limit(&format!("limit={bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn message_about_an_empty_value_lists_what_is_allowed() {
        let supported = &["limit", "count", "resolution"];
        let mut parts = QueryParts::parse("limit=&count=&resolution=x", supported, Filters::NotAllowed).unwrap();
        let message = |error: ApiError| error.message().to_owned();
        let choices = [("exact", 1), ("estimated", 2)];
        assert_eq!(
            parts.take_number("limit").map_err(message),
            Err("`limit` must be a whole number from 0 to 9223372036854775807.".to_owned())
        );
        let mut choose = |name| parts.take_choice(name, &choices).map_err(message);
        assert_eq!(choose("count"), Err("`count` must be one of exact, estimated.".to_owned()));
        assert_eq!(choose("resolution"), Err("`resolution` must be one of exact, estimated, not `x`.".to_owned()));
    }
}
