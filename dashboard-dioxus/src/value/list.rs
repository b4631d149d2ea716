//! Lists as Postgres prints them, `{1,"a b",NULL}`, and as JSON.

use serde_json::{Value, value::RawValue};

use super::{is_document, is_number, printed};

/// Returns a JSON list as Postgres prints it. `element` is the type of the elements. `None` if it is not a list.
pub(super) fn from_json(json: &str, element: &str) -> Option<String> {
    let list: Vec<&RawValue> = serde_json::from_str(json).ok()?;
    let parts = list.iter().map(|json| element_from_json(json.get(), element));
    Some(format!("{{{}}}", parts.collect::<Vec<_>>().join(",")))
}

fn element_from_json(json: &str, element: &str) -> String {
    match json {
        "null" => return "NULL".to_owned(),
        "true" => return "t".to_owned(),
        "false" => return "f".to_owned(),
        _ => {}
    }
    if is_document(element) {
        return quoted_if_needed(json);
    }
    if let Some(list) = from_json(json, element) {
        return list;
    }
    let text = serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned());
    quoted_if_needed(&printed(text.into(), element))
}

/// Quotes an element that Postgres would otherwise parse as something else.
fn quoted_if_needed(text: &str) -> String {
    let is_special = |character: char| {
        matches!(character, '"' | '\\' | '{' | '}' | ',') || character.is_ascii_whitespace() || character == '\u{b}'
    };
    if text.is_empty() || text.eq_ignore_ascii_case("null") || text.contains(is_special) {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        text.to_owned()
    }
}

/// Converts a list that Postgres printed to JSON. `None` if the text is not a list.
pub fn to_json(text: &str, element: &str) -> Option<String> {
    let mut characters = text.trim().chars().peekable();
    let json = list(&mut characters, element)?;
    characters.next().is_none().then_some(json)
}

type Characters<'t> = std::iter::Peekable<std::str::Chars<'t>>;

fn list(text: &mut Characters<'_>, element: &str) -> Option<String> {
    text.next_if_eq(&'{')?;
    let mut parts = Vec::new();
    if text.next_if_eq(&'}').is_some() {
        return Some("[]".to_owned());
    }
    loop {
        let next = *text.peek()?;
        parts.push(match next {
            '{' => list(text, element)?,
            '"' => element_to_json(&quoted(text)?, element),
            _ => {
                let mut word = String::new();
                while let Some(character) = text.next_if(|character| !matches!(character, ',' | '}')) {
                    word.push(character);
                }
                if word.eq_ignore_ascii_case("null") { "null".to_owned() } else { element_to_json(&word, element) }
            }
        });
        match text.next()? {
            ',' => {}
            '}' => return Some(format!("[{}]", parts.join(","))),
            _ => return None,
        }
    }
}

fn quoted(text: &mut Characters<'_>) -> Option<String> {
    text.next_if_eq(&'"')?;
    let mut word = String::new();
    loop {
        match text.next()? {
            '"' => return Some(word),
            '\\' => word.push(text.next()?),
            other => word.push(other),
        }
    }
}

fn element_to_json(text: &str, element: &str) -> String {
    let is_json = || serde_json::from_str::<&RawValue>(text).is_ok();
    match (element, text) {
        ("boolean", "t") => "true".to_owned(),
        ("boolean", "f") => "false".to_owned(),
        _ if (is_number(element) || is_document(element)) && is_json() => text.to_owned(),
        _ => Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_convert_both_ways() {
        for (json, element, text) in [
            ("[]", "text", "{}"),
            (r#"["a","b c",null]"#, "text", r#"{a,"b c",NULL}"#),
            (r#"["","NULL","a\"b\\c","x,y"]"#, "text", r#"{"","NULL","a\"b\\c","x,y"}"#),
            ("[1,2.50,9007199254740993]", "numeric", "{1,2.50,9007199254740993}"),
            ("[[1,2],[3,4]]", "integer", "{{1,2},{3,4}}"),
            ("[true,false]", "boolean", "{t,f}"),
            (r#"[{"a":1.0}]"#, "jsonb", r#"{"{\"a\":1.0}"}"#),
        ] {
            assert_eq!(from_json(json, element).as_deref(), Some(text));
            assert_eq!(to_json(text, element).as_deref(), Some(json));
        }
    }

    #[test]
    fn times_in_lists_are_printed_by_postgres() {
        let json = r#"["2026-01-02T03:04:05.5+00:00"]"#;
        let text = from_json(json, "timestamp with time zone");
        assert_eq!(text.as_deref(), Some(r#"{"2026-01-02 03:04:05.5+00"}"#));
    }

    #[test]
    fn text_that_is_not_a_list_has_no_json() {
        for text in ["", "a", "{a", "{a}b", "{\"a}", "[0:1]={a,b}"] {
            assert_eq!(to_json(text, "text"), None, "{text}");
        }
    }
}
