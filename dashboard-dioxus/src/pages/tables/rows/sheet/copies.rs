//! A row as JSON, as SQL, and as the values of a new row.

use api_types::{ColumnDetail, IdentityKind, TableDetail};
use serde_json::{Value, value::RawValue};

use super::NewValues;
use crate::value::{self, quoted};

/// A column's name and its text. `None` is `NULL`.
pub(super) type NamedText = (String, Option<String>);

/// Returns the values for a copy of the row, without the values that the database generates.
pub(super) fn duplicated(detail: &TableDetail, texts: Vec<NamedText>) -> NewValues {
    let is_generated = |column: &ColumnDetail| {
        column.generated.is_some() || column.identity.is_some() || (column.primary_key && column.has_default)
    };
    texts.into_iter().filter(|(name, _)| column(detail, name).is_some_and(|column| !is_generated(column))).collect()
}

/// Returns the row as a JSON object. Numbers keep every digit.
pub(super) fn as_json(detail: &TableDetail, texts: &[NamedText]) -> String {
    let members = texts.iter().map(|(name, text)| {
        let json = match text {
            None => "null".to_owned(),
            Some(text) => json_of(column(detail, name).map_or("text", |column| column.data_type.as_str()), text),
        };
        format!("  {}: {json}", Value::from(name.as_str()))
    });
    format!("{{\n{}\n}}", members.collect::<Vec<_>>().join(",\n"))
}

/// Returns a statement that inserts the row.
pub(super) fn as_insert(detail: &TableDetail, texts: &[NamedText]) -> String {
    let is_generated = |name: &String| column(detail, name).is_some_and(|column| column.generated.is_some());
    let kept: Vec<&NamedText> = texts.iter().filter(|(name, _)| !is_generated(name)).collect();
    let columns: Vec<String> = kept.iter().map(|(name, _)| quoted(name)).collect();
    let values: Vec<String> = kept.iter().map(|(_, text)| literal(text.as_deref())).collect();
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

/// Returns the JSON of a column's text: a number, a boolean, a document, an array, or a string.
fn json_of(data_type: &str, text: &str) -> String {
    let list = value::element_type(data_type).and_then(|element| value::list::to_json(text, element));
    let is_json = || {
        let has_json = value::is_number(data_type) || data_type == "boolean" || value::is_document(data_type);
        has_json && serde_json::from_str::<&RawValue>(text).is_ok()
    };
    list.unwrap_or_else(|| if is_json() { text.to_owned() } else { Value::from(text).to_string() })
}

fn literal(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_json_and_as_sql() {
        for (text, data_type, json) in [
            ("9007199254740993", "bigint", "9007199254740993"),
            ("NaN", "numeric", "\"NaN\""),
            ("it's", "text", "\"it's\""),
            ("{a,\"b c\"}", "text[]", "[\"a\",\"b c\"]"),
        ] {
            assert_eq!(json_of(data_type, text), json);
        }
        assert_eq!(literal(Some("it's")), "'it''s'");
        assert_eq!(literal(None), "null");
    }
}
