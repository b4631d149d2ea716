//! Both surfaces on one screen. Each request passes, outermost first: request id and errors, the client's
//! address, panics, turns and time, the body's size, then the surface's own gate.

use std::sync::Arc;

use axum::{Router, extract::DefaultBodyLimit, http::StatusCode, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::{
    admin,
    app::App,
    backups, data,
    error::{ApiError, Code},
    health,
    http::{RequestLimits, finish_response, limit_requests, note_client_address},
    jobs, notifications, observability, plugins, projects, sql_editor, storage, tables,
};

/// Owner's requests that make or remove databases take longer than an app's.
const ADMIN_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(120);

#[derive(OpenApi)]
#[openapi(
    info(title = "AtlasHub", description = "A personal, self-hosted backend platform."),
    modifiers(&SecuritySchemes)
)]
struct Document;

/// `/v1`, behind the API key.
fn public_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().merge(data::router()).merge(storage::router())
}

/// `/admin/v1`, behind the owner's identity.
fn admin_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(projects::admin_router())
        .merge(tables::admin_router())
        .merge(data::admin_router())
        .merge(sql_editor::admin_router())
        .merge(storage::admin_router())
        .merge(backups::admin_router())
        .merge(jobs::admin_router())
        .merge(notifications::admin_router())
        .merge(plugins::admin_router())
        .merge(admin::router())
}

/// The public surface: `/v1`, `/healthz`, `/readyz`.
pub fn public_router(app: &App) -> Router {
    let gated = Router::from(public_routes())
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(middleware::from_fn_with_state(app.gate().clone(), projects::authenticate));
    surface(app, gated, app.config().limits.request_timeout)
}

/// The admin surface: `/admin/v1`, the page at `/`, `/healthz`, `/readyz`, `/metrics`, `/openapi.json`.
pub fn admin_router(app: &App) -> Router {
    let metrics = Router::from(observability::metrics_router())
        .layer(middleware::from_fn_with_state(app.admin().clone(), admin::require_metrics_reader));
    let gated = Router::from(admin_routes())
        .merge(metrics)
        .merge(Router::from(observability::page_router()))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method);
    surface(app, admin::protect(gated, app.admin()), ADMIN_TIMEOUT)
}

fn surface(app: &App, gated: Router<App>, timeout: std::time::Duration) -> Router {
    let limits = &app.config().limits;
    let requests = RequestLimits::new(limits.concurrent_requests, timeout);
    gated
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(middleware::from_fn_with_state(requests, limit_requests))
        .merge(Router::from(health::router()))
        .layer(CatchPanicLayer::custom(|_| panicked()))
        .layer(middleware::from_fn_with_state(Arc::new(app.config().trusted_proxies.clone()), note_client_address))
        .layer(middleware::from_fn(finish_response))
        .with_state(app.clone())
}

fn panicked() -> axum::response::Response {
    axum::response::IntoResponse::into_response(ApiError::internal(anyhow::anyhow!("a handler panicked")))
}

async fn unknown_path() -> ApiError {
    ApiError::new(Code::NotFound, "There is no such path.")
        .with_hint("The paths are listed in /openapi.json of the admin surface.")
}

async fn unknown_method() -> ApiError {
    ApiError::new(Code::MethodNotAllowed, "The path exists, the method does not.")
}

/// The OpenAPI 3.1 document of both surfaces.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let routes = OpenApiRouter::<App>::with_openapi(Document::openapi())
        .merge(public_routes())
        .merge(admin_routes())
        .merge(observability::metrics_router())
        .merge(observability::page_router())
        .merge(health::router());
    let mut document = routes.into_openapi();
    describe_responses(&mut document);
    document
}

/// OpenAPI wants a description of every response; where a handler has none, its status says it.
fn describe_responses(document: &mut utoipa::openapi::OpenApi) {
    use utoipa::openapi::RefOr;
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            for (status, response) in &mut operation.responses.responses {
                if let RefOr::T(response) = response
                    && response.description.is_empty()
                {
                    let status = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
                    response.description =
                        status.and_then(|status| status.canonical_reason()).unwrap_or("Any other answer").to_owned();
                }
            }
        }
    }
}

struct SecuritySchemes;

impl utoipa::Modify for SecuritySchemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
        let components = openapi.components.get_or_insert_with(Default::default);
        let header = |name: &str, description: &str| {
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, description)))
        };
        components.add_security_scheme("apiKey", header("x-api-key", "A key of the project; all of `/v1`."));
        components.add_security_scheme("userToken", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        components.add_security_scheme("adminToken", header("x-dev-admin-token", "Development; all of `/admin/v1`."));
        components
            .add_security_scheme("access", header("Cf-Access-Jwt-Assertion", "Cloudflare Access; all of `/admin/v1`."));
    }
}
