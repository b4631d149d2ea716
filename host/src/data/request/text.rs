//! Cursor over the small languages inside query parameters: names, quoted texts, lists.

/// Where in a parameter the parser is. All positions are byte offsets on character boundaries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn is_done(&self) -> bool {
        self.at == self.text.len()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Steps over `wanted` if it comes next.
    pub(super) fn eat(&mut self, wanted: &str) -> bool {
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    pub(super) fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes everything up to the first character that `stop` accepts, or to the end.
    pub(super) fn take_until(&mut self, stop: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(stop).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// A `"quoted text"`: a backslash takes the next character as it is, a doubled quote is one quote.
    /// `None` when the closing quote is missing; the scanner must stand on the opening one.
    pub(super) fn quoted(&mut self) -> Option<String> {
        let mut characters = self.rest().char_indices().skip(1).peekable();
        let mut unquoted = String::new();
        while let Some((offset, character)) = characters.next() {
            match character {
                '\\' => unquoted.push(characters.next()?.1),
                '"' if matches!(characters.peek(), Some((_, '"'))) => {
                    characters.next();
                    unquoted.push('"');
                }
                '"' => {
                    self.at += offset + 1;
                    return Some(unquoted);
                }
                other => unquoted.push(other),
            }
        }
        None
    }

    /// An unquoted value inside a list: ends at a comma or closing bracket that no opening bracket or quote
    /// of its own encloses, so that `{a,b}`, `[1,5)` and `("x,y")` stay whole.
    pub(super) fn balanced(&mut self) -> &'a str {
        let rest = self.rest();
        let mut depth = 0_usize;
        let mut in_quotes = false;
        let mut escaped = false;
        let mut end = rest.len();
        for (offset, byte) in rest.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_quotes => escaped = true,
                b'"' if depth > 0 => in_quotes = !in_quotes,
                _ if in_quotes => {}
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' | b',' if depth == 0 => {
                    end = offset;
                    break;
                }
                b')' | b']' | b'}' => depth -= 1,
                _ => {}
            }
        }
        self.at += end;
        &rest[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts() {
        let check = |input: &str, expected: Option<&str>, rest: &str| {
            let mut scanner = Scanner::new(input);
            assert_eq!(scanner.quoted().as_deref(), expected, "{input}");
            if expected.is_some() {
                assert_eq!(scanner.rest(), rest, "{input}");
            }
        };
        check(r#""a,b",c"#, Some("a,b"), ",c");
        check(r#""a""b""#, Some("a\"b"), "");
        check(r#""a\"b\\","#, Some("a\"b\\"), ",");
        check(r#""""#, Some(""), "");
        check(r#""é☃"x"#, Some("é☃"), "x");
        check(r#""open"#, None, "");
        check(r#""open\"#, None, "");
    }

    #[test]
    fn balanced_values() {
        let check = |input: &str, expected: &str| {
            assert_eq!(Scanner::new(input).balanced(), expected, "{input}");
        };
        check("abc,def", "abc");
        check("{a,b},c", "{a,b}");
        check("[1,5),x", "[1,5)");
        check(r#"{"a,}",b})"#, r#"{"a,}",b}"#);
        check(r#"["a\"]",1])"#, r#"["a\"]",1]"#);
        check("1)", "1");
        check("", "");
        check("(open", "(open");
    }
}
