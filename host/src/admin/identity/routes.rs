//! Handlers that sign the owner in and out, and list and end sessions.

use api_types::{AdminSession, CreateSession, EndedSessions, ErrorBody, Page, PageQuery, Session};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{AppendHeaders, IntoResponse},
};
use chrono::{DateTime, Utc};
use serde_json::json;

use super::{
    AdminCaller, SignInMethod,
    authenticate::SESSION_ACTOR,
    session_list::{self, session_id},
    sessions::{self, Browser},
};
use crate::{
    admin::{AdminState, audit::RequestEntry},
    error::{ApiError, ApiResult},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, ClientAddress, NoQuery, PageRequest},
};

/// Path that signs out of Cloudflare Access.
const ACCESS_SIGN_OUT: &str = "/cdn-cgi/access/logout";

/// Sign in
///
/// Takes the code that AtlasHub prints when it starts in embedded mode, or the admin token, and sets a cookie for 30
/// days. For development only: in production, the owner signs in through Cloudflare Access.
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
    let browser = Browser::of(&headers, address);
    let (caller, value) = match &request.code {
        Some(code) => state.identity.open_by_code(code, address, &browser).await?,
        None => state.identity.open_session(&browser).await?,
    };
    Ok((
        StatusCode::CREATED,
        cookie_header(sessions::set_cookie(&value, &headers)),
        Extension(AuditDetails(json!({ "by": by }))),
        ApiJson(session_of(caller)),
    ))
}

/// Get the session
///
/// Returns the signed-in caller and their method of signing in. Behind Cloudflare Access, `signOutUrl` is the path at
/// which browsers sign out. If nobody is signed in, `details.signIn` of the error names the method by which the owner
/// signs in.
#[utoipa::path(get, path = "/admin/v1/session", tag = "session",
    responses((status = 200, body = Session),
        (
            status = 401,
            body = ErrorBody,
            description = "Nobody is signed in. `details.signIn` is `token` if the admin token or a code signs in, and \
                `access` if only Cloudflare Access does",
        )))]
pub(crate) async fn get_session(caller: AdminCaller, _: NoQuery) -> ApiJson<Session> {
    ApiJson(session_of(caller))
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

/// List sessions
///
/// Newest first: the browsers that signed in with a code or the admin token, and whose session was not ended. Sessions
/// of an earlier admin token are listed until they expire, although they no longer work. Cloudflare Access has sessions
/// of its own, which are not listed.
#[utoipa::path(get, path = "/admin/v1/sessions", tag = "session", params(PageQuery),
    responses((status = 200, body = Page<AdminSession>), (status = 400, body = ErrorBody)))]
pub(crate) async fn list_sessions(
    State(state): State<AdminState>,
    caller: AdminCaller,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<Page<AdminSession>>> {
    let request = PageRequest::<(DateTime<Utc>, String)>::parse(&query)?;
    let current = caller.session.as_ref().map(session_id);
    let (after, limit) = (request.after.clone(), request.fetch());
    let sessions = session_list::sessions(&state.platform, current.as_deref(), after, limit).await?;
    Ok(ApiJson(request.page(sessions, |session: &AdminSession| (session.created_at, session.id.clone()))))
}

/// End a session
///
/// Signs a browser out. Its next request is refused.
#[utoipa::path(delete, path = "/admin/v1/sessions/{session}", tag = "session", params(("session" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorBody)))]
pub(crate) async fn end_session(
    State(state): State<AdminState>,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<StatusCode> {
    if session_list::end(&state.platform, &id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found("session"))
    }
}

/// End all other sessions
///
/// Signs out every browser except the caller's. A caller without a session, such as a program with the admin token,
/// signs out all of them.
#[utoipa::path(delete, path = "/admin/v1/sessions", tag = "session",
    responses((status = 200, body = EndedSessions)))]
pub(crate) async fn end_other_sessions(
    State(state): State<AdminState>,
    _query: NoQuery,
    caller: AdminCaller,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<EndedSessions>)> {
    let ended = session_list::end_others(&state.platform, caller.session.as_ref()).await?;
    Ok((Extension(AuditDetails(json!({ "ended": ended }))), ApiJson(EndedSessions { ended })))
}

fn session_of(caller: AdminCaller) -> Session {
    Session {
        sign_out_url: (caller.method == SignInMethod::Access).then(|| ACCESS_SIGN_OUT.to_owned()),
        id: caller.session.as_ref().map(session_id),
        actor: caller.actor,
        expires_at: caller.expires_at,
        method: caller.method,
    }
}

fn cookie_header(cookie: Option<HeaderValue>) -> AppendHeaders<Option<(header::HeaderName, HeaderValue)>> {
    AppendHeaders(cookie.map(|cookie| (header::SET_COOKIE, cookie)))
}
