//! Handlers for the owner: a project's login settings, its signing key and its users.

use api_types::{
    AuthSettings, CreateUser, ErrorBody, Page, ProjectUser, ProjectUserDetail, RecoveryAccepted, RotatedSigningKey,
    UpdateAuthSettings, UpdateUser, UserQuery,
};
use axum::{Extension, extract::State, http::StatusCode};
use serde_json::json;
use uuid::Uuid;

use crate::{
    auth::{AuthState, administration, detail, links, second_factor, settings},
    error::{ApiError, ApiResult},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, AuditTarget, NoQuery},
    projects::{AdminProject, rotate_signing_key},
};

/// Get the settings of end-user login
#[utoipa::path(get, path = "/admin/v1/projects/{project}/auth", tag = "users", params(("project" = String, Path)),
    responses((status = 200, body = AuthSettings), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_auth_settings(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    AdminProject(project): AdminProject,
) -> ApiResult<ApiJson<AuthSettings>> {
    Ok(ApiJson(settings::get(&state, &project.id).await?))
}

/// Change the settings of end-user login
///
/// Switching login on creates the tables of schema `auth` in the project's database. Switching it off keeps them.
#[utoipa::path(patch, path = "/admin/v1/projects/{project}/auth", tag = "users", params(("project" = String, Path)),
    request_body = UpdateAuthSettings,
    responses((status = 200, body = AuthSettings), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "Schema `auth` contains tables of the project's own")))]
pub(crate) async fn update_auth_settings(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    AdminProject(project): AdminProject,
    ApiJson(request): ApiJson<UpdateAuthSettings>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<AuthSettings>)> {
    let mut details = serde_json::to_value(&request).map_err(ApiError::internal)?;
    if let Some(texts) = details.get_mut("mailTexts") {
        *texts = json!("changed");
    }
    let settings = settings::update(&state, &project.id, request).await?;
    Ok((Extension(AuditDetails(details)), ApiJson(settings)))
}

/// Rotate the signing key
///
/// New access tokens are signed with a new key. Tokens of the previous key stay valid until they expire.
#[utoipa::path(post, path = "/admin/v1/projects/{project}/auth/rotate-key", tag = "users",
    params(("project" = String, Path)),
    responses((status = 200, body = RotatedSigningKey), (status = 404, body = ErrorBody)))]
pub(crate) async fn rotate_auth_key(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    AdminProject(project): AdminProject,
) -> ApiResult<(Extension<AuditTarget>, ApiJson<RotatedSigningKey>)> {
    let kid = rotate_signing_key(&state.projects.platform, &state.projects.sealer, &project.id).await?;
    state.signer.forget(&project.id);
    state.tokens.forget(&project.id);
    Ok((Extension(AuditTarget(kid.clone())), ApiJson(RotatedSigningKey { kid })))
}

/// List users
///
/// Newest first.
#[utoipa::path(get, path = "/admin/v1/projects/{project}/users", tag = "users",
    params(("project" = String, Path), UserQuery),
    responses((status = 200, body = Page<ProjectUser>), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody)))]
pub(crate) async fn list_users(
    State(state): State<AuthState>,
    AdminProject(project): AdminProject,
    ApiQuery(query): ApiQuery<UserQuery>,
) -> ApiResult<ApiJson<Page<ProjectUser>>> {
    Ok(ApiJson(administration::list(&state, &project.id, &query).await?))
}

/// Create a user
#[utoipa::path(post, path = "/admin/v1/projects/{project}/users", tag = "users", params(("project" = String, Path)),
    request_body = CreateUser,
    responses((status = 201, body = ProjectUser),
        (status = 400, body = ErrorBody, description = "`invalid_request` or `weak_password`"),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody, description = "`email_taken`")))]
pub(crate) async fn create_user(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    AdminProject(project): AdminProject,
    ApiJson(request): ApiJson<CreateUser>,
) -> ApiResult<(StatusCode, Extension<AuditTarget>, Extension<AuditDetails>, ApiJson<ProjectUser>)> {
    let user = administration::create(&state, &project.id, request).await?;
    let details = json!({ "email": user.email, "role": user.role });
    Ok((StatusCode::CREATED, Extension(AuditTarget(user.id.clone())), Extension(AuditDetails(details)), ApiJson(user)))
}

/// Get a user
///
/// Includes the newest 100 sessions that have not expired, and the numbers of rows of the app that refer to the user,
/// for up to 50 foreign keys. Counting takes at most one second for each foreign key, and three seconds in total. If
/// the rows of one can't be counted in this time, or at all, `counted` is false.
#[utoipa::path(get, path = "/admin/v1/projects/{project}/users/{user}", tag = "users",
    params(("project" = String, Path), ("user" = String, Path)),
    responses((status = 200, body = ProjectUserDetail), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_user(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    AdminProject(project): AdminProject,
    ApiPath((_, user)): ApiPath<(String, String)>,
) -> ApiResult<ApiJson<ProjectUserDetail>> {
    Ok(ApiJson(detail::get(&state, &project.id, parse_id(&user)?).await?))
}

/// Update a user
///
/// Disabling a user ends all of the user's sessions, makes mailed links invalid, and cancels logins and resets that
/// wait for the second factor.
#[utoipa::path(patch, path = "/admin/v1/projects/{project}/users/{user}", tag = "users",
    params(("project" = String, Path), ("user" = String, Path)), request_body = UpdateUser,
    responses((status = 200, body = ProjectUser), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(crate) async fn update_user(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    AdminProject(project): AdminProject,
    ApiPath((_, user)): ApiPath<(String, String)>,
    ApiJson(request): ApiJson<UpdateUser>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<ProjectUser>)> {
    let UpdateUser { role, disabled, ref data } = request;
    let changes_data = data.is_some();
    let user = administration::update(&state, &project.id, parse_id(&user)?, request).await?;
    let details = json!({ "email": user.email, "role": role, "disabled": disabled, "data": changes_data });
    Ok((Extension(AuditDetails(details)), ApiJson(user)))
}

/// Sign a user out everywhere
///
/// Ends all sessions of the user. Also cancels a requested change of the e-mail address, and logins and resets that
/// wait for the second factor.
#[utoipa::path(post, path = "/admin/v1/projects/{project}/users/{user}/sign-out", tag = "users",
    params(("project" = String, Path), ("user" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorBody)))]
pub(crate) async fn sign_user_out(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    AdminProject(project): AdminProject,
    ApiPath((_, user)): ApiPath<(String, String)>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>)> {
    let email = administration::sign_out(&state, &project.id, parse_id(&user)?).await?;
    Ok((StatusCode::NO_CONTENT, audit_details(&email)))
}

/// Mail a link to reset a password
///
/// The mail is the same as the one that `POST /v1/auth/recover` sends.
#[utoipa::path(post, path = "/admin/v1/projects/{project}/users/{user}/send-reset-link", tag = "users",
    params(("project" = String, Path), ("user" = String, Path)),
    responses((status = 202, body = RecoveryAccepted), (status = 404, body = ErrorBody),
        (status = 422, body = ErrorBody, description = "No mail can be sent, or the user is disabled")))]
pub(crate) async fn send_reset_link(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    AdminProject(project): AdminProject,
    ApiPath((_, user)): ApiPath<(String, String)>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>, ApiJson<RecoveryAccepted>)> {
    let user = administration::get(&state, &project.id, parse_id(&user)?).await?;
    let settings = state.settings.enabled(&project.id).await?;
    links::mail_reset_link(&state, &project, &settings, &user).await?;
    Ok((StatusCode::ACCEPTED, audit_details(&user.email), ApiJson(RecoveryAccepted {})))
}

/// Remove a user's second factor
///
/// For a user who has lost the authenticator app and the recovery codes. After that, the password or a mailed link
/// alone is enough to sign in.
#[utoipa::path(delete, path = "/admin/v1/projects/{project}/users/{user}/second-factor", tag = "users",
    params(("project" = String, Path), ("user" = String, Path)),
    responses((status = 204),
        (status = 404, body = ErrorBody, description = "There is no such user, or no second factor")))]
pub(crate) async fn remove_second_factor(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    AdminProject(project): AdminProject,
    ApiPath((_, user)): ApiPath<(String, String)>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>)> {
    let email = second_factor::remove_as_owner(&state, &project.id, parse_id(&user)?).await?;
    Ok((StatusCode::NO_CONTENT, audit_details(&email)))
}

/// Delete a user
///
/// Also deletes the rows that reference the user with `ON DELETE CASCADE`.
#[utoipa::path(delete, path = "/admin/v1/projects/{project}/users/{user}", tag = "users",
    params(("project" = String, Path), ("user" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorBody),
        (
            status = 409,
            body = ErrorBody,
            description = "Rows of the project's tables still refer to the user, or a rule of these tables prevents \
                the deletion",
        )))]
pub(crate) async fn delete_user(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    AdminProject(project): AdminProject,
    ApiPath((_, user)): ApiPath<(String, String)>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>)> {
    let email = administration::delete(&state, &project.id, parse_id(&user)?).await?;
    Ok((StatusCode::NO_CONTENT, audit_details(&email)))
}

/// Names the user in the audit log, which outlives the user.
fn audit_details(email: &str) -> Extension<AuditDetails> {
    Extension(AuditDetails(json!({ "email": email })))
}

fn parse_id(id: &str) -> ApiResult<Uuid> {
    id.parse().map_err(|_| ApiError::not_found("user"))
}
