//! The table that the form describes, as SQL.

use serde::{Deserialize, Serialize};

use crate::value::quoted;

/// Maximum length of a name in bytes. Postgres truncates longer names.
const MAX_NAME_BYTES: usize = 63;

/// A column of a new table, or a new column.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(in crate::pages::tables) struct NewColumn {
    pub(in crate::pages::tables) name: String,
    pub(in crate::pages::tables) data_type: String,
    pub(in crate::pages::tables) nullable: bool,
    pub(in crate::pages::tables) default: String,
    pub(in crate::pages::tables) primary_key: bool,
    #[serde(default)]
    pub(in crate::pages::tables) unique: bool,
    /// The column that the foreign key refers to, as `table(column)`, or only the table. Empty without a foreign key.
    pub(in crate::pages::tables) references: String,
}

/// Returns why a name is invalid, or `None` if it is valid or empty.
pub(in crate::pages::tables) fn name_problem(name: &str) -> Option<&'static str> {
    (name.trim().len() > MAX_NAME_BYTES).then_some("Names have at most 63 bytes.")
}

/// Returns why the name of a column is invalid, or `None` if it is valid or empty.
pub(super) fn column_problem(columns: &[NewColumn], position: usize) -> Option<&'static str> {
    let name = columns.get(position)?.name.trim();
    let is_repeated = columns.iter().enumerate().any(|(other, column)| other != position && column.name.trim() == name);
    if is_repeated && !name.is_empty() {
        return Some("Another column has this name.");
    }
    name_problem(name)
}

/// Returns whether the form is complete, so that its statements can be run.
pub(super) fn is_complete(name: &str, columns: &[NewColumn]) -> bool {
    let is_named = |(position, column): (usize, &NewColumn)| {
        !column.name.trim().is_empty() && column_problem(columns, position).is_none()
    };
    !name.trim().is_empty() && name_problem(name).is_none() && columns.iter().enumerate().all(is_named)
}

/// A field of a column's line, apart from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnField {
    Type,
    Default,
    References,
}

impl ColumnField {
    /// Returns the accessible name of the field of the column `number`.
    pub(super) fn label(self, number: usize) -> String {
        let field = match self {
            Self::Type => "Type",
            Self::Default => "Default",
            Self::References => "References",
        };
        format!("{field} of column {number}")
    }
}

/// Returns the position of the column and the field that Postgres probably refused. `line` is the line of the error in
/// the statements of [`write_sql`], beginning with 1.
pub(super) fn refused_field(columns: &[NewColumn], message: &str, line: Option<u64>) -> Option<(usize, ColumnField)> {
    // The columns follow the first line, and each has its own line.
    let position = line.and_then(|line| usize::try_from(line).ok()?.checked_sub(2));
    if let Some((position, column)) = position.and_then(|position| Some((position, columns.get(position)?))) {
        let is_type = message.starts_with("type ") || column.default.trim().is_empty();
        return Some((position, if is_type { ColumnField::Type } else { ColumnField::Default }));
    }
    // Errors of foreign keys have no line.
    let is_named = |column: &NewColumn| {
        let table = column.references.split('(').next().unwrap_or_default().trim();
        let constraint = format!("_{}_fkey\"", column.name.trim());
        !table.is_empty() && (message.contains(&format!("\"{table}\"")) || message.contains(&constraint))
    };
    columns.iter().position(is_named).map(|position| (position, ColumnField::References))
}

/// Returns the statements that create the table.
pub(super) fn write_sql(name: &str, columns: &[NewColumn], row_level_security: bool) -> String {
    let table = quoted(name.trim());
    let keys: Vec<String> =
        columns.iter().filter(|column| column.primary_key).map(|column| quoted(column.name.trim())).collect();
    let mut lines: Vec<String> = columns.iter().map(|column| write_column(column, keys.len() == 1)).collect();
    if keys.len() > 1 {
        lines.push(format!("primary key ({})", keys.join(", ")));
    }
    let mut sql = format!("create table {table} (\n  {}\n);", lines.join(",\n  "));
    if row_level_security {
        sql.push_str(&format!("\nalter table {table} enable row level security;"));
    }
    sql
}

/// Returns the statement that adds a column to a table.
pub(in crate::pages::tables) fn write_added_column(table: &str, column: &NewColumn) -> String {
    format!("alter table {}\n  add column {};", quoted(table), write_column(column, false))
}

fn write_column(column: &NewColumn, is_only_key: bool) -> String {
    let data_type = if column.data_type.trim().is_empty() { "text" } else { column.data_type.trim() };
    let mut parts = vec![quoted(column.name.trim()), data_type.to_owned()];
    let is_number = matches!(data_type, "bigint" | "integer");
    if column.primary_key
        && is_only_key
        && is_number
        && column.default.trim().is_empty()
        && column.references.trim().is_empty()
    {
        parts.push("generated by default as identity".to_owned());
    } else if !column.default.trim().is_empty() {
        parts.push(format!("default {}", default_of(data_type, column.default.trim())));
    }
    if !column.nullable && !column.primary_key {
        parts.push("not null".to_owned());
    }
    if column.primary_key && is_only_key {
        parts.push("primary key".to_owned());
    } else if column.unique {
        parts.push("unique".to_owned());
    }
    if !column.references.trim().is_empty() {
        let reference = column.references.trim();
        let reference = match reference.split_once('(') {
            Some((table, rest)) => format!("{} ({rest}", referenced_table(table.trim())),
            None => referenced_table(reference),
        };
        parts.push(format!("references {reference}"));
    }
    parts.join(" ")
}

/// Returns the name of a referenced table as SQL. A table of end-user login, such as `auth.users`, has a schema.
fn referenced_table(name: &str) -> String {
    name.strip_prefix("auth.").map_or_else(|| quoted(name), |table| format!("auth.{}", quoted(table)))
}

/// Words that are values without quotes.
const VALUES: [&str; 11] = [
    "null",
    "true",
    "false",
    "user",
    "current_user",
    "current_role",
    "session_user",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_catalog",
];

/// Types whose values are not words.
const WITHOUT_WORDS: [&str; 27] = [
    "bigint",
    "int8",
    "bigserial",
    "integer",
    "int",
    "int4",
    "serial",
    "smallint",
    "int2",
    "smallserial",
    "numeric",
    "decimal",
    "real",
    "float4",
    "double",
    "float8",
    "float",
    "boolean",
    "bool",
    "uuid",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "interval",
    "json",
    "jsonb",
];

/// Returns the default of a column as SQL. In a column of text or of an enum, words without quotes are quoted: Postgres
/// would read them as the name of a column, which a default can't refer to.
fn default_of(data_type: &str, default: &str) -> String {
    let base = data_type.split(['(', ' ']).next().unwrap_or(data_type).to_lowercase();
    let is_words = default.starts_with(char::is_alphabetic)
        && default.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | ' '));
    let is_value = VALUES.contains(&default.to_lowercase().as_str());
    if is_words && !is_value && !WITHOUT_WORDS.contains(&base.as_str()) {
        format!("'{default}'")
    } else {
        default.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_follows_the_form() {
        let column = |name: &str, data_type: &str| NewColumn {
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            ..NewColumn::default()
        };
        let columns = [
            NewColumn { primary_key: true, unique: true, ..column("id", "bigint") },
            NewColumn { references: "authors".to_owned(), unique: true, ..column("author_id", "bigint") },
            NewColumn { nullable: true, default: "'x'".to_owned(), ..column("a\"b", "text") },
        ];
        assert_eq!(
            write_sql("books", &columns, true),
            "create table \"books\" (\n  \"id\" bigint generated by default as identity primary key,\n  \
             \"author_id\" bigint not null unique references \"authors\",\n  \"a\"\"b\" text default 'x'\n);\n\
             alter table \"books\" enable row level security;"
        );
    }

    #[test]
    fn added_column_follows_the_form() {
        let column = NewColumn { name: " price ".to_owned(), data_type: "numeric".to_owned(), ..NewColumn::default() };
        let with_default = NewColumn { default: "0".to_owned(), unique: true, ..column.clone() };
        let nullable = NewColumn { nullable: true, references: "prices".to_owned(), ..column.clone() };
        for (column, expected) in [
            (column, r#""price" numeric not null"#),
            (with_default, r#""price" numeric default 0 not null unique"#),
            (nullable, r#""price" numeric references "prices""#),
        ] {
            let sql = write_added_column("a\"b", &column);
            assert_eq!(sql, format!("alter table \"a\"\"b\"\n  add column {expected};"));
        }
    }

    #[test]
    fn users_of_the_project_can_be_referenced() {
        for (typed, expected) in [
            ("auth.users(id)", "references auth.\"users\" (id)"),
            ("auth.users", "references auth.\"users\""),
            ("a.b", "references \"a.b\""),
        ] {
            let column = NewColumn { name: "owner".to_owned(), references: typed.to_owned(), ..NewColumn::default() };
            assert!(write_column(&column, false).ends_with(expected), "{typed}");
        }
    }

    #[test]
    fn words_are_quoted_as_defaults_of_text() {
        for (data_type, default, expected) in [
            ("text", "draft", "'draft'"),
            ("varchar(20)", "in progress", "'in progress'"),
            ("mood", "happy", "'happy'"),
            ("text", "'draft'", "'draft'"),
            ("text", "current_user", "current_user"),
            ("text", "NULL", "NULL"),
            ("text", "gen_random_uuid()", "gen_random_uuid()"),
            ("boolean", "on", "on"),
            ("numeric(10,2)", "5", "5"),
        ] {
            assert_eq!(default_of(data_type, default), expected, "{data_type} {default}");
        }
    }

    #[test]
    fn refused_field_is_found_by_the_line_or_the_foreign_key() {
        let columns = [
            NewColumn { name: "id".to_owned(), ..NewColumn::default() },
            NewColumn { name: "size".to_owned(), default: "big(1)".to_owned(), ..NewColumn::default() },
            NewColumn { name: "owner".to_owned(), references: "auth.userz(id)".to_owned(), ..NewColumn::default() },
        ];
        for (message, line, expected) in [
            ("type \"foo\" does not exist", Some(2), Some((0, ColumnField::Type))),
            ("function big(integer) does not exist", Some(3), Some((1, ColumnField::Default))),
            ("type \"foo\" does not exist", Some(3), Some((1, ColumnField::Type))),
            ("relation \"auth.userz\" does not exist", None, Some((2, ColumnField::References))),
            ("foreign key constraint \"t_owner_fkey\" cannot be implemented", None, Some((2, ColumnField::References))),
            ("permission denied", Some(1), None),
            ("permission denied", None, None),
        ] {
            assert_eq!(refused_field(&columns, message, line), expected, "{message}");
        }
    }

    #[test]
    fn column_names_are_unique_and_short() {
        let column = |name: &str| NewColumn { name: name.to_owned(), ..NewColumn::default() };
        let columns = [column("id"), column(" id"), column(""), column("")];
        assert!(column_problem(&columns, 0).is_some() && column_problem(&columns, 1).is_some());
        assert!(column_problem(&columns, 2).is_none());
        assert!(!is_complete("books", &columns) && is_complete("books", &[column("id"), column("Id")]));
        assert!(!is_complete(&"x".repeat(64), &[column("id")]) && !is_complete(" ", &[column("id")]));
    }
}
