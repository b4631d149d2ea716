//! Splits a CSV file into records.

use super::{BYTE_ORDER_MARK, MAX_RECORD_BYTES, Parsed, RecordError, text, too_large};

/// Maximum number of fields of a record. Without it, a line of delimiters would load the rest of the file into memory.
const MAX_FIELDS: usize = 100_000;

/// The format of a CSV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transfers::imports) struct CsvFormat {
    pub(in crate::transfers::imports) delimiter: u8,
}

/// A field of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::transfers::imports) struct Field<'a> {
    pub(in crate::transfers::imports) text: &'a str,
    /// Whether the field is in quotes, so that it is not NULL.
    pub(in crate::transfers::imports) is_quoted: bool,
}

/// A record of a CSV file.
#[derive(Debug, Clone, Copy)]
pub(in crate::transfers::imports) struct Fields<'a> {
    /// Line on which the record begins.
    pub(in crate::transfers::imports) line: u64,
    text: &'a str,
    ends: &'a [FieldEnd],
}

#[derive(Debug, Clone, Copy)]
struct FieldEnd {
    end: usize,
    is_quoted: bool,
}

impl<'a> Fields<'a> {
    pub(in crate::transfers::imports) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns whether the line is empty. In a file with one column, it is a row with NULL.
    pub(in crate::transfers::imports) fn is_blank(&self) -> bool {
        matches!(self.ends, [FieldEnd { end: 0, is_quoted: false }])
    }

    pub(in crate::transfers::imports) fn get(&self, index: usize) -> Option<Field<'a>> {
        let FieldEnd { end, is_quoted } = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before].end);
        Some(Field { text: self.text.get(start..end)?, is_quoted })
    }

    pub(in crate::transfers::imports) fn iter(&self) -> impl Iterator<Item = Field<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first byte of a field.
    FieldStart,
    Plain,
    Quoted,
    /// After a quote in a quoted field, which ends the field or is the first of two.
    QuoteInQuoted,
}

/// Splits a CSV file into records (RFC 4180). Lines end in LF, CRLF or CR. A quote is special only at the beginning of
/// a field. Text after the closing quote belongs to the field, as in spreadsheets.
pub(in crate::transfers::imports) struct CsvRecords {
    delimiter: u8,
    state: State,
    /// The record's text without quotes and delimiters.
    text: Vec<u8>,
    ends: Vec<FieldEnd>,
    is_quoted: bool,
    /// Line of the next byte, from 1.
    line: u64,
    /// Line on which the record begins.
    record_line: u64,
    after_cr: bool,
    /// Number of bytes of a byte order mark that were read so far. `None` after the mark, or if there is none.
    mark: Option<usize>,
    /// Whether the record contains any byte.
    has_begun: bool,
}

impl CsvRecords {
    pub(in crate::transfers::imports) fn new(format: CsvFormat) -> Self {
        Self {
            delimiter: format.delimiter,
            state: State::FieldStart,
            text: Vec::new(),
            ends: Vec::new(),
            is_quoted: false,
            line: 1,
            record_line: 1,
            after_cr: false,
            mark: Some(0),
            has_begun: false,
        }
    }

    /// Reads the next bytes of the file.
    ///
    /// # Errors
    /// Returns the error of `on_record`, or a [`RecordError`] if the rest of the file can't be read.
    pub(in crate::transfers::imports) fn read<E: From<RecordError>>(
        &mut self,
        bytes: &[u8],
        on_record: &mut impl FnMut(Parsed<Fields<'_>>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut position = 0;
        while let Some(byte) = bytes.get(position) {
            if let Some(length) = self.mark {
                if *byte == BYTE_ORDER_MARK[length] {
                    position += 1;
                    self.mark = (length < 2).then_some(length + 1);
                    continue;
                }
                self.mark = None;
                for byte in BYTE_ORDER_MARK.iter().take(length) {
                    self.push(*byte, on_record)?;
                }
                continue;
            }
            // Most bytes are within fields, where only a few bytes are special.
            if matches!(self.state, State::Plain | State::Quoted) {
                let rest = &bytes[position..];
                let is_special = |byte: &u8| match self.state {
                    State::Quoted => matches!(byte, b'"' | b'\n' | b'\r'),
                    _ => *byte == self.delimiter || matches!(byte, b'\n' | b'\r'),
                };
                let length = rest.iter().position(is_special).unwrap_or(rest.len());
                if length > 0 {
                    self.text.extend_from_slice(&rest[..length]);
                    self.after_cr = false;
                    self.check_size()?;
                    position += length;
                    continue;
                }
            }
            self.push(*byte, on_record)?;
            position += 1;
        }
        Ok(())
    }

    /// Reads the end of the file.
    ///
    /// # Errors
    /// Returns the error of `on_record`, or a [`RecordError`] if the file ends within quotes.
    pub(in crate::transfers::imports) fn finish<E: From<RecordError>>(
        mut self,
        on_record: &mut impl FnMut(Parsed<Fields<'_>>) -> Result<(), E>,
    ) -> Result<(), E> {
        // The file ends within a byte order mark.
        for byte in BYTE_ORDER_MARK.iter().take(self.mark.unwrap_or_default()) {
            self.push(*byte, on_record)?;
        }
        if self.state == State::Quoted {
            let message = "The row that begins here contains a quote that is never closed.";
            return Err(RecordError::new(self.record_line, "unclosed_quote", message).into());
        }
        if self.has_begun { self.end_record(on_record) } else { Ok(()) }
    }

    fn push<E: From<RecordError>>(
        &mut self,
        byte: u8,
        on_record: &mut impl FnMut(Parsed<Fields<'_>>) -> Result<(), E>,
    ) -> Result<(), E> {
        let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
        if self.state == State::Quoted {
            match byte {
                b'"' => self.state = State::QuoteInQuoted,
                _ => {
                    self.line += u64::from(byte == b'\r' || (byte == b'\n' && !after_cr));
                    self.text.push(byte);
                }
            }
            return Ok(self.check_size()?);
        }
        match byte {
            b'\n' if after_cr && !self.has_begun => {}
            b'\n' | b'\r' => {
                self.line += 1;
                self.end_record(on_record)?;
            }
            _ if byte == self.delimiter => {
                self.end_field();
                self.has_begun = true;
                if self.ends.len() == MAX_FIELDS {
                    let message = format!("The row that begins here has more than {MAX_FIELDS} fields.");
                    return Err(RecordError::new(self.record_line, "row_too_large", message).into());
                }
            }
            b'"' if self.state == State::FieldStart => {
                (self.state, self.is_quoted, self.has_begun) = (State::Quoted, true, true);
            }
            b'"' if self.state == State::QuoteInQuoted => {
                self.text.push(byte);
                self.state = State::Quoted;
            }
            _ => {
                (self.state, self.has_begun) = (State::Plain, true);
                self.text.push(byte);
            }
        }
        Ok(())
    }

    fn check_size(&self) -> Result<(), RecordError> {
        if self.text.len() > MAX_RECORD_BYTES { Err(too_large(self.record_line)) } else { Ok(()) }
    }

    fn end_field(&mut self) {
        self.ends.push(FieldEnd { end: self.text.len(), is_quoted: self.is_quoted });
        (self.state, self.is_quoted) = (State::FieldStart, false);
    }

    fn end_record<E: From<RecordError>>(
        &mut self,
        on_record: &mut impl FnMut(Parsed<Fields<'_>>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.end_field();
        let line = self.record_line;
        let result = match text(line, &self.text) {
            Ok(text) => on_record(Parsed::Record(Fields { line, text, ends: &self.ends })),
            Err(error) => on_record(Parsed::Bad(error)),
        };
        self.text.clear();
        self.ends.clear();
        self.has_begun = false;
        self.record_line = self.line;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the line and fields of each record. Quoted fields begin with `q:`.
    fn parse(text: &[u8], size: usize) -> Result<Vec<(u64, Vec<String>)>, RecordError> {
        let mut records = Vec::new();
        let mut on_record = |parsed: Parsed<Fields<'_>>| match parsed {
            Parsed::Record(fields) => {
                let marked = |field: Field<'_>| match field.is_quoted {
                    true => format!("q:{}", field.text),
                    false => field.text.to_owned(),
                };
                records.push((fields.line, fields.iter().map(marked).collect()));
                Ok(())
            }
            Parsed::Bad(error) => Err(error),
        };
        let mut parser = CsvRecords::new(CsvFormat { delimiter: b',' });
        for chunk in text.chunks(size) {
            parser.read(chunk, &mut on_record)?;
        }
        parser.finish(&mut on_record)?;
        Ok(records)
    }

    fn check(text: &str, expected: &[(u64, &[&str])]) {
        let expected: Vec<(u64, Vec<String>)> = expected
            .iter()
            .map(|(line, fields)| (*line, fields.iter().map(|field| (*field).to_owned()).collect()))
            .collect();
        for size in [1, 2, 3, 5, 1000] {
            assert_eq!(parse(text.as_bytes(), size).unwrap(), expected, "{text:?} in pieces of {size}");
        }
    }

    #[test]
    fn records_are_split_as_spreadsheets_write_them() {
        check("a,b\n1,2\n", &[(1, &["a", "b"]), (2, &["1", "2"])]);
        check("\u{feff}a,b\r\n1,2", &[(1, &["a", "b"]), (2, &["1", "2"])]);
        check("a\r1\r\r\n2\n", &[(1, &["a"]), (2, &["1"]), (3, &[""]), (4, &["2"])]);
        check("\"x\r\ny\nz\",2\nb", &[(1, &["q:x\r\ny\nz", "2"]), (4, &["b"])]);
        check("\"a \"\"b\"\"\",\"\",\n", &[(1, &["q:a \"b\"", "q:", ""])]);
        check("5\" disk,a\"\"b\n", &[(1, &["5\" disk", "a\"\"b"])]);
        check("\"a\" b,c\n", &[(1, &["q:a b", "c"])]);
        check("\\.\nx\n", &[(1, &["\\."]), (2, &["x"])]);
        check("a\n\nb\n\n", &[(1, &["a"]), (2, &[""]), (3, &["b"]), (4, &[""])]);
        check("a,\n,", &[(1, &["a", ""]), (2, &["", ""])]);
        check("", &[]);
        check("\u{feff}", &[]);
        check("ü\n", &[(1, &["ü"])]);
    }

    #[test]
    fn bad_text_is_reported_with_its_line() {
        let code = |text: &[u8]| parse(text, 1000).map_err(|error| (error.line, error.code));
        assert_eq!(code(b"a\n\xff\n"), Err((2, "invalid_encoding")));
        for part in [&BYTE_ORDER_MARK[..1], &BYTE_ORDER_MARK[..2]] {
            assert_eq!(code(part), Err((1, "invalid_encoding")), "{part:?}");
        }
        assert_eq!(code(b"a\nb\nc\0\n"), Err((3, "nul_character")));
        assert_eq!(code(b"a\n1,\"b\nc\n"), Err((2, "unclosed_quote")));
        let long = [b"a\n\"".to_vec(), vec![b'x'; MAX_RECORD_BYTES + 1]].concat();
        assert_eq!(code(&long), Err((2, "row_too_large")));
        let wide = |delimiters: usize| [b"a\n".to_vec(), vec![b','; delimiters]].concat();
        assert_eq!(code(&wide(MAX_FIELDS)), Err((2, "row_too_large")));
        assert_eq!(parse(&wide(MAX_FIELDS - 1), 1000).unwrap()[1].1.len(), MAX_FIELDS);
    }
}
