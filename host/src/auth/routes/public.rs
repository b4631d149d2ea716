//! Handlers for users: signing up, in and out, refreshing a session, and the signed-in user. Also the public keys of
//! access tokens.

use api_types::{
    CurrentUser, ErrorBody, JsonWebKeySet, LogIn, LogOut, RefreshSession, SignUp, SignedInUser, SignedUp,
    UpdateCurrentUser,
};
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    auth::{AuthState, account, login, refresh, request::ClientFacts},
    error::ApiResult,
    http::{ApiJson, ApiPath, NoQuery, OptionalJson},
    projects::{Caller, SignedInCaller},
};

/// A response that no cache may keep.
pub(crate) struct Private<T>(pub StatusCode, pub T);

impl<T: Serialize> IntoResponse for Private<T> {
    fn into_response(self) -> Response {
        let Self(status, body) = self;
        let no_store = HeaderValue::from_static("no-store");
        (status, [(header::CACHE_CONTROL, no_store)], ApiJson(body)).into_response()
    }
}

/// Sign up
///
/// Creates a user and signs the user in. If the project requires a verified e-mail address, `session` is null, and the
/// response is the same for an address that is taken.
#[utoipa::path(post, path = "/v1/auth/signup", tag = "auth", request_body = SignUp,
    responses((status = 201, body = SignedUp),
        (status = 400, body = ErrorBody, description = "`invalid_request` or `weak_password`"),
        (status = 403, body = ErrorBody, description = "`signup_disabled`"),
        (status = 404, body = ErrorBody, description = "`auth_disabled`"),
        (status = 409, body = ErrorBody, description = "`email_taken`"), (status = 429, body = ErrorBody)))]
pub(crate) async fn sign_up(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: Caller,
    client: ClientFacts,
    ApiJson(request): ApiJson<SignUp>,
) -> ApiResult<Private<SignedUp>> {
    Ok(Private(StatusCode::CREATED, login::sign_up(&state, &caller, &client, request).await?))
}

/// Log in
///
/// Starts a session. The error is the same for an unknown user and a wrong password.
#[utoipa::path(post, path = "/v1/auth/login", tag = "auth", request_body = LogIn,
    responses((status = 200, body = SignedInUser),
        (status = 401, body = ErrorBody, description = "`invalid_credentials`"),
        (status = 403, body = ErrorBody, description = "`email_not_verified` or `mfa_required`"),
        (status = 404, body = ErrorBody, description = "`auth_disabled`"), (status = 429, body = ErrorBody)))]
pub(crate) async fn log_in(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: Caller,
    client: ClientFacts,
    ApiJson(request): ApiJson<LogIn>,
) -> ApiResult<Private<SignedInUser>> {
    Ok(Private(StatusCode::OK, login::log_in(&state, &caller, &client, request).await?))
}

/// Refresh a session
///
/// Exchanges a refresh token for new tokens. If a token is sent again within 10 seconds, the response contains the same
/// new refresh token of the same session, and another access token. If it is sent again later, the session ends.
#[utoipa::path(post, path = "/v1/auth/refresh", tag = "auth", request_body = RefreshSession,
    responses((status = 200, body = SignedInUser),
        (status = 401, body = ErrorBody, description = "`invalid_refresh_token`: sign in again. `unauthorized`: the \
            API key is not valid"),
        (status = 404, body = ErrorBody, description = "`auth_disabled`"),
        (status = 429, body = ErrorBody, description = "`rate_limited`: too many refreshes of one user or from one IP \
            address"),
        (status = 503, body = ErrorBody, description = "`overloaded`, also above the project's requests per second, \
            where other operations return 429, or `unavailable`. Keep the session, and try again after \
            `Retry-After`")))]
pub(crate) async fn refresh_session(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: Caller,
    client: ClientFacts,
    ApiJson(request): ApiJson<RefreshSession>,
) -> ApiResult<Private<SignedInUser>> {
    let refreshed = refresh::refresh(&state, &caller, &client, request.refresh_token).await?;
    Ok(Private(StatusCode::OK, refreshed))
}

/// Log out
///
/// Ends the session of the access token, the user's other sessions, or all of them. The access token itself works until
/// it expires, unless the project checks sessions. The body may be left out.
#[utoipa::path(post, path = "/v1/auth/logout", tag = "auth", request_body = LogOut,
    responses((status = 204),
        (status = 400, body = ErrorBody, description = "The `scope` is unknown"),
        (status = 401, body = ErrorBody, description = "Not signed in, or the API key is not valid"),
        (status = 404, body = ErrorBody, description = "`auth_disabled`")))]
pub(crate) async fn log_out(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: SignedInCaller,
    client: ClientFacts,
    OptionalJson(request): OptionalJson<LogOut>,
) -> ApiResult<StatusCode> {
    login::log_out(&state, &caller, &client, request.scope).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get the signed-in user
#[utoipa::path(get, path = "/v1/auth/me", tag = "auth",
    responses((status = 200, body = CurrentUser),
        (status = 401, body = ErrorBody, description = "Not signed in, or the session has ended"),
        (status = 404, body = ErrorBody)))]
pub(crate) async fn get_current_user(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: SignedInCaller,
) -> ApiResult<Private<CurrentUser>> {
    Ok(Private(StatusCode::OK, CurrentUser { user: account::current_user(&state, &caller).await? }))
}

/// Update the signed-in user
///
/// Changing the password requires the current one, if the user has one, and ends the user's other sessions. A new
/// e-mail address takes effect when the user opens the link that is mailed to it.
#[utoipa::path(patch, path = "/v1/auth/me", tag = "auth", request_body = UpdateCurrentUser,
    responses((status = 200, body = CurrentUser), (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody, description = "Not signed in, or `invalid_credentials`"),
        (status = 404, body = ErrorBody), (status = 422, body = ErrorBody), (status = 429, body = ErrorBody)))]
pub(crate) async fn update_current_user(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    caller: SignedInCaller,
    client: ClientFacts,
    ApiJson(request): ApiJson<UpdateCurrentUser>,
) -> ApiResult<Private<CurrentUser>> {
    let user = account::update_current_user(&state, &caller, &client, request).await?;
    Ok(Private(StatusCode::OK, CurrentUser { user }))
}

/// Get the keys of access tokens
///
/// The public keys that verify the project's access tokens (RFC 7517). Needs no API key.
#[utoipa::path(get, path = "/v1/auth/jwks/{project}", tag = "auth", params(("project" = String, Path)),
    responses((status = 200, body = JsonWebKeySet), (status = 404, body = ErrorBody),
        (status = 429, body = ErrorBody, description = "Too many requests for unknown projects"),
        (status = 503, body = ErrorBody, description = "The platform database can't be reached")))]
pub(crate) async fn get_public_keys(
    State(state): State<AuthState>,
    NoQuery: NoQuery,
    ApiPath(project): ApiPath<String>,
) -> ApiResult<Response> {
    let project = state.projects.projects.get(&project).await?;
    state.settings.enabled(&project.id).await?;
    let keys = state.tokens.public_keys(&project.id).await?;
    // After a rotation, verifiers read the keys again when a token names an unknown one.
    let cache = HeaderValue::from_static("public, max-age=60");
    Ok(([(header::CACHE_CONTROL, cache)], ApiJson(JsonWebKeySet { keys })).into_response())
}
