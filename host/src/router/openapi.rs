//! The OpenAPI document. Handlers describe themselves in their `utoipa::path` attributes; this module adds the parts
//! that all routes of a surface share: servers, security and the responses of the gate.

use std::collections::HashSet;

use axum::http::StatusCode;
use serde_json::Value;
use utoipa::{
    OpenApi as _,
    openapi::{
        Components, OpenApi, PathItem, Ref, RefOr, Required, Response, ResponseBuilder, Schema, SecurityRequirement,
        Server, ServerBuilder, ServerVariableBuilder,
        content::ContentBuilder,
        path::Operation,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

use super::{admin_routes, health_routes, metrics_routes, page_routes, public_routes};
use crate::app::App;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "AtlasHub",
        description = "A personal, self-hosted backend platform.",
        contact(name = "AtlasHub"),
    ),
    tags(
        (name = "db", description = "Rows of a project's tables"),
        (name = "auth", description = "Login of end users"),
        (name = "storage", description = "Files of a project"),
        (name = "health", description = "Health checks of both listeners"),
        (name = "session", description = "The owner's session"),
        (name = "projects", description = "Projects"),
        (name = "keys", description = "API keys of a project"),
        (name = "tables", description = "Tables and rows of a project, and their exposure"),
        (name = "sql", description = "The SQL editor"),
        (name = "buckets", description = "Buckets of a project and their files"),
        (name = "users", description = "End users of a project, and settings of their login"),
        (name = "backups", description = "Backups"),
        (name = "restores", description = "Restores of projects' databases"),
        (name = "transfers", description = "Exports and imports"),
        (name = "jobs", description = "Jobs, their schedules and runs"),
        (name = "notifications", description = "Notification channels"),
        (name = "plugins", description = "Plugins and trusted keys"),
        (name = "audit", description = "The audit log"),
        (name = "overview", description = "The state of the whole installation"),
        (name = "system", description = "The server"),
    )
)]
struct Document;

/// A group of routes with the same servers and credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Public,
    Admin,
    Metrics,
    /// Open routes of the admin surface.
    Page,
    /// Open routes of both surfaces.
    Health,
}

/// The operation of the admin surface that takes its credentials in the body.
const SIGN_IN: &str = "sign_in";
/// Operations of the public surface that need a signed-in user.
const SIGNED_IN: [&str; 8] = [
    "log_out",
    "get_current_user",
    "update_current_user",
    "get_second_factor",
    "enrol_totp",
    "confirm_totp",
    "remove_totp",
    "replace_recovery_codes",
];
/// The operation of the public surface that needs no API key.
const PUBLIC_KEYS: &str = "get_public_keys";
/// Operations whose body may be left out.
const OPTIONAL_BODY: [&str; 4] = ["log_out", "rotate_key", "verify_backup", "revoke_trusted_key"];
/// Errors of the gate and of limits, which every operation that needs an API key can return.
const GATE_RESPONSES: [(StatusCode, &str); 3] = [
    (StatusCode::UNAUTHORIZED, "`unauthorized`: the API key or the access token is missing or not valid"),
    (StatusCode::TOO_MANY_REQUESTS, "`rate_limited`: wait for the number of seconds in `Retry-After`"),
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "`overloaded` or `unavailable`: wait for the number of seconds in `Retry-After`, if it is sent",
    ),
];
const ERROR_BODY: &str = "ErrorBody";

/// Returns the OpenAPI 3.1 document of both surfaces.
pub fn openapi() -> OpenApi {
    let mut document = Document::openapi();
    let components = document.components.get_or_insert_default();
    add_security_schemes(components);
    document.servers = Some(vec![public_server(), admin_server()]);
    for (routes, group) in [
        (public_routes(), Group::Public),
        (admin_routes(), Group::Admin),
        (metrics_routes(), Group::Metrics),
        (page_routes(), Group::Page),
        (health_routes(), Group::Health),
    ] {
        document.merge(describe(routes, group));
    }
    if let Some(components) = &mut document.components {
        refer_to_items_of_pages(components);
    }
    document
}

fn describe(routes: OpenApiRouter<App>, group: Group) -> OpenApi {
    let mut part = routes.into_openapi();
    for item in part.paths.paths.values_mut() {
        for operation in operations(item) {
            operation.servers = match group {
                Group::Public => Some(vec![public_server()]),
                Group::Admin | Group::Metrics | Group::Page => Some(vec![admin_server()]),
                Group::Health => None,
            };
            operation.security = Some(security(group, operation.operation_id.as_deref()));
            if operation.description.is_none() {
                operation.description.clone_from(&operation.summary);
            }
            if group == Group::Public && operation.operation_id.as_deref() != Some(PUBLIC_KEYS) {
                add_gate_responses(operation);
            }
            add_client_error(operation);
            mark_optional_body(operation);
            describe_responses(operation);
        }
    }
    part
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

/// Returns the alternative ways to authenticate a request, or an empty list if no authentication is needed.
fn security(group: Group, operation_id: Option<&str>) -> Vec<SecurityRequirement> {
    let of = |name: &str| SecurityRequirement::new(name, Vec::<String>::new());
    let owner = || ["adminToken", "access", "session"].map(of).to_vec();
    let with_user = || of("apiKey").add("userToken", Vec::<String>::new());
    match group {
        Group::Public if operation_id == Some(PUBLIC_KEYS) => Vec::new(),
        Group::Public if operation_id.is_some_and(|id| SIGNED_IN.contains(&id)) => vec![with_user()],
        Group::Public => vec![of("apiKey"), with_user()],
        Group::Admin if operation_id == Some(SIGN_IN) => Vec::new(),
        Group::Admin => owner(),
        Group::Metrics => [owner(), vec![of("metricsToken")]].concat(),
        Group::Page | Group::Health => Vec::new(),
    }
}

fn public_server() -> Server {
    server("The public listener, for `/v1`", "127.0.0.1:8080")
}

fn admin_server() -> Server {
    server("The admin listener, for everything else", "127.0.0.1:8081")
}

fn server(description: &str, listener: &str) -> Server {
    let scheme = ServerVariableBuilder::new().default_value("http").enum_values(Some(["http", "https"]));
    let host = ServerVariableBuilder::new().default_value(listener).description(Some("Host name, and port if any"));
    ServerBuilder::new()
        .url("{scheme}://{host}")
        .description(Some(description))
        .parameter("scheme", scheme)
        .parameter("host", host)
        .build()
}

/// Adds a 4xx response to an operation without any: 400 if it needs no authentication, otherwise 401.
fn add_client_error(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    if responses.keys().any(|status| status.starts_with('4')) {
        return;
    }
    let is_open = operation.security.as_ref().is_none_or(Vec::is_empty);
    let status = if is_open { StatusCode::BAD_REQUEST } else { StatusCode::UNAUTHORIZED };
    responses.insert(status.as_str().to_owned(), error_response(""));
}

/// Adds the [`GATE_RESPONSES`] that the operation does not describe itself.
fn add_gate_responses(operation: &mut Operation) {
    for (status, description) in GATE_RESPONSES {
        let responses = &mut operation.responses.responses;
        responses.entry(status.as_str().to_owned()).or_insert_with(|| error_response(description));
    }
}

fn error_response(description: &str) -> RefOr<Response> {
    let body = ContentBuilder::new().schema(Some(Ref::from_schema_name(ERROR_BODY))).build();
    RefOr::T(ResponseBuilder::new().description(description).content("application/json", body).build())
}

fn mark_optional_body(operation: &mut Operation) {
    let is_optional = operation.operation_id.as_deref().is_some_and(|id| OPTIONAL_BODY.contains(&id));
    if let Some(RefOr::T(body)) = &mut operation.request_body
        && is_optional
    {
        body.required = Some(Required::False);
    }
}

/// Describes responses without a description by the name of their status, because OpenAPI requires a description of
/// every response.
fn describe_responses(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            let status = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok());
            response.description =
                status.and_then(|status| status.canonical_reason()).unwrap_or("Any other response").to_owned();
        }
    }
}

/// Lets the schemas of pages (`Page_Job`) refer to the schema of their items instead of repeating it, so that generated
/// clients have one type for both. Adds the schemas of items that only pages use.
fn refer_to_items_of_pages(components: &mut Components) {
    let mut items_of_pages = Vec::new();
    let known: HashSet<String> = components.schemas.keys().cloned().collect();
    for (name, schema) in &mut components.schemas {
        let Some(item) = name.strip_prefix("Page_") else { continue };
        let Ok(mut json) = serde_json::to_value(&*schema) else { continue };
        let Some(items) = json.pointer_mut("/properties/items/items") else { continue };
        if items.get("type").is_some_and(|kind| kind != "object") {
            continue;
        }
        let reference = serde_json::json!({ "$ref": format!("#/components/schemas/{item}") });
        let repeated = std::mem::replace(items, reference);
        let Some(referring) = from_json(json) else { continue };
        if !known.contains(item) {
            // The library can't read every schema that it writes, for example that of a field with any JSON value.
            let Some(repeated) = from_json(repeated) else { continue };
            items_of_pages.push((item.to_owned(), repeated));
        }
        *schema = referring;
    }
    for (name, schema) in items_of_pages {
        components.schemas.entry(name).or_insert(schema);
    }
}

fn from_json(json: Value) -> Option<RefOr<Schema>> {
    serde_json::from_value(json).ok()
}

fn add_security_schemes(components: &mut Components) {
    let header = |name: &str, description: &str| {
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, description)))
    };
    let bearer = |description: &str| {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some(description.to_owned());
        SecurityScheme::Http(scheme)
    };
    let cookie = ApiKeyValue::with_description("atlashub_session", "The session of the dashboard, set by `sign_in`.");
    for (name, scheme) in [
        ("apiKey", header("x-api-key", "A key of the project, for all of `/v1`.")),
        ("userToken", bearer("The token of a signed-in user, in addition to the API key.")),
        ("adminToken", header("x-dev-admin-token", "The development token, for all of `/admin/v1`.")),
        ("access", header("Cf-Access-Jwt-Assertion", "An assertion of Cloudflare Access, for all of `/admin/v1`.")),
        ("session", SecurityScheme::ApiKey(ApiKey::Cookie(cookie))),
        ("metricsToken", bearer("`ATLASHUB_METRICS_TOKEN`, for `/metrics` only.")),
    ] {
        components.add_security_scheme(name, scheme);
    }
}
