//! The owner's access to rows: the requests and responses of `/v1/db`, without row-level security.

use api_types::ErrorBody;

use super::{RowsResponse, table_request::TableRequest};
use crate::{error::ApiResult, http::JsonBody, projects::AdminProject};

/// List rows of a table
///
/// Parameters and response are those of `GET /v1/db/{table}`.
#[utoipa::path(
    get,
    path = "/admin/v1/projects/{project}/tables/{table}/rows",
    tag = "tables",
    params(("project" = String, Path), ("table" = String, Path)),
    responses(
        (status = 200, body = serde_json::Value),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
    ),
)]
pub(crate) async fn list_table_rows(request: TableRequest<AdminProject>) -> ApiResult<RowsResponse> {
    request.read().await
}

/// Insert rows into a table
///
/// Parameters, body and response are those of `POST /v1/db/{table}`.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/tables/{table}/rows",
    tag = "tables",
    params(("project" = String, Path), ("table" = String, Path)),
    request_body = serde_json::Value,
    responses(
        (status = 201, body = serde_json::Value),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody),
    ),
)]
pub(crate) async fn insert_table_rows(
    request: TableRequest<AdminProject>,
    JsonBody(body): JsonBody,
) -> ApiResult<RowsResponse> {
    request.insert(&body).await
}

/// Update rows of a table
///
/// Parameters, body and response are those of `PATCH /v1/db/{table}`.
#[utoipa::path(
    patch,
    path = "/admin/v1/projects/{project}/tables/{table}/rows",
    tag = "tables",
    params(("project" = String, Path), ("table" = String, Path)),
    request_body = serde_json::Value,
    responses(
        (status = 200, body = serde_json::Value),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody),
    ),
)]
pub(crate) async fn update_table_rows(
    request: TableRequest<AdminProject>,
    JsonBody(body): JsonBody,
) -> ApiResult<RowsResponse> {
    request.update(&body).await
}

/// Delete rows of a table
///
/// Parameters and response are those of `DELETE /v1/db/{table}`.
#[utoipa::path(
    delete,
    path = "/admin/v1/projects/{project}/tables/{table}/rows",
    tag = "tables",
    params(("project" = String, Path), ("table" = String, Path)),
    responses(
        (status = 200, body = serde_json::Value),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody),
    ),
)]
pub(crate) async fn delete_table_rows(request: TableRequest<AdminProject>) -> ApiResult<RowsResponse> {
    request.delete().await
}
