//! Keyset cursors: where a page ended, as the text of its last row's key. They hold nothing that the page did not.

use std::{fmt::Write as _, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::error::{ApiError, ApiResult, Code};

use super::{
    plan::OrderTerm,
    request::{Direction, Nulls},
};

/// Names one table and ordering, so that a cursor is refused by another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderSignature(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor<'c> {
    #[serde(rename = "o")]
    order: String,
    #[serde(rename = "k", borrow)]
    key: Vec<Option<std::borrow::Cow<'c, str>>>,
}

impl OrderSignature {
    /// Of the columns that decide the order.
    pub fn of(table: &str, order: &[OrderTerm<'_>]) -> Self {
        let mut hash = Sha256::new();
        hash.update(table);
        for term in order {
            // Names have no NUL, so it separates.
            hash.update([0]);
            hash.update(term.column.ident.name());
            hash.update([0, u8::from(term.direction == Direction::Desc), u8::from(term.nulls == Nulls::First)]);
        }
        let mut hex = String::with_capacity(12);
        for byte in &hash.finalize()[..6] {
            // Writing to a String can't fail.
            let _ = write!(hex, "{byte:02x}");
        }
        Self(hex)
    }
}

/// The cursor of a row, from its key's values in JSON; `None` when one of them is an array or object.
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

/// The cursor of a row from its key's values as Postgres writes them.
pub(super) fn encode_texts(signature: &OrderSignature, key: Vec<Option<std::borrow::Cow<'_, str>>>) -> Option<String> {
    let json = serde_json::to_vec(&Cursor { order: signature.0.clone(), key }).ok()?;
    Some(URL_SAFE_NO_PAD.encode(json))
}

/// The key's values, if the cursor belongs to this order.
pub(super) fn decode(cursor: &str, signature: &OrderSignature, terms: usize) -> ApiResult<Vec<Option<Arc<str>>>> {
    let json = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
    let Cursor { order, key } = serde_json::from_slice(&json).map_err(|_| invalid())?;
    if order != signature.0 {
        return Err(ApiError::new(Code::InvalidCursor, "The cursor belongs to another table or order.")
            .with_hint("Keep `order` the same over all pages, or start again without `after`."));
    }
    if key.len() != terms || key.iter().flatten().any(|value| value.contains('\0')) {
        return Err(invalid());
    }
    Ok(key.into_iter().map(|value| value.map(Arc::from)).collect())
}

/// For a text that is no cursor of ours.
pub(super) fn invalid() -> ApiError {
    ApiError::new(Code::InvalidCursor, "`after` is not a cursor of this list.")
        .with_hint("Use `page.nextCursor` of the page before as it is, or start again without `after`.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(text: &str) -> OrderSignature {
        OrderSignature(text.to_owned())
    }

    #[test]
    fn values_keep_their_text() {
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
    fn foreign_cursors_are_refused() {
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
