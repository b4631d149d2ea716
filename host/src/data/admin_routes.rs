//! The owner's access to rows, with the requests and responses of `/v1/db`. Row-level security applies only to reads as
//! another caller. Also lists the names in a project's database.

use api_types::{ChangeRows, ChangedRows, DatabaseSchema, ErrorBody};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{DataService, RowsResponse, pipeline::AuditParts, table_request::TableRequest};
use crate::{
    error::{ApiError, ApiResult},
    http::{JsonBody, NoQuery},
    projects::{AdminProject, ClaimsMaker},
};

/// List all names of a database
///
/// Returns schemas, tables, columns, functions and enums, for completion. Send the `ETag` of the previous response as
/// `If-None-Match`: the response is 304 until something changes.
#[utoipa::path(
    get,
    path = "/admin/v1/projects/{project}/schema",
    tag = "sql",
    operation_id = "get_database_schema",
    params(
        ("project" = String, Path),
        ("if-none-match" = Option<String>, Header, description = "`ETag` of the previous response"),
    ),
    responses(
        (status = 200, body = DatabaseSchema, headers(("etag" = String, description = "Changes with the schema"))),
        (status = 304, description = "Nothing changed since the response with this `ETag`"),
        (status = 404, body = ErrorBody),
    ),
)]
pub(crate) async fn get_schema(
    State(service): State<DataService>,
    AdminProject(project): AdminProject,
    NoQuery: NoQuery,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let seen = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let (entity_tag, names) = service.list_names(&project.id, seen).await?;
    let entity_tag = HeaderValue::try_from(entity_tag).map_err(ApiError::internal)?;
    let mut response = names.map_or_else(|| StatusCode::NOT_MODIFIED.into_response(), RowsResponse::into_response);
    response.headers_mut().insert(header::ETAG, entity_tag);
    Ok(response)
}

/// List rows of a table
///
/// Parameters and response are those of `GET /v1/db/{table}`. With `maxCellBytes`, longer values are cut, and listed in
/// `page.cut` as `[row, column, size of the whole value in bytes]`.
///
/// With `as`, the request reads exactly the rows that another caller of `GET /v1/db/{table}` can read, and fails with
/// the errors that this caller gets.
#[utoipa::path(
    get,
    path = "/admin/v1/projects/{project}/tables/{table}/rows",
    tag = "tables",
    params(
        ("project" = String, Path),
        ("table" = String, Path),
        ("maxCellBytes" = Option<u64>, Query, description = "Number of bytes above which a value is replaced by a \
            string with its beginning, 1 to 1048576"),
        ("as" = Option<String>, Query, description = "The caller whose rows are read: `publishable` for the \
            publishable key, or `user:` with the id of a signed-in user (default: the owner)"),
    ),
    responses(
        (status = 200, body = serde_json::Value),
        (status = 400, body = ErrorBody),
        (status = 403, body = ErrorBody, description = "The caller that `as` names may not read the table or a column"),
        (status = 404, body = ErrorBody, description = "`unknown_table`, also if the caller that `as` names can't \
            access the table; `not_found` if there is no such user; or `auth_disabled`"),
        (status = 422, body = ErrorBody, description = "The user that `as` names is disabled, or the response is too \
            large"),
    ),
)]
pub(crate) async fn list_table_rows(
    State(claims): State<ClaimsMaker>,
    request: TableRequest<AdminProject>,
) -> ApiResult<RowsResponse> {
    request.read(&*claims).await
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

/// Read one value of a row
///
/// Returns the value of one column, whole and of any size: `bytea` as bytes, other types as the text that Postgres
/// prints. A filter, written as in `GET /v1/db/{table}`, selects the row. NULL is an empty response with the status
/// 204.
#[utoipa::path(
    get,
    path = "/admin/v1/projects/{project}/tables/{table}/cell",
    tag = "tables",
    params(
        ("project" = String, Path),
        ("table" = String, Path),
        ("column" = String, Query, description = "Name of the column"),
        ("download" = Option<bool>, Query, description = "Whether browsers store the value as a file (default false)"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "The value"),
        (status = 204, description = "The value is NULL"),
        (status = 400, body = ErrorBody, description = "The filter is missing, or matches several rows"),
        (status = 404, body = ErrorBody, description = "`unknown_table`, or `not_found` if no row matches"),
    ),
)]
pub(crate) async fn get_table_cell(request: TableRequest<AdminProject>) -> ApiResult<Response> {
    request.get_cell().await
}

/// Change rows together
///
/// Inserts, updates and deletes rows of one table in one transaction: all or none. An update or delete names its row by
/// a unique key, and can state the values that the row must still have. With `dryRun`, the changes are undone after
/// their effects were counted. The effects include changes of other tables through foreign keys and triggers.
///
/// In an error, `details.change` is the index of the failed change.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/tables/{table}/changes",
    tag = "tables",
    params(("project" = String, Path), ("table" = String, Path)),
    request_body = ChangeRows,
    responses(
        (status = 200, body = ChangedRows),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "`row_changed`: `details.reason` is `changed`, with the values \
            in `details.was` and `details.now`, or `gone`. Or a constraint is violated"),
    ),
)]
pub(crate) async fn change_table_rows(
    request: TableRequest<AdminProject>,
    JsonBody(body): JsonBody,
) -> ApiResult<(AuditParts, RowsResponse)> {
    request.change(&body).await
}
