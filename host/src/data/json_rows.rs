//! Splits the text of a JSON array that Postgres produced into its rows, without parsing the rows.

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
    fn array_is_split_into_elements() {
        let check = |array: &str, expected: &[&str]| assert_eq!(elements(array), expected, "{array}");
        check("[{\"a\":1}, \n {\"a\":\",\"}]", &["{\"a\":1}", "{\"a\":\",\"}"]);
        check("[[1,2],[3], \"x\"]", &["[1,2]", "[3]", "\"x\""]);
        check("[1]", &["1"]);
        check("[]", &[]);
    }
}
