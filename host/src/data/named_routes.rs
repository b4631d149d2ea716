//! Requests for the rows of a table whose name is in the query.
//!
//! Browsers and proxies resolve `.` and `..` in a path, however they are encoded, so tables of these names have no
//! path.

use api_types::{ChangeRows, ChangedRows, ErrorBody};
use axum::{
    Extension,
    extract::{FromRef, FromRequestParts, RawQuery, State},
    http::request::Parts,
    response::Response,
};
use url::form_urlencoded;

use super::{DataService, RowsResponse, pipeline::AuditParts, table_request::TableRequest};
use crate::{
    error::{ApiError, ApiResult},
    http::{AuditTarget, JsonBody},
    projects::{AdminProject, ClaimsMaker},
};

/// A request for the rows of the table that the parameter `name` names.
pub(crate) struct NamedTableRequest(TableRequest<AdminProject>);

impl<S> FromRequestParts<S> for NamedTableRequest
where
    S: Send + Sync,
    AdminProject: FromRequestParts<S, Rejection = ApiError>,
    DataService: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = AdminProject::from_request_parts(parts, state).await?;
        let Ok(RawQuery(query)) = RawQuery::from_request_parts(parts, state).await;
        let (table, query) = take_name(&query.unwrap_or_default())?;
        Ok(Self(TableRequest::new(DataService::from_ref(state), caller, table, query)))
    }
}

/// Returns the parameter `name`, and the query without it.
fn take_name(query: &str) -> ApiResult<(String, String)> {
    let (names, others): (Vec<&str>, Vec<&str>) =
        query.split('&').partition(|pair| pair.split('=').next() == Some("name"));
    match names.as_slice() {
        [name] => {
            let name = form_urlencoded::parse(name.as_bytes()).next().map(|(_, name)| name.into_owned());
            Ok((name.unwrap_or_default(), others.join("&")))
        }
        _ => Err(ApiError::invalid("Send the table's name once, as the parameter `name`.")),
    }
}

/// List rows of a table by a name in the query
///
/// Like `GET /admin/v1/projects/{project}/tables/{table}/rows`, for names that proxies change in a path, such as `..`.
#[utoipa::path(
    get,
    path = "/admin/v1/projects/{project}/table/rows",
    tag = "tables",
    params(("project" = String, Path), ("name" = String, Query, description = "Name of the table")),
    responses(
        (status = 200, body = serde_json::Value),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
    ),
)]
pub(crate) async fn list_rows_by_name(
    State(claims): State<ClaimsMaker>,
    NamedTableRequest(request): NamedTableRequest,
) -> ApiResult<RowsResponse> {
    request.read(&*claims).await
}

/// Read one value of a row by a table's name in the query
///
/// Like `GET /admin/v1/projects/{project}/tables/{table}/cell`, for names that proxies change in a path, such as `..`.
#[utoipa::path(
    get,
    path = "/admin/v1/projects/{project}/table/cell",
    tag = "tables",
    params(
        ("project" = String, Path),
        ("name" = String, Query, description = "Name of the table"),
        ("column" = String, Query, description = "Name of the column"),
        ("download" = Option<bool>, Query, description = "Whether browsers store the value as a file (default false)"),
    ),
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "The value"),
        (status = 204, description = "The value is NULL"),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
    ),
)]
pub(crate) async fn get_cell_by_name(NamedTableRequest(request): NamedTableRequest) -> ApiResult<Response> {
    request.get_cell().await
}

/// Change rows together by a table's name in the query
///
/// Like `POST /admin/v1/projects/{project}/tables/{table}/changes`, for names that proxies change in a path, such as
/// `..`.
#[utoipa::path(
    post,
    path = "/admin/v1/projects/{project}/table/changes",
    tag = "tables",
    params(("project" = String, Path), ("name" = String, Query, description = "Name of the table")),
    request_body = ChangeRows,
    responses(
        (status = 200, body = ChangedRows),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody),
    ),
)]
pub(crate) async fn change_rows_by_name(
    NamedTableRequest(request): NamedTableRequest,
    JsonBody(body): JsonBody,
) -> ApiResult<(Extension<AuditTarget>, AuditParts, RowsResponse)> {
    let (audit, response) = request.change(&body).await?;
    Ok((Extension(AuditTarget(request.table().to_owned())), audit, response))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_split_from_query() {
        let taken = |query: &str| take_name(query).ok();
        assert_eq!(taken("name=.."), Some(("..".to_owned(), String::new())));
        assert_eq!(taken("limit=1&name=a%26b&eq.name=x"), Some(("a&b".to_owned(), "limit=1&eq.name=x".to_owned())));
        assert_eq!((taken("limit=1"), taken("name=a&name=b")), (None, None));
    }
}
