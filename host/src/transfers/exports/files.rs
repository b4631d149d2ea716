//! The names, keys and content types of exported files.

use api_types::{ExportFormat, ExportSource};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Prefix of the keys of exports in the platform's bucket.
pub(in crate::transfers) const PREFIX: &str = "exports/";

/// Maximum length in characters of each part of a file name.
const MAX_PART_CHARS: usize = 60;

fn extension(format: ExportFormat) -> &'static str {
    match format {
        ExportFormat::Csv => "csv",
        ExportFormat::Json => "json",
        ExportFormat::Ndjson => "ndjson",
        ExportFormat::Sql => "sql",
        ExportFormat::Custom => "dump",
    }
}

fn full_extension(format: ExportFormat, gzip: bool) -> String {
    let gzip = if gzip { ".gz" } else { "" };
    format!("{}{gzip}", extension(format))
}

/// Returns the key of an export's file.
pub(super) fn object_key(id: Uuid, format: ExportFormat, gzip: bool) -> String {
    format!("{PREFIX}{id}.{}", full_extension(format, gzip))
}

/// Returns the id of the export to which a key belongs.
pub(in crate::transfers) fn id_of_key(key: &str) -> Option<Uuid> {
    key.strip_prefix(PREFIX)?.split('.').next()?.parse().ok()
}

/// Returns the name of an export's file, for example `shop-items-20260102T030405Z.csv`.
pub(super) fn file_name(
    title: Option<&str>,
    source: &ExportSource,
    format: ExportFormat,
    gzip: bool,
    at: DateTime<Utc>,
) -> String {
    let table = match source {
        ExportSource::Table { table, .. } => Some(table.as_str()),
        ExportSource::Query { .. } => Some("query"),
        ExportSource::Database { .. } => None,
    };
    let parts = [Some(title.unwrap_or("platform")), table].into_iter().flatten().map(plain);
    let mut stem: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    if stem.is_empty() {
        stem.push("export".to_owned());
    }
    format!("{}-{}.{}", stem.join("-"), at.format("%Y%m%dT%H%M%SZ"), full_extension(format, gzip))
}

/// Truncates the text, and replaces all characters except ASCII letters, digits, `_` and `.` with `-`, because not
/// every file system accepts them. Then removes `-` and `.` from both ends.
fn plain(text: &str) -> String {
    let plain: String = text
        .chars()
        .take(MAX_PART_CHARS)
        .map(|character| if character.is_ascii_alphanumeric() || "_.".contains(character) { character } else { '-' })
        .collect();
    plain.trim_matches(['-', '.']).to_owned()
}

/// Returns the media type of an export's file.
pub(in crate::transfers) fn content_type(format: ExportFormat, gzip: bool) -> &'static str {
    match format {
        _ if gzip => "application/gzip",
        ExportFormat::Csv => "text/csv; charset=utf-8",
        ExportFormat::Json => "application/json",
        ExportFormat::Ndjson => "application/x-ndjson",
        ExportFormat::Sql => "application/sql",
        ExportFormat::Custom => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_plain() {
        let at = DateTime::from_timestamp(1_767_323_045, 0).unwrap_or_default();
        let table = |table: &str| ExportSource::Table {
            project_id: "p".to_owned(),
            table: table.to_owned(),
            filter: None,
            order: None,
            select: None,
        };
        let name = file_name(Some("My shop"), &table("Länder/\"x\""), ExportFormat::Csv, true, at);
        assert_eq!(name, "My-shop-L-nder--x-20260102T030405Z.csv.gz");
        let database = ExportSource::Database { project_id: None };
        assert_eq!(file_name(None, &database, ExportFormat::Custom, false, at), "platform-20260102T030405Z.dump");
        assert_eq!(file_name(Some("Ü"), &table(".."), ExportFormat::Json, false, at), "export-20260102T030405Z.json");
    }

    #[test]
    fn id_is_parsed_from_keys() {
        let id = Uuid::now_v7();
        assert_eq!(id_of_key(&object_key(id, ExportFormat::Csv, true)), Some(id));
        assert_eq!(id_of_key("exports/other.csv"), None);
    }
}
