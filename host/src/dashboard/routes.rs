//! Handlers of the dashboard's page and files.

use axum::{
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, Method, header},
    response::{IntoResponse, Response},
};

use super::{DashboardFiles, PageHeaders, files::DashboardFile};
use crate::error::{ApiError, ApiResult, Code};

/// Paths that, like all paths below them, are not pages of the dashboard.
const RESERVED: [&str; 7] = ["/admin", "/v1", "/healthz", "/readyz", "/metrics", "/openapi.json", "/assets"];

/// The page of a binary that was built without the dashboard.
const NO_DASHBOARD: &str = "<!doctype html><html lang=en><meta charset=utf-8>\
    <meta name=viewport content='width=device-width'><title>AtlasHub</title>\
    <body style='font:15px/1.5 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem'><h1>AtlasHub</h1>\
    <p>This build contains no dashboard. Build it with <code>cargo xtask build</code>.</p>\
    <p>The admin API is under <code>/admin/v1</code>; <a href=/openapi.json>/openapi.json</a> describes it.</p>";

/// The state of the routes.
#[derive(Debug, Clone)]
pub(crate) struct DashboardState {
    pub(crate) headers: PageHeaders,
    pub(crate) files: DashboardFiles,
}

/// Get the dashboard
///
/// The dashboard's page. Browsers also receive it at every other path, except those of the APIs, of files, of health
/// checks, of metrics and of this document.
#[utoipa::path(get, path = "/", tag = "system", security(()),
    responses((status = 200, content_type = "text/html", body = String)))]
pub(crate) async fn get_page(State(dashboard): State<DashboardState>, headers: HeaderMap) -> Response {
    dashboard.page(&headers).await
}

/// Get a file of the dashboard
///
/// A script, style, font or module. Its name changes with its content, so it may be cached forever.
#[utoipa::path(get, path = "/assets/{name}", tag = "system", security(()),
    params(("name" = String, Path, description = "Name of the file")),
    responses((status = 200, body = String), (status = 404, body = api_types::ErrorBody)))]
pub(crate) async fn get_asset(
    State(dashboard): State<DashboardState>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let file = dashboard
        .files
        .find(&format!("/assets/{name}"))
        .await
        .ok_or_else(|| ApiError::new(Code::NotFound, "The dashboard has no such file. Reload the page."))?;
    let mut response = file_response(file, &headers);
    let for_ever = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(header::CACHE_CONTROL, for_ever);
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    Ok(response)
}

/// Returns whether the request is a browser's navigation to an address of the dashboard.
pub(crate) fn is_navigation(request: &Request) -> bool {
    let path = request.uri().path();
    let is_reserved = RESERVED
        .iter()
        .any(|reserved| path.strip_prefix(reserved).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    matches!(*request.method(), Method::GET | Method::HEAD) && accept.contains("text/html") && !is_reserved
}

impl DashboardState {
    /// Returns the page, which is the same at every address.
    pub(crate) async fn page(&self, request: &HeaderMap) -> Response {
        let mut response = match self.files.find("/index.html").await {
            Some(file) => file_response(file, request),
            None => axum::response::Html(NO_DASHBOARD).into_response(),
        };
        response.headers_mut().extend(self.headers.iter());
        response
    }
}

fn file_response(file: DashboardFile, request: &HeaderMap) -> Response {
    let content_type = HeaderValue::from_static(file.content_type);
    let (content, coding) = file.into_content(request);
    let mut response = content.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    response
}
