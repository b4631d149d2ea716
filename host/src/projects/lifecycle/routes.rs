//! Handlers that create, return, change and delete projects.

use std::time::Duration;

use api_types::{
    CreateProject, CreatedProject, DeleteProject, ErrorBody, Project, ProjectDetail, ProjectState, RunStarted,
    UpdateProject,
};
use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use super::{provisioning, queries, removal};
use crate::{
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, ApiPath, AuditDetails, AuditTarget, NoQuery, OptionalJson},
    projects::{self, AdminProject, ProjectsState, gate::cors, keys},
};

/// Maximum age of the database's size and the number of tables that `get_project` returns.
const MAX_DETAIL_AGE: Duration = Duration::from_secs(2);
const MAX_NOTE_CHARS: usize = 2000;

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
/// Includes its totals. The size of the database and the number of tables are at most two seconds old.
#[utoipa::path(get, path = "/admin/v1/projects/{project}", tag = "projects", params(("project" = String, Path)),
    responses((status = 200, body = ProjectDetail), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_project(
    State(state): State<ProjectsState>,
    AdminProject(project): AdminProject,
    _: NoQuery,
) -> ApiResult<ApiJson<ProjectDetail>> {
    let mut totals = state.totals(std::slice::from_ref(&*project), MAX_DETAIL_AGE).await?;
    let totals = totals.remove(&project.id).ok_or_else(|| ApiError::not_found("project"))?;
    Ok(ApiJson(ProjectDetail { project: project.to_wire(), totals }))
}

/// Update a project
///
/// Changes its name, its CORS origins, its note, or whether it is protected from deletion. Can also remove
/// `deleteProblem`, the reason why a deletion with a final backup did not happen.
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
        // An origin that an earlier version accepted must not prevent other changes.
        let is_new = |origin: &&String| !project.cors_origins.contains(*origin);
        let new: Vec<String> = origins.iter().filter(is_new).cloned().collect();
        cors::check_configured_origins(&new)?;
        cors::check_count(origins)?;
    }
    if request.note.as_ref().is_some_and(|note| note.contains('\0') || note.chars().count() > MAX_NOTE_CHARS) {
        return Err(ApiError::invalid(format!("`note` must have at most {MAX_NOTE_CHARS} characters, without NUL.")));
    }
    let change = queries::ProjectChange {
        name,
        cors_origins: request.cors_origins.as_deref(),
        protected: request.protected,
        note: request.note.as_deref(),
        dismiss_delete_problem: request.dismiss_delete_problem,
    };
    let updated = queries::update_project(&state.platform, &project.id, change)
        .await
        .map_err(|error| if provisioning::is_name_taken(&error) { provisioning::name_taken() } else { error.into() })?;
    let Some(updated) = updated else {
        let present = projects::queries::project(&state.platform, &project.id).await?;
        let present = present.filter(|project| project.state == ProjectState::Ready);
        return Err(match present.and_then(|project| project.delete_after_run) {
            Some(run) => ApiError::new(
                Code::Conflict,
                format!("The project can't be protected: it will be deleted after its final backup, run {run}."),
            )
            .with_hint("Cancel that run first."),
            None => ApiError::not_found("project"),
        });
    };
    state.projects.forget(&project.id);
    // Cached keys contain the project.
    state.keys.forget_project(&project.id);
    keys::notify_project_changed(&state.platform, &project.id).await?;
    let mut details = serde_json::json!({ "name": updated.name, "previousName": project.name });
    if updated.protected != project.protected {
        details["protected"] = updated.protected.into();
    }
    Ok((Extension(AuditDetails(details)), ApiJson(updated.to_wire())))
}

/// Delete a project
///
/// Deletes it with its database, files and keys. The request can be repeated after a failure.
///
/// With `finalBackup` a backup starts, and the project is deleted when the backup is complete. The project keeps
/// working until then, and is kept if the backup fails. A protected project can't be deleted.
#[utoipa::path(delete, path = "/admin/v1/projects/{project}", tag = "projects", params(("project" = String, Path)),
    request_body = DeleteProject,
    responses((status = 202, body = RunStarted), (status = 204), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(crate) async fn delete_project(
    State(state): State<ProjectsState>,
    ApiPath(id): ApiPath<String>,
    OptionalJson(request): OptionalJson<DeleteProject>,
) -> ApiResult<(Extension<AuditDetails>, Response)> {
    let project = projects::queries::project(&state.platform, &id)
        .await?
        .filter(|project| project.state != ProjectState::Creating)
        .ok_or_else(|| ApiError::not_found("project"))?;
    if project.protected && project.state == ProjectState::Ready {
        return Err(removal::protected());
    }
    if request.confirm != project.name {
        let message = "Deleting a project deletes its database and files. `confirm` must be the project's name.";
        let example = serde_json::json!({ "confirm": project.name });
        return Err(ApiError::new(Code::ConfirmationRequired, message).with_hint(format!("Send {example}.")));
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
