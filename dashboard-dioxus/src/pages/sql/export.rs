//! Writes results in formats for other programs.

use super::{
    execution::ResultSet,
    value::{Cell, identifier},
};

/// A format for downloads and the clipboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Csv,
    Json,
    Markdown,
    Insert,
}

pub(super) fn write(form: Form, result: &ResultSet) -> String {
    let names: Vec<&str> = result.columns.iter().map(|column| column.name.as_str()).collect();
    let rows = result.rows.iter().map(AsRef::as_ref);
    match form {
        Form::Csv => lines(
            std::iter::once(csv_line(names.iter().map(|name| Some(*name)))).chain(rows.map(|row| csv_line(texts(row)))),
        ),
        Form::Json => json(result),
        Form::Markdown => markdown(result),
        Form::Insert => insert(result),
    }
}

/// Returns rows with tabs between the values, as spreadsheets read them from the clipboard. `NULL` is empty.
pub(super) fn tsv<'a>(rows: impl Iterator<Item = &'a [Cell]>) -> String {
    let clean = |value: Option<&str>| value.unwrap_or_default().replace(['\t', '\n', '\r'], " ");
    rows.map(|row| texts(row).map(clean).collect::<Vec<_>>().join("\t")).collect::<Vec<_>>().join("\n")
}

fn texts(row: &[Cell]) -> impl Iterator<Item = Option<&str>> {
    row.iter().map(Option::as_deref)
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |text, line| text + &line + "\r\n")
}

/// Writes a line as RFC 4180 says. An empty field is `NULL`, and `""` is an empty text.
fn csv_line<'a>(values: impl Iterator<Item = Option<&'a str>>) -> String {
    let field = |value: Option<&str>| match value {
        None => String::new(),
        Some(text) if text.is_empty() || text.contains([',', '"', '\n', '\r']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Some(text) => text.to_owned(),
    };
    values.map(field).collect::<Vec<_>>().join(",")
}

fn json(result: &ResultSet) -> String {
    let value = |cell: &Cell, data_type: &str| match cell.as_deref() {
        None => "null".to_owned(),
        Some(text) => {
            // Numbers, booleans and JSON documents are written as they are, so that no digit is lost.
            let is_literal = match data_type {
                "bool" | "json" | "jsonb" => true,
                "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" => {
                    !matches!(text, "NaN" | "Infinity" | "-Infinity")
                }
                _ => false,
            };
            if is_literal { text.to_owned() } else { quoted(text) }
        }
    };
    let rows: Vec<String> = result
        .rows
        .iter()
        .map(|row| {
            let fields = result.columns.iter().zip(row.iter());
            let fields: Vec<String> = fields
                .map(|(column, cell)| format!("{}: {}", quoted(&column.name), value(cell, &column.data_type)))
                .collect();
            format!("  {{{}}}", fields.join(", "))
        })
        .collect();
    if rows.is_empty() { "[]\n".to_owned() } else { format!("[\n{}\n]\n", rows.join(",\n")) }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

fn markdown(result: &ResultSet) -> String {
    let escape = |text: &str| text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ");
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let mut text = vec![
        line(result.columns.iter().map(|column| escape(&column.name)).collect()),
        line(result.columns.iter().map(|column| if column.is_number { "--:" } else { "---" }.to_owned()).collect()),
    ];
    for row in &result.rows {
        text.push(line(texts(row).map(|value| value.map_or_else(|| "NULL".to_owned(), escape)).collect()));
    }
    text.join("\n")
}

/// Writes an `INSERT` statement for a table `table_name`, since a result does not know its table.
fn insert(result: &ResultSet) -> String {
    let columns: Vec<String> = result.columns.iter().map(|column| identifier(&column.name)).collect();
    let literal = |(cell, is_number): (&Cell, bool)| match cell.as_deref() {
        None => "NULL".to_owned(),
        Some(text) if is_number && text.parse::<f64>().is_ok_and(f64::is_finite) => text.to_owned(),
        Some(text) => format!("'{}'", text.replace('\'', "''")),
    };
    let rows: Vec<String> = result
        .rows
        .iter()
        .map(|row| {
            let values = row.iter().zip(result.columns.iter().map(|column| column.is_number));
            format!("  ({})", values.map(literal).collect::<Vec<_>>().join(", "))
        })
        .collect();
    format!("insert into table_name ({}) values\n{};", columns.join(", "), rows.join(",\n"))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::pages::sql::execution::Column;

    fn example() -> ResultSet {
        let column = |name: &str, data_type: &str, is_number| Column {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            is_number,
            width: 100.0,
        };
        let row = |id: &str, title: Option<&str>| -> Rc<[Cell]> { [Some(id.into()), title.map(Into::into)].into() };
        ResultSet {
            number: 1,
            command: "SELECT".to_owned(),
            columns: [column("id", "int8", true), column("Title", "text", false)].into(),
            rows: vec![row("9007199254740993", Some("a, \"b\" | 'c'")), row("2", None), row("3", Some(""))],
            row_count: 3,
            is_truncated: false,
            duration_ms: 1.0,
        }
    }

    #[test]
    fn formats_keep_digits_and_distinguish_null_from_empty() {
        for (form, expected) in [
            (Form::Csv, "id,Title\r\n9007199254740993,\"a, \"\"b\"\" | 'c'\"\r\n2,\r\n3,\"\"\r\n"),
            (
                Form::Json,
                "[\n  {\"id\": 9007199254740993, \"Title\": \"a, \\\"b\\\" | 'c'\"},\n  {\"id\": 2, \"Title\": null},\n  {\"id\": 3, \"Title\": \"\"}\n]\n",
            ),
            (
                Form::Markdown,
                "| id | Title |\n| --: | --- |\n| 9007199254740993 | a, \"b\" \\| 'c' |\n| 2 | NULL |\n| 3 |  |",
            ),
            (
                Form::Insert,
                "insert into table_name (id, \"Title\") values\n  (9007199254740993, 'a, \"b\" | ''c'''),\n  (2, NULL),\n  (3, '');",
            ),
        ] {
            assert_eq!(write(form, &example()), expected);
        }
    }
}
