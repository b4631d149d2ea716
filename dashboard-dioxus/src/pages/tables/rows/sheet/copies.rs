//! A row as JSON, as SQL, and as the values of another row.

use api_types::{ColumnDetail, IdentityKind, TableDetail};
use serde_json::{Value, value::RawValue};

use super::NewValues;
use crate::value::quoted;

/// Returns the values for a copy of the row: without those that the database makes.
pub(super) fn duplicated(detail: &TableDetail, texts: Vec<(String, Option<String>)>) -> NewValues {
    let is_made = |column: &ColumnDetail| {
        column.generated.is_some() || column.identity.is_some() || (column.primary_key && column.has_default)
    };
    texts.into_iter().filter(|(name, _)| column(detail, name).is_some_and(|column| !is_made(column))).collect()
}

/// Returns the row as a JSON object. Numbers keep every digit.
pub(super) fn as_json(detail: &TableDetail, texts: &[(String, Option<String>)]) -> String {
    let members = texts.iter().map(|(name, text)| {
        let json = match text {
            None => "null".to_owned(),
            Some(text) if is_json(column(detail, name), text) => text.clone(),
            Some(text) => Value::from(text.as_str()).to_string(),
        };
        format!("  {}: {json}", Value::from(name.as_str()))
    });
    format!("{{\n{}\n}}", members.collect::<Vec<_>>().join(",\n"))
}

/// Returns a statement that inserts the row.
pub(super) fn as_insert(detail: &TableDetail, texts: &[(String, Option<String>)]) -> String {
    let is_generated = |name: &String| column(detail, name).is_some_and(|column| column.generated.is_some());
    let kept: Vec<&(String, Option<String>)> = texts.iter().filter(|(name, _)| !is_generated(name)).collect();
    let columns: Vec<String> = kept.iter().map(|(name, _)| quoted(name)).collect();
    let values: Vec<String> = kept.iter().map(|(name, text)| literal(column(detail, name), text.as_deref())).collect();
    let has_identity = |column: &ColumnDetail| column.identity == Some(IdentityKind::Always);
    let overriding = if detail.columns.iter().any(has_identity) { "\noverriding system value" } else { "" };
    format!(
        "insert into {} ({}){overriding}\nvalues ({});",
        quoted(&detail.name),
        columns.join(", "),
        values.join(", ")
    )
}

fn column<'a>(detail: &'a TableDetail, name: &str) -> Option<&'a ColumnDetail> {
    detail.columns.iter().find(|column| column.name == name)
}

/// Returns whether a column's text is JSON already: a number, a truth value, a document or a list.
fn is_json(column: Option<&ColumnDetail>, text: &str) -> bool {
    let Some(ColumnDetail { data_type, .. }) = column else { return false };
    let has_json = crate::value::is_number(data_type)
        || data_type == "boolean"
        || crate::value::is_document(data_type)
        || data_type.ends_with("[]");
    has_json && serde_json::from_str::<&RawValue>(text).is_ok()
}

fn literal(column: Option<&ColumnDetail>, text: Option<&str>) -> String {
    let Some(text) = text else { return "null".to_owned() };
    let is_list = column.is_some_and(|column| column.data_type.ends_with("[]"));
    let list =
        if is_list { serde_json::from_str::<Vec<&RawValue>>(text).ok().map(|list| list_literal(&list)) } else { None };
    format!("'{}'", list.as_deref().unwrap_or(text).replace('\'', "''"))
}

/// Returns a list as Postgres writes it: `{1,"a b",NULL}`.
fn list_literal(list: &[&RawValue]) -> String {
    let element = |json: &&RawValue| {
        let json = json.get();
        if json == "null" {
            return "NULL".to_owned();
        }
        if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(json) {
            return list_literal(&list);
        }
        let text = serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned());
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    };
    format!("{{{}}}", list.iter().map(element).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_written_as_postgres_does() {
        for (json, expected) in [
            ("[]", "{}"),
            ("[1,2.50]", "{\"1\",\"2.50\"}"),
            (r#"["a\"b\\c",null]"#, r#"{"a\"b\\c",NULL}"#),
            ("[[1],[2]]", "{{\"1\"},{\"2\"}}"),
            (r#"[{"a":1}]"#, r#"{"{\"a\":1}"}"#),
        ] {
            let list: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
            assert_eq!(list_literal(&list), expected, "{json}");
        }
    }
}
