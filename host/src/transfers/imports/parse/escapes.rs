//! Finds escapes in JSON that Postgres can't read.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::RecordError;

/// The reason why Postgres can't read an escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BadEscape {
    Nul,
    /// Half of a surrogate pair.
    LoneSurrogate,
}

/// Checks that Postgres can read the escapes of an object. If Postgres can't, its own error does not name the value.
pub(super) fn check_escapes(line: u64, object: &str) -> Result<(), RecordError> {
    let Some(bad) = bad_escape(object) else { return Ok(()) };
    let values: BTreeMap<String, &RawValue> = serde_json::from_str(object).unwrap_or_default();
    let field = values.into_iter().find(|(_, value)| bad_escape(value.get()).is_some()).map(|(key, _)| key);
    // A message with a NUL character can't be stored either.
    let field = field.filter(|key| !key.contains('\0'));
    let subject = field.as_ref().map_or("The row".to_owned(), |key| format!("The value of `{key}`"));
    let (code, problem) = match bad {
        BadEscape::Nul => ("nul_character", "a NUL character, which Postgres can't store"),
        BadEscape::LoneSurrogate => ("invalid_json", "half of a surrogate pair, which is not a character"),
    };
    Err(RecordError { field, ..RecordError::new(line, code, format!("{subject} contains {problem}.")) })
}

fn bad_escape(json: &str) -> Option<BadEscape> {
    let mut rest = json.as_bytes();
    while let Some(position) = rest.iter().position(|byte| *byte == b'\\') {
        rest = &rest[position + 1..];
        let Some(unit) = code_unit(rest) else {
            // The escaped character may be a backslash.
            rest = rest.get(1..).unwrap_or_default();
            continue;
        };
        rest = &rest[5..];
        match unit {
            0 => return Some(BadEscape::Nul),
            0xd800..=0xdbff => match rest.strip_prefix(b"\\").and_then(code_unit) {
                Some(0xdc00..=0xdfff) => rest = &rest[6..],
                _ => return Some(BadEscape::LoneSurrogate),
            },
            0xdc00..=0xdfff => return Some(BadEscape::LoneSurrogate),
            _ => {}
        }
    }
    None
}

/// Reads `uXXXX`, which follows a backslash.
fn code_unit(escape: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(escape.strip_prefix(b"u")?.get(..4)?).ok()?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_that_postgres_cannot_read_are_found() {
        let check = |object: &str, expected: Option<(&str, Option<&str>)>| {
            let error = check_escapes(1, object).err();
            let found = error.as_ref().map(|error| (error.code, error.field.as_deref()));
            assert_eq!(found, expected, "{object}");
        };
        check(r#"{"a":"\\u0000 \n\"\u0001\ud83d\ude00"}"#, None);
        check(r#"{"a":1,"b":["\u0000"]}"#, Some(("nul_character", Some("b"))));
        check(r#"{"a":"\\\u0000"}"#, Some(("nul_character", Some("a"))));
        check(r#"{"a\u0000":"\u0000"}"#, Some(("nul_character", None)));
        check(r#"{"a":"\ud800"}"#, Some(("invalid_json", Some("a"))));
        check(r#"{"a":"\ud800\u0041"}"#, Some(("invalid_json", Some("a"))));
        check(r#"{"a":"\uDC00"}"#, Some(("invalid_json", Some("a"))));
        check(r#"{"\ud800":1}"#, Some(("invalid_json", None)));
    }
}
