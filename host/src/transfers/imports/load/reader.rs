//! Converts a file to the lines of a `COPY`.

use std::io::Write as _;

use bytes::{BufMut as _, BytesMut};

use crate::transfers::imports::{
    parse::{CsvFormat, CsvRecords, Fields, JsonRecord, JsonRecords, JsonShape, Parsed, RecordError},
    plan::{CsvPlan, Plan},
};
use api_types::ImportFormat;

/// Converts the bytes of a file to lines of a `COPY … FROM STDIN` in the text format.
///
/// Source: PostgreSQL documentation, "COPY", section "Text Format".
pub(super) struct Reader<'p> {
    plan: &'p Plan,
    lines: LineFormat,
    parser: Parser,
    /// Number of rows that were read, without the header. It is also the number of the last row.
    pub(super) rows: u64,
    /// Number of rows whose lines were written.
    pub(super) written: u64,
    header_read: bool,
    document: Vec<u8>,
}

/// The columns of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineFormat {
    /// The values of the plan's columns.
    Values,
    /// Number of the row, its line in the file, and a JSON object with its values.
    Documents,
}

enum Parser {
    Csv(CsvRecords),
    Json(JsonRecords),
}

/// Called for each row that can't be read or has the wrong number of fields. If it returns an error, the reading ends.
pub(super) type OnBad<'a> = &'a mut dyn FnMut(RecordError) -> Result<(), RecordError>;

impl<'p> Reader<'p> {
    pub(super) fn new(plan: &'p Plan, format: ImportFormat, lines: LineFormat) -> Self {
        let parser = match (&plan.csv, format) {
            (Some(csv), _) => Parser::Csv(CsvRecords::new(CsvFormat { delimiter: csv.delimiter as u8 })),
            (None, ImportFormat::Ndjson) => Parser::Json(JsonRecords::new(JsonShape::Lines)),
            (None, _) => Parser::Json(JsonRecords::new(JsonShape::Array)),
        };
        Self { plan, lines, parser, rows: 0, written: 0, header_read: false, document: Vec::new() }
    }

    /// Reads the next bytes of the file and writes lines.
    pub(super) fn read(&mut self, bytes: &[u8], out: &mut BytesMut, on_bad: OnBad<'_>) -> Result<(), RecordError> {
        let Self { plan, lines, parser, rows, written, header_read, document } = self;
        let mut writer = RowWriter { plan, lines: *lines, rows, written, header_read, document, out };
        match parser {
            Parser::Csv(records) => records.read(bytes, &mut |parsed| writer.csv(parsed, on_bad)),
            Parser::Json(records) => records.read(bytes, &mut |parsed| writer.json(parsed, on_bad)),
        }
    }

    /// Reads the end of the file. Returns the number of rows whose lines were written, and the number of all rows or
    /// the error that ended the reading.
    pub(super) fn finish(self, out: &mut BytesMut, on_bad: OnBad<'_>) -> (u64, Result<u64, RecordError>) {
        let Self { plan, lines, parser, mut rows, mut written, mut header_read, mut document } = self;
        let mut writer = RowWriter {
            plan,
            lines,
            rows: &mut rows,
            written: &mut written,
            header_read: &mut header_read,
            document: &mut document,
            out,
        };
        let finished = match parser {
            Parser::Csv(records) => records.finish(&mut |parsed| writer.csv(parsed, on_bad)),
            Parser::Json(records) => records.finish(&mut |parsed| writer.json(parsed, on_bad)),
        };
        (written, finished.map(|()| rows))
    }
}

struct RowWriter<'a> {
    plan: &'a Plan,
    lines: LineFormat,
    rows: &'a mut u64,
    written: &'a mut u64,
    header_read: &'a mut bool,
    document: &'a mut Vec<u8>,
    out: &'a mut BytesMut,
}

impl RowWriter<'_> {
    fn csv(&mut self, parsed: Parsed<Fields<'_>>, on_bad: OnBad<'_>) -> Result<(), RecordError> {
        let Some(csv) = &self.plan.csv else { return Ok(()) };
        let fields = match parsed {
            // An empty line is a row only in a file with one column.
            Parsed::Record(fields) if csv.fields > 1 && fields.is_blank() => return Ok(()),
            Parsed::Record(_) | Parsed::Bad(_) if csv.header && !*self.header_read => {
                *self.header_read = true;
                return Ok(());
            }
            Parsed::Record(fields) => fields,
            Parsed::Bad(error) => {
                *self.rows += 1;
                return on_bad(error);
            }
        };
        *self.rows += 1;
        if fields.len() != csv.fields {
            let found = match fields.len() {
                1 => "1 field".to_owned(),
                count => format!("{count} fields"),
            };
            let message = format!("The row has {found}, but must have {}.", csv.fields);
            return on_bad(RecordError::new(fields.line, "wrong_field_count", message));
        }
        match self.lines {
            LineFormat::Values => self.write_values(&fields, csv),
            LineFormat::Documents => self.write_csv_document(&fields, csv),
        }
        Ok(())
    }

    fn write_values(&mut self, fields: &Fields<'_>, csv: &CsvPlan) {
        for (index, column) in self.plan.columns.iter().enumerate() {
            if index > 0 {
                self.out.put_u8(b'\t');
            }
            match value(fields, column.position, csv) {
                Some(text) => put_escaped(self.out, text.as_bytes()),
                None => self.out.put_slice(b"\\N"),
            }
        }
        self.end_line();
    }

    /// Writes a row as a JSON object. Its keys are the indices of the plan's columns.
    fn write_csv_document(&mut self, fields: &Fields<'_>, csv: &CsvPlan) {
        self.document.clear();
        self.document.push(b'{');
        for (index, column) in self.plan.columns.iter().enumerate() {
            let separator = if index > 0 { "," } else { "" };
            // Writing to memory can't fail.
            let _ = write!(self.document, "{separator}\"{index}\":");
            let _ = serde_json::to_writer(&mut *self.document, &value(fields, column.position, csv));
        }
        self.document.push(b'}');
        self.write_document(fields.line, None);
    }

    fn json(&mut self, parsed: Parsed<JsonRecord<'_>>, on_bad: OnBad<'_>) -> Result<(), RecordError> {
        *self.rows += 1;
        match parsed {
            Parsed::Record((line, text)) => {
                self.write_document(line, Some(text));
                Ok(())
            }
            Parsed::Bad(error) => on_bad(error),
        }
    }

    /// Writes a line with this JSON, or with [`Self::document`] if it is `None`.
    fn write_document(&mut self, line: u64, text: Option<&str>) {
        let numbers = format!("{}\t{line}\t", self.rows);
        self.out.put_slice(numbers.as_bytes());
        put_escaped(self.out, text.map_or(self.document.as_slice(), str::as_bytes));
        self.end_line();
    }

    fn end_line(&mut self) {
        self.out.put_u8(b'\n');
        *self.written += 1;
    }
}

/// Returns the value of a field. `None` is NULL.
fn value<'a>(fields: &Fields<'a>, position: usize, csv: &CsvPlan) -> Option<&'a str> {
    let field = fields.get(position)?;
    let is_null = !field.is_quoted && field.text == csv.null_text.as_deref().unwrap_or_default();
    (!is_null).then_some(field.text)
}

/// Writes bytes so that `COPY` reads them unchanged.
fn put_escaped(out: &mut BytesMut, mut bytes: &[u8]) {
    let is_special = |byte: &u8| matches!(byte, b'\\' | b'\n' | b'\r' | b'\t');
    while let Some(position) = bytes.iter().position(is_special) {
        out.put_slice(&bytes[..position]);
        out.put_slice(match bytes[position] {
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            _ => b"\\\\",
        });
        bytes = &bytes[position + 1..];
    }
    out.put_slice(bytes);
}
