//! Texts about exports.

use api_types::{Export, ExportFormat, ExportSource, ExportState};

use crate::{text, ui::Shape};

/// Returns the mark and the word for the state of an export.
pub(super) const fn state_of(state: ExportState) -> (Shape, &'static str) {
    match state {
        ExportState::Running => (Shape::Running, "Running"),
        ExportState::Ready => (Shape::Succeeded, "Ready"),
        ExportState::Failed => (Shape::Failed, "Failed"),
        ExportState::Cancelled => (Shape::Cancelled, "Cancelled"),
    }
}

/// Returns the name of a source: the table's name, or else `Query` or `Database`.
pub(super) fn name_of(source: &ExportSource) -> String {
    match source {
        ExportSource::Table { table, .. } => table.clone(),
        ExportSource::Query { .. } => "Query".to_owned(),
        ExportSource::Database { .. } => "Database".to_owned(),
    }
}

/// Returns the text of a query in one line. `None` for other sources.
pub(super) fn query_of(source: &ExportSource) -> Option<String> {
    match source {
        ExportSource::Query { sql, .. } => Some(sql.split_whitespace().collect::<Vec<_>>().join(" ")),
        _ => None,
    }
}

/// Returns the format as text, for example `CSV, gzip`.
pub(super) fn format_in_words(format: ExportFormat, gzip: bool) -> String {
    let name = match format {
        ExportFormat::Csv => "CSV",
        ExportFormat::Json => "JSON",
        ExportFormat::Ndjson => "NDJSON",
        ExportFormat::Sql => "SQL script",
        ExportFormat::Custom => "Archive",
    };
    format!("{name}{}", if gzip { ", gzip" } else { "" })
}

pub(super) fn rows_in_words(export: &Export) -> String {
    export.row_count.map_or_else(|| "–".to_owned(), text::number)
}

/// Returns the command that loads the export of a database. `None` for other exports.
pub(super) fn command_for(export: &Export) -> Option<String> {
    let file = &export.file_name;
    match (export.format, export.gzip) {
        (ExportFormat::Custom, _) => Some(format!("pg_restore --no-owner --no-acl --dbname=\"$DATABASE_URL\" {file}")),
        (ExportFormat::Sql, true) => {
            Some(format!("gunzip --stdout {file} | psql --set=ON_ERROR_STOP=1 \"$DATABASE_URL\""))
        }
        (ExportFormat::Sql, false) => Some(format!("psql --set=ON_ERROR_STOP=1 --file={file} \"$DATABASE_URL\"")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_say_whether_they_are_compressed() {
        assert_eq!(format_in_words(ExportFormat::Csv, true), "CSV, gzip");
        assert_eq!(format_in_words(ExportFormat::Custom, false), "Archive");
    }

    #[test]
    fn queries_are_one_line() {
        let source = ExportSource::Query { project_id: "p".to_owned(), sql: "select *\n  from books".to_owned() };
        assert_eq!(query_of(&source).as_deref(), Some("select * from books"));
    }
}
