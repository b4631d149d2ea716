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

use super::{AdminProject, ProjectsState, cors, keys, provisioning, queries, removal};
use crate::{
    db::{DbRole, Statement},
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, AuditTarget, PageRequest},
};

/// All projects, newest first.
#[utoipa::path(get, path = "/admin/v1/projects", tag = "projects", params(PageQuery),
    responses((status = 200, body = Page<Project>)))]
pub(super) async fn list_projects(
    State(state): State<ProjectsState>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<Page<Project>>> {
    let request = PageRequest::<(DateTime<Utc>, String)>::parse(&query)?;
    let projects = queries::projects(&state.platform, request.fetch(), request.after.clone()).await?;
    let page = request.page(projects, |project| (project.created_at, project.id.clone()));
    Ok(ApiJson(Page {
        items: page.items.iter().map(|project| project.to_wire()).collect(),
        next_cursor: page.next_cursor,
    }))
}

/// Makes a project: database, roles, bucket, two keys. All of it or nothing.
#[utoipa::path(post, path = "/admin/v1/projects", tag = "projects", request_body = CreateProject,
    responses((status = 201, body = CreatedProject), (status = 400, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn create_project(
    State(state): State<ProjectsState>,
    ApiJson(request): ApiJson<CreateProject>,
) -> ApiResult<(StatusCode, Extension<AuditTarget>, Extension<AuditDetails>, ApiJson<CreatedProject>)> {
    let name = keys::check_name(&request.name, "name")?.to_owned();
    let created = provisioning::create_project(&state, name).await?;
    let target = Extension(AuditTarget(created.project.id.clone()));
    Ok((StatusCode::CREATED, target, named(&created.project.name), ApiJson(created)))
}

/// A project with what it holds.
#[utoipa::path(get, path = "/admin/v1/projects/{project}", tag = "projects", params(("project" = String, Path)),
    responses((status = 200, body = ProjectDetail), (status = 404, body = ErrorBody)))]
pub(super) async fn get_project(
    State(state): State<ProjectsState>,
    AdminProject(project): AdminProject,
) -> ApiResult<ApiJson<ProjectDetail>> {
    let (object_count, object_bytes, active_key_count) = queries::project_totals(&state.platform, &project.id).await?;
    let sizes = Statement::new(
        "SELECT pg_catalog.pg_database_size(pg_catalog.current_database()),
                (SELECT count(*) FROM pg_catalog.pg_class
                 WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p'))",
    );
    let sizes = match state.pools.fetch(&project.id, DbRole::Owner, &sizes).await {
        Ok(rows) => rows.first().and_then(|row| Some((row.try_get(0).ok()?, row.try_get(1).ok()?))),
        Err(error) => {
            tracing::warn!(project = project.id, %error, "a project's size could not be asked");
            None
        }
    };
    let (database_bytes, table_count) = sizes.unzip();
    Ok(ApiJson(ProjectDetail {
        project: project.to_wire(),
        database_bytes,
        table_count,
        object_count,
        object_bytes,
        active_key_count,
    }))
}

/// Renames a project or sets its CORS origins.
#[utoipa::path(patch, path = "/admin/v1/projects/{project}", tag = "projects", params(("project" = String, Path)),
    request_body = UpdateProject,
    responses((status = 200, body = Project), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn update_project(
    State(state): State<ProjectsState>,
    AdminProject(project): AdminProject,
    ApiJson(request): ApiJson<UpdateProject>,
) -> ApiResult<ApiJson<Project>> {
    let name = request.name.as_deref().map(|name| keys::check_name(name, "name")).transpose()?;
    if let Some(origins) = &request.cors_origins {
        cors::check_configured(origins)?;
    }
    let updated = queries::update_project(&state.platform, &project.id, name, request.cors_origins.as_deref())
        .await
        .map_err(|error| match error.as_database_error().and_then(|error| error.constraint()) {
            Some("projects_name_key") => {
                ApiError::new(Code::Conflict, "A project with this name exists.").with_hint("Choose another name.")
            }
            _ => error.into(),
        })?
        .ok_or_else(|| ApiError::not_found("project"))?;
    state.projects.forget(&project.id);
    // Its keys carry what they know of it.
    state.keys.forget_project(&project.id);
    queries::notify_key(&state.platform, &format!("project:{}", project.id)).await?;
    Ok(ApiJson(updated.to_wire()))
}

/// Removes a project with its database, files and keys. Asked again after a failure, it goes on. With `finalBackup` a backup of it
/// begins, and the project is removed once that is in the catalogue; it works on until then, and stays where the backup fails.
#[utoipa::path(delete, path = "/admin/v1/projects/{project}", tag = "projects", params(("project" = String, Path)),
    request_body = DeleteProject,
    responses((status = 202, body = RunStarted), (status = 204), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn delete_project(
    State(state): State<ProjectsState>,
    ApiPath(id): ApiPath<String>,
    ApiJson(request): ApiJson<DeleteProject>,
) -> ApiResult<(Extension<AuditDetails>, Response)> {
    let project = queries::project(&state.platform, &id)
        .await?
        .filter(|project| project.state != ProjectState::Creating)
        .ok_or_else(|| ApiError::not_found("project"))?;
    if request.confirm != project.name {
        return Err(ApiError::new(Code::ConfirmationRequired, "`confirm` is not the project's name.")
            .with_hint("Type the project's name, exactly as it is shown."));
    }
    if request.final_backup {
        let run = removal::delete_with_backup(&state, &project).await?.to_string();
        let details = AuditDetails(serde_json::json!({ "name": project.name, "finalBackup": run }));
        let answer = (StatusCode::ACCEPTED, ApiJson(RunStarted { run_id: run }));
        return Ok((Extension(details), answer.into_response()));
    }
    removal::delete_project(&state, &project).await?;
    Ok((named(&project.name), StatusCode::NO_CONTENT.into_response()))
}

/// For the audit log, which outlives the project.
fn named(name: &str) -> Extension<AuditDetails> {
    Extension(AuditDetails(serde_json::json!({ "name": name })))
}
