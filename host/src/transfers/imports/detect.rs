//! Reads the beginning of a file, and detects the delimiter and the header of a CSV file.

use api_types::ImportFormat;
use serde::de::IgnoredAny;
use std::collections::BTreeSet;

use super::{
    parse::{
        CsvFormat, CsvRecords, Fields, JsonRecord, JsonRecords, JsonShape, Members, Parsed, RecordError, invalid_json,
        json_text,
    },
    plan::{CsvPlan, column_of},
    target::Target,
};
use crate::error::{ApiError, ApiResult, Code};

/// Maximum number of bytes that are read from the beginning of a file: 1 MiB.
pub(super) const HEAD_BYTES: usize = 1 << 20;
/// Maximum number of rows that are examined, besides the first row of a CSV file, which may be the header.
const MAX_ROWS: usize = 200;
/// Byte order marks of UTF-16, which some spreadsheets write.
const UTF_16_MARKS: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// The owner's settings for a CSV file. A header or delimiter that is `None` is detected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hints {
    pub(super) header: Option<bool>,
    pub(super) delimiter: Option<char>,
    pub(super) null_text: Option<String>,
    /// The mapped fields. They can show that the first row is the header; see [`is_mapped`]. Empty if the owner decided
    /// about the header.
    pub(super) mapped: Vec<String>,
}

/// The beginning of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Head {
    /// Names of the fields.
    pub(super) sources: Vec<String>,
    /// The first rows, with a value for each source.
    pub(super) rows: Vec<Vec<Cell>>,
    pub(super) csv: Option<CsvPlan>,
    /// The first rows that can't be read.
    pub(super) bad: Vec<RecordError>,
}

/// A value in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Null,
    /// A field of a CSV file. `is_quoted` is whether it is in quotes.
    Text {
        text: String,
        is_quoted: bool,
    },
    /// The JSON of a value other than null, as it is in the file.
    Json(String),
}

/// The reason why reading the beginning of a file ends early.
enum Stop {
    Enough,
    Failed(RecordError),
}

impl From<RecordError> for Stop {
    fn from(error: RecordError) -> Self {
        Self::Failed(error)
    }
}

impl Head {
    /// Reads the beginning of a file. `is_whole` is whether the bytes are the whole file.
    ///
    /// # Errors
    /// Returns `unprocessable` if a CSV file has no rows, if the bytes are a part of a file and contain no complete
    /// row, or if the file can't be read.
    pub(super) fn read(
        bytes: &[u8],
        is_whole: bool,
        format: ImportFormat,
        hints: &Hints,
        target: &Target,
    ) -> ApiResult<Self> {
        if UTF_16_MARKS.iter().any(|mark| bytes.starts_with(mark)) {
            return Err(ApiError::new(Code::Unprocessable, "The file is in UTF-16.")
                .with_hint("Save it as UTF-8 and upload it again."));
        }
        match format {
            ImportFormat::Csv => Self::of_csv(bytes, is_whole, hints, target),
            ImportFormat::Json => Self::of_json(bytes, is_whole, JsonShape::Array),
            ImportFormat::Ndjson => Self::of_json(bytes, is_whole, JsonShape::Lines),
        }
    }

    fn of_csv(bytes: &[u8], is_whole: bool, hints: &Hints, target: &Target) -> ApiResult<Self> {
        let delimiter = hints.delimiter.unwrap_or_else(|| detect_delimiter(bytes, is_whole));
        let (mut records, bad) = csv_records(bytes, is_whole, delimiter).map_err(unreadable)?;
        // An empty line is a row only in a file with one column.
        if records.iter().any(|record| record.len() > 1) {
            records.retain(
                |record| !matches!(record.as_slice(), [Cell::Text { text, is_quoted: false }] if text.is_empty()),
            );
        }
        let Some(first) = records.first() else {
            return Err(bad.into_iter().next().map_or_else(|| no_rows(is_whole), unreadable));
        };
        let header = hints.header.unwrap_or_else(|| detect_header(&records, target)) || is_mapped(first, &hints.mapped);
        let fields = first.len();
        let sources = match header {
            true => distinct(records.remove(0).iter().map(Cell::text).collect()),
            false => (1..=fields).map(|number| format!("column{number}")).collect(),
        };
        let csv = CsvPlan { delimiter, header, null_text: hints.null_text.clone(), fields };
        for cell in records.iter_mut().flatten() {
            if cell.is_null(csv.null_text.as_deref()) {
                *cell = Cell::Null;
            }
        }
        Ok(Self { sources, rows: records, csv: Some(csv), bad })
    }

    fn of_json(bytes: &[u8], is_whole: bool, shape: JsonShape) -> ApiResult<Self> {
        let (mut sources, mut rows, mut bad) = (Vec::<String>::new(), Vec::<Vec<Cell>>::new(), Vec::new());
        let mut on_record = |parsed: Parsed<JsonRecord<'_>>| {
            match parsed {
                Parsed::Record((line, text)) => match serde_json::from_str::<Members<'_>>(text) {
                    Ok(object) => {
                        for key in object.keys() {
                            if !sources.iter().any(|source| source == key) {
                                sources.push(key.to_owned());
                            }
                        }
                        rows.push(sources.iter().map(|source| json_cell(object.get(source))).collect());
                    }
                    Err(error) => bad.push(invalid_json(line, &error)),
                },
                Parsed::Bad(error) => bad.push(error),
            }
            if rows.len() < MAX_ROWS { Ok(()) } else { Err(Stop::Enough) }
        };
        let mut records = JsonRecords::new(shape);
        let mut read = records.read(bytes, &mut on_record);
        if is_whole && read.is_ok() {
            read = records.finish(&mut on_record);
        }
        match read {
            Err(Stop::Failed(error)) if rows.is_empty() => return Err(unreadable(error)),
            Err(Stop::Failed(error)) => bad.push(error),
            // In a whole file, the import reports the bad rows, as it does beside good ones.
            _ if rows.is_empty() && !is_whole => {
                return Err(bad.into_iter().next().map_or_else(|| no_rows(is_whole), unreadable));
            }
            _ => {}
        }
        // A later object may have keys that the earlier ones do not have.
        rows.iter_mut().for_each(|row| row.resize(sources.len(), Cell::Null));
        Ok(Self { rows, sources, csv: None, bad })
    }
}

impl Cell {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Text { text, .. } => text.clone(),
            Self::Json(json) => json_text(json),
        }
    }

    fn is_null(&self, null_text: Option<&str>) -> bool {
        matches!(self, Self::Text { text, is_quoted: false } if text == null_text.unwrap_or_default())
    }
}

fn json_cell(json: Option<&str>) -> Cell {
    match json {
        None | Some("null") => Cell::Null,
        Some(json) => Cell::Json(json.to_owned()),
    }
}

fn cells(fields: Fields<'_>) -> Vec<Cell> {
    fields.iter().map(|field| Cell::Text { text: field.text.to_owned(), is_quoted: field.is_quoted }).collect()
}

/// Reads the first records of a CSV file.
fn csv_records(
    bytes: &[u8],
    is_whole: bool,
    delimiter: char,
) -> Result<(Vec<Vec<Cell>>, Vec<RecordError>), RecordError> {
    let (mut rows, mut bad) = (Vec::new(), Vec::new());
    let mut on_record = |parsed: Parsed<Fields<'_>>| {
        match parsed {
            Parsed::Record(fields) => rows.push(cells(fields)),
            Parsed::Bad(error) => bad.push(error),
        }
        if rows.len() <= MAX_ROWS { Ok(()) } else { Err(Stop::Enough) }
    };
    let mut records = CsvRecords::new(CsvFormat { delimiter: delimiter as u8 });
    let mut read = records.read(bytes, &mut on_record);
    if is_whole && read.is_ok() {
        read = records.finish(&mut on_record);
    }
    match read {
        Err(Stop::Failed(error)) if rows.is_empty() => Err(error),
        Err(Stop::Failed(error)) => {
            bad.push(error);
            Ok((rows, bad))
        }
        _ => Ok((rows, bad)),
    }
}

/// Returns the delimiter that divides the largest number of rows into as many fields as the first row. Of several such
/// delimiters, returns the one that gives the most fields.
fn detect_delimiter(bytes: &[u8], is_whole: bool) -> char {
    let score = |delimiter: char| -> (usize, usize) {
        let Ok((rows, _)) = csv_records(bytes, is_whole, delimiter) else { return (0, 0) };
        let Some(fields) = rows.first().map(Vec::len).filter(|fields| *fields > 1) else { return (0, 0) };
        (rows.iter().filter(|row| row.len() == fields).count(), fields)
    };
    // `max_by_key` returns the last of several equal elements. In reverse order, that is the first delimiter.
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| score(*delimiter)).unwrap_or(',')
}

/// Returns whether the first row looks like a header: either one of its fields is the name of a column, or none of them
/// looks like a value while a field of a later row does.
fn detect_header(rows: &[Vec<Cell>], target: &Target) -> bool {
    let Some((first, rest)) = rows.split_first() else { return false };
    let names: Vec<String> = first.iter().map(Cell::text).collect();
    if names.iter().any(|name| column_of(target, name, ImportFormat::Csv).is_some()) {
        return true;
    }
    let looks_like_value = |text: &str| {
        text.trim().is_empty() || text.starts_with(|first: char| first.is_ascii_digit() || "-+{[".contains(first))
    };
    if names.iter().any(|name| looks_like_value(name)) {
        return false;
    }
    rest.iter().flatten().any(|cell| looks_like_value(&cell.text()))
}

/// Returns whether the mapped fields show that the first row is the header: it contains at least one of them, and none
/// of them is a name that fields have without a header.
fn is_mapped(first: &[Cell], mapped: &[String]) -> bool {
    let is_position = |name: &String| (1..=first.len()).any(|number| *name == format!("column{number}"));
    let names = distinct(first.iter().map(Cell::text).collect());
    names.iter().any(|name| mapped.contains(name)) && !mapped.iter().any(is_position)
}

/// Makes names distinct: the second `name` becomes `name_2`, or `name_3` if another field has that name. Fields without
/// a name are named by their position, for example `column2`.
fn distinct(names: Vec<String>) -> Vec<String> {
    let mut taken: BTreeSet<String> = names.iter().cloned().collect();
    let mut seen = BTreeSet::new();
    let named = names.into_iter().enumerate().map(|(index, name)| match name.trim() {
        "" => format!("column{}", index + 1),
        _ => name,
    });
    named
        .map(|name| {
            if seen.insert(name.clone()) {
                return name;
            }
            let mut candidates = (2..).map(|number| format!("{name}_{number}"));
            candidates.find(|candidate| taken.insert(candidate.clone())).unwrap_or(name)
        })
        .collect()
}

fn no_rows(is_whole: bool) -> ApiError {
    if is_whole {
        return ApiError::new(Code::Unprocessable, "The file has no rows.");
    }
    ApiError::new(Code::Unprocessable, "The first MiB of the file contains no complete row.")
        .with_hint("Begin the file with a row that is smaller than 1 MiB.")
}

fn unreadable(error: RecordError) -> ApiError {
    let RecordError { line, code, message, .. } = error;
    ApiError::new(Code::Unprocessable, format!("Line {line}: {message}"))
        .with_detail("line", line.into())
        .with_detail("reason", code.into())
}

/// Returns whether a string is one JSON value.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_whose_first_row_is_not_read_to_its_end_is_not_called_empty() {
        let target = Target { quoted: "public.t".to_owned(), kind: "r".to_owned(), columns: vec![], keys: vec![] };
        for (format, head) in
            [(ImportFormat::Csv, "\"a"), (ImportFormat::Json, "[{\"a\":1"), (ImportFormat::Ndjson, "{\"a\":1")]
        {
            let error = Head::read(head.as_bytes(), false, format, &Hints::default(), &target).unwrap_err();
            assert!(error.message().contains("no complete row"), "{head}: {}", error.message());
        }
        let error = Head::read(b"", true, ImportFormat::Csv, &Hints::default(), &target).unwrap_err();
        assert_eq!(error.message(), "The file has no rows.");
    }

    #[test]
    fn file_with_only_bad_rows_is_read_without_an_error() {
        let target = Target { quoted: "public.t".to_owned(), kind: "r".to_owned(), columns: vec![], keys: vec![] };
        for (format, head, lines) in [
            (ImportFormat::Json, "[{\"name\": \"a\\u0000b\"}]", vec![1]),
            (ImportFormat::Json, "[1,\n2]", vec![1, 2]),
            (ImportFormat::Ndjson, "{\"id\":306} {\"id\":307}\n", vec![1]),
        ] {
            let read = Head::read(head.as_bytes(), true, format, &Hints::default(), &target).unwrap();
            assert!(read.rows.is_empty(), "{head}");
            assert_eq!(read.bad.iter().map(|error| error.line).collect::<Vec<_>>(), lines, "{head}");
        }
    }

    #[test]
    fn names_become_distinct() {
        let check = |names: &[&str], expected: &[&str]| {
            assert_eq!(distinct(names.iter().map(|&name| name.to_owned()).collect()), expected);
        };
        check(&["a", "b"], &["a", "b"]);
        check(&["a", "", "a", "a"], &["a", "column2", "a_2", "a_3"]);
        check(&["a", "a", "a_2"], &["a", "a_3", "a_2"]);
        check(&["", "column1"], &["column1", "column1_2"]);
    }
}
