//! Values of a database as Postgres prints them, without losing a digit, and names for use in SQL.
//!
//! [`list`] converts lists, and [`tab_separated`] tables.

pub mod list;
pub mod tab_separated;

use std::{borrow::Cow, rc::Rc};

use serde_json::value::RawValue;

/// Maximum number of characters that a cell shows.
const SHOWN_CHARACTERS: usize = 200;

/// The text of a value. `None` is `NULL`.
pub type Text = Option<Rc<str>>;

/// A value as JSON, and as text.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The JSON that the server sent.
    pub json: Rc<str>,
    /// The text to show, copy and edit.
    pub text: Text,
    /// Size of the whole value, if this is only its beginning.
    pub whole_bytes: Option<u64>,
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        (Rc::ptr_eq(&self.json, &other.json) || self.json == other.json) && self.whole_bytes == other.whole_bytes
    }
}

impl Cell {
    /// Reads a value of a column of this type.
    pub fn new(json: &RawValue, data_type: &str, whole_bytes: Option<u64>) -> Self {
        // The beginning of a document is not valid JSON, so the server sends it as a string.
        let text = if whole_bytes.is_some() { text_of(json, "text") } else { text_of(json, data_type) };
        Self { json: json.get().into(), text, whole_bytes }
    }

    pub fn null() -> Self {
        Self { json: "null".into(), text: None, whole_bytes: None }
    }

    pub fn is_null(&self) -> bool {
        self.text.is_none()
    }
}

/// Returns the text of a value of this type.
pub fn text_of(json: &RawValue, data_type: &str) -> Text {
    let json = json.get();
    if json == "null" {
        return None;
    }
    // A document that is a string stays JSON, so that it differs from a number of the same digits.
    if is_document(data_type) {
        return Some(json.into());
    }
    if let Some(element) = element_type(data_type)
        && let Some(list) = list::from_json(json, element)
    {
        return Some(list.into());
    }
    let text = serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned());
    Some(printed(text.into(), data_type).into())
}

/// Returns a value as Postgres prints it. In JSON, timestamps are written like `2026-01-02T03:04:05+00:00`.
fn printed<'t>(text: Cow<'t, str>, data_type: &str) -> Cow<'t, str> {
    if !data_type.starts_with("timestamp") || text.get(10..11) != Some("T") {
        return text;
    }
    let text = text.replacen('T', " ", 1);
    let has_zone = text.len() > 6 && text.get(text.len() - 6..).is_some_and(|zone| zone.starts_with(['+', '-']));
    match text.strip_suffix(":00") {
        Some(whole_hours) if has_zone => whole_hours.to_owned().into(),
        _ => text.into(),
    }
}

/// Returns the type of a list's elements. `None` for other types.
pub fn element_type(data_type: &str) -> Option<&str> {
    data_type.strip_suffix("[]").map(|element| element.trim_end_matches("[]"))
}

/// Returns the JSON that stores `text` in a column of this type. JSON documents and JSON lists are sent as they are.
/// All other values are sent as strings, which Postgres converts, so that no digit is lost.
///
/// # Errors
/// Returns a message with the reason if the column is of type `json` or `jsonb`, and `text` is not valid JSON.
pub fn to_json(text: Option<&str>, data_type: &str) -> Result<Box<RawValue>, String> {
    let Some(text) = text else { return raw("null") };
    if is_document(data_type) {
        return raw(text).map_err(|error| format!("This is not valid JSON: {error}."));
    }
    let is_list = element_type(data_type).is_some() && text.trim_start().starts_with('[');
    match raw(text) {
        Ok(list) if is_list => Ok(list),
        _ => raw(&serde_json::Value::from(text).to_string()),
    }
}

fn raw(json: &str) -> Result<Box<RawValue>, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

/// Returns the text as the one line that a cell shows, and whether it was cut.
pub fn one_line(text: &str) -> (String, bool) {
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

/// Returns whether values of a type are JSON documents.
pub fn is_document(data_type: &str) -> bool {
    matches!(data_type, "json" | "jsonb")
}

/// Returns whether values of a type are numbers, which are aligned to the right.
pub fn is_number(data_type: &str) -> bool {
    let base = data_type.split('(').next().unwrap_or(data_type).trim();
    matches!(base, "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" | "oid" | "money")
        && !data_type.ends_with("[]")
}

/// Returns whether the empty text is not a value of a type, so that an empty field of the type stands for `NULL`.
pub fn refuses_empty(data_type: &str, enum_values: Option<&[String]>) -> bool {
    let base = data_type.split('(').next().unwrap_or(data_type).trim();
    let base = base.strip_suffix(" with time zone").or(base.strip_suffix(" without time zone")).unwrap_or(base);
    let is_known = matches!(base, "boolean" | "uuid" | "date" | "time" | "timestamp" | "inet" | "cidr" | "macaddr")
        || base.split(' ').next() == Some("interval")
        || data_type.ends_with("[]")
        || data_type.ends_with("range");
    let is_no_label = enum_values.is_some_and(|labels| labels.iter().all(|label| !label.is_empty()));
    is_known || is_no_label || is_number(data_type) || is_document(data_type)
}

/// Returns whether values of a type are text, of limited or unlimited length.
pub fn is_text(data_type: &str) -> bool {
    let base = data_type.split('(').next().unwrap_or(data_type).trim();
    matches!(base, "text" | "character varying" | "character" | "citext" | "name") && !data_type.ends_with("[]")
}

/// Returns the short name of a type: `int8` for `bigint`.
pub fn short_type(data_type: &str) -> String {
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

/// Returns a name for use in SQL, always quoted.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns a name for use in SQL, quoted if necessary.
pub fn identifier(name: &str) -> String {
    let mut characters = name.chars();
    let is_plain = characters.next().is_some_and(|first| first.is_ascii_lowercase() || first == '_')
        && characters.all(|other| other.is_ascii_lowercase() || other.is_ascii_digit() || other == '_')
        && !RESERVED.contains(&name);
    if is_plain { name.to_owned() } else { quoted(name) }
}

/// Words that Postgres does not accept as the name of a table or column without quotes.
#[rustfmt::skip]
const RESERVED: [&str; 101] = [
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "binary", "both",
    "case", "cast", "check", "collate", "collation", "column", "concurrently", "constraint", "create", "cross",
    "current_catalog", "current_date", "current_role", "current_schema", "current_time", "current_timestamp",
    "current_user", "default", "deferrable", "desc", "distinct", "do", "else", "end", "except", "false", "fetch", "for",
    "foreign", "freeze", "from", "full", "grant", "group", "having", "ilike", "in", "initially", "inner", "intersect",
    "into", "is", "isnull", "join", "lateral", "leading", "left", "like", "limit", "localtime", "localtimestamp",
    "natural", "not", "notnull", "null", "offset", "on", "only", "or", "order", "outer", "overlaps", "placing",
    "primary", "references", "returning", "right", "select", "session_user", "similar", "some", "symmetric",
    "system_user", "table", "tablesample", "then", "to", "trailing", "true", "union", "unique", "user", "using",
    "variadic", "verbose", "when", "where", "window", "with",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_digits() {
        for (json, data_type, expected) in [
            ("null", "text", None),
            (r#""""#, "text", Some("")),
            (r#""NULL""#, "text", Some("NULL")),
            ("9007199254740993", "bigint", Some("9007199254740993")),
            ("9.990", "numeric", Some("9.990")),
            (r#""123456789012345678901234567890""#, "numeric", Some("123456789012345678901234567890")),
            ("false", "boolean", Some("false")),
            (r#""a\nb""#, "text", Some("a\nb")),
            (r#""2026-01-02T03:04:05.67+00:00""#, "timestamp with time zone", Some("2026-01-02 03:04:05.67+00")),
            (r#""2026-01-02T03:04:05+05:30""#, "timestamp with time zone", Some("2026-01-02 03:04:05+05:30")),
            (r#""2026-01-02T03:04:00""#, "timestamp without time zone", Some("2026-01-02 03:04:00")),
            (r#""infinity""#, "timestamp without time zone", Some("infinity")),
            (r#"{"a": 1.0}"#, "jsonb", Some(r#"{"a": 1.0}"#)),
            (r#""12""#, "jsonb", Some(r#""12""#)),
            (r#"["a","b c"]"#, "text[]", Some(r#"{a,"b c"}"#)),
            (r#""{a,NULL}""#, "text[]", Some("{a,NULL}")),
        ] {
            let raw = RawValue::from_string(json.to_owned()).unwrap_or_default();
            assert_eq!(Cell::new(&raw, data_type, None).text.as_deref(), expected, "{json}");
        }
    }

    #[test]
    fn edited_texts_become_json() {
        for (text, data_type, expected) in [
            (None, "bigint", Some("null")),
            (Some("9007199254740993"), "bigint", Some(r#""9007199254740993""#)),
            (Some("it's \"so\""), "text", Some(r#""it's \"so\"""#)),
            (Some(r#"{"a": 1.0}"#), "jsonb", Some(r#"{"a": 1.0}"#)),
            (Some("{a"), "jsonb", None),
            (Some(r#"["a"]"#), "text[]", Some(r#"["a"]"#)),
            (Some("{a,b}"), "text[]", Some(r#""{a,b}""#)),
            (Some("[0:1]={a,b}"), "text[]", Some(r#""[0:1]={a,b}""#)),
        ] {
            assert_eq!(
                to_json(text, data_type).ok().map(|json| json.get().to_owned()).as_deref(),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn long_values_are_cut_and_marked() {
        assert_eq!(one_line("a\nb"), ("a↵b".to_owned(), false));
        let (line, is_cut) = one_line(&"x".repeat(300));
        assert!(is_cut && line.ends_with('…') && line.chars().count() == 201);
    }

    #[test]
    fn identifiers_are_quoted_only_if_necessary() {
        for (name, expected) in
            [("books", "books"), ("select", "\"select\""), ("Books", "\"Books\""), ("a\"b", "\"a\"\"b\"")]
        {
            assert_eq!(identifier(name), expected);
        }
        // Without quotes, these words can be names of functions and types, but not of tables and columns.
        for name in ["with", "left", "full", "like", "is"] {
            assert_eq!(identifier(name), format!("\"{name}\""));
        }
    }

    #[test]
    fn empty_text_is_a_value_of_few_types() {
        for (data_type, expected) in [
            ("text", false),
            ("character varying(20)", false),
            ("bytea", false),
            ("integer", true),
            ("numeric(10,2)", true),
            ("timestamp(3) with time zone", true),
            ("jsonb", true),
            ("text[]", true),
        ] {
            assert_eq!(refuses_empty(data_type, None), expected, "{data_type}");
        }
        assert!(refuses_empty("mood", Some(&["happy".to_owned()])));
        assert!(!refuses_empty("mood", Some(&[String::new()])));
    }
}
