//! Last stage: builds the response body. The JSON that Postgres returns is copied unchanged.

use std::{borrow::Cow, collections::BTreeMap, error::Error, fmt::Write as _};

use anyhow::Context;
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::value::RawValue;
use tokio_postgres::{
    Row,
    types::{FromSql, Type},
};

use super::{
    cursor,
    json_rows::{self, Layout},
    plan::{ChangePlan, Conflict, InsertGroup, InsertPlan, Keyset, ReadPlan, WriteOutput},
    render::{MAX_RETURNED_ROWS, ResultShape, change_result_shape, insert_result_shape},
    request::Count,
};

/// A successful response: status and JSON body.
#[derive(Debug)]
pub struct RowsResponse {
    pub status: StatusCode,
    pub body: String,
}

impl IntoResponse for RowsResponse {
    fn into_response(self) -> Response {
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        (self.status, content_type, self.body).into_response()
    }
}

/// Builds `{"rows":[…],"page":{…}}`. `estimate` is the planner's number of rows, if the request asked for it.
pub(super) fn read_response(plan: &ReadPlan<'_>, rows: &[Row], estimate: Option<u64>) -> anyhow::Result<RowsResponse> {
    let page = if plan.single { single_page(plan, rows)? } else { array_page(plan, rows)? };
    let mut body = String::with_capacity(page.rows.len() + 160);
    body.push_str("{\"rows\":");
    body.push_str(&page.rows);
    // Writing to a String can't fail.
    let _ = write!(body, ",\"page\":{{\"limit\":{},\"offset\":{}", plan.limit, plan.offset);
    if plan.limit_capped {
        body.push_str(",\"limitCapped\":true");
    }
    let _ = match (page.has_more && plan.after.is_none(), plan.offset + plan.limit) {
        (true, next) => write!(body, ",\"nextOffset\":{next}"),
        (false, _) => write!(body, ",\"nextOffset\":null"),
    };
    let seen = plan.offset + page.row_count;
    // On the last page the total is known, unless the offset is beyond the last row.
    let is_last = !page.has_more && plan.after.is_none() && plan.limit > 0 && (page.row_count > 0 || plan.offset == 0);
    match (page.total, estimate) {
        (Some(total), _) => {
            let _ = write!(body, ",\"total\":{total}");
        }
        (None, Some(_)) if is_last => {
            let _ = write!(body, ",\"total\":{seen}");
        }
        (None, Some(estimate)) => {
            let at_least = seen + u64::from(page.has_more);
            let _ = write!(body, ",\"total\":{},\"totalIsEstimate\":true", estimate.max(at_least));
        }
        (None, None) => {}
    }
    if plan.keyset.is_some() {
        let _ = match page.next_cursor {
            Some(cursor) => write!(body, ",\"nextCursor\":\"{cursor}\""),
            None => write!(body, ",\"nextCursor\":null"),
        };
    }
    body.push_str("}}");
    Ok(RowsResponse { status: StatusCode::OK, body })
}

struct Page<'a> {
    /// A JSON array.
    rows: Cow<'a, str>,
    row_count: u64,
    has_more: bool,
    total: Option<u64>,
    next_cursor: Option<String>,
}

fn single_page<'a>(plan: &ReadPlan<'_>, rows: &'a [Row]) -> anyhow::Result<Page<'a>> {
    let row_count = rows.len() as u64;
    Ok(Page {
        rows: Cow::Owned(row_array(rows)?),
        row_count,
        has_more: false,
        total: (plan.count == Count::Exact).then_some(row_count),
        next_cursor: None,
    })
}

/// Reads the columns that [`render_read`](super::render::render_read) documents.
fn array_page<'a>(plan: &ReadPlan<'_>, rows: &'a [Row]) -> anyhow::Result<Page<'a>> {
    let row = rows.first().context("a read returned no row")?;
    let array = json_column(row, 0)?.unwrap_or("[]");
    let fetched = count_column(row, 1)?;
    let mut next_column = 2;
    let total = match plan.count {
        Count::Exact => {
            next_column += 1;
            Some(count_column(row, 2)?)
        }
        Count::None | Count::Estimated => None,
    };
    let has_more = fetched > plan.limit;
    let layout = if plan.line_per_row { Layout::LinePerRow } else { Layout::Any };
    let array = if has_more { Cow::Owned(json_rows::without_last(array, layout)) } else { Cow::Borrowed(array) };
    let next_cursor = match &plan.keyset {
        Some(keyset) if has_more => next_cursor(keyset, &array, layout, |term| text_column(row, next_column + term))?,
        _ => None,
    };
    Ok(Page { rows: array, row_count: fetched.min(plan.limit), has_more, total, next_cursor })
}

/// Builds the cursor of the last row in `array`. `term_text` returns the text of an order term that is not selected.
fn next_cursor<'r>(
    keyset: &Keyset<'_>,
    array: &str,
    layout: Layout,
    term_text: impl Fn(usize) -> anyhow::Result<Option<Cow<'r, str>>>,
) -> anyhow::Result<Option<String>> {
    let Some(members) = &keyset.members else {
        let texts = (0..keyset.terms).map(term_text).collect::<anyhow::Result<Vec<_>>>()?;
        return Ok(cursor::encode_texts(&keyset.signature, texts));
    };
    let last = json_rows::last(array, layout).context("a full page has no last row")?;
    let last: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(last).context("a row is not a JSON object")?;
    let values: Option<Vec<&RawValue>> = members.iter().map(|member| last.get(*member).copied()).collect();
    let values = values.context("a row lacks a selected member")?;
    Ok(cursor::encode(&keyset.signature, &values))
}

/// Builds 201 `{"rows":[…],"count":n}`.
pub(super) fn insert_response(plan: &InsertPlan<'_>, rows: &[Row]) -> anyhow::Result<RowsResponse> {
    let (array, count) = match (insert_result_shape(plan), &plan.output) {
        (ResultShape::RowPerWrite, WriteOutput::Count { .. }) => (Cow::Borrowed("[]"), rows.len() as u64),
        (ResultShape::RowPerWrite, WriteOutput::Rows(_)) => (Cow::Owned(row_array(rows)?), rows.len() as u64),
        (ResultShape::ArrayPerGroup, _) => {
            let row = rows.first().context("an insert returned no row")?;
            rows_in_request_order(&plan.groups, plan.conflict.as_ref(), row)?
        }
    };
    let mut body = String::with_capacity(array.len() + 64);
    let _ = write!(body, "{{\"rows\":{array},\"count\":{count}");
    if let WriteOutput::Count { unreadable: true } = plan.output {
        body.push_str(",\"returning\":\"minimal\"");
    }
    body.push('}');
    Ok(RowsResponse { status: StatusCode::CREATED, body })
}

/// Merges the arrays of the groups, and returns the total number of rows.
fn rows_in_request_order<'r>(
    groups: &[InsertGroup<'_>],
    conflict: Option<&Conflict<'_>>,
    row: &'r Row,
) -> anyhow::Result<(Cow<'r, str>, u64)> {
    let mut arrays = Vec::with_capacity(groups.len());
    let mut total = 0;
    // A conflict or a trigger may have skipped rows. Then it is unknown which position a returned row had.
    let mut complete = conflict.is_none();
    for (number, group) in groups.iter().enumerate() {
        let array = json_column(row, 2 * number)?.unwrap_or("[]");
        let count = count_column(row, 2 * number + 1)?;
        complete &= count == group.positions.len() as u64;
        total += count;
        arrays.push(array);
    }
    if let [array] = arrays[..] {
        return Ok((Cow::Borrowed(array), total));
    }
    let mut rows: Vec<(usize, &str)> = Vec::new();
    for (group, array) in groups.iter().zip(arrays) {
        let elements = json_rows::elements(array);
        complete &= elements.len() == group.positions.len();
        rows.extend(
            elements
                .into_iter()
                .enumerate()
                .map(|(index, row)| (group.positions.get(index).copied().unwrap_or(index), row)),
        );
    }
    if complete {
        rows.sort_by_key(|(position, _)| *position);
    }
    let rows: Vec<&str> = rows.into_iter().map(|(_, row)| row).collect();
    Ok((Cow::Owned(format!("[{}]", rows.join(","))), total))
}

/// The body of an update or delete that returns no rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EmptyOutput {
    /// `{"rows":[],"count":n}`
    EmptyRows,
    /// `{"count":n}`
    CountOnly,
}

/// Builds 200 `{"rows":[…],"count":n}` for an update or delete.
pub(super) fn change_response(
    change: &ChangePlan<'_>,
    rows: &[Row],
    empty_output: EmptyOutput,
) -> anyhow::Result<RowsResponse> {
    let (array, count) = match (change_result_shape(change), &change.output) {
        (ResultShape::RowPerWrite, WriteOutput::Count { .. }) => (Cow::Borrowed("[]"), rows.len() as u64),
        (ResultShape::RowPerWrite, WriteOutput::Rows(_)) => (Cow::Owned(row_array(rows)?), rows.len() as u64),
        (ResultShape::ArrayPerGroup, _) => {
            let row = rows.first().context("a write returned no row")?;
            (Cow::Borrowed(json_column(row, 0)?.unwrap_or("[]")), count_column(row, 1)?)
        }
    };
    let mut body = String::with_capacity(array.len() + 64);
    let _ = match (&change.output, empty_output) {
        (WriteOutput::Count { .. }, EmptyOutput::CountOnly) => write!(body, "{{\"count\":{count}"),
        _ => write!(body, "{{\"rows\":{array},\"count\":{count}"),
    };
    match change.output {
        WriteOutput::Count { unreadable: true } => body.push_str(",\"returning\":\"minimal\""),
        WriteOutput::Rows(_) if count > MAX_RETURNED_ROWS => body.push_str(",\"rowsCapped\":true"),
        WriteOutput::Count { .. } | WriteOutput::Rows(_) => {}
    }
    body.push('}');
    Ok(RowsResponse { status: StatusCode::OK, body })
}

/// Reads the estimated number of rows from the result of `EXPLAIN (FORMAT JSON)`.
pub(super) fn estimated_rows(rows: &[Row]) -> anyhow::Result<u64> {
    #[derive(serde::Deserialize)]
    struct Explained {
        #[serde(rename = "Plan")]
        plan: ExplainedPlan,
    }
    #[derive(serde::Deserialize)]
    struct ExplainedPlan {
        #[serde(rename = "Plan Rows")]
        rows: f64,
    }
    let row = rows.first().context("EXPLAIN returned no row")?;
    let json = json_column(row, 0)?.context("EXPLAIN returned null")?;
    let [Explained { plan }] =
        serde_json::from_str::<[Explained; 1]>(json).context("EXPLAIN returned an unexpected format")?;
    Ok(plan.rows.max(0.0) as u64)
}

/// Joins rows that are one JSON object each to an array.
fn row_array(rows: &[Row]) -> anyhow::Result<String> {
    let mut array = String::from("[");
    for (position, row) in rows.iter().enumerate() {
        if position > 0 {
            array.push(',');
        }
        array.push_str(json_column(row, 0)?.unwrap_or("null"));
    }
    array.push(']');
    Ok(array)
}

/// JSON as Postgres writes it. The binary and text formats of `json` are the same.
struct JsonText<'a>(&'a str);

impl<'a> FromSql<'a> for JsonText<'a> {
    fn from_sql(_ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(std::str::from_utf8(raw)?))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSON || *ty == Type::TEXT
    }
}

fn json_column(row: &Row, position: usize) -> anyhow::Result<Option<&str>> {
    let json: Option<JsonText<'_>> = row.try_get(position).context("a JSON column has another type")?;
    Ok(json.map(|json| json.0))
}

fn text_column(row: &Row, position: usize) -> anyhow::Result<Option<Cow<'_, str>>> {
    let text: Option<&str> = row.try_get(position).context("a text column has another type")?;
    Ok(text.map(Cow::Borrowed))
}

fn count_column(row: &Row, position: usize) -> anyhow::Result<u64> {
    let count: i64 = row.try_get(position).context("a count column has another type")?;
    Ok(count.unsigned_abs())
}
