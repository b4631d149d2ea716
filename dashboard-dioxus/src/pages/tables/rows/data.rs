//! Reads pages of rows.

use std::{
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

use api_types::TableDetail;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    remote::{self, Failure},
    value::Cell,
};

/// A row: its cells in the order of the table's columns.
#[derive(Debug, Clone)]
pub(super) struct Row(pub(super) Rc<[Cell]>);

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

/// A page of rows, with the cursor and the offset of the next page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RowPage {
    pub(super) rows: Vec<Row>,
    pub(super) next_cursor: Option<String>,
    pub(super) next_offset: Option<u64>,
    pub(super) offset: u64,
    pub(super) total: Option<i64>,
    pub(super) total_is_estimate: bool,
}

impl RowPage {
    /// Returns the selected rows that the page contains. Rows are selected by their keys, as in the parameter `row` of
    /// the address.
    pub(super) fn still_selected(
        &self,
        selected: &BTreeSet<String>,
        detail: &TableDetail,
        columns: &[String],
    ) -> BTreeSet<String> {
        if selected.is_empty() {
            return BTreeSet::new();
        }
        let key = |row: &Row| RowKey::of(row, detail, columns).map(|key| key.to_parameter());
        self.rows.iter().filter_map(key).filter(|key| selected.contains(key)).collect()
    }
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    rows: Vec<HashMap<String, &'a RawValue>>,
    page: Page,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    next_offset: Option<u64>,
    #[serde(default)]
    next_cursor: Option<String>,
    #[serde(default)]
    total: Option<i64>,
    #[serde(default)]
    total_is_estimate: bool,
    #[serde(default)]
    cut: Vec<(usize, String, u64)>,
}

/// Reads a page of rows from a path of the admin API.
pub(super) async fn read(path: &str, detail: &TableDetail) -> Result<RowPage, Failure> {
    parse(&remote::get_text(path).await?, detail).map_err(|error| Failure::unreadable(&error.to_string()))
}

fn parse(text: &str, detail: &TableDetail) -> serde_json::Result<RowPage> {
    let response: Response<'_> = serde_json::from_str(text)?;
    let cut: HashMap<(usize, &str), u64> =
        response.page.cut.iter().map(|(row, column, bytes)| ((*row, column.as_str()), *bytes)).collect();
    let rows = response.rows.iter().enumerate().map(|(index, row)| {
        let cells = detail.columns.iter().map(|column| match row.get(&column.name) {
            Some(json) => Cell::new(json, &column.data_type, cut.get(&(index, column.name.as_str())).copied()),
            None => Cell::null(),
        });
        Row(cells.collect())
    });
    Ok(RowPage {
        rows: rows.collect(),
        next_cursor: response.page.next_cursor,
        next_offset: response.page.next_offset,
        offset: response.page.offset,
        total: response.page.total,
        total_is_estimate: response.page.total_is_estimate,
    })
}

/// The identity of a row: its key's columns and their JSON. Values are JSON strings regardless of their type, so that a
/// key from the rows equals the same key from the address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, Deserialize)]
pub(super) struct RowKey(pub(super) Vec<(String, String)>);

impl RowKey {
    /// Returns the key of a row. `None` if a value of the key is `NULL`, or if only the beginning of it was read.
    pub(super) fn of(row: &Row, detail: &TableDetail, columns: &[String]) -> Option<Self> {
        let part = |name: &String| {
            let at = detail.columns.iter().position(|column| column.name == *name)?;
            let cell = row.0.get(at)?;
            (cell.whole_bytes.is_none() && !cell.is_null()).then(|| (name.clone(), key_json(&plain(&cell.json))))
        };
        columns.iter().map(part).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Returns the key as text for the owner: `id 7`.
    pub(super) fn words(&self) -> String {
        let part = |(name, json): &(String, String)| format!("{name} {}", plain(json));
        self.0.iter().map(part).collect::<Vec<_>>().join(", ")
    }

    /// Returns the key as a value of the parameter `row` of the address.
    pub(super) fn to_parameter(&self) -> String {
        match self.0.as_slice() {
            [(_, json)] => plain(json),
            parts => serde_json::to_string(&parts.iter().map(|(_, json)| plain(json)).collect::<Vec<_>>())
                .unwrap_or_default(),
        }
    }

    /// Reads a key from a value of the parameter `row` of the address.
    pub(super) fn from_parameter(text: &str, columns: &[String]) -> Option<Self> {
        let values: Vec<String> =
            if columns.len() == 1 { vec![text.to_owned()] } else { serde_json::from_str(text).ok()? };
        (values.len() == columns.len())
            .then(|| Self(columns.iter().cloned().zip(values.iter().map(|value| key_json(value))).collect()))
    }

    /// Returns the columns of the key, each with its value as text.
    pub(super) fn texts(&self) -> impl Iterator<Item = (&str, String)> {
        self.0.iter().map(|(name, json)| (name.as_str(), plain(json)))
    }

    /// Returns the filters that select the row.
    pub(super) fn filters(&self) -> Vec<(String, String)> {
        self.0.iter().map(|(name, json)| (format!("eq.{name}"), plain(json))).collect()
    }
}

/// Returns the JSON of a key's value.
fn key_json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns the text of a JSON string, and other JSON as it is.
fn plain(json: &str) -> String {
    serde_json::from_str::<String>(json).unwrap_or_else(|_| json.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_from_row_equals_key_from_address() {
        for json in ["7", "\"a b\"", "9007199254740993", "\"2024-01-01\"", "true", "[1, 2]"] {
            let columns = ["id".to_owned()];
            let key = RowKey(vec![("id".to_owned(), key_json(&plain(json)))]);
            assert_eq!(RowKey::from_parameter(&key.to_parameter(), &columns), Some(key), "{json}");
        }
    }

    #[test]
    fn rows_that_are_not_shown_are_no_longer_selected() {
        let detail = serde_json::from_value(serde_json::json!({
            "name": "books", "kind": "table", "exposure": { "publishable": "none", "signedIn": "none" }, "access": [],
            "rowLevelSecurity": false, "forceRowLevelSecurity": false,
            "supports": { "insert": true, "update": true, "delete": true }, "totalBytes": 0, "indexBytes": 0,
            "columns": [{ "name": "id", "type": "bigint", "nullable": false, "hasDefault": false, "primaryKey": true }],
            "primaryKey": ["id"], "uniqueKeys": [], "constraints": [], "foreignKeys": [], "referencedBy": [],
            "indexes": [], "triggers": [], "policies": [], "definition": "",
        }))
        .expect("a table");
        let page = parse(r#"{ "rows": [{ "id": 2 }, { "id": 3 }], "page": {} }"#, &detail).expect("a page");
        let selected = BTreeSet::from(["1".to_owned(), "2".to_owned()]);
        let kept = page.still_selected(&selected, &detail, &["id".to_owned()]);
        assert_eq!(kept, BTreeSet::from(["2".to_owned()]));
    }

    #[test]
    fn composite_key_is_one_parameter() {
        let columns = ["a".to_owned(), "b".to_owned()];
        let key = RowKey(vec![("a".to_owned(), key_json("1")), ("b".to_owned(), key_json("x,\"y"))]);
        assert_eq!(RowKey::from_parameter(&key.to_parameter(), &columns), Some(key.clone()));
        assert_eq!(key.words(), "a 1, b x,\"y");
        assert_eq!(RowKey::from_parameter("no list", &columns), None);
    }
}
