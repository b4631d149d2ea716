//! Pages of a list: `limit`, and an opaque `cursor` that contains the last item's sort key.

use api_types::{Page, PageQuery};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{ApiError, ApiResult, Code};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// A valid page request. `T` is the sort key of the previous page's last item.
#[derive(Debug, Clone)]
pub struct PageRequest<T> {
    pub limit: u32,
    pub after: Option<T>,
}

impl<T: Serialize + DeserializeOwned> PageRequest<T> {
    /// Parses `limit` (1–200, default 50) and `cursor`.
    ///
    /// # Errors
    /// Returns `invalid_request` if the limit is out of range, and `invalid_cursor` if the cursor can't be decoded.
    pub fn parse(query: &PageQuery) -> ApiResult<Self> {
        Self::parse_within(query, DEFAULT_LIMIT, MAX_LIMIT)
    }

    /// Like [`Self::parse`], for a list whose pages have another default and maximum number of items.
    ///
    /// # Errors
    /// Returns the errors of [`Self::parse`].
    pub fn parse_within(query: &PageQuery, default_limit: u32, max_limit: u32) -> ApiResult<Self> {
        let limit = query.limit.unwrap_or(default_limit);
        if limit == 0 || limit > max_limit {
            return Err(ApiError::invalid(format!("`limit` must be 1 to {max_limit}.")));
        }
        let after = match &query.cursor {
            Some(cursor) => Some(decode(cursor).ok_or_else(|| {
                ApiError::new(Code::InvalidCursor, "The cursor does not belong to this list.")
                    .with_hint("Send `nextCursor` of the previous page unchanged, or leave `cursor` out.")
            })?),
            None => None,
        };
        Ok(Self { limit, after })
    }

    /// Returns the number of rows to fetch: one more than the page contains, to know whether a next page exists.
    pub fn fetch(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Returns the page of the fetched items. `key` returns an item's sort key.
    pub fn page<I>(&self, mut items: Vec<I>, key: impl FnOnce(&I) -> T) -> Page<I> {
        let more = items.len() > self.limit as usize;
        items.truncate(self.limit as usize);
        let next_cursor = if more { items.last().map(|item| encode(&key(item))) } else { None };
        Page { items, next_cursor }
    }
}

fn encode<T: Serialize>(key: &T) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).unwrap_or_default())
}

fn decode<T: DeserializeOwned>(cursor: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_continues_after_the_previous_page() {
        let query = |cursor| PageQuery { limit: Some(2), cursor };
        let first = PageRequest::<u32>::parse(&query(None)).unwrap().page(vec![1, 2, 3], |item| *item);
        assert_eq!(first.items, [1, 2]);
        let second = PageRequest::<u32>::parse(&query(first.next_cursor)).unwrap();
        assert_eq!(second.after, Some(2));
        assert_eq!(second.page(vec![3], |item| *item).next_cursor, None);
        assert!(PageRequest::<u32>::parse(&query(Some("x".into()))).is_err());
        assert!(PageRequest::<u32>::parse(&PageQuery { limit: Some(0), cursor: None }).is_err());
    }
}
