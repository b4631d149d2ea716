//! Cuts rows out of the text of a JSON array that Postgres produced, without parsing the rows.

/// The text that `json_agg` writes between rows.
const SEPARATOR: &[u8] = b", \n ";

/// How the rows of an array are separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// [`SEPARATOR`] occurs between rows and nowhere else.
    LinePerRow,
    /// Any valid JSON.
    Any,
}

/// Returns the elements of `[…]`, unchanged.
pub(super) fn elements(array: &str) -> Vec<&str> {
    let inner = array.trim().strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or("");
    let mut elements = Vec::new();
    let mut start = 0;
    let mut scanner = DepthScanner::default();
    for (position, byte) in inner.bytes().enumerate() {
        if scanner.step(byte) == Step::TopLevelComma {
            elements.push(inner[start..position].trim());
            start = position + 1;
        }
    }
    let last = inner[start..].trim();
    if !last.is_empty() {
        elements.push(last);
    }
    elements
}

/// Returns an array without its last element.
pub(super) fn without_last(array: &str, layout: Layout) -> String {
    let end = last_comma(array, layout).unwrap_or(1);
    format!("{}]", &array[..end])
}

/// Returns the last element of an array.
pub(super) fn last(array: &str, layout: Layout) -> Option<&str> {
    let start = last_comma(array, layout).map_or(1, |comma| comma + 1);
    let element = array.get(start..array.len().checked_sub(1)?)?.trim();
    (!element.is_empty()).then_some(element)
}

/// Returns the position of the comma before the last element.
fn last_comma(array: &str, layout: Layout) -> Option<usize> {
    let bytes = array.as_bytes();
    match layout {
        Layout::LinePerRow => {
            // A row has no raw line feed, so the last one belongs to a separator.
            let line_feed = bytes.iter().rposition(|byte| *byte == b'\n')?;
            let start = line_feed.checked_sub(2)?;
            bytes[start..].starts_with(SEPARATOR).then_some(start)
        }
        Layout::Any => {
            let mut scanner = DepthScanner { depth: -1, ..DepthScanner::default() };
            let mut comma = None;
            for (position, byte) in bytes.iter().enumerate() {
                if scanner.step(*byte) == Step::TopLevelComma {
                    comma = Some(position);
                }
            }
            comma
        }
    }
}

#[derive(Default)]
struct DepthScanner {
    depth: i32,
    in_string: bool,
    escaped: bool,
}

#[derive(PartialEq, Eq)]
enum Step {
    Inside,
    TopLevelComma,
}

impl DepthScanner {
    fn step(&mut self, byte: u8) -> Step {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Step::Inside;
        }
        match byte {
            b'"' => self.in_string = true,
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth -= 1,
            b',' if self.depth == 0 => return Step::TopLevelComma,
            _ => {}
        }
        Step::Inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_row_is_split_off() {
        let check = |array: &str, layout: Layout, rest: &str, last_row: Option<&str>| {
            assert_eq!(without_last(array, layout), rest, "{array}");
            assert_eq!(last(array, layout), last_row, "{array}");
        };
        for layout in [Layout::LinePerRow, Layout::Any] {
            check("[{\"a\":1}, \n {\"a\":\"x, \\n ]\"}]", layout, "[{\"a\":1}]", Some("{\"a\":\"x, \\n ]\"}"));
            check("[{\"a\":1}]", layout, "[]", Some("{\"a\":1}"));
            check("[{\"a\":[1,2]}, \n {\"a\":[3,4]}, \n {}]", layout, "[{\"a\":[1,2]}, \n {\"a\":[3,4]}]", Some("{}"));
        }
        let nested = "[{\"a\":[{\"b\":1}, \n {\"b\":2}]}, \n {\"a\":[{\"b\":\"\\\\\\\",[\"}, \n {\"b\":4}]}]";
        check(
            nested,
            Layout::Any,
            "[{\"a\":[{\"b\":1}, \n {\"b\":2}]}]",
            Some("{\"a\":[{\"b\":\"\\\\\\\",[\"}, \n {\"b\":4}]}"),
        );
        check("[{\"a\":1}, {\"a\":2}]", Layout::Any, "[{\"a\":1}]", Some("{\"a\":2}"));
    }

    #[test]
    fn array_is_split_into_elements() {
        let check = |array: &str, expected: &[&str]| assert_eq!(elements(array), expected, "{array}");
        check("[{\"a\":1}, \n {\"a\":\",\"}]", &["{\"a\":1}", "{\"a\":\",\"}"]);
        check("[[1,2],[3], \"x\"]", &["[1,2]", "[3]", "\"x\""]);
        check("[1]", &["1"]);
        check("[]", &[]);
    }
}
