//! Splits a CSV file into records by the rules by which the server reads it for an import.

/// Characters that separate fields, if the file is read without settings.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Maximum number of fields of a record that are kept. Without it, a line of delimiters would need much memory.
const MAX_FIELDS: usize = 100_000;
/// Maximum number of records from which the delimiter is detected.
const MAX_EXAMINED: usize = 201;

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) text: String,
    /// Whether the field is in quotes. An empty field in quotes is a text, not NULL.
    pub(super) is_quoted: bool,
}

impl Field {
    pub(super) fn is_null(&self) -> bool {
        self.text.is_empty() && !self.is_quoted
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

/// The records of a file whose bytes arrive in parts. Lines end in LF, CRLF or CR. A quote is special only at the
/// beginning of a field. Text after the closing quote belongs to the field.
pub(super) struct Records {
    delimiter: u8,
    state: State,
    is_quoted: bool,
    /// Text of the current field.
    text: Vec<u8>,
    fields: Vec<Field>,
    /// Whether the current record contains any byte.
    has_begun: bool,
    after_cr: bool,
    /// Line of the next byte, from 1.
    line: u64,
    /// Line on which the current record begins.
    record_line: u64,
}

impl Records {
    pub(super) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            state: State::FieldStart,
            is_quoted: false,
            text: Vec::new(),
            fields: Vec::new(),
            has_begun: false,
            after_cr: false,
            line: 1,
            record_line: 1,
        }
    }

    /// Reads the next bytes of the file, and passes on the records that end in them.
    pub(super) fn read(&mut self, bytes: &[u8], on_record: &mut impl FnMut(Vec<Field>)) {
        for byte in bytes {
            self.push(*byte, on_record);
        }
    }

    /// Reads the end of the file. The error is the line of the record that contains a quote that is never closed.
    pub(super) fn finish(mut self, on_record: &mut impl FnMut(Vec<Field>)) -> Result<(), u64> {
        if self.state == State::Quoted {
            return Err(self.record_line);
        }
        if self.has_begun {
            self.end_record(on_record);
        }
        Ok(())
    }

    fn push(&mut self, byte: u8, on_record: &mut impl FnMut(Vec<Field>)) {
        let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
        match (self.state, byte) {
            (State::Quoted, b'"') => self.state = State::QuoteInQuoted,
            (State::Quoted, _) => {
                self.line += u64::from(byte == b'\r' || (byte == b'\n' && !after_cr));
                self.text.push(byte);
            }
            (_, b'\n') if after_cr && !self.has_begun => {}
            (_, b'\n' | b'\r') => {
                self.line += 1;
                self.end_record(on_record);
            }
            (_, byte) if byte == self.delimiter => {
                self.end_field();
                self.has_begun = true;
            }
            (State::FieldStart, b'"') => (self.state, self.is_quoted, self.has_begun) = (State::Quoted, true, true),
            (State::QuoteInQuoted, b'"') => {
                self.text.push(byte);
                self.state = State::Quoted;
            }
            _ => {
                (self.state, self.has_begun) = (State::Plain, true);
                self.text.push(byte);
            }
        }
    }

    fn end_field(&mut self) {
        if self.fields.len() < MAX_FIELDS {
            let text = String::from_utf8_lossy(&self.text).into_owned();
            self.fields.push(Field { text, is_quoted: self.is_quoted });
        }
        self.text.clear();
        (self.state, self.is_quoted) = (State::FieldStart, false);
    }

    fn end_record(&mut self, on_record: &mut impl FnMut(Vec<Field>)) {
        self.end_field();
        self.has_begun = false;
        self.record_line = self.line;
        on_record(std::mem::take(&mut self.fields));
    }
}

/// Returns the delimiter that divides the largest number of records into as many fields as the first one. Of several
/// such delimiters, returns the one that gives the most fields. `is_whole` is whether the bytes are the whole file.
pub(super) fn delimiter_of(bytes: &[u8], is_whole: bool) -> u8 {
    let score = |delimiter: u8| -> (usize, usize) {
        let lengths = lengths(bytes, is_whole, delimiter);
        let Some(fields) = lengths.first().copied().filter(|fields| *fields > 1) else { return (0, 0) };
        (lengths.iter().filter(|length| **length == fields).count(), fields)
    };
    // `max_by_key` returns the last of several equal elements. In reverse order, that is the first delimiter.
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| score(*delimiter)).unwrap_or(b',')
}

/// Returns the numbers of fields of the first records.
fn lengths(bytes: &[u8], is_whole: bool, delimiter: u8) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut records = Records::new(delimiter);
    for part in bytes.chunks(4096) {
        records.read(part, &mut |record: Vec<Field>| lengths.push(record.len()));
        if lengths.len() >= MAX_EXAMINED {
            lengths.truncate(MAX_EXAMINED);
            return lengths;
        }
    }
    if is_whole {
        // A quote that is never closed is reported once the delimiter is known.
        let _ = records.finish(&mut |record: Vec<Field>| lengths.push(record.len()));
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the fields of each record. Quoted fields begin with `q:`.
    fn parse(text: &str, size: usize) -> Result<Vec<Vec<String>>, u64> {
        let mut found = Vec::new();
        let mut on_record = |record: Vec<Field>| {
            let marked = |field: Field| if field.is_quoted { format!("q:{}", field.text) } else { field.text };
            found.push(record.into_iter().map(marked).collect());
        };
        let mut records = Records::new(b',');
        for part in text.as_bytes().chunks(size) {
            records.read(part, &mut on_record);
        }
        records.finish(&mut on_record)?;
        Ok(found)
    }

    #[test]
    fn records_are_split_as_on_import() {
        let cases: [(&str, &[&[&str]]); 11] = [
            ("a,b\n1,2\n", &[&["a", "b"], &["1", "2"]]),
            ("a,b\r\n1,2", &[&["a", "b"], &["1", "2"]]),
            ("a\r1\r\r\n2\n", &[&["a"], &["1"], &[""], &["2"]]),
            ("\"x\r\ny\nz\",2\nb", &[&["q:x\r\ny\nz", "2"], &["b"]]),
            ("\"a \"\"b\"\"\",\"\",\n", &[&["q:a \"b\"", "q:", ""]]),
            ("5\" disk,a\"\"b\n", &[&["5\" disk", "a\"\"b"]]),
            ("\"a\" b,c\n", &[&["q:a b", "c"]]),
            ("a\n\nb\n\n", &[&["a"], &[""], &["b"], &[""]]),
            ("a,\n,", &[&["a", ""], &["", ""]]),
            ("", &[]),
            ("ü\n", &[&["ü"]]),
        ];
        for (text, expected) in cases {
            for size in [1, 2, 1000] {
                assert_eq!(parse(text, size).unwrap(), expected, "{text:?} in pieces of {size}");
            }
        }
        assert_eq!(parse("a\n1,\"b\nc\n", 1000), Err(2));
    }

    #[test]
    fn delimiter_divides_all_lines_alike() {
        for (text, expected) in [
            ("a,b\n1,2\n", b','),
            ("a;b\n1,5;2\n", b';'),
            ("\"a;b;c\",d\n1,2\n", b','),
            ("a\tb", b'\t'),
            ("a|b\n\"1\n\n2\"|3\n", b'|'),
            ("a\n1\n", b','),
            ("", b','),
        ] {
            assert_eq!(delimiter_of(text.as_bytes(), true), expected, "{text:?}");
        }
        assert_eq!(delimiter_of(b"a;b\n1;2\n3,4,5,6", false), b';');
    }
}
