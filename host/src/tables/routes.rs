use api_types::{AdminTable, ErrorBody, Page, PageQuery, UpdateTableExposure};
use axum::extract::State;

use super::{
    TablesState, exposure,
    listing::{self, Listing},
};
use crate::{
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, ApiPath, ApiQuery, PageRequest},
    projects::AdminProject,
};

/// Tables and views of schema `public` by name, with their exposure.
#[utoipa::path(get, path = "/admin/v1/projects/{project}/tables", tag = "tables",
    params(("project" = String, Path), PageQuery),
    responses((status = 200, body = Page<AdminTable>), (status = 404, body = ErrorBody)))]
pub(crate) async fn list_tables(
    State(state): State<TablesState>,
    AdminProject(project): AdminProject,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<Page<AdminTable>>> {
    let request = PageRequest::<String>::parse(&query)?;
    let listing = Listing { after: request.after.as_deref(), limit: Some(request.fetch()), ..Listing::default() };
    let tables = listing::tables(&state.pools, &project.id, listing).await?;
    Ok(ApiJson(request.page(tables, |table| table.table.name.clone())))
}

/// Opens or closes a table to publishable keys and to signed-in users.
#[utoipa::path(put, path = "/admin/v1/projects/{project}/tables/{table}/exposure", tag = "tables",
    params(("project" = String, Path), ("table" = String, Path)), request_body = UpdateTableExposure,
    responses((status = 200, body = AdminTable), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(crate) async fn update_exposure(
    State(state): State<TablesState>,
    AdminProject(project): AdminProject,
    ApiPath((_, name)): ApiPath<(String, String)>,
    ApiJson(request): ApiJson<UpdateTableExposure>,
) -> ApiResult<ApiJson<AdminTable>> {
    let table = one_table(&state, &project.id, &name).await?;
    exposure::update(&state.pools, &project.id, &table, &request).await?;
    Ok(ApiJson(one_table(&state, &project.id, &name).await?))
}

async fn one_table(state: &TablesState, project: &str, name: &str) -> ApiResult<AdminTable> {
    listing::tables(&state.pools, project, Listing { name: Some(name), ..Listing::default() })
        .await?
        .pop()
        .ok_or_else(|| ApiError::new(Code::UnknownTable, format!("There is no table `{name}` in schema public.")))
}
