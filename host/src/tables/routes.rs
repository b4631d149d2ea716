//! Handlers for tables, their access and their exposure.

use api_types::{
    AccessFindings, AdminTable, ErrorBody, PageQuery, TableDetail, TableFields, TableNameQuery, TablesPage,
    TablesQuery, UpdateTableExposure,
};
use axum::{Extension, extract::State};

use super::{
    TablesState, access, detail, exposure,
    listing::{self, Listing},
};
use crate::{
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, AuditTarget, NoQuery, PageRequest},
    projects::AdminProject,
};

/// Maximum number of summaries on a page, and their default number.
const MAX_SUMMARIES: u32 = 1000;

/// List tables with their exposure
///
/// Returns the tables and views of schema `public`, sorted by name. With `fields=summary`, an item contains the number
/// of columns instead of columns and keys, and a page has up to 1000 items.
#[utoipa::path(get, path = "/admin/v1/projects/{project}/tables", tag = "tables",
    operation_id = "list_project_tables",
    params(("project" = String, Path), TablesQuery),
    responses((status = 200, body = TablesPage), (status = 404, body = ErrorBody)))]
pub(crate) async fn list_tables(
    State(state): State<TablesState>,
    AdminProject(project): AdminProject,
    ApiQuery(query): ApiQuery<TablesQuery>,
) -> ApiResult<ApiJson<TablesPage>> {
    let page = PageQuery { limit: query.limit, cursor: query.cursor };
    let name_part = query.q.as_deref().filter(|text| !text.is_empty());
    Ok(ApiJson(match query.fields.unwrap_or_default() {
        TableFields::Full => {
            let request = PageRequest::<String>::parse(&page)?;
            let tables = listing::list_tables(&state.pools, &project.id, listing(&request, name_part)).await?;
            TablesPage::Full(request.page(tables, |table| table.table.name.clone()))
        }
        TableFields::Summary => {
            let request = PageRequest::<String>::parse_within(&page, MAX_SUMMARIES, MAX_SUMMARIES)?;
            let tables = listing::list_summaries(&state.pools, &project.id, listing(&request, name_part)).await?;
            TablesPage::Summary(request.page(tables, |table| table.name.clone()))
        }
    }))
}

fn listing<'a>(request: &'a PageRequest<String>, name_part: Option<&'a str>) -> Listing<'a> {
    Listing { after: request.after.as_deref(), limit: Some(request.fetch()), name_part, name: None }
}

/// Get a table
///
/// Returns one table or view of schema `public` with all details: columns, keys, constraints, indexes, triggers,
/// policies, the rows that each caller can reach, and the SQL that creates it.
#[utoipa::path(get, path = "/admin/v1/projects/{project}/tables/{table}", tag = "tables",
    params(("project" = String, Path), ("table" = String, Path)),
    responses((status = 200, body = TableDetail), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_table(
    State(state): State<TablesState>,
    AdminProject(project): AdminProject,
    ApiPath((_, name)): ApiPath<(String, String)>,
    NoQuery: NoQuery,
) -> ApiResult<ApiJson<TableDetail>> {
    detail::get(&state.pools, &project.id, &name).await?.map(ApiJson).ok_or_else(|| unknown_table(&name))
}

/// Get a table by name in the query
///
/// Like `GET /admin/v1/projects/{project}/tables/{table}`, for names that proxies change in a path, such as `..`.
#[utoipa::path(get, path = "/admin/v1/projects/{project}/table", tag = "tables",
    params(("project" = String, Path), TableNameQuery),
    responses((status = 200, body = TableDetail), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_table_by_name(
    State(state): State<TablesState>,
    AdminProject(project): AdminProject,
    ApiQuery(TableNameQuery { name }): ApiQuery<TableNameQuery>,
) -> ApiResult<ApiJson<TableDetail>> {
    detail::get(&state.pools, &project.id, &name).await?.map(ApiJson).ok_or_else(|| unknown_table(&name))
}

/// Find tables with too much access
///
/// Returns the operations that publishable keys and signed-in users can apply to every row of a table: write without
/// row-level security, write through a policy with the condition `true`, or use a view that runs with its owner's
/// privileges, although the API does not serve such views. Also returns the tables without row-level security that only
/// signed-in users can read. Operations that a caller has no privilege for are not listed.
#[utoipa::path(get, path = "/admin/v1/projects/{project}/access", tag = "tables",
    params(("project" = String, Path)),
    responses((status = 200, body = AccessFindings), (status = 404, body = ErrorBody)))]
pub(crate) async fn list_access_findings(
    State(state): State<TablesState>,
    AdminProject(project): AdminProject,
    NoQuery: NoQuery,
) -> ApiResult<ApiJson<AccessFindings>> {
    Ok(ApiJson(AccessFindings { findings: access::findings(&state.pools, &project.id).await? }))
}

/// Set the exposure of a table
///
/// Sets the access that publishable keys and signed-in users have to a table. Omitted fields stay unchanged.
#[utoipa::path(put, path = "/admin/v1/projects/{project}/tables/{table}/exposure", tag = "tables",
    params(("project" = String, Path), ("table" = String, Path)), request_body = UpdateTableExposure,
    responses((status = 200, body = AdminTable), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(crate) async fn update_exposure(
    State(state): State<TablesState>,
    AdminProject(project): AdminProject,
    ApiPath((_, name)): ApiPath<(String, String)>,
    ApiJson(request): ApiJson<UpdateTableExposure>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<AdminTable>)> {
    set_exposure(&state, &project.id, &name, &request).await
}

/// Set the exposure of a table by a name in the query
///
/// Like `PUT /admin/v1/projects/{project}/tables/{table}/exposure`, for names that proxies change in a path, such as
/// `..`.
#[utoipa::path(put, path = "/admin/v1/projects/{project}/table/exposure", tag = "tables",
    params(("project" = String, Path), TableNameQuery), request_body = UpdateTableExposure,
    responses((status = 200, body = AdminTable), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(crate) async fn update_exposure_by_name(
    State(state): State<TablesState>,
    AdminProject(project): AdminProject,
    ApiQuery(TableNameQuery { name }): ApiQuery<TableNameQuery>,
    ApiJson(request): ApiJson<UpdateTableExposure>,
) -> ApiResult<(Extension<AuditTarget>, Extension<AuditDetails>, ApiJson<AdminTable>)> {
    let (details, table) = set_exposure(&state, &project.id, &name, &request).await?;
    Ok((Extension(AuditTarget(name)), details, table))
}

async fn set_exposure(
    state: &TablesState,
    project: &str,
    name: &str,
    request: &UpdateTableExposure,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<AdminTable>)> {
    let table = find_table(state, project, name).await?;
    exposure::update(&state.pools, project, &table, request).await?;
    let details = serde_json::json!({ "publishable": request.publishable, "signedIn": request.signed_in });
    Ok((Extension(AuditDetails(details)), ApiJson(find_table(state, project, name).await?)))
}

async fn find_table(state: &TablesState, project: &str, name: &str) -> ApiResult<AdminTable> {
    listing::list_tables(&state.pools, project, Listing { name: Some(name), ..Listing::default() })
        .await?
        .pop()
        .ok_or_else(|| unknown_table(name))
}

fn unknown_table(name: &str) -> ApiError {
    ApiError::new(Code::UnknownTable, format!("Unknown table `{name}` in schema `public`."))
}
