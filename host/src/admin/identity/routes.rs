use api_types::{CreateSession, ErrorBody, Session};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse},
};
use serde_json::json;

use super::{AdminCaller, SignInMethod, authenticate::SESSION_ACTOR, sessions};
use crate::{
    admin::{AdminState, audit::RequestEntry},
    error::{ApiError, ApiResult},
    http::{ApiJson, AuditDetails, ClientAddress},
};

/// Sign in
///
/// Takes the code that AtlasHub prints when it starts, or the admin token, and sets a cookie for 30 days. For
/// development only: in production, the owner signs in through Cloudflare Access.
#[utoipa::path(post, path = "/admin/v1/session", tag = "session", request_body = CreateSession, security(()),
    responses((status = 201, body = Session), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody), (status = 429, body = ErrorBody)))]
pub(crate) async fn sign_in(
    State(state): State<AdminState>,
    ClientAddress(address): ClientAddress,
    entry: Option<Extension<RequestEntry>>,
    headers: HeaderMap,
    ApiJson(request): ApiJson<CreateSession>,
) -> ApiResult<impl IntoResponse> {
    state.identity.check_sessions_enabled()?;
    let by = match (&request.code, &request.token) {
        (Some(code), None) => state.identity.check_code(code, address).await.map(|()| "code")?,
        (None, Some(token)) => state.identity.check_token(token, address).await.map(|()| "token")?,
        _ => return Err(ApiError::invalid("Send either `code` or `token`.")),
    };
    if let Some(Extension(entry)) = entry {
        entry.set_actor(SESSION_ACTOR);
        entry.begin().await?;
    }
    let (caller, value) = match &request.code {
        Some(code) => state.identity.open_by_code(code, address).await?,
        None => state.identity.open_session().await?,
    };
    Ok((
        StatusCode::CREATED,
        cookie_header(sessions::set_cookie(&value, &headers)),
        Extension(AuditDetails(json!({ "by": by }))),
        ApiJson(Session { actor: caller.actor, expires_at: caller.expires_at }),
    ))
}

/// Get the session
///
/// Returns who is signed in.
#[utoipa::path(get, path = "/admin/v1/session", tag = "session",
    responses((status = 200, body = Session), (status = 401, body = ErrorBody)))]
pub(crate) async fn get_session(caller: AdminCaller) -> ApiJson<Session> {
    ApiJson(Session { actor: caller.actor, expires_at: caller.expires_at })
}

/// Sign out
///
/// Ends the session and removes the cookie. To sign out of Cloudflare Access, open `/cdn-cgi/access/logout`.
#[utoipa::path(delete, path = "/admin/v1/session", tag = "session",
    responses((status = 204), (status = 401, body = ErrorBody)))]
pub(crate) async fn sign_out(
    State(state): State<AdminState>,
    caller: AdminCaller,
    headers: HeaderMap,
) -> ApiResult<impl IntoResponse> {
    state.identity.close_session(&caller).await?;
    let cookie = (caller.method == SignInMethod::Session).then(|| sessions::clear_cookie(&headers)).flatten();
    Ok((StatusCode::NO_CONTENT, cookie_header(cookie)))
}

fn cookie_header(cookie: Option<HeaderValue>) -> AppendHeaders<Option<(header::HeaderName, HeaderValue)>> {
    AppendHeaders(cookie.map(|cookie| (header::SET_COOKIE, cookie)))
}
