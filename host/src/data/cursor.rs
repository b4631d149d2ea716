//! Keyset cursors: the key of a page's last row, encoded as text. A cursor contains only values that the caller may
//! read.

use std::{borrow::Cow, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::error::{ApiError, ApiResult, Code};

use super::request::{Direction, Nulls};

/// Identifies a table and an order, so that a cursor is rejected with any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderSignature(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor<'c> {
    #[serde(rename = "o")]
    order: String,
    #[serde(rename = "k", borrow)]
    key: Vec<Option<Cow<'c, str>>>,
}

impl OrderSignature {
    /// Creates the signature of an order by these columns.
    pub(super) fn new<'n>(table: &str, order: impl IntoIterator<Item = (&'n str, Direction, Nulls)>) -> Self {
        let mut hash = Sha256::new();
        hash.update(table);
        for (column, direction, nulls) in order {
            // Names contain no NUL, so it separates them.
            hash.update([0]);
            hash.update(column);
            hash.update([0, u8::from(direction == Direction::Desc), u8::from(nulls == Nulls::First)]);
        }
        Self(hex::encode(&hash.finalize()[..6]))
    }
}

/// Encodes the cursor of a row from the JSON values of its key. Returns `None` if a value is an array or object.
pub(super) fn encode(signature: &OrderSignature, values: &[&RawValue]) -> Option<String> {
    let key = values
        .iter()
        .map(|value| {
            let json = value.get();
            Some(match json.as_bytes().first()? {
                b'n' => None,
                b'"' => Some(serde_json::from_str(json).ok()?),
                b'[' | b'{' => return None,
                _ => Some(json.into()),
            })
        })
        .collect::<Option<Vec<_>>>()?;
    encode_texts(signature, key)
}

/// Encodes the cursor of a row from the values of its key as Postgres writes them.
pub(super) fn encode_texts(signature: &OrderSignature, key: Vec<Option<Cow<'_, str>>>) -> Option<String> {
    let json = serde_json::to_vec(&Cursor { order: signature.0.clone(), key }).ok()?;
    Some(URL_SAFE_NO_PAD.encode(json))
}

/// Returns the values of the key.
///
/// # Errors
/// Returns `invalid_cursor` if `cursor` is not a cursor, or belongs to another table or order.
pub(super) fn decode(cursor: &str, signature: &OrderSignature, terms: usize) -> ApiResult<Vec<Option<Arc<str>>>> {
    let json = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid_cursor())?;
    let Cursor { order, key } = serde_json::from_slice(&json).map_err(|_| invalid_cursor())?;
    if order != signature.0 {
        return Err(ApiError::new(Code::InvalidCursor, "The cursor belongs to another table or order.")
            .with_hint("Use the same `order` for all pages, or start again without `after`."));
    }
    if key.len() != terms || key.iter().flatten().any(|value| value.contains('\0')) {
        return Err(invalid_cursor());
    }
    Ok(key.into_iter().map(|value| value.map(Arc::from)).collect())
}

/// Returns the error for a string that is not a cursor.
pub(super) fn invalid_cursor() -> ApiError {
    ApiError::new(Code::InvalidCursor, "`after` is not a cursor of this list.")
        .with_hint("Send `page.nextCursor` of the previous page unchanged, or start again without `after`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(text: &str) -> OrderSignature {
        OrderSignature(text.to_owned())
    }

    #[test]
    fn values_round_trip_through_a_cursor() {
        let row = r#"[12345678901234567890.10, "a\n\"é", null, true, "2024-01-01T00:00:00+00:00"]"#;
        let values: Vec<&RawValue> = serde_json::from_str(row).unwrap();
        let cursor = encode(&signature("s"), &values).unwrap();
        let decoded = decode(&cursor, &signature("s"), 5).unwrap();
        let decoded: Vec<Option<&str>> = decoded.iter().map(Option::as_deref).collect();
        assert_eq!(
            decoded,
            [Some("12345678901234567890.10"), Some("a\n\"é"), None, Some("true"), Some("2024-01-01T00:00:00+00:00")]
        );
        assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'));
        let nested: Vec<&RawValue> = serde_json::from_str("[[1]]").unwrap();
        assert_eq!(encode(&signature("s"), &nested), None);
    }

    #[test]
    fn malformed_and_foreign_cursors_are_rejected() {
        let check = |cursor: &str| {
            assert_eq!(decode(cursor, &signature("s"), 1).unwrap_err().code(), Code::InvalidCursor, "{cursor}");
        };
        check("");
        check("!!");
        check("bm9uc2Vuc2U");
        let values: Vec<&RawValue> = serde_json::from_str("[1]").unwrap();
        check(&encode(&signature("other"), &values).unwrap());
        let values: Vec<&RawValue> = serde_json::from_str("[1,2]").unwrap();
        check(&encode(&signature("s"), &values).unwrap());
        check(&URL_SAFE_NO_PAD.encode(r#"{"o":"s","k":["a\u0000"]}"#));
        check(&URL_SAFE_NO_PAD.encode(r#"{"o":"s","k":[1]}"#));
    }
}
