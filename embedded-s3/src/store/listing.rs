//! Pages of a listing: keys in order, filtered by a prefix and grouped by a delimiter.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Position at which a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// After this key, which need not exist.
    AfterKey(String),
    /// After every key with this prefix.
    AfterPrefix(String),
}

/// One page of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    pub entries: Vec<(String, T)>,
    /// Common prefixes. Each stands for all keys that begin with it.
    pub common_prefixes: Vec<String>,
    /// Start of the next page; `None` on the last page.
    pub next: Option<Position>,
}

/// Returns the common prefix that stands for `key` in a listing, if any: everything up to and including the first
/// delimiter after `prefix`.
pub(crate) fn common_prefix<'key>(key: &'key str, prefix: &str, delimiter: Option<&str>) -> Option<&'key str> {
    let delimiter = delimiter?;
    let at = key.get(prefix.len()..)?.find(delimiter)?;
    key.get(..prefix.len() + at + delimiter.len())
}

/// Returns at most `limit` entries and common prefixes. Skips the keys below a common prefix without visiting them.
pub(crate) fn list_page<T: Clone>(
    all: &BTreeMap<String, T>,
    prefix: &str,
    delimiter: Option<&str>,
    start: Option<&Position>,
    limit: usize,
) -> Page<T> {
    let mut page = Page { entries: Vec::new(), common_prefixes: Vec::new(), next: None };
    let after_prefix;
    let lower = match start {
        Some(Position::AfterKey(key)) if key.as_str() >= prefix => Bound::Excluded(key.as_str()),
        Some(Position::AfterPrefix(group)) => match successor(group) {
            Some(successor) => {
                after_prefix = successor;
                Bound::Included(after_prefix.as_str().max(prefix))
            }
            None => return page,
        },
        _ => Bound::Included(prefix),
    };
    let mut remaining = all.range::<str, _>((lower, Bound::Unbounded));
    let mut last = None;
    while let Some((key, value)) = remaining.next() {
        if limit == 0 || !key.starts_with(prefix) {
            break;
        }
        if page.entries.len() + page.common_prefixes.len() == limit {
            page.next = last;
            break;
        }
        let Some(group) = common_prefix(key, prefix, delimiter) else {
            page.entries.push((key.clone(), value.clone()));
            last = Some(Position::AfterKey(key.clone()));
            continue;
        };
        page.common_prefixes.push(group.to_owned());
        last = Some(Position::AfterPrefix(group.to_owned()));
        let Some(successor) = successor(group) else {
            break;
        };
        remaining = all.range::<str, _>((Bound::Included(successor.as_str()), Bound::Unbounded));
    }
    page
}

/// Returns the smallest string greater than all strings that begin with `prefix`, or `None` if there is none. Strings
/// sort by their code points.
fn successor(prefix: &str) -> Option<String> {
    let mut successor = prefix.to_owned();
    while let Some(last) = successor.pop() {
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            _ => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            successor.push(next);
            return Some(successor);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        (prefix, delimiter, start, limit): (&str, Option<&str>, Option<Position>, usize),
        (keys, prefixes, next): (&[&str], &[&str], Option<Position>),
    ) {
        let all: BTreeMap<_, _> =
            ["a", "a/b", "a/c/d", "a\u{10FFFF}", "b/1", "b/2", "c"].map(|key| (key.to_owned(), ())).into();
        let page = list_page(&all, prefix, delimiter, start.as_ref(), limit);
        let listed: Vec<_> = page.entries.iter().map(|(key, ())| key.as_str()).collect();
        assert_eq!(
            (listed.as_slice(), page.common_prefixes, page.next),
            (keys, prefixes.iter().map(|&prefix| prefix.to_owned()).collect(), next)
        );
    }

    fn after_key(key: &str) -> Option<Position> {
        Some(Position::AfterKey(key.to_owned()))
    }

    fn after_prefix(prefix: &str) -> Option<Position> {
        Some(Position::AfterPrefix(prefix.to_owned()))
    }

    #[test]
    fn pages_respect_prefix_delimiter_start_and_limit() {
        check(("", None, None, 2), (&["a", "a/b"], &[], after_key("a/b")));
        check(("", None, after_key("b/1"), 9), (&["b/2", "c"], &[], None));
        check(("", Some("/"), None, 9), (&["a", "a\u{10FFFF}", "c"], &["a/", "b/"], None));
        check(("", Some("/"), None, 2), (&["a"], &["a/"], after_prefix("a/")));
        check(("", Some("/"), after_prefix("a/"), 9), (&["a\u{10FFFF}", "c"], &["b/"], None));
        check(("a/", Some("/"), None, 9), (&["a/b"], &["a/c/"], None));
        check(("b/", None, after_key("a"), 9), (&["b/1", "b/2"], &[], None));
        check(("b/", None, after_prefix("a/"), 9), (&["b/1", "b/2"], &[], None));
        check(("", None, None, 0), (&[], &[], None));
        check(("", None, None, 7), (&["a", "a/b", "a/c/d", "a\u{10FFFF}", "b/1", "b/2", "c"], &[], None));
    }

    #[test]
    fn successor_is_the_next_string_after_a_prefix() {
        assert_eq!(successor("a/"), Some("a0".to_owned()));
        assert_eq!(successor("a\u{10FFFF}"), Some("b".to_owned()));
        assert_eq!(successor("\u{D7FF}"), Some("\u{E000}".to_owned()));
        assert_eq!(successor("\u{10FFFF}"), None);
    }
}
