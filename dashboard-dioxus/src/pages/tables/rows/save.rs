//! Sends staged changes in one transaction. Each has the values that were read before as a condition.

use std::collections::BTreeMap;

use api_types::TableDetail;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{data::RowKey, staged::Staged};
use crate::{
    remote::{self, Failure, Method},
    value,
};

type Values = BTreeMap<String, Box<RawValue>>;

/// A change of a row, as sent to `POST …/changes`. Values are raw JSON, so that no digit is lost.
#[derive(Serialize)]
pub(super) struct Change {
    op: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    key: Values,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    set: Values,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    was: Values,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Changes<'a> {
    changes: &'a [Change],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

/// A cell whose text can't be converted to JSON.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WrongCell {
    pub(super) key: RowKey,
    pub(super) column: String,
    pub(super) reason: String,
}

impl Change {
    pub(super) fn insert(set: Values) -> Self {
        Self { op: "insert", key: Values::new(), set, was: Values::new() }
    }

    pub(super) fn update(key: &RowKey, set: Values, was: Values) -> Self {
        Self { op: "update", key: key_values(key), set, was }
    }

    pub(super) fn delete(key: &RowKey) -> Self {
        Self { op: "delete", key: key_values(key), set: Values::new(), was: Values::new() }
    }
}

/// Returns the staged changes as requests, in the order of [`Staged::rows`].
pub(super) fn changes(staged: &Staged, detail: &TableDetail) -> Result<Vec<Change>, WrongCell> {
    let change = |row: &super::staged::StagedRow| {
        let (mut set, mut was) = (Values::new(), Values::new());
        for (column, cell) in &row.cells {
            let data_type = detail.columns.iter().find(|known| known.name == *column).map_or("text", |known| &known.data_type);
            let json = value::to_json(cell.now.as_deref(), data_type)
                .map_err(|reason| WrongCell { key: row.key.clone(), column: column.clone(), reason })?;
            set.insert(column.clone(), json);
            was.insert(column.clone(), raw(&cell.was));
        }
        Ok(Change::update(&row.key, set, was))
    };
    staged.rows.iter().map(change).collect()
}

/// Sends the changes. With `dry_run`, the server rolls them back and returns only their effects.
pub(super) async fn send(table_path: &str, changes: &[Change], dry_run: bool) -> Result<api_types::ChangedRows, Failure> {
    let path = format!("{table_path}/changes");
    remote::send(Method::Post, &path, &Changes { changes, dry_run }).await
}

/// Returns the index of the change that failed.
pub(super) fn failed_change(failure: &Failure) -> Option<usize> {
    failure.details()?.get("change")?.as_u64().and_then(|index| usize::try_from(index).ok())
}

pub(super) fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap_or_default()
}

fn key_values(key: &RowKey) -> Values {
    key.0.iter().map(|(name, json)| (name.clone(), raw(json))).collect()
}
