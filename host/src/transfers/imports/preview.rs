//! Describes a file, and the columns into which its fields would be imported.

use api_types::{ImportFormat, ImportPreview, PreviewColumn};
use serde_json::value::{RawValue, to_raw_value};

use super::{
    detect::{Cell, Head, is_json},
    plan::{column_of, why_not_writable},
    target::{Column, Target},
};

const MAX_ROWS: usize = 20;
const MAX_SAMPLES: usize = 5;
/// Maximum number of characters of a sample, and of a value or a message of Postgres in an error, without the `…`.
const MAX_VALUE_CHARS: usize = 200;

/// Describes the beginning of a file.
pub(super) fn preview(head: &Head, target: &Target, format: ImportFormat) -> ImportPreview {
    let mut warnings: Vec<String> =
        head.bad.iter().take(5).map(|error| format!("Line {}: {}", error.line, error.message)).collect();
    if head.rows.is_empty() && head.bad.is_empty() {
        warnings.push("The file has no rows.".to_owned());
    }
    let mut columns = Vec::with_capacity(head.sources.len());
    for (index, source) in head.sources.iter().enumerate() {
        let values: Vec<&Cell> = head.rows.iter().filter_map(|row| row.get(index)).collect();
        let mut column = column_of(target, source, format);
        if let Some(problem) = column.and_then(|column| why_not_writable(column, false)) {
            warnings.push(format!("{problem} The field is left out."));
            column = None;
        } else if column.is_none() {
            warnings.push(format!("The table has no column `{source}`. The field is left out unless you map it."));
        }
        if let Some(column) = column {
            warnings.extend(column_warnings(source, column, &values));
        }
        columns.push(PreviewColumn {
            source: source.clone(),
            target: column.map(|column| column.name.clone()),
            data_type: column.map(|column| column.data_type.clone()),
            samples: values
                .iter()
                .filter(|cell| **cell != &Cell::Null)
                .take(MAX_SAMPLES)
                .map(|cell| shortened(&cell.text()))
                .collect(),
        });
    }
    if let Some(csv) = &head.csv {
        warnings.extend(csv_warnings(head, csv.fields, csv.null_text.as_deref()));
    }
    let rows = head.rows.iter().take(MAX_ROWS).map(|row| row.iter().map(short_json).collect()).collect();
    ImportPreview {
        columns,
        rows,
        delimiter: head.csv.as_ref().map(|csv| csv.delimiter.to_string()),
        header: head.csv.as_ref().map(|csv| csv.header),
        warnings,
    }
}

/// Truncates a long text.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_VALUE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns the value as JSON. A field of a CSV file is a string. Long strings are cut; other values are copied from the
/// file unchanged.
fn short_json(cell: &Cell) -> Box<RawValue> {
    let json = match cell {
        Cell::Null => None,
        Cell::Json(json) if !json.starts_with('"') => RawValue::from_string(json.clone()).ok(),
        cell => to_raw_value(&shortened(&cell.text())).ok(),
    };
    json.unwrap_or_else(|| RawValue::NULL.to_owned())
}

/// Returns warnings about the values of a column. NULL is never a reason for a warning.
fn column_warnings(source: &str, column: &Column, values: &[&Cell]) -> Vec<String> {
    let texts = || values.iter().filter(|cell| ***cell != Cell::Null).map(|cell| cell.text());
    let mut warnings = Vec::new();
    if column.category == "D" {
        if let Some(text) = texts().find(|text| is_day_and_month(text)) {
            let text = shortened(&text);
            warnings.push(format!(
                "`{source}`: `{text}` is read as month/day/year. Write dates as year-month-day to be sure."
            ));
        }
        if let Some(text) = texts().find(|text| text.starts_with(char::is_alphabetic) && !text.contains("infinity")) {
            let text = shortened(&text);
            warnings
                .push(format!("`{source}`: Postgres reads words such as `{text}` as dates, for example `tomorrow`."));
        }
    }
    if column.category == "N"
        && let Some(text) = texts().find(|text| text.contains(',') && text.chars().any(|one| one.is_ascii_digit()))
    {
        let text = shortened(&text);
        warnings
            .push(format!("`{source}`: `{text}` is not a number for Postgres. Use a point as the decimal separator."));
    }
    if column.is_json
        && let Some(text) =
            values.iter().find_map(|cell| if let Cell::Text { text, .. } = cell { Some(text) } else { None })
        && !is_json(text)
    {
        warnings.push(format!("`{source}`: `{}` is not JSON.", shortened(text)));
    }
    warnings
}

/// Returns whether the text is a date such as `5/1/2024`, which may be 1 May or 5 January.
fn is_day_and_month(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['/', '.']).collect();
    matches!(parts.as_slice(), [day, month, _] if day.len() <= 2 && month.len() <= 2
        && [day, month].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())))
}

/// Returns warnings about the rows of a CSV file.
fn csv_warnings(head: &Head, fields: usize, null_text: Option<&str>) -> Vec<String> {
    let mut warnings = Vec::new();
    let wrong = || head.rows.iter().enumerate().filter(move |(_, row)| row.len() != fields);
    let noun = if fields == 1 { "field" } else { "fields" };
    let first = wrong().next().map(|(index, row)| (index + 1, row.len()));
    match (first, wrong().count()) {
        (Some((number, found)), 1) => {
            warnings.push(format!("Row {number} has {found} instead of {fields} {noun} and can't be imported."));
        }
        (Some((number, _)), count) => warnings.push(format!(
            "{count} of the first rows, beginning with row {number}, do not have {fields} {noun} and can't be imported."
        )),
        (None, _) => {}
    }
    let is_null_word = |cell: &Cell| matches!(cell, Cell::Text { text, is_quoted: false } if text == "NULL");
    if null_text.is_none() && head.rows.iter().flatten().any(is_null_word) {
        warnings.push(
            "Some fields contain the unquoted text NULL. If they have no value, as in files that PostgREST writes, \
             send `\"nullText\": \"NULL\"`. PostgREST also doubles backslashes."
                .to_owned(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfers::imports::detect::Hints;

    fn column(name: &str, category: &str) -> Column {
        Column {
            name: name.to_owned(),
            data_type: "t".to_owned(),
            category: category.to_owned(),
            is_json: false,
            is_hstore: false,
            is_exact: false,
            is_generated: false,
            is_always_identity: false,
            default: None,
            sequence: None,
        }
    }

    #[test]
    fn warnings_cut_long_values() {
        for (category, value) in [("D", "tomorrow".repeat(1000)), ("N", "1,5".repeat(1000))] {
            let cell = Cell::Text { text: value, is_quoted: false };
            let warnings = column_warnings("a", &column("a", category), &[&cell]);
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            assert!(warnings[0].len() < 1000, "{warnings:?}");
        }
    }

    #[test]
    fn json_is_previewed_with_all_digits_and_without_a_warning_about_null() {
        let columns = vec![column("n", "N"), column("day", "D")];
        let target = Target { quoted: "public.t".to_owned(), kind: "r".to_owned(), columns, keys: vec![] };
        let rows =
            r#"[{"n": 12345678901234567890123456789.00001, "day": null}, {"n": 1.10}, {"n": 1e400, "o": "\u00e9"}]"#;
        let head = Head::read(rows.as_bytes(), true, ImportFormat::Json, &Hints::default(), &target).unwrap();
        let preview = preview(&head, &target, ImportFormat::Json);
        assert_eq!(preview.columns[0].samples, ["12345678901234567890123456789.00001", "1.10", "1e400"]);
        assert_eq!(preview.columns[1].samples, [""; 0]);
        let rows: Vec<Vec<&str>> = preview.rows.iter().map(|row| row.iter().map(|cell| cell.get()).collect()).collect();
        let expected = [
            ["12345678901234567890123456789.00001", "null", "null"],
            ["1.10", "null", "null"],
            ["1e400", "null", "\"é\""],
        ];
        assert_eq!(rows, expected);
        assert_eq!(preview.warnings.len(), 1, "only about the unknown field: {:?}", preview.warnings);
    }
}
