//! Texts about exports.

use api_types::{Export, ExportFormat, ExportSource, ExportState};
use percent_encoding::percent_decode_str;

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

/// Returns the source of an export of all rows of a table.
pub(in crate::pages) fn whole_table(project_id: String, table: String) -> ExportSource {
    ExportSource::Table { project_id, table, filter: None, order: None, select: None }
}

/// Returns the rows of a source in one line: the text of a query, or the filter, order and columns of a table. `None`
/// if they are all rows of a table or database.
pub(super) fn rows_of(source: &ExportSource) -> Option<String> {
    match source {
        ExportSource::Query { sql, .. } => Some(sql.split_whitespace().collect::<Vec<_>>().join(" ")),
        ExportSource::Table { filter, order, select, .. } => {
            let filter = filter.as_deref().filter(|filter| !filter.is_empty()).map(decoded);
            let order = order.as_deref().map(|order| format!("order {order}"));
            let select = select.as_deref().map(|select| format!("columns {select}"));
            let parts: Vec<String> = [filter, order, select].into_iter().flatten().collect();
            (!parts.is_empty()).then(|| parts.join(" · "))
        }
        ExportSource::Database { .. } => None,
    }
}

/// Returns the conditions of a filter as the API's reference writes them: `gte.price=10, like.title=a%`.
fn decoded(filter: &str) -> String {
    let conditions = filter
        .split('&')
        .map(|condition| percent_decode_str(&condition.replace('+', " ")).decode_utf8_lossy().into_owned());
    conditions.collect::<Vec<_>>().join(", ")
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
    fn rows_are_described_in_one_line() {
        let source = ExportSource::Query { project_id: "p".to_owned(), sql: "select *\n  from books".to_owned() };
        assert_eq!(rows_of(&source).as_deref(), Some("select * from books"));
        let source = ExportSource::Table {
            project_id: "p".to_owned(),
            table: "books".to_owned(),
            filter: Some("gte.price=10&like.title=a+b%25".to_owned()),
            order: Some("id.desc".to_owned()),
            select: None,
        };
        assert_eq!(rows_of(&source).as_deref(), Some("gte.price=10, like.title=a b% · order id.desc"));
        assert_eq!(rows_of(&whole_table("p".to_owned(), "books".to_owned())), None);
    }
}
