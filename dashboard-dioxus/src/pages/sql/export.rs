//! Writes results in formats for other programs.

use super::{
    execution::{Column, ResultSet},
    origin,
};
use crate::value::{Text, identifier, is_document, is_number};

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

fn texts(row: &[Text]) -> impl Iterator<Item = Option<&str>> {
    row.iter().map(Option::as_deref)
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.fold(String::new(), |text, line| text + &line + "\r\n")
}

/// Writes a line in the format of RFC 4180. An empty field is `NULL`, and `""` is an empty text.
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
    let value = |cell: &Text, data_type: &str| match cell.as_deref() {
        None => "null".to_owned(),
        // Numbers keep all digits, and JSON documents stay documents.
        Some(text) if is_document(data_type) || data_type == "boolean" || is_json_number(text, data_type) => {
            text.to_owned()
        }
        Some(text) => quoted(text),
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

/// Returns whether a value is a number in JSON. Amounts of money and `NaN` are not.
fn is_json_number(text: &str, data_type: &str) -> bool {
    is_number(data_type) && text.parse::<f64>().is_ok_and(f64::is_finite)
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

fn markdown(result: &ResultSet) -> String {
    let escape = |text: &str| text.replace('\\', "\\\\").replace('|', "\\|").replace(['\n', '\r'], " ");
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let mut text = vec![
        line(result.columns.iter().map(|column| escape(&column.name)).collect()),
        line(
            result
                .columns
                .iter()
                .map(|column| if is_number(&column.data_type) { "--:" } else { "---" }.to_owned())
                .collect(),
        ),
    ];
    for row in &result.rows {
        text.push(line(texts(row).map(|value| value.map_or_else(|| "NULL".to_owned(), escape)).collect()));
    }
    text.join("\n")
}

/// Writes a statement that inserts the rows. If their table is unknown, its name is `table_name`.
fn insert(result: &ResultSet) -> String {
    let table = origin::table_with(&result.sql, &result.columns)
        .map_or_else(|| "table_name".to_owned(), |table| identifier(&table));
    let columns: Vec<String> = result.columns.iter().map(|column| identifier(&column.name)).collect();
    let literal = |(cell, column): (&Text, &Column)| match cell.as_deref() {
        None => "NULL".to_owned(),
        Some(text) if is_json_number(text, &column.data_type) => text.to_owned(),
        Some(text) => format!("'{}'", text.replace('\'', "''")),
    };
    let rows: Vec<String> = result
        .rows
        .iter()
        .map(|row| format!("  ({})", row.iter().zip(result.columns.iter()).map(literal).collect::<Vec<_>>().join(", ")))
        .collect();
    format!("insert into {table} ({}) values\n{};", columns.join(", "), rows.join(",\n"))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    fn example() -> ResultSet {
        let column = |name: &str, data_type: &str| Column { name: name.to_owned(), data_type: data_type.to_owned() };
        let row = |id: &str, title: Option<&str>| -> Rc<[Text]> { [Some(id.into()), title.map(Into::into)].into() };
        ResultSet {
            number: 1,
            sql: "".into(),
            command: "SELECT".to_owned(),
            columns: [column("id", "bigint"), column("Title", "text")].into(),
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
                concat!(
                    "[\n  {\"id\": 9007199254740993, \"Title\": \"a, \\\"b\\\" | 'c'\"},\n",
                    "  {\"id\": 2, \"Title\": null},\n  {\"id\": 3, \"Title\": \"\"}\n]\n",
                ),
            ),
            (
                Form::Markdown,
                "| id | Title |\n| --: | --- |\n| 9007199254740993 | a, \"b\" \\| 'c' |\n| 2 | NULL |\n| 3 |  |",
            ),
            (
                Form::Insert,
                concat!(
                    "insert into table_name (id, \"Title\") values\n",
                    "  (9007199254740993, 'a, \"b\" | ''c'''),\n  (2, NULL),\n  (3, '');",
                ),
            ),
        ] {
            assert_eq!(write(form, &example()), expected);
        }
    }
}
