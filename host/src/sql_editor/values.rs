//! Converts values from Postgres's text format to JSON without loss.

use tokio_postgres::types::{Kind, Type};

/// Largest magnitude up to which every integer is exact in a double.
const EXACT_INTEGER: i64 = 1 << 53;

/// Maximum depth of a document that is returned as JSON. Many parsers have a limit, for example 128 in serde_json. They
/// would reject a whole response that contains a deeper document.
const MAX_DEPTH: usize = 120;

/// Writes a boolean, a JSON document, or a number that is exact in a double as that JSON value, with its digits
/// unchanged. Every other value, a value of unknown type, and a document deeper than [`MAX_DEPTH`] become a string with
/// Postgres's text. A document keeps its numbers even if a double can't hold them: as a string it could not be
/// distinguished from a document that is a string.
pub(super) fn write_json(json: &mut String, data_type: Option<&Type>, text: &str) {
    match data_type.and_then(|data_type| json_text(data_type, text)) {
        Some(text) => json.push_str(text),
        None => {
            // Any text can be written as a JSON string.
            json.push_str(&serde_json::Value::from(text).to_string());
        }
    }
}

/// Returns the JSON of a value that is not a string. Numbers keep their digits: `1.10` is not `1.1`.
fn json_text<'t>(data_type: &Type, text: &'t str) -> Option<&'t str> {
    match base_type(data_type) {
        &Type::BOOL => match text {
            "t" => Some("true"),
            "f" => Some("false"),
            _ => None,
        },
        &Type::INT2 | &Type::INT4 | &Type::INT8 | &Type::OID => is_exact_integer(text).then_some(text),
        &Type::FLOAT4 | &Type::FLOAT8 => is_finite(text).then_some(text),
        &Type::NUMERIC => is_exact_number(text).then_some(text),
        &Type::JSON | &Type::JSONB => (depth(text) <= MAX_DEPTH).then_some(text),
        _ => None,
    }
}

fn base_type(data_type: &Type) -> &Type {
    match data_type.kind() {
        Kind::Domain(base) => base_type(base),
        _ => data_type,
    }
}

fn is_exact_integer(text: &str) -> bool {
    text.parse().is_ok_and(|value: i64| (-EXACT_INTEGER..=EXACT_INTEGER).contains(&value))
}

fn is_finite(text: &str) -> bool {
    text.parse().is_ok_and(|value: f64| value.is_finite())
}

/// Returns whether a double preserves a decimal. `NaN` and the infinities become strings.
fn is_exact_number(text: &str) -> bool {
    if !text.contains(['.', 'e', 'E']) {
        return is_exact_integer(text);
    }
    let Some(value) = text.parse().ok().filter(|value: &f64| value.is_finite()) else { return false };
    match (significant_digits(text), significant_digits(&value.to_string())) {
        (Some(digits), Some(of_double)) => digits == of_double,
        _ => false,
    }
}

/// Returns the depth to which arrays and objects are nested.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Returns the sign, the digits without leading and trailing zeros, and the position of the decimal point relative to
/// the first significant digit.
fn significant_digits(text: &str) -> Option<(bool, String, i32)> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let digits = digits.trim_matches('0').to_owned();
    if digits.is_empty() {
        return Some((negative, digits, 0));
    }
    Some((negative, digits, point - i32::try_from(leading).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(data_type: &Type, text: &str) -> String {
        let mut json = String::new();
        write_json(&mut json, Some(data_type), text);
        json
    }

    #[test]
    fn values_are_written_without_loss() {
        for (data_type, text, expected) in [
            (Type::BOOL, "t", "true"),
            (Type::BOOL, "f", "false"),
            (Type::INT2, "-3", "-3"),
            (Type::INT4, "2147483647", "2147483647"),
            (Type::INT8, "9007199254740992", "9007199254740992"),
            (Type::INT8, "9007199254740993", "\"9007199254740993\""),
            (Type::INT8, "-9223372036854775808", "\"-9223372036854775808\""),
            (Type::FLOAT8, "0.1", "0.1"),
            (Type::FLOAT8, "1e+20", "1e+20"),
            (Type::FLOAT8, "-0", "-0"),
            (Type::FLOAT8, "NaN", "\"NaN\""),
            (Type::FLOAT8, "-Infinity", "\"-Infinity\""),
            (Type::FLOAT4, "3.4e+38", "3.4e+38"),
            (Type::NUMERIC, "12.50", "12.50"),
            (Type::NUMERIC, "0.00", "0.00"),
            (Type::NUMERIC, "-0.0001", "-0.0001"),
            (Type::NUMERIC, "0.1000000000000000055", "\"0.1000000000000000055\""),
            (Type::NUMERIC, "123456789012345678901234567890", "\"123456789012345678901234567890\""),
            (Type::NUMERIC, "NaN", "\"NaN\""),
            (Type::NUMERIC, "Infinity", "\"Infinity\""),
            (Type::JSONB, r#"{"a": [1.10, 2.5, null]}"#, r#"{"a": [1.10, 2.5, null]}"#),
            (Type::JSON, r#"{"b" : 1.0,"b":2e0}"#, r#"{"b" : 1.0,"b":2e0}"#),
            (Type::JSONB, r#"{"a": 12345678901234567890}"#, r#"{"a": 12345678901234567890}"#),
            (Type::JSONB, r#"[0.1000000000000000055]"#, r#"[0.1000000000000000055]"#),
            (Type::JSON, "1e400", "1e400"),
            (Type::JSON, "\"1e400\"", "\"1e400\""),
            (Type::JSON, r#""é""#, r#""é""#),
            (Type::TEXT, "12", "\"12\""),
            (Type::TEXT, "a\"\n", r#""a\"\n""#),
            (Type::INT4_ARRAY, "{1,2}", "\"{1,2}\""),
            (Type::BYTEA, "\\x00ff", r#""\\x00ff""#),
        ] {
            assert_eq!(json(&data_type, text), expected, "{data_type} {text}");
        }
    }

    #[test]
    fn json_beyond_the_depth_of_parsers_is_a_string() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(json(&Type::JSONB, &nested(120)), nested(120));
        assert_eq!(json(&Type::JSONB, &nested(121)), format!("\"{}\"", nested(121)));
        assert_eq!(json(&Type::JSONB, &nested(500)), format!("\"{}\"", nested(500)));
        let brackets_in_text = format!("[\"\\\"{}\"]", "[".repeat(200));
        assert_eq!(json(&Type::JSONB, &brackets_in_text), brackets_in_text);
    }
}
