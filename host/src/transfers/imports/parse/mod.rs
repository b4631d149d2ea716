//! Splits files into records, as their bytes arrive. The memory use does not depend on the size of the file.
//!
//! `csv` reads CSV as spreadsheets write it. `json` reads an array of objects, or an object per line. Both find the
//! beginning and end of each record. Postgres parses the values. `escapes` finds the escapes that Postgres can't read.
//! `members` reads an object without parsing its values.

mod csv;
mod escapes;
mod json;
mod members;

pub(super) use csv::{CsvFormat, CsvRecords, Fields};
pub(super) use json::{JsonRecord, JsonRecords, JsonShape};
pub(super) use members::{Members, json_text};

/// Maximum size of a record. Without it, a quote that is never closed would load the rest of the file into memory.
const MAX_RECORD_BYTES: usize = 8 << 20;

/// A record that can't be imported, or a file that can't be read any further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordError {
    /// Line in the file, from 1.
    pub(super) line: u64,
    /// Field of the file, if the error concerns a single one.
    pub(super) field: Option<String>,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl RecordError {
    pub(super) fn new(line: u64, code: &'static str, message: impl Into<String>) -> Self {
        Self { line, field: None, code, message: message.into() }
    }
}

/// A record that a parser has read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed<R> {
    Record(R),
    /// A record that can't be imported. Reading continues with the next one.
    Bad(RecordError),
}

/// The byte order mark of UTF-8.
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Checks that the bytes of a record are text that Postgres can store.
fn text(line: u64, bytes: &[u8]) -> Result<&str, RecordError> {
    if bytes.contains(&0) {
        return Err(RecordError::new(
            line,
            "nul_character",
            "The row contains a NUL character, which Postgres can't store.",
        ));
    }
    std::str::from_utf8(bytes)
        .map_err(|_| RecordError::new(line, "invalid_encoding", "The row is not UTF-8. Save the file as UTF-8."))
}

/// Describes an object that is not valid JSON. serde's message ends with a position in the object, not in the file.
pub(super) fn invalid_json(line: u64, error: &serde_json::Error) -> RecordError {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let problem = message.strip_suffix(position.as_str()).unwrap_or(&message);
    RecordError::new(line, "invalid_json", format!("This is not valid JSON: {problem}."))
}

fn too_large(line: u64) -> RecordError {
    let message =
        format!("The row that begins here is larger than {} MiB. Is a quote missing?", MAX_RECORD_BYTES >> 20);
    RecordError::new(line, "row_too_large", message)
}
