//! Last stage of a request for rows: builds the response body. The JSON that Postgres returns is copied unchanged.

use std::{borrow::Cow, fmt::Write as _};

use anyhow::Context;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio_postgres::Row;

use super::{
    columns::{count_column, json_column},
    json_rows,
    json_values::InvalidValue,
    plan::{ChangePlan, InsertGroup, InsertPlan, ReadPlan, WriteOutput},
    read_rows::Page,
    render::{MAX_RETURNED_ROWS, ResultShape, change_result_shape, insert_result_shape},
};
use crate::{
    db::DbError,
    error::{ApiError, Code},
    http::{ResponseBuffer, ResponseError},
};

/// A successful response: status and JSON body.
#[derive(Debug)]
pub struct RowsResponse {
    pub status: StatusCode,
    pub body: ResponseBuffer,
}

impl IntoResponse for RowsResponse {
    fn into_response(self) -> Response {
        self.body.into_json_response(self.status)
    }
}

/// Completes `{"rows":[…],"page":{…}}`. `estimate` is the estimated number of rows, if the request asked for it and
/// there are too many to count.
pub(super) fn read_response(
    plan: &ReadPlan<'_>,
    page: Page,
    estimate: Option<u64>,
) -> Result<RowsResponse, RespondError> {
    let mut end = String::with_capacity(160);
    // Writing to a String can't fail.
    let _ = write!(end, "],\"page\":{{\"limit\":{},\"offset\":{}", plan.limit, plan.offset);
    if plan.limit_capped {
        end.push_str(",\"limitCapped\":true");
    }
    let _ = match (page.has_more && plan.after.is_none(), plan.offset + plan.limit) {
        (true, next) => write!(end, ",\"nextOffset\":{next}"),
        (false, _) => write!(end, ",\"nextOffset\":null"),
    };
    let seen = plan.offset + page.row_count;
    // On the last page the total is known, unless the page begins at a cursor or the offset is beyond the last row.
    let is_last = !page.has_more && plan.after.is_none() && plan.limit > 0 && (page.row_count > 0 || plan.offset == 0);
    match (page.total, estimate) {
        (Some(total), _) => {
            let _ = write!(end, ",\"total\":{total}");
        }
        (None, Some(_)) if is_last => {
            let _ = write!(end, ",\"total\":{seen}");
        }
        (None, Some(estimate)) => {
            let at_least = seen + u64::from(page.has_more);
            let _ = write!(end, ",\"total\":{},\"totalIsEstimate\":true", estimate.max(at_least));
        }
        (None, None) => {}
    }
    if page.cut != 0 {
        let is_cut = |(number, _): &(usize, &String)| page.cut & (1 << number) != 0;
        let cut: Vec<&String> = plan.lists.iter().enumerate().filter(is_cut).map(|(_, path)| path).collect();
        let _ = write!(end, ",\"embedsCapped\":{}", serde_json::json!(cut));
    }
    if plan.keyset.is_some() {
        let _ = match page.next_cursor {
            Some(cursor) => write!(end, ",\"nextCursor\":\"{cursor}\""),
            None => write!(end, ",\"nextCursor\":null"),
        };
    }
    if let Some(cut) = &page.cut_values {
        let _ = write!(end, ",\"cut\":{cut}");
    }
    end.push_str("}}");
    let mut body = page.response;
    body.push(end.as_bytes())?;
    Ok(RowsResponse { status: StatusCode::OK, body })
}

/// Builds 201 `{"rows":[…],"count":n}`.
pub(super) fn insert_response(
    plan: &InsertPlan<'_>,
    rows: &[Row],
    body: ResponseBuffer,
) -> Result<RowsResponse, RespondError> {
    let (array, count) = match (insert_result_shape(plan), &plan.output) {
        (ResultShape::RowPerWrite, WriteOutput::Count { .. }) => (Cow::Borrowed("[]"), rows.len() as u64),
        (ResultShape::RowPerWrite, WriteOutput::Rows(_)) => (Cow::Owned(row_array(rows)?), rows.len() as u64),
        (ResultShape::ArrayPerGroup, _) => {
            let row = rows.first().context("an insert returned no row")?;
            rows_in_request_order(&plan.groups, row)?
        }
    };
    let is_unreadable = matches!(plan.output, WriteOutput::Count { unreadable: true });
    let mark = if is_unreadable { ",\"returning\":\"minimal\"" } else { "" };
    write_response(StatusCode::CREATED, body, Some(&array), &format!("\"count\":{count}{mark}}}"))
}

/// Merges the arrays of the groups. Returns the rows, in the order of the request if it is known, and their number.
fn rows_in_request_order<'r>(groups: &[InsertGroup<'_>], row: &'r Row) -> anyhow::Result<(Cow<'r, str>, u64)> {
    let mut arrays = Vec::with_capacity(groups.len());
    let mut total = 0;
    // A group returns its rows in the order in which it wrote them. If `DO NOTHING` or a trigger skipped some of them,
    // the positions of the others in the request are unknown.
    let mut complete = true;
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
    body: ResponseBuffer,
) -> Result<RowsResponse, RespondError> {
    let (array, count) = match (change_result_shape(change), &change.output) {
        (ResultShape::RowPerWrite, WriteOutput::Count { .. }) => (Cow::Borrowed("[]"), rows.len() as u64),
        (ResultShape::RowPerWrite, WriteOutput::Rows(_)) => (Cow::Owned(row_array(rows)?), rows.len() as u64),
        (ResultShape::ArrayPerGroup, _) => {
            let row = rows.first().context("a write returned no row")?;
            (Cow::Borrowed(json_column(row, 0)?.unwrap_or("[]")), count_column(row, 1)?)
        }
    };
    let array = match (&change.output, empty_output) {
        (WriteOutput::Count { .. }, EmptyOutput::CountOnly) => None,
        _ => Some(&*array),
    };
    let mark = match change.output {
        WriteOutput::Count { unreadable: true } => ",\"returning\":\"minimal\"",
        WriteOutput::Rows(_) if count > MAX_RETURNED_ROWS => ",\"rowsCapped\":true",
        WriteOutput::Count { .. } | WriteOutput::Rows(_) => "",
    };
    write_response(StatusCode::OK, body, array, &format!("\"count\":{count}{mark}}}"))
}

/// Builds the response of a write. `end` begins with the member after the rows.
fn write_response(
    status: StatusCode,
    mut body: ResponseBuffer,
    rows: Option<&str>,
    end: &str,
) -> Result<RowsResponse, RespondError> {
    body.push(b"{")?;
    if let Some(rows) = rows {
        body.push(b"\"rows\":")?;
        body.push(rows.as_bytes())?;
        body.push(b",")?;
    }
    body.push(end.as_bytes())?;
    Ok(RowsResponse { status, body })
}

/// The reason why a response can't be built.
#[derive(Debug, thiserror::Error)]
pub(super) enum RespondError {
    #[error("the response can't grow")]
    Response(ResponseError),
    /// The result does not have the expected columns or values.
    #[error(transparent)]
    Result(#[from] anyhow::Error),
    /// The type of a column of the result differs from the schema.
    #[error("the type of a column of the result differs from the schema")]
    Stale,
}

impl From<InvalidValue> for RespondError {
    fn from(error: InvalidValue) -> Self {
        Self::Result(error.into())
    }
}

impl From<ResponseError> for RespondError {
    fn from(error: ResponseError) -> Self {
        Self::Response(error)
    }
}

impl From<RespondError> for ApiError {
    fn from(error: RespondError) -> Self {
        match error {
            RespondError::Response(error) => error.into(),
            RespondError::Result(cause) => Self::internal(cause),
            RespondError::Stale => DbError::Stale.into(),
        }
    }
}

/// Returns the error for a write that was carried out, but whose response can't be built.
pub(super) fn unreported_write(error: RespondError) -> ApiError {
    match error {
        RespondError::Response(ResponseError::TooLarge(max)) => ApiError::new(
            Code::ResponseTooLarge,
            format!("The change was made, but its rows are larger than {max} bytes, the maximum size of a response."),
        )
        .with_hint("Do not send the request again. Read the rows you need with GET."),
        RespondError::Response(ResponseError::MemoryFull) => ApiError::new(
            Code::Overloaded,
            "The change was made, but the server has no memory left for a response with its rows.",
        )
        .with_hint("Do not send the request again. Read the rows with GET."),
        error @ (RespondError::Result(_) | RespondError::Stale) => ApiError::internal(error),
    }
}

/// Reads the result of [`render_count`](super::render::render_count).
pub(super) fn counted_rows(rows: &[Row]) -> anyhow::Result<u64> {
    count_column(rows.first().context("a count returned no row")?, 0)
}

/// Maximum cost of a read whose rows are counted, in the planner's unit: about the time to read a page of 8 KiB from
/// the disk. Reading a whole table of 80 MB has about this cost.
const MAX_COUNTED_COST: f64 = 10_000.0;

/// The planner's estimate of a read of all pages.
pub(super) struct Estimate {
    pub(super) rows: u64,
    cost: f64,
}

impl Estimate {
    /// Returns whether the rows can be counted in a short time.
    pub(super) fn is_cheap_to_count(&self) -> bool {
        self.cost <= MAX_COUNTED_COST
    }
}

/// Reads the estimate from the result of `EXPLAIN (FORMAT JSON)`.
pub(super) fn estimate(rows: &[Row]) -> anyhow::Result<Estimate> {
    #[derive(serde::Deserialize)]
    struct Explained {
        #[serde(rename = "Plan")]
        plan: ExplainedPlan,
    }
    #[derive(serde::Deserialize)]
    struct ExplainedPlan {
        #[serde(rename = "Plan Rows")]
        rows: f64,
        #[serde(rename = "Total Cost")]
        cost: f64,
    }
    let row = rows.first().context("EXPLAIN returned no row")?;
    let json = json_column(row, 0)?.context("EXPLAIN returned null")?;
    let [Explained { plan }] =
        serde_json::from_str::<[Explained; 1]>(json).context("EXPLAIN returned an unexpected format")?;
    Ok(Estimate { rows: plan.rows.max(0.0) as u64, cost: plan.cost })
}

/// Joins rows, each of which is a JSON object, into an array.
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
