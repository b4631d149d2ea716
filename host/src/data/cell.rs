//! Streams one complete value of any size from Postgres to the client.

use std::pin::Pin;

use anyhow::Context as _;
use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt as _, stream};
use tokio_postgres::RowStream;

use super::{
    columns::{bytes_column, count_column},
    errors::{self, StatementContext},
    execute::Identity,
    plan::{CellPlan, plan_cell},
    render::{CellPart, Rendered, render_cell},
    request::CellRequest,
    schema::Schema,
};
use crate::{
    db::{DbError, ExclusiveClient, ProjectPools, TextParam},
    error::{ApiError, ApiResult, Code},
};

/// Time limit of each of the two statements that read a cell: the first reads its size, and the second its value. The
/// time of the second one includes sending the value to the client.
const STATEMENT_TIMEOUT_MS: u64 = 110_000;

/// Handles a `GET` of one value. `NULL` is an empty response with status 204.
pub(super) async fn get_cell(
    pools: &ProjectPools,
    identity: Identity<'_>,
    schema: &Schema,
    table: &str,
    request: &CellRequest,
) -> ApiResult<Response> {
    let plan = plan_cell(schema, table, request)?;
    let failure = |error: tokio_postgres::Error, rendered: &Rendered<'_>| {
        let context = StatementContext {
            schema,
            table,
            origins: &rendered.origins,
            audience: identity.audience(),
            max_response_bytes: usize::MAX,
        };
        errors::api_error(DbError::Postgres(error), &context)
    };
    let mut client = pools.exclusive(identity.project, identity.role).await?;
    client.mark_busy();
    // Both statements must read the same version of the row.
    let begin =
        format!("SET statement_timeout = {STATEMENT_TIMEOUT_MS}; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    client.batch_execute(&begin).await.map_err(DbError::Postgres)?;
    let rendered = render_cell(&plan, CellPart::Size);
    let mut rows = Box::pin(query(&client, &rendered).await.map_err(|error| failure(error, &rendered))?);
    let mut sizes = Vec::new();
    while let Some(row) = rows.next().await {
        let row = row.map_err(|error| failure(error, &rendered))?;
        let is_null: bool = row.try_get(0).map_err(ApiError::internal)?;
        sizes.push(if is_null { None } else { Some(count_column(&row, 1).map_err(ApiError::internal)?) });
    }
    drop(rows);
    let size = match sizes[..] {
        [] => return Err(ApiError::new(Code::NotFound, "No row matches the filter.")),
        [size] => size,
        _ => {
            return Err(ApiError::invalid("The filter matches more than one row.")
                .with_hint("Filter by all columns of a unique key."));
        }
    };
    let Some(size) = size else {
        client.mark_idle();
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let rendered = render_cell(&plan, CellPart::Pieces);
    let pieces = query(&client, &rendered).await.map_err(|error| failure(error, &rendered))?;
    let body = Body::from_stream(Pieces { rows: Box::pin(pieces), client }.into_stream());
    let mut response = (StatusCode::OK, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    let is_bytes = plan.column.column.base_type.as_str() == "pg_catalog.bytea";
    let content_type = if is_bytes { "application/octet-stream" } else { "text/plain; charset=utf-8" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if request.download {
        headers.insert(header::CONTENT_DISPOSITION, disposition(&plan, table, is_bytes)?);
    }
    Ok(response)
}

async fn query(client: &ExclusiveClient, rendered: &Rendered<'_>) -> Result<RowStream, tokio_postgres::Error> {
    let statement = client.prepare(&rendered.statement.text).await?;
    let params: Vec<TextParam<'_>> =
        rendered.statement.params.iter().map(|param| TextParam(param.as_deref())).collect();
    client.query_raw(&statement, params).await
}

/// The rows with the pieces of a value, and the connection that sends them.
struct Pieces {
    rows: Pin<Box<RowStream>>,
    client: ExclusiveClient,
}

impl Pieces {
    /// Returns the pieces. If the stream is dropped before its end, the statement is cancelled.
    fn into_stream(self) -> impl Stream<Item = anyhow::Result<Bytes>> + Send {
        stream::try_unfold(self, |mut pieces| async move {
            let Some(row) = pieces.rows.next().await else {
                pieces.client.mark_idle();
                return Ok(None);
            };
            let row = row.context("reading a value")?;
            let piece = Bytes::copy_from_slice(bytes_column(&row, 0)?.unwrap_or_default());
            Ok(Some((piece, pieces)))
        })
    }
}

/// Returns a `Content-Disposition` with the names of the table and the column (RFC 6266, RFC 8187).
fn disposition(plan: &CellPlan<'_>, table: &str, is_bytes: bool) -> ApiResult<HeaderValue> {
    let extension = match (is_bytes, plan.column.column.base_type.as_str().trim_matches('"')) {
        (true, _) => "bin",
        (false, name) if name.ends_with("json") || name.ends_with("jsonb") => "json",
        (false, _) => "txt",
    };
    let name = format!("{table}.{}.{extension}", plan.column.ident.name());
    let encoded = percent_encoding::utf8_percent_encode(&name, percent_encoding::NON_ALPHANUMERIC);
    let value = format!("attachment; filename=\"value.{extension}\"; filename*=UTF-8''{encoded}");
    HeaderValue::try_from(value).map_err(ApiError::internal)
}
