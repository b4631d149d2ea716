//! Inserts a row, and finds out after a lost response whether the row was inserted.

use api_types::TableDetail;
use dioxus::prelude::ReadableExt as _;
use gloo_timers::future::TimeoutFuture;

use super::NewValues;
use crate::{
    pages::tables::rows::{
        View,
        data::{self, RowKey},
        query::key_columns,
        save::{self, Change, RETRY_MS, Values},
    },
    remote::Failure,
    value::{self, is_document},
};

/// Maximum size in bytes of a value that is used as a filter, because a filter is part of the request's address.
const MAX_FILTER_BYTES: usize = 500;

/// Types whose values can't be compared.
const WITHOUT_EQUALITY: [&str; 9] = ["json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"];

/// The result of an insert.
pub(super) enum Inserted {
    Yes,
    No {
        message: String,
        columns: Vec<String>,
    },
    /// The server did not respond, and a row with these values exists.
    Perhaps(RowKey),
}

/// Inserts a row. If the server does not respond, calls `on_silence` and then searches for the row.
pub(super) async fn insert(view: View, values: &NewValues, on_silence: impl FnOnce()) -> Inserted {
    let detail = view.detail.peek().0.clone();
    let no = |message: String, columns: Vec<String>| Inserted::No { message, columns };
    let mut set = Values::new();
    for column in &detail.columns {
        let Some(text) = values.get(&column.name) else { continue };
        match value::to_json(text.as_deref(), &column.data_type) {
            Ok(json) => drop(set.insert(column.name.clone(), json)),
            Err(reason) => return no(format!("{}: {reason}", column.name), vec![column.name.clone()]),
        }
    }
    let failure = match save::send(view, &[Change::insert(set)], false).await {
        Ok(_) => return Inserted::Yes,
        Err(failure) => failure,
    };
    if !failure.is_outcome_unknown() {
        return no(failure.message(), save::refused_columns(&failure, &detail));
    }
    on_silence();
    let unknown = "The request failed, but the row may have been created. Check the newest rows before you try again.";
    match find(view, &detail, values).await {
        Ok(Some(key)) => Inserted::Perhaps(key),
        Ok(None) => no("The request failed before the row was created. Try again.".to_owned(), Vec::new()),
        Err(NotFindable) => no(unknown.to_owned(), Vec::new()),
    }
}

/// The row can't be found by its values.
struct NotFindable;

/// Finds a row by its values, as soon as the server responds again.
async fn find(view: View, detail: &TableDetail, values: &NewValues) -> Result<Option<RowKey>, NotFindable> {
    let columns = key_columns(detail).ok_or(NotFindable)?;
    let filters = filters(detail, values);
    if filters.is_empty() {
        return Err(NotFindable);
    }
    let mut parameters = vec![("limit", Some("1")), ("maxCellBytes", Some("200"))];
    parameters.extend(filters.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))));
    let path = view.path("rows", &parameters);
    let mut waits = RETRY_MS.into_iter();
    loop {
        TimeoutFuture::new(waits.next().unwrap_or(10_000)).await;
        match data::read(&path, detail).await {
            Ok(page) => return Ok(page.rows.first().and_then(|row| RowKey::of(row, detail, &columns))),
            Err(failure) if failure.is_temporary() || failure.is_outcome_unknown() => {}
            Err(Failure::Refused { .. } | Failure::SignedOut | Failure::Unreachable) => return Err(NotFindable),
        }
    }
}

fn filters(detail: &TableDetail, values: &NewValues) -> Vec<(String, String)> {
    let filter = |column: &api_types::ColumnDetail| match values.get(&column.name)? {
        None => Some((format!("is.{}", column.name), "null".to_owned())),
        Some(text) => {
            let can_be_compared =
                !WITHOUT_EQUALITY.contains(&column.data_type.as_str()) && !is_document(&column.data_type);
            let filter = || (format!("eq.{}", column.name), text.clone());
            (can_be_compared && text.len() <= MAX_FILTER_BYTES).then(filter)
        }
    };
    detail.columns.iter().filter_map(filter).collect()
}
