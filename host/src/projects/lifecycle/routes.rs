use api_types::{
    CreateProject, CreatedProject, DeleteProject, ErrorBody, Page, PageQuery, Project, ProjectDetail, ProjectState,
    RunStarted, UpdateProject,
};
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use chrono::{DateTime, Utc};

use super::{provisioning, queries, removal};
use crate::{
    db::{DbRole, Statement},
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, AuditTarget, PageRequest},
    projects::{self, AdminProject, ProjectsState, gate::cors, keys},
};

/// List projects
///
/// Newest first.
#[utoipa::path(get, path = "/admin/v1/projects", tag = "projects", params(PageQuery),
    responses((status = 200, body = Page<Project>)))]
pub(crate) async fn list_projects(
    State(state): State<ProjectsState>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<Page<Project>>> {
    let request = PageRequest::<(DateTime<Utc>, String)>::parse(&query)?;
    let projects = projects::queries::projects(&state.platform, request.fetch(), request.after.clone()).await?;
    let page = request.page(projects, |project| (project.created_at, project.id.clone()));
    Ok(ApiJson(Page {
        items: page.items.iter().map(|project| project.to_wire()).collect(),
        next_cursor: page.next_cursor,
    }))
}

/// Create a project
///
/// Creates its database, roles and bucket, and two API keys. If a step fails, everything is removed again.
#[utoipa::path(post, path = "/admin/v1/projects", tag = "projects", request_body = CreateProject,
    responses((status = 201, body = CreatedProject), (status = 400, body = ErrorBody),
        (status = 409, body = ErrorBody)))]
pub(crate) async fn create_project(
    State(state): State<ProjectsState>,
    ApiJson(request): ApiJson<CreateProject>,
) -> ApiResult<(StatusCode, Extension<AuditTarget>, Extension<AuditDetails>, ApiJson<CreatedProject>)> {
    let name = keys::check_name(&request.name, "name")?.to_owned();
    let created = provisioning::create_project(&state, name).await?;
    let target = Extension(AuditTarget(created.project.id.clone()));
    Ok((StatusCode::CREATED, target, with_name(&created.project.name), ApiJson(created)))
}

/// Get a project
///
/// Includes its size, and the numbers of its tables, objects and active keys.
#[utoipa::path(get, path = "/admin/v1/projects/{project}", tag = "projects", params(("project" = String, Path)),
    responses((status = 200, body = ProjectDetail), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_project(
    State(state): State<ProjectsState>,
    AdminProject(project): AdminProject,
) -> ApiResult<ApiJson<ProjectDetail>> {
    let totals = queries::project_totals(&state.platform, &project.id).await?;
    let sizes = Statement::new(
        "SELECT pg_catalog.pg_database_size(pg_catalog.current_database()),
                (SELECT count(*) FROM pg_catalog.pg_class
                 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p'))",
    );
    let sizes = match state.pools.fetch(&project.id, DbRole::Owner, &sizes).await {
        Ok(rows) => rows.first().and_then(|row| Some((row.try_get(0).ok()?, row.try_get(1).ok()?))),
        Err(error) => {
            tracing::warn!(project = project.id, %error, "could not read the size of a project's database");
            None
        }
    };
    let (database_bytes, table_count) = sizes.unzip();
    Ok(ApiJson(ProjectDetail {
        project: project.to_wire(),
        database_bytes,
        table_count,
        object_count: totals.object_count,
        object_bytes: totals.object_bytes,
        active_key_count: totals.active_key_count,
    }))
}

/// Update a project
///
/// Changes its name or its CORS origins.
#[utoipa::path(patch, path = "/admin/v1/projects/{project}", tag = "projects", params(("project" = String, Path)),
    request_body = UpdateProject,
    responses((status = 200, body = Project), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(crate) async fn update_project(
    State(state): State<ProjectsState>,
    AdminProject(project): AdminProject,
    ApiJson(request): ApiJson<UpdateProject>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<Project>)> {
    let name = request.name.as_deref().map(|name| keys::check_name(name, "name")).transpose()?;
    if let Some(origins) = &request.cors_origins {
        cors::check_configured_origins(origins)?;
    }
    let updated = queries::update_project(&state.platform, &project.id, name, request.cors_origins.as_deref())
        .await
        .map_err(|error| if provisioning::is_name_taken(&error) { provisioning::name_taken() } else { error.into() })?
        .ok_or_else(|| ApiError::not_found("project"))?;
    state.projects.forget(&project.id);
    // Cached keys contain the project.
    state.keys.forget_project(&project.id);
    keys::notify_project_changed(&state.platform, &project.id).await?;
    let details = serde_json::json!({ "name": updated.name, "previousName": project.name });
    Ok((Extension(AuditDetails(details)), ApiJson(updated.to_wire())))
}

/// Delete a project
///
/// Deletes it with its database, files and keys. The request can be repeated after a failure.
///
/// With `finalBackup` a backup starts, and the project is deleted when the backup is complete. The project keeps
/// working until then, and is kept if the backup fails.
#[utoipa::path(delete, path = "/admin/v1/projects/{project}", tag = "projects", params(("project" = String, Path)),
    request_body = DeleteProject,
    responses((status = 202, body = RunStarted), (status = 204), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(crate) async fn delete_project(
    State(state): State<ProjectsState>,
    ApiPath(id): ApiPath<String>,
    ApiJson(request): ApiJson<DeleteProject>,
) -> ApiResult<(Extension<AuditDetails>, Response)> {
    let project = projects::queries::project(&state.platform, &id)
        .await?
        .filter(|project| project.state != ProjectState::Creating)
        .ok_or_else(|| ApiError::not_found("project"))?;
    if request.confirm != project.name {
        return Err(ApiError::new(Code::ConfirmationRequired, "`confirm` is not the project's name.")
            .with_hint("Send the project's name, exactly as it is spelled."));
    }
    if request.final_backup {
        let run = removal::delete_with_backup(&state, &project).await?.to_string();
        let details = AuditDetails(serde_json::json!({ "name": project.name, "finalBackup": run }));
        let response = (StatusCode::ACCEPTED, ApiJson(RunStarted { run_id: run }));
        return Ok((Extension(details), response.into_response()));
    }
    removal::delete_project(&state, &project).await?;
    Ok((with_name(&project.name), StatusCode::NO_CONTENT.into_response()))
}

/// Stores the name in the audit log, which outlives the project.
fn with_name(name: &str) -> Extension<AuditDetails> {
    Extension(AuditDetails(serde_json::json!({ "name": name })))
}
