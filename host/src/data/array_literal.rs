//! Postgres array literals (`{"a","b"}`). They pass a list of any length as one parameter.

use std::{borrow::Cow, sync::Arc};

use serde_json::value::RawValue;

/// Maximum number of dimensions of a Postgres array.
const MAX_DIMENSIONS: usize = 6;

/// Returns a one-dimensional array; every value is quoted.
pub(super) fn from_texts(values: &[Cow<'_, str>]) -> Arc<str> {
    let mut literal = String::with_capacity(2 + values.iter().map(|value| value.len() + 3).sum::<usize>());
    literal.push('{');
    for (position, value) in values.iter().enumerate() {
        if position > 0 {
            literal.push(',');
        }
        push_quoted(&mut literal, value);
    }
    literal.push('}');
    literal.into()
}

/// Returns the values of an array that [`from_texts`] returned.
pub(super) fn to_texts(literal: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut characters = literal.chars();
    // Outside of quotes, there are only braces and commas.
    while characters.any(|character| character == '"') {
        let mut text = String::new();
        while let Some(character) = characters.next() {
            match character {
                '"' => break,
                '\\' => text.extend(characters.next()),
                other => text.push(other),
            }
        }
        texts.push(text);
    }
    texts
}

/// Converts a JSON array whose elements are scalars, nulls or such arrays. Numbers keep every digit. Returns `None` for
/// any other text, and for an array of more than [`MAX_DIMENSIONS`].
pub(super) fn from_json(json: &str) -> Option<Arc<str>> {
    let mut literal = String::with_capacity(json.len() + 2);
    push_array(&mut literal, json, 1)?;
    Some(literal.into())
}

fn push_array(literal: &mut String, json: &str, depth: usize) -> Option<()> {
    if depth > MAX_DIMENSIONS {
        return None;
    }
    let elements: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    literal.push('{');
    for (position, element) in elements.iter().enumerate() {
        if position > 0 {
            literal.push(',');
        }
        let json = element.get();
        match json.as_bytes().first()? {
            b'[' => push_array(literal, json, depth + 1)?,
            b'{' => return None,
            b'n' => literal.push_str("NULL"),
            b'"' => push_quoted(literal, &serde_json::from_str::<Cow<'_, str>>(json).ok()?),
            _ => literal.push_str(json),
        }
    }
    literal.push('}');
    Some(())
}

/// Appends a value in double quotes, with quotes and backslashes escaped, as array and hstore literals require.
pub(super) fn push_quoted(literal: &mut String, value: &str) {
    literal.push('"');
    for character in value.chars() {
        if matches!(character, '"' | '\\') {
            literal.push('\\');
        }
        literal.push(character);
    }
    literal.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted() {
        let check = |values: &[&str], expected: &str| {
            let values: Vec<Cow<'_, str>> = values.iter().map(|value| Cow::Borrowed(*value)).collect();
            let literal = from_texts(&values);
            assert_eq!(&*literal, expected);
            assert_eq!(to_texts(&literal), values);
        };
        check(&[], "{}");
        check(&["1", "2"], r#"{"1","2"}"#);
        check(&["a,b", "NULL", "", "q\"u\\o{}"], r#"{"a,b","NULL","","q\"u\\o{}"}"#);
    }

    #[test]
    fn json_arrays_are_converted() {
        let check = |json: &str, expected: Option<&str>| assert_eq!(from_json(json).as_deref(), expected, "{json}");
        check(r#"["a","b,c"]"#, Some(r#"{"a","b,c"}"#));
        check("[1, 2.50, 9007199254740993, null, true]", Some("{1,2.50,9007199254740993,NULL,true}"));
        check("[[1,2],[3,4]]", Some("{{1,2},{3,4}}"));
        check(r#"["\"\u00e9\\"]"#, Some(r#"{"\"é\\"}"#));
        check("[]", Some("{}"));
        check(r#"[{"a":1}]"#, None);
        check(r#"{"a":1}"#, None);
        check("[1", None);
        check("[[[[[[[1]]]]]]]", None);
        check("", None);
    }
}
