use api_types::{AdminTable, ErrorBody, Page, PageQuery, UpdateTableExposure};
use axum::{Extension, extract::State};

use super::{
    TablesState, exposure,
    listing::{self, Listing},
};
use crate::{
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, PageRequest},
    projects::AdminProject,
};

/// List tables with their exposure
///
/// Returns the tables and views of schema `public`, sorted by name.
#[utoipa::path(get, path = "/admin/v1/projects/{project}/tables", tag = "tables",
    operation_id = "list_project_tables",
    params(("project" = String, Path), PageQuery),
    responses((status = 200, body = Page<AdminTable>), (status = 404, body = ErrorBody)))]
pub(crate) async fn list_tables(
    State(state): State<TablesState>,
    AdminProject(project): AdminProject,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<Page<AdminTable>>> {
    let request = PageRequest::<String>::parse(&query)?;
    let listing = Listing { after: request.after.as_deref(), limit: Some(request.fetch()), ..Listing::default() };
    let tables = listing::list_tables(&state.pools, &project.id, listing).await?;
    Ok(ApiJson(request.page(tables, |table| table.table.name.clone())))
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
    let table = find_table(&state, &project.id, &name).await?;
    exposure::update(&state.pools, &project.id, &table, &request).await?;
    let details = serde_json::json!({ "publishable": request.publishable, "signedIn": request.signed_in });
    Ok((Extension(AuditDetails(details)), ApiJson(find_table(&state, &project.id, &name).await?)))
}

async fn find_table(state: &TablesState, project: &str, name: &str) -> ApiResult<AdminTable> {
    listing::list_tables(&state.pools, project, Listing { name: Some(name), ..Listing::default() })
        .await?
        .pop()
        .ok_or_else(|| ApiError::new(Code::UnknownTable, format!("Unknown table `{name}` in schema `public`.")))
}
