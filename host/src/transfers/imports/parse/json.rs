//! Splits a JSON file into objects.

use super::{BYTE_ORDER_MARK, MAX_RECORD_BYTES, Parsed, RecordError, escapes::check_escapes, text, too_large};

/// The arrangement of the objects in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transfers::imports) enum JsonShape {
    /// An array of objects.
    Array,
    /// An object per line.
    Lines,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the array, or between lines.
    Start,
    /// Before an item. After a comma, there must be an item.
    BeforeItem {
        after_comma: bool,
    },
    Item,
    AfterItem,
    /// After the array.
    End,
}

/// Splits a JSON file into its objects, without parsing them. Postgres parses them.
pub(in crate::transfers::imports) struct JsonRecords {
    shape: JsonShape,
    state: State,
    item: Vec<u8>,
    depth: usize,
    in_string: bool,
    after_backslash: bool,
    line: u64,
    item_line: u64,
    /// Number of bytes of a byte order mark that were read so far. `None` after the mark, or if there is none.
    mark: Option<usize>,
}

/// An object with the line on which it begins.
pub(in crate::transfers::imports) type JsonRecord<'a> = (u64, &'a str);

impl JsonRecords {
    pub(in crate::transfers::imports) fn new(shape: JsonShape) -> Self {
        Self {
            shape,
            state: State::Start,
            item: Vec::new(),
            depth: 0,
            in_string: false,
            after_backslash: false,
            line: 1,
            item_line: 1,
            mark: Some(0),
        }
    }

    /// Reads the next bytes of the file.
    ///
    /// # Errors
    /// Returns the error of `on_record`, or a [`RecordError`] if the rest of the file can't be read.
    pub(in crate::transfers::imports) fn read<E: From<RecordError>>(
        &mut self,
        bytes: &[u8],
        on_record: &mut impl FnMut(Parsed<JsonRecord<'_>>) -> Result<(), E>,
    ) -> Result<(), E> {
        for byte in bytes {
            if let Some(length) = self.mark {
                if *byte == BYTE_ORDER_MARK[length] {
                    self.mark = (length < 2).then_some(length + 1);
                    continue;
                }
                self.mark = None;
                for byte in BYTE_ORDER_MARK.iter().take(length) {
                    self.push(*byte, on_record)?;
                }
            }
            self.push(*byte, on_record)?;
        }
        Ok(())
    }

    /// Reads the end of the file.
    ///
    /// # Errors
    /// Returns the error of `on_record`, or a [`RecordError`] if the file ends before its array does.
    pub(in crate::transfers::imports) fn finish<E: From<RecordError>>(
        mut self,
        on_record: &mut impl FnMut(Parsed<JsonRecord<'_>>) -> Result<(), E>,
    ) -> Result<(), E> {
        // The file ends within a byte order mark.
        for byte in BYTE_ORDER_MARK.iter().take(self.mark.unwrap_or_default()) {
            self.push(*byte, on_record)?;
        }
        match (self.shape, self.state) {
            (JsonShape::Lines, _) => self.end_item(on_record),
            (JsonShape::Array, State::End) => Ok(()),
            (JsonShape::Array, State::Start) => {
                Err(self.invalid("The file is empty. It must contain a JSON array.").into())
            }
            (JsonShape::Array, _) => Err(self.invalid("The file ends before the end of the array.").into()),
        }
    }

    fn push<E: From<RecordError>>(
        &mut self,
        byte: u8,
        on_record: &mut impl FnMut(Parsed<JsonRecord<'_>>) -> Result<(), E>,
    ) -> Result<(), E> {
        match self.shape {
            JsonShape::Lines => self.push_to_line(byte, on_record)?,
            JsonShape::Array => self.push_to_array(byte, on_record)?,
        }
        self.line += u64::from(byte == b'\n');
        Ok(())
    }

    fn push_to_line<E: From<RecordError>>(
        &mut self,
        byte: u8,
        on_record: &mut impl FnMut(Parsed<JsonRecord<'_>>) -> Result<(), E>,
    ) -> Result<(), E> {
        if byte == b'\n' {
            return self.end_item(on_record);
        }
        self.item_line = self.line;
        Ok(self.push_to_item(byte)?)
    }

    fn push_to_array<E: From<RecordError>>(
        &mut self,
        byte: u8,
        on_record: &mut impl FnMut(Parsed<JsonRecord<'_>>) -> Result<(), E>,
    ) -> Result<(), E> {
        let is_space = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        match self.state {
            State::Item => {
                if self.in_string {
                    match byte {
                        _ if self.after_backslash => self.after_backslash = false,
                        b'\\' => self.after_backslash = true,
                        b'"' => self.in_string = false,
                        _ => {}
                    }
                    return Ok(self.push_to_item(byte)?);
                }
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' if self.depth > 0 => {
                        self.depth -= 1;
                        self.push_to_item(byte)?;
                        if self.depth == 0 {
                            self.state = State::AfterItem;
                            return self.end_item(on_record);
                        }
                        return Ok(());
                    }
                    // The end of an item that is neither an object nor an array.
                    b',' | b']' if self.depth == 0 => {
                        self.state = State::AfterItem;
                        self.end_item(on_record)?;
                        return self.push_to_array(byte, on_record);
                    }
                    _ => {}
                }
                Ok(self.push_to_item(byte)?)
            }
            _ if is_space => Ok(()),
            State::Start if byte == b'[' => {
                self.state = State::BeforeItem { after_comma: false };
                Ok(())
            }
            State::Start => {
                let message = "The file is not a JSON array. A file with an object per line has the format `ndjson`.";
                Err(self.invalid(message).into())
            }
            State::BeforeItem { after_comma: false } | State::AfterItem if byte == b']' => {
                self.state = State::End;
                Ok(())
            }
            State::AfterItem if byte == b',' => {
                self.state = State::BeforeItem { after_comma: true };
                Ok(())
            }
            State::BeforeItem { .. } if !matches!(byte, b',' | b']' | b'}') => {
                (self.state, self.item_line) = (State::Item, self.line);
                self.push_to_array(byte, on_record)
            }
            State::BeforeItem { .. } => Err(self.invalid("An object is missing here.").into()),
            State::AfterItem => Err(self.invalid("A comma is missing between two objects.").into()),
            State::End => Err(self.invalid("Something follows the end of the array.").into()),
        }
    }

    fn push_to_item(&mut self, byte: u8) -> Result<(), RecordError> {
        self.item.push(byte);
        if self.item.len() > MAX_RECORD_BYTES { Err(too_large(self.item_line)) } else { Ok(()) }
    }

    fn end_item<E: From<RecordError>>(
        &mut self,
        on_record: &mut impl FnMut(Parsed<JsonRecord<'_>>) -> Result<(), E>,
    ) -> Result<(), E> {
        let line = self.item_line;
        let result = match text(line, &self.item).map(str::trim) {
            Ok("") => Ok(()),
            Ok(object) if object.starts_with('{') => match check_escapes(line, object) {
                Ok(()) => on_record(Parsed::Record((line, object))),
                Err(error) => on_record(Parsed::Bad(error)),
            },
            Ok(_) => on_record(Parsed::Bad(RecordError::new(line, "invalid_json", "This is not a JSON object."))),
            Err(error) => on_record(Parsed::Bad(error)),
        };
        self.item.clear();
        result
    }

    fn invalid(&self, message: &str) -> RecordError {
        RecordError::new(self.line, "invalid_json", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(shape: JsonShape, text: &[u8], size: usize) -> Result<Vec<(u64, String)>, (u64, &'static str)> {
        let mut records = Vec::new();
        let mut on_record = |parsed: Parsed<JsonRecord<'_>>| match parsed {
            Parsed::Record((line, object)) => {
                records.push((line, object.to_owned()));
                Ok(())
            }
            Parsed::Bad(error) => Err(error),
        };
        let mut parser = JsonRecords::new(shape);
        for chunk in text.chunks(size) {
            parser.read(chunk, &mut on_record).map_err(|error| (error.line, error.code))?;
        }
        parser.finish(&mut on_record).map_err(|error| (error.line, error.code))?;
        Ok(records)
    }

    fn check(shape: JsonShape, text: &str, expected: Result<&[(u64, &str)], (u64, &'static str)>) {
        let expected = expected
            .map(|records| records.iter().map(|(line, object)| (*line, (*object).to_owned())).collect::<Vec<_>>());
        for size in [1, 3, 1000] {
            assert_eq!(parse(shape, text.as_bytes(), size), expected, "{text} in pieces of {size}");
        }
    }

    #[test]
    fn objects_of_an_array_keep_their_text() {
        let array = |text: &str, expected: Result<&[(u64, &str)], (u64, &'static str)>| {
            check(JsonShape::Array, text, expected);
        };
        array("\u{feff}[]", Ok(&[]));
        array(
            " [\n{\"a\": 1e2},{\"b\":\"]},\\\"\"}\n,\n{\"c\":[{}]}] \n",
            Ok(&[(2, "{\"a\": 1e2}"), (2, "{\"b\":\"]},\\\"\"}"), (4, "{\"c\":[{}]}")]),
        );
        array("[\n1]", Err((2, "invalid_json")));
        array("[\"a,]\"]", Err((1, "invalid_json")));
        array("[{}", Err((1, "invalid_json")));
        array("[{},]", Err((1, "invalid_json")));
        array("[{} {}]", Err((1, "invalid_json")));
        array("[{}] x", Err((1, "invalid_json")));
        array("{}", Err((1, "invalid_json")));
        array("", Err((1, "invalid_json")));
    }

    #[test]
    fn lines_are_objects() {
        let lines = |text: &str, expected: Result<&[(u64, &str)], (u64, &'static str)>| {
            check(JsonShape::Lines, text, expected);
        };
        lines("{\"a\":1}\r\n\n {\"a\":2}", Ok(&[(1, "{\"a\":1}"), (3, "{\"a\":2}")]));
        lines("", Ok(&[]));
        lines("{}\n[]\n", Err((2, "invalid_json")));
    }

    #[test]
    fn part_of_a_byte_order_mark_is_refused() {
        for size in [1, 3, 1000] {
            for part in [&BYTE_ORDER_MARK[..1], &BYTE_ORDER_MARK[..2]] {
                let array = [part, b"[{}]"].concat();
                assert_eq!(parse(JsonShape::Array, &array, size), Err((1, "invalid_json")), "pieces of {size}");
                let lines = [part, b"{}\n"].concat();
                assert_eq!(parse(JsonShape::Lines, &lines, size), Err((1, "invalid_encoding")), "pieces of {size}");
                // The part is the whole file.
                assert_eq!(parse(JsonShape::Array, part, size), Err((1, "invalid_json")), "pieces of {size}");
                assert_eq!(parse(JsonShape::Lines, part, size), Err((1, "invalid_encoding")), "pieces of {size}");
            }
        }
    }
}
