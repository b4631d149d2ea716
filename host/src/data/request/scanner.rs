//! A cursor over the value of one query parameter. It reads names, quoted strings and lists.

/// A position in a parameter. Positions are byte offsets on character boundaries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, position: 0 }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    pub(super) fn is_done(&self) -> bool {
        self.position == self.text.len()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Skips `expected` if it comes next, and returns whether it did.
    pub(super) fn eat(&mut self, expected: &str) -> bool {
        let is_next = self.rest().starts_with(expected);
        if is_next {
            self.position += expected.len();
        }
        is_next
    }

    pub(super) fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start().len();
    }

    /// Reads up to the first character that `stop` accepts, or to the end.
    pub(super) fn take_until(&mut self, stop: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(stop).unwrap_or(rest.len());
        self.position += length;
        &rest[..length]
    }

    /// Reads a quoted name, or an unquoted name up to `stop`. Skips the spaces around it.
    ///
    /// # Errors
    /// Returns the reason why there is no name.
    pub(super) fn name(&mut self, stop: impl Fn(char) -> bool) -> Result<String, &'static str> {
        self.skip_spaces();
        if self.peek() == Some('"') {
            let name = self.quoted().ok_or("a closing quote is missing")?;
            self.skip_spaces();
            return if name.is_empty() { Err("a name is missing") } else { Ok(name) };
        }
        match self.take_until(stop).trim_end() {
            "" => Err("a name is missing"),
            name => Ok(name.to_owned()),
        }
    }

    /// Reads a `"quoted text"`. A backslash escapes the next character; a doubled quote is one quote. The scanner must
    /// be at the opening quote. Returns `None` if the closing quote is missing.
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
                    self.position += offset + 1;
                    return Some(unquoted);
                }
                other => unquoted.push(other),
            }
        }
        None
    }

    /// Reads an unquoted value inside a list. It ends at a comma or closing bracket outside of its own brackets, so
    /// that `{a,b}`, `[1,5)` and `("x,y")` stay whole. Within its brackets, quoted brackets don't count.
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
        self.position += end;
        &rest[..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts_are_unescaped() {
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
    fn values_end_outside_of_their_brackets() {
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
