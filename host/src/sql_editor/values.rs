//! Converts Postgres's text of a value to JSON without loss.

use serde_json::{Number, Value};
use tokio_postgres::types::{Kind, Type};

/// Integers up to this magnitude are exact as a double.
const EXACT_INTEGER: i64 = 1 << 53;

/// Converts booleans, JSON, and numbers that are exact as a double. Every other value becomes a string with Postgres's
/// text.
pub(super) fn json_value(data_type: &Type, text: &str) -> Value {
    let converted = match base_type(data_type) {
        &Type::BOOL => match text {
            "t" => Some(Value::Bool(true)),
            "f" => Some(Value::Bool(false)),
            _ => None,
        },
        &Type::INT2 | &Type::INT4 | &Type::INT8 | &Type::OID => integer(text),
        &Type::FLOAT4 | &Type::FLOAT8 => text.parse().ok().and_then(Number::from_f64).map(Value::Number),
        &Type::NUMERIC => numeric(text),
        &Type::JSON | &Type::JSONB if numbers_are_exact(text) => serde_json::from_str(text).ok(),
        _ => None,
    };
    converted.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn base_type(data_type: &Type) -> &Type {
    match data_type.kind() {
        Kind::Domain(base) => base_type(base),
        _ => data_type,
    }
}

fn integer(text: &str) -> Option<Value> {
    let value: i64 = text.parse().ok()?;
    (-EXACT_INTEGER..=EXACT_INTEGER).contains(&value).then(|| value.into())
}

/// Converts a decimal if a double preserves it. `NaN` and the infinities stay text.
fn numeric(text: &str) -> Option<Value> {
    if !text.contains(['.', 'e', 'E']) {
        return integer(text);
    }
    let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
    let is_exact = significant_digits(text)? == significant_digits(&value.to_string())?;
    is_exact.then(|| Number::from_f64(value).map(Value::Number)).flatten()
}

/// Returns the sign, the digits without leading and trailing zeros, and the position of the decimal point.
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

/// Returns whether every number in the JSON text is exact as a double.
fn numbers_are_exact(json: &str) -> bool {
    let bytes = json.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        match bytes[index] {
            b'"' => {
                index += 1;
                while index < bytes.len() && bytes[index] != b'"' {
                    index += if bytes[index] == b'\\' { 2 } else { 1 };
                }
                index += 1;
            }
            b'-' | b'0'..=b'9' => {
                let start = index;
                while index < bytes.len() && matches!(bytes[index], b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') {
                    index += 1;
                }
                if numeric(&json[start..index]).is_none() {
                    return false;
                }
            }
            _ => index += 1,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_convert_without_loss() {
        for (data_type, text, expected) in [
            (Type::BOOL, "t", json!(true)),
            (Type::BOOL, "f", json!(false)),
            (Type::INT2, "-3", json!(-3)),
            (Type::INT4, "2147483647", json!(2_147_483_647_i64)),
            (Type::INT8, "9007199254740992", json!(9_007_199_254_740_992_i64)),
            (Type::INT8, "9007199254740993", json!("9007199254740993")),
            (Type::INT8, "-9223372036854775808", json!("-9223372036854775808")),
            (Type::FLOAT8, "0.1", json!(0.1)),
            (Type::FLOAT8, "1e+20", json!(1e20)),
            (Type::FLOAT8, "NaN", json!("NaN")),
            (Type::FLOAT8, "-Infinity", json!("-Infinity")),
            (Type::FLOAT4, "3.4e+38", json!(3.4e38)),
            (Type::NUMERIC, "12.50", json!(12.5)),
            (Type::NUMERIC, "0.00", json!(0.0)),
            (Type::NUMERIC, "-0.0001", json!(-0.0001)),
            (Type::NUMERIC, "0.1000000000000000055", json!("0.1000000000000000055")),
            (Type::NUMERIC, "123456789012345678901234567890", json!("123456789012345678901234567890")),
            (Type::NUMERIC, "NaN", json!("NaN")),
            (Type::NUMERIC, "Infinity", json!("Infinity")),
            (Type::JSONB, r#"{"a": [1, 2.5, null]}"#, json!({"a": [1, 2.5, null]})),
            (Type::JSONB, r#"{"a": 12345678901234567890}"#, json!(r#"{"a": 12345678901234567890}"#)),
            (Type::JSONB, r#"{"12345678901234567890\"9": "1e400"}"#, json!({"12345678901234567890\"9": "1e400"})),
            (Type::JSON, "1e400", json!("1e400")),
            (Type::JSON, r#""é""#, json!("é")),
            (Type::TEXT, "12", json!("12")),
            (Type::INT4_ARRAY, "{1,2}", json!("{1,2}")),
            (Type::BYTEA, "\\x00ff", json!("\\x00ff")),
            (Type::UUID, "00000000-0000-0000-0000-000000000000", json!("00000000-0000-0000-0000-000000000000")),
        ] {
            assert_eq!(json_value(&data_type, text), expected, "{data_type} {text}");
        }
    }

    #[test]
    fn json_beyond_the_parsers_depth_stays_text() {
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        assert_eq!(json_value(&Type::JSONB, &deep), json!(deep));
    }
}
