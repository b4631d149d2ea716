//! Handlers of the admin surface for API keys.

use api_types::{ApiKey, CreateApiKey, CreatedApiKey, ErrorBody, Page, PageQuery, RotateApiKey, UpdateApiKey};
use axum::{Extension, extract::State, http::StatusCode};
use uuid::Uuid;

use super::{api_keys, queries};
use crate::{
    error::{ApiError, ApiResult},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, AuditTarget, OptionalJson, PageRequest},
    projects::{AdminProject, ProjectsState},
};

/// List API keys
///
/// Oldest first, including revoked and expired ones.
#[utoipa::path(get, path = "/admin/v1/projects/{project}/keys", tag = "keys",
    params(("project" = String, Path), PageQuery),
    responses((status = 200, body = Page<ApiKey>), (status = 404, body = ErrorBody)))]
pub(crate) async fn list_keys(
    State(state): State<ProjectsState>,
    AdminProject(project): AdminProject,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<Page<ApiKey>>> {
    let request = PageRequest::<Uuid>::parse(&query)?;
    let keys = queries::keys(&state.platform, &project.id, request.fetch(), request.after).await?;
    Ok(ApiJson(request.page(keys, |key| key.id.parse().unwrap_or_default())))
}

/// Create an API key
///
/// Only this response contains the key.
#[utoipa::path(post, path = "/admin/v1/projects/{project}/keys", tag = "keys", params(("project" = String, Path)),
    request_body = CreateApiKey,
    responses((status = 201, body = CreatedApiKey), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody)))]
pub(crate) async fn create_key(
    State(state): State<ProjectsState>,
    AdminProject(project): AdminProject,
    ApiJson(request): ApiJson<CreateApiKey>,
) -> ApiResult<Created> {
    Ok(created(api_keys::create(&state, &project.id, &request).await?))
}

/// Update an API key
///
/// Changes the name or the expiry of a valid key.
#[utoipa::path(patch, path = "/admin/v1/projects/{project}/keys/{key}", tag = "keys",
    params(("project" = String, Path), ("key" = String, Path)), request_body = UpdateApiKey,
    responses((status = 200, body = ApiKey), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody)))]
pub(crate) async fn update_key(
    State(state): State<ProjectsState>,
    AdminProject(project): AdminProject,
    ApiPath((_, key)): ApiPath<(String, String)>,
    ApiJson(request): ApiJson<UpdateApiKey>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<ApiKey>)> {
    let key = api_keys::update(&state, &project.id, parse_id(&key)?, &request).await?;
    let details = serde_json::json!({ "type": key.key_type, "name": key.name, "expiresAt": key.expires_at });
    Ok((Extension(AuditDetails(details)), ApiJson(key)))
}

/// Revoke an API key
///
/// The key stops working within a second.
#[utoipa::path(delete, path = "/admin/v1/projects/{project}/keys/{key}", tag = "keys",
    params(("project" = String, Path), ("key" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorBody)))]
pub(crate) async fn revoke_key(
    State(state): State<ProjectsState>,
    AdminProject(project): AdminProject,
    ApiPath((_, key)): ApiPath<(String, String)>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>)> {
    let key = api_keys::revoke(&state, &project.id, parse_id(&key)?).await?;
    let details = serde_json::json!({ "type": key.key_type, "name": key.name });
    Ok((StatusCode::NO_CONTENT, Extension(AuditDetails(details))))
}

/// Rotate an API key
///
/// Creates a successor with the same type, name and lifetime. The old key stays valid for `overlapSeconds`, unless it
/// expires earlier. The lifetime is the one that the key had before its first rotation. The body may be left out.
#[utoipa::path(post, path = "/admin/v1/projects/{project}/keys/{key}/rotate", tag = "keys",
    params(("project" = String, Path), ("key" = String, Path)), request_body = RotateApiKey,
    responses((status = 201, body = CreatedApiKey), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(crate) async fn rotate_key(
    State(state): State<ProjectsState>,
    AdminProject(project): AdminProject,
    ApiPath((_, key)): ApiPath<(String, String)>,
    OptionalJson(request): OptionalJson<RotateApiKey>,
) -> ApiResult<Created> {
    let mut created = created(api_keys::rotate(&state, &project.id, parse_id(&key)?, &request).await?);
    let Extension(AuditDetails(details)) = &mut created.2;
    details["replaces"] = key.into();
    Ok(created)
}

/// Response with a new key, with the target and the details for the request's audit entry.
pub(crate) type Created = (StatusCode, Extension<AuditTarget>, Extension<AuditDetails>, ApiJson<CreatedApiKey>);

fn created(created: CreatedApiKey) -> Created {
    let details = serde_json::json!({ "type": created.api_key.key_type, "name": created.api_key.name });
    (
        StatusCode::CREATED,
        Extension(AuditTarget(created.api_key.id.clone())),
        Extension(AuditDetails(details)),
        ApiJson(created),
    )
}

fn parse_id(id: &str) -> ApiResult<Uuid> {
    id.parse().map_err(|_| ApiError::not_found("key"))
}
