//! Values of a result, as Postgres prints them.

use std::rc::Rc;

use serde_json::value::RawValue;

/// Characters after which a cell's text is cut.
const SHOWN_CHARACTERS: usize = 200;

/// A value of a result. `None` is `NULL`.
pub(super) type Cell = Option<Rc<str>>;

/// Reads a value from the JSON of a response, without losing a digit.
pub(super) fn cell(json: &RawValue, data_type: &str) -> Cell {
    let json = json.get();
    if json == "null" {
        return None;
    }
    // A JSON document that is a string keeps its quotes, so that `"12"` differs from `12`.
    let is_document = matches!(data_type, "json" | "jsonb");
    if !is_document && let Ok(text) = serde_json::from_str::<String>(json) {
        return Some(text.into());
    }
    Some(json.into())
}

/// Returns the text as the one line that a cell shows, and whether it was cut.
pub(super) fn one_line(text: &str) -> (String, bool) {
    let mut line = String::with_capacity(text.len().min(SHOWN_CHARACTERS * 4));
    for (count, character) in text.chars().enumerate() {
        if count == SHOWN_CHARACTERS {
            line.push('…');
            return (line, true);
        }
        line.push(match character {
            '\n' => '↵',
            '\r' => ' ',
            '\t' => '⇥',
            other => other,
        });
    }
    (line, false)
}

/// Returns whether values of a type are numbers, which are aligned to the right.
pub(super) fn is_number(data_type: &str) -> bool {
    let base = data_type.split('(').next().unwrap_or(data_type).trim();
    matches!(
        base,
        "smallint"
            | "integer"
            | "bigint"
            | "numeric"
            | "real"
            | "double precision"
            | "oid"
            | "money"
            | "int2"
            | "int4"
            | "int8"
            | "float4"
            | "float8"
    )
}

/// Returns the short name of a type: `int8` for `bigint`.
pub(super) fn short_type(data_type: &str) -> String {
    let (base, rest) = match data_type.find(['(', '[']) {
        Some(position) => data_type.split_at(position),
        None => (data_type, ""),
    };
    let short = match base.trim_end() {
        "smallint" => "int2",
        "integer" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double precision" => "float8",
        "boolean" => "bool",
        "character varying" => "varchar",
        "character" => "char",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        "time without time zone" => "time",
        "time with time zone" => "timetz",
        other => other,
    };
    format!("{short}{rest}")
}

/// Returns a name for use in SQL, quoted if it has to be.
pub(super) fn identifier(name: &str) -> String {
    let mut characters = name.chars();
    let is_plain = characters.next().is_some_and(|first| first.is_ascii_lowercase() || first == '_')
        && characters.all(|other| other.is_ascii_lowercase() || other.is_ascii_digit() || other == '_')
        && !RESERVED.contains(&name);
    if is_plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Words that Postgres accepts as the name of a table or column only in quotes.
#[rustfmt::skip]
const RESERVED: [&str; 77] = [
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "both", "case", "cast", "check",
    "collate", "column", "constraint", "create", "current_catalog", "current_date", "current_role", "current_time",
    "current_timestamp", "current_user", "default", "deferrable", "desc", "distinct", "do", "else", "end", "except",
    "false", "fetch", "for", "foreign", "from", "grant", "group", "having", "in", "initially", "intersect", "into",
    "lateral", "leading", "limit", "localtime", "localtimestamp", "not", "null", "offset", "on", "only", "or", "order",
    "placing", "primary", "references", "returning", "select", "session_user", "some", "symmetric", "system_user",
    "table", "then", "to", "trailing", "true", "union", "unique", "user", "using", "variadic", "when", "where", "window",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        RawValue::from_string(json.to_owned()).unwrap()
    }

    #[test]
    fn values_keep_their_digits() {
        for (json, data_type, expected) in [
            ("null", "text", None),
            (r#""""#, "text", Some("")),
            (r#""NULL""#, "text", Some("NULL")),
            ("9007199254740993", "bigint", Some("9007199254740993")),
            (r#""9007199254740993""#, "bigint", Some("9007199254740993")),
            ("9.990", "numeric", Some("9.990")),
            ("false", "boolean", Some("false")),
            (r#""a\nb""#, "text", Some("a\nb")),
            (r#"{"a": 1.0}"#, "jsonb", Some(r#"{"a": 1.0}"#)),
            (r#""12""#, "jsonb", Some(r#""12""#)),
        ] {
            assert_eq!(cell(&raw(json), data_type).as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn long_values_are_cut_and_marked() {
        assert_eq!(one_line("a\nb"), ("a↵b".to_owned(), false));
        let (line, is_cut) = one_line(&"x".repeat(300));
        assert!(is_cut && line.ends_with('…') && line.chars().count() == 201);
    }

    #[test]
    fn identifiers_are_quoted_only_if_they_must_be() {
        for (name, expected) in
            [("books", "books"), ("select", "\"select\""), ("Books", "\"Books\""), ("a\"b", "\"a\"\"b\"")]
        {
            assert_eq!(identifier(name), expected);
        }
    }
}
