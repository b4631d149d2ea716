//! Finds, without asking the server, where statements start and end, so that the page can mark them while the owner
//! types.
//!
//! Strings, quoted names, dollar quotes and comments are skipped. Before anything runs, the server parses the text with
//! Postgres's grammar.

use std::ops::Range;

/// Returns the byte range of each statement, without its semicolon, and without the whitespace and comments around it.
pub(super) fn statements(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut start = None;
    let mut end = 0;
    let mut position = 0;
    while let Some(&byte) = bytes.get(position) {
        let rest = bytes.get(position..).unwrap_or_default();
        let length = match byte {
            b';' => {
                if let Some(start) = start.take() {
                    found.push(start..end);
                }
                position += 1;
                continue;
            }
            _ if byte.is_ascii_whitespace() => {
                position += 1;
                continue;
            }
            b'-' if rest.starts_with(b"--") => {
                position += until(rest, |rest| rest.first() == Some(&b'\n'));
                continue;
            }
            b'/' if rest.starts_with(b"/*") => {
                position += comment_length(rest);
                continue;
            }
            b'\'' => quoted_length(rest, b'\'', has_escapes(bytes, position)),
            b'"' => quoted_length(rest, b'"', false),
            b'$' => dollar_quoted_length(rest, position.checked_sub(1).and_then(|before| bytes.get(before))),
            _ => 1,
        };
        start.get_or_insert(position);
        position += length;
        end = position.min(bytes.len());
    }
    if let Some(start) = start {
        found.push(start..end);
    }
    // A statement starts after and ends before an ASCII byte, or at an end of the text, so its ends are character
    // boundaries.
    found.into_iter().filter(|range| text.is_char_boundary(range.start) && text.is_char_boundary(range.end)).collect()
}

/// Returns the index of the statement that the cursor is in, or else of the last one before it, or else of the first
/// one.
pub(super) fn at_cursor(statements: &[Range<usize>], cursor: usize) -> Option<usize> {
    if let Some(inside) = statements.iter().position(|range| range.start <= cursor && cursor <= range.end) {
        return Some(inside);
    }
    let before = statements.iter().rposition(|range| range.start <= cursor);
    before.or(if statements.is_empty() { None } else { Some(0) })
}

fn until(bytes: &[u8], found: impl Fn(&[u8]) -> bool) -> usize {
    (0..bytes.len()).find(|index| bytes.get(*index..).is_some_and(&found)).unwrap_or(bytes.len())
}

/// Returns the length in bytes of the block comment at the start of `bytes`. Comments nest.
pub(super) fn comment_length(bytes: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut position = 0;
    while let Some(rest) = bytes.get(position..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(b"/*") {
            depth += 1;
            position += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            position += 2;
            if depth == 0 {
                return position;
            }
        } else {
            position += 1;
        }
    }
    bytes.len()
}

/// Returns whether the string that starts at `position` has backslash escapes, as in `E'\''`. The `e` of `date'…'` is
/// part of a name.
pub(super) fn has_escapes(bytes: &[u8], position: usize) -> bool {
    let byte_before = |distance| position.checked_sub(distance).and_then(|before| bytes.get(before));
    matches!(byte_before(1), Some(b'e' | b'E')) && !byte_before(2).is_some_and(is_name_byte)
}

fn is_name_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

/// Returns the length in bytes of the string or quoted name at the start of `bytes`, with its quotes. `is_escaped` is
/// true if the string has backslash escapes, like `E'\''`.
pub(super) fn quoted_length(bytes: &[u8], quote: u8, is_escaped: bool) -> usize {
    let mut position = 1;
    while let Some(&byte) = bytes.get(position) {
        if byte == b'\\' && is_escaped {
            position += 2;
        } else if byte == quote && bytes.get(position + 1) == Some(&quote) {
            // A doubled quote stands for one quote.
            position += 2;
        } else if byte == quote {
            return position + 1;
        } else {
            position += 1;
        }
    }
    bytes.len()
}

/// Returns the length in bytes of the dollar-quoted string at the start of `bytes`, or 1 if the dollar starts none.
/// `before` is the byte before the dollar.
pub(super) fn dollar_quoted_length(bytes: &[u8], before: Option<&u8>) -> usize {
    // In `a$1` and `$1`, the dollar starts no quote.
    let is_name = before.is_some_and(is_name_byte);
    let tag = 1 + until(bytes.get(1..).unwrap_or_default(), |rest| {
        !rest.first().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii())
    });
    let starts_with_digit = bytes.get(1).is_some_and(u8::is_ascii_digit);
    if is_name || starts_with_digit || bytes.get(tag) != Some(&b'$') {
        return 1;
    }
    let delimiter = bytes.get(..=tag).unwrap_or_default();
    let content = bytes.get(tag + 1..).unwrap_or_default();
    let end = until(content, |rest| rest.starts_with(delimiter));
    (tag + 1 + end + delimiter.len()).min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        statements(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn semicolon_in_quotes_or_comments_does_not_end_the_statement() {
        for (text, expected) in [
            ("", vec![]),
            ("  -- nothing\n/* a ; /* b ; */ c */ ;;", vec![]),
            ("select 1; select 2", vec!["select 1", "select 2"]),
            ("select ';''' ; -- x;\nselect \"a;b\"", vec!["select ';'''", "select \"a;b\""]),
            (r"select e'\';' ; select 'a\'; select 2", vec![r"select e'\';'", r"select 'a\'", "select 2"]),
            (r"select e'a''\'; b'; select 2", vec![r"select e'a''\'; b'", "select 2"]),
            (r"select date'\'; select 2", vec![r"select date'\'", "select 2"]),
            ("select \"a\"\";b\"; x", vec!["select \"a\"\";b\"", "x"]),
            ("do $$ a; b $$; select $x$ ; $$ ; $x$", vec!["do $$ a; b $$", "select $x$ ; $$ ; $x$"]),
            ("select $1; select a$b$; x", vec!["select $1", "select a$b$", "x"]),
            ("select 'é;😀' ; ü", vec!["select 'é;😀'", "ü"]),
            ("select 'open ; ", vec!["select 'open ; "]),
            ("select 1 -- end\n;", vec!["select 1"]),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }

    #[test]
    fn cursor_between_statements_selects_the_previous_one() {
        let found = statements("select 1;\n\nselect 2;\n");
        for (cursor, expected) in [(0, 0), (8, 0), (9, 0), (10, 0), (11, 1), (20, 1), (21, 1)] {
            assert_eq!(at_cursor(&found, cursor), Some(expected), "{cursor}");
        }
        assert_eq!(at_cursor(&[], 3), None);
    }
}
