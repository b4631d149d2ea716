//! The owner's reads and writes of rows: the same requests and answers as `/v1/db`, past row-level security.

use api_types::ErrorBody;
use axum::extract::{FromRef, RawQuery, State};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{DataService, Identity, JsonAnswer, routes::JsonBytes};
use crate::{
    db::DbRole,
    error::ApiResult,
    http::ApiPath,
    projects::{AdminProject, ProjectRef, Projects},
};

/// Rows of the admin surface.
pub fn admin_router<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    DataService: FromRef<S>,
    Projects: FromRef<S>,
{
    OpenApiRouter::new().routes(routes!(list_table_rows, insert_table_rows, update_table_rows, delete_table_rows))
}

fn owner(project: &ProjectRef) -> Identity<'_> {
    Identity { project: &project.id, role: DbRole::App, claims: None }
}

/// List rows of a table; parameters and answer as `GET /v1/db/{table}`.
#[utoipa::path(get, path = "/admin/v1/projects/{project}/tables/{table}/rows", tag = "tables",
    params(("project" = String, Path), ("table" = String, Path)),
    responses((status = 200, body = serde_json::Value), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
async fn list_table_rows(
    State(service): State<DataService>,
    AdminProject(project): AdminProject,
    ApiPath((_, table)): ApiPath<(String, String)>,
    RawQuery(query): RawQuery,
) -> ApiResult<JsonAnswer> {
    service.read(owner(&project), &table, query.as_deref().unwrap_or("")).await
}

/// Insert rows into a table; parameters, body and answer as `POST /v1/db/{table}`.
#[utoipa::path(post, path = "/admin/v1/projects/{project}/tables/{table}/rows", tag = "tables",
    params(("project" = String, Path), ("table" = String, Path)), request_body = serde_json::Value,
    responses((status = 201, body = serde_json::Value), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
async fn insert_table_rows(
    State(service): State<DataService>,
    AdminProject(project): AdminProject,
    ApiPath((_, table)): ApiPath<(String, String)>,
    RawQuery(query): RawQuery,
    JsonBytes(body): JsonBytes,
) -> ApiResult<JsonAnswer> {
    service.insert(owner(&project), &table, query.as_deref().unwrap_or(""), &body).await
}

/// Update rows of a table; parameters, body and answer as `PATCH /v1/db/{table}`.
#[utoipa::path(patch, path = "/admin/v1/projects/{project}/tables/{table}/rows", tag = "tables",
    params(("project" = String, Path), ("table" = String, Path)), request_body = serde_json::Value,
    responses((status = 200, body = serde_json::Value), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
async fn update_table_rows(
    State(service): State<DataService>,
    AdminProject(project): AdminProject,
    ApiPath((_, table)): ApiPath<(String, String)>,
    RawQuery(query): RawQuery,
    JsonBytes(body): JsonBytes,
) -> ApiResult<JsonAnswer> {
    service.update(owner(&project), &table, query.as_deref().unwrap_or(""), &body).await
}

/// Delete rows of a table; parameters and answer as `DELETE /v1/db/{table}`.
#[utoipa::path(delete, path = "/admin/v1/projects/{project}/tables/{table}/rows", tag = "tables",
    params(("project" = String, Path), ("table" = String, Path)),
    responses((status = 200, body = serde_json::Value), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
async fn delete_table_rows(
    State(service): State<DataService>,
    AdminProject(project): AdminProject,
    ApiPath((_, table)): ApiPath<(String, String)>,
    RawQuery(query): RawQuery,
) -> ApiResult<JsonAnswer> {
    service.delete(owner(&project), &table, query.as_deref().unwrap_or("")).await
}
