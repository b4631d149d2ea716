//! The permitted callers of every route: one row per route of the OpenAPI document, tested with every kind of caller.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{
    docs::markdown::workspace_root,
    support::{Client, TestApp, TestProject},
};

/// The permitted callers of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Anyone who reaches the admin listener.
    Open,
    /// Any key of the project. Grants and exposure decide what it sees.
    AnyKey,
    /// Any key of the project together with a user's access token.
    SignedIn,
    /// Anyone who reaches the public listener.
    OpenPublic,
    /// Only the secret key.
    SecretKey,
    /// The owner.
    Owner,
    /// Anyone, with a code or a token in the body.
    SignIn,
}

use Access::{AnyKey, Open, OpenPublic, Owner, SecretKey, SignIn, SignedIn};

const TABLE: &[(&str, &str, Access)] = &[
    ("GET", "/healthz", Open),
    ("GET", "/readyz", Open),
    ("GET", "/", Open),
    ("GET", "/assets/{name}", Open),
    ("GET", "/openapi.json", Open),
    ("GET", "/metrics", Owner),
    ("GET", "/v1/db/tables", AnyKey),
    ("GET", "/v1/db/{table}", AnyKey),
    ("POST", "/v1/db/{table}", AnyKey),
    ("PATCH", "/v1/db/{table}", AnyKey),
    ("DELETE", "/v1/db/{table}", AnyKey),
    ("POST", "/v1/auth/signup", AnyKey),
    ("POST", "/v1/auth/login", AnyKey),
    ("POST", "/v1/auth/refresh", AnyKey),
    ("POST", "/v1/auth/verify", AnyKey),
    ("POST", "/v1/auth/recover", AnyKey),
    ("POST", "/v1/auth/reset", AnyKey),
    ("POST", "/v1/auth/magic-link", AnyKey),
    ("POST", "/v1/auth/magic-link/confirm", AnyKey),
    ("POST", "/v1/auth/mfa/verify", AnyKey),
    ("GET", "/v1/auth/mfa", SignedIn),
    ("POST", "/v1/auth/mfa/totp", SignedIn),
    ("POST", "/v1/auth/mfa/totp/confirm", SignedIn),
    ("DELETE", "/v1/auth/mfa/totp", SignedIn),
    ("POST", "/v1/auth/mfa/recovery-codes", SignedIn),
    ("POST", "/v1/auth/logout", SignedIn),
    ("GET", "/v1/auth/me", SignedIn),
    ("PATCH", "/v1/auth/me", SignedIn),
    ("GET", "/v1/auth/jwks/{project}", OpenPublic),
    ("POST", "/v1/storage/signed-upload", AnyKey),
    ("GET", "/v1/storage/signed-download", AnyKey),
    ("POST", "/v1/storage/multipart/parts", AnyKey),
    ("POST", "/v1/storage/multipart/complete", AnyKey),
    ("POST", "/v1/storage/multipart/abort", AnyKey),
    ("GET", "/v1/storage/list", SecretKey),
    ("DELETE", "/v1/storage/object", SecretKey),
    ("POST", "/admin/v1/session", SignIn),
    ("GET", "/admin/v1/session", Owner),
    ("DELETE", "/admin/v1/session", Owner),
    ("GET", "/admin/v1/sessions", Owner),
    ("DELETE", "/admin/v1/sessions", Owner),
    ("DELETE", "/admin/v1/sessions/{session}", Owner),
    ("GET", "/admin/v1/projects", Owner),
    ("POST", "/admin/v1/projects", Owner),
    ("GET", "/admin/v1/projects/{project}", Owner),
    ("PATCH", "/admin/v1/projects/{project}", Owner),
    ("DELETE", "/admin/v1/projects/{project}", Owner),
    ("GET", "/admin/v1/projects/{project}/keys", Owner),
    ("POST", "/admin/v1/projects/{project}/keys", Owner),
    ("PATCH", "/admin/v1/projects/{project}/keys/{key}", Owner),
    ("DELETE", "/admin/v1/projects/{project}/keys/{key}", Owner),
    ("POST", "/admin/v1/projects/{project}/keys/{key}/rotate", Owner),
    ("GET", "/admin/v1/projects/{project}/tables", Owner),
    ("GET", "/admin/v1/projects/{project}/tables/{table}", Owner),
    ("GET", "/admin/v1/projects/{project}/table", Owner),
    ("GET", "/admin/v1/projects/{project}/access", Owner),
    ("GET", "/admin/v1/projects/{project}/schema", Owner),
    ("PUT", "/admin/v1/projects/{project}/tables/{table}/exposure", Owner),
    ("GET", "/admin/v1/projects/{project}/tables/{table}/rows", Owner),
    ("POST", "/admin/v1/projects/{project}/tables/{table}/rows", Owner),
    ("PATCH", "/admin/v1/projects/{project}/tables/{table}/rows", Owner),
    ("DELETE", "/admin/v1/projects/{project}/tables/{table}/rows", Owner),
    ("GET", "/admin/v1/projects/{project}/tables/{table}/cell", Owner),
    ("POST", "/admin/v1/projects/{project}/tables/{table}/changes", Owner),
    ("GET", "/admin/v1/projects/{project}/table/rows", Owner),
    ("GET", "/admin/v1/projects/{project}/table/cell", Owner),
    ("POST", "/admin/v1/projects/{project}/table/changes", Owner),
    ("PUT", "/admin/v1/projects/{project}/table/exposure", Owner),
    ("POST", "/admin/v1/projects/{project}/sql", Owner),
    ("POST", "/admin/v1/projects/{project}/sql/parse", Owner),
    ("POST", "/admin/v1/projects/{project}/sql/runs", Owner),
    ("POST", "/admin/v1/projects/{project}/sql/{queryId}/cancel", Owner),
    ("GET", "/admin/v1/projects/{project}/queries", Owner),
    ("POST", "/admin/v1/projects/{project}/queries", Owner),
    ("GET", "/admin/v1/projects/{project}/queries/history", Owner),
    ("DELETE", "/admin/v1/projects/{project}/queries/history", Owner),
    ("GET", "/admin/v1/projects/{project}/queries/{query}", Owner),
    ("PATCH", "/admin/v1/projects/{project}/queries/{query}", Owner),
    ("DELETE", "/admin/v1/projects/{project}/queries/{query}", Owner),
    ("GET", "/admin/v1/projects/{project}/buckets", Owner),
    ("POST", "/admin/v1/projects/{project}/buckets", Owner),
    ("GET", "/admin/v1/projects/{project}/buckets/{bucket}", Owner),
    ("PATCH", "/admin/v1/projects/{project}/buckets/{bucket}", Owner),
    ("DELETE", "/admin/v1/projects/{project}/buckets/{bucket}", Owner),
    ("GET", "/admin/v1/projects/{project}/buckets/{bucket}/objects", Owner),
    ("DELETE", "/admin/v1/projects/{project}/buckets/{bucket}/objects", Owner),
    ("GET", "/admin/v1/projects/{project}/buckets/{bucket}/object", Owner),
    ("GET", "/admin/v1/projects/{project}/buckets/{bucket}/objects/count", Owner),
    ("POST", "/admin/v1/projects/{project}/buckets/{bucket}/objects/delete", Owner),
    ("POST", "/admin/v1/projects/{project}/buckets/{bucket}/objects/move", Owner),
    ("POST", "/admin/v1/projects/{project}/buckets/{bucket}/objects/copy", Owner),
    ("GET", "/admin/v1/projects/{project}/buckets/{bucket}/multipart", Owner),
    ("POST", "/admin/v1/projects/{project}/buckets/{bucket}/signed-upload", Owner),
    ("GET", "/admin/v1/projects/{project}/buckets/{bucket}/signed-download", Owner),
    ("POST", "/admin/v1/projects/{project}/buckets/{bucket}/multipart/parts", Owner),
    ("POST", "/admin/v1/projects/{project}/buckets/{bucket}/multipart/complete", Owner),
    ("POST", "/admin/v1/projects/{project}/buckets/{bucket}/multipart/abort", Owner),
    ("GET", "/admin/v1/projects/{project}/auth", Owner),
    ("PATCH", "/admin/v1/projects/{project}/auth", Owner),
    ("POST", "/admin/v1/projects/{project}/auth/rotate-key", Owner),
    ("GET", "/admin/v1/projects/{project}/users", Owner),
    ("POST", "/admin/v1/projects/{project}/users", Owner),
    ("GET", "/admin/v1/projects/{project}/users/{user}", Owner),
    ("PATCH", "/admin/v1/projects/{project}/users/{user}", Owner),
    ("DELETE", "/admin/v1/projects/{project}/users/{user}", Owner),
    ("POST", "/admin/v1/projects/{project}/users/{user}/sign-out", Owner),
    ("POST", "/admin/v1/projects/{project}/users/{user}/send-reset-link", Owner),
    ("DELETE", "/admin/v1/projects/{project}/users/{user}/second-factor", Owner),
    ("GET", "/admin/v1/backups", Owner),
    ("POST", "/admin/v1/backups", Owner),
    ("GET", "/admin/v1/backups/protection", Owner),
    ("GET", "/admin/v1/backups/{backup}", Owner),
    ("DELETE", "/admin/v1/backups/{backup}", Owner),
    ("POST", "/admin/v1/backups/{backup}/download", Owner),
    ("POST", "/admin/v1/backups/{backup}/verify", Owner),
    ("POST", "/admin/v1/backups/{backup}/restore", Owner),
    ("GET", "/admin/v1/restores", Owner),
    ("POST", "/admin/v1/restores", Owner),
    ("POST", "/admin/v1/restores/uploads", Owner),
    ("POST", "/admin/v1/restores/uploads/{upload}/sign", Owner),
    ("GET", "/admin/v1/restores/{restore}", Owner),
    ("DELETE", "/admin/v1/restores/{restore}", Owner),
    ("POST", "/admin/v1/restores/{restore}/confirm", Owner),
    ("POST", "/admin/v1/restores/{restore}/rollback", Owner),
    ("GET", "/admin/v1/exports", Owner),
    ("POST", "/admin/v1/exports", Owner),
    ("GET", "/admin/v1/exports/{export}", Owner),
    ("DELETE", "/admin/v1/exports/{export}", Owner),
    ("POST", "/admin/v1/exports/{export}/download", Owner),
    ("GET", "/admin/v1/imports", Owner),
    ("POST", "/admin/v1/imports", Owner),
    ("GET", "/admin/v1/imports/{import}", Owner),
    ("DELETE", "/admin/v1/imports/{import}", Owner),
    ("POST", "/admin/v1/imports/{import}/upload", Owner),
    ("POST", "/admin/v1/imports/{import}/preview", Owner),
    ("POST", "/admin/v1/imports/{import}/start", Owner),
    ("GET", "/admin/v1/jobs", Owner),
    ("POST", "/admin/v1/jobs", Owner),
    ("GET", "/admin/v1/jobs/{job}", Owner),
    ("PATCH", "/admin/v1/jobs/{job}", Owner),
    ("DELETE", "/admin/v1/jobs/{job}", Owner),
    ("POST", "/admin/v1/jobs/{job}/run", Owner),
    ("GET", "/admin/v1/jobs/{job}/runs", Owner),
    ("GET", "/admin/v1/runs", Owner),
    ("GET", "/admin/v1/runs/summary", Owner),
    ("GET", "/admin/v1/runs/{run}", Owner),
    ("GET", "/admin/v1/runs/{run}/log", Owner),
    ("POST", "/admin/v1/runs/{run}/cancel", Owner),
    ("POST", "/admin/v1/runs/{run}/again", Owner),
    ("POST", "/admin/v1/jobs/check", Owner),
    ("GET", "/admin/v1/events", Owner),
    ("POST", "/admin/v1/cron/preview", Owner),
    ("GET", "/admin/v1/notifications", Owner),
    ("POST", "/admin/v1/notifications", Owner),
    ("GET", "/admin/v1/notifications/{channel}", Owner),
    ("PATCH", "/admin/v1/notifications/{channel}", Owner),
    ("DELETE", "/admin/v1/notifications/{channel}", Owner),
    ("POST", "/admin/v1/notifications/{channel}/test", Owner),
    ("POST", "/admin/v1/notifications/test", Owner),
    ("GET", "/admin/v1/notifications/{channel}/deliveries", Owner),
    ("GET", "/admin/v1/plugins", Owner),
    ("GET", "/admin/v1/plugins/{plugin}", Owner),
    ("DELETE", "/admin/v1/plugins/{plugin}", Owner),
    ("POST", "/admin/v1/plugins/{plugin}/approve", Owner),
    ("POST", "/admin/v1/plugins/{plugin}/revoke", Owner),
    ("GET", "/admin/v1/trusted-keys", Owner),
    ("POST", "/admin/v1/trusted-keys", Owner),
    ("DELETE", "/admin/v1/trusted-keys/{id}", Owner),
    ("GET", "/admin/v1/audit", Owner),
    ("GET", "/admin/v1/audit/actions", Owner),
    ("GET", "/admin/v1/audit/export", Owner),
    ("GET", "/admin/v1/overview", Owner),
    ("GET", "/admin/v1/system", Owner),
    ("GET", "/admin/v1/migrations", Owner),
    ("POST", "/admin/v1/migrations/apply", Owner),
];

/// Returns every operation of the OpenAPI document.
fn operations() -> Vec<(Method, String)> {
    let document = serde_json::to_value(atlashub::router::openapi()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "patch", "delete"] {
            if item.get(method).is_some() {
                operations.push((method.to_uppercase().parse().unwrap(), path.clone()));
            }
        }
    }
    operations
}

#[test]
fn authorization_table_matches_the_openapi_document() {
    let operations = operations();
    let missing: Vec<_> = operations
        .iter()
        .filter(|(method, path)| !TABLE.iter().any(|row| row.0 == method.as_str() && row.1 == path))
        .collect();
    assert!(missing.is_empty(), "routes without a row: {missing:?}");
    let stale: Vec<_> = TABLE
        .iter()
        .filter(|row| !operations.iter().any(|(method, path)| row.0 == method.as_str() && row.1 == path))
        .collect();
    assert!(stale.is_empty(), "rows without a route: {stale:?}");
}

#[test]
fn openapi_states_which_public_routes_need_a_signed_in_user() {
    let document = serde_json::to_value(atlashub::router::openapi()).unwrap();
    for (method, path, access) in TABLE.iter().filter(|row| row.1.starts_with("/v1/")) {
        let expected = match access {
            SignedIn => json!([{ "apiKey": [], "userToken": [] }]),
            OpenPublic => json!([]),
            _ => json!([{ "apiKey": [] }, { "apiKey": [], "userToken": [] }]),
        };
        assert_eq!(document["paths"][path][method.to_lowercase()]["security"], expected, "{method} {path}");
    }
}

#[test]
fn every_openapi_response_has_a_description() {
    let document = serde_json::to_value(atlashub::router::openapi()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(
                    response["description"].as_str().is_some_and(|text| !text.is_empty()),
                    "{method} {path} {status}"
                );
            }
        }
    }
}

/// The OpenAPI document as a file, so that API changes show in reviews.
const OPENAPI_SNAPSHOT: &str = "docs/openapi.json";

#[test]
fn openapi_snapshot_is_up_to_date() {
    let mut document = serde_json::to_string_pretty(&atlashub::router::openapi()).unwrap();
    document.push('\n');
    let path = workspace_root().join(OPENAPI_SNAPSHOT);
    if std::env::var_os("ATLASHUB_WRITE_DOCS").is_some() {
        std::fs::write(path, document).unwrap();
        return;
    }
    let snapshot = std::fs::read_to_string(path).unwrap_or_default();
    let difference = snapshot.lines().zip(document.lines()).position(|(old, new)| old != new);
    assert!(
        snapshot == document,
        "{OPENAPI_SNAPSHOT} is out of date (first difference in line {}); review the change and update it with: \
         ATLASHUB_WRITE_DOCS=1 cargo test --test it authorization::openapi",
        difference.unwrap_or_else(|| snapshot.lines().count().min(document.lines().count())) + 1
    );
}

async fn call(client: &Client, method: &str, path: &str) -> StatusCode {
    let method: Method = method.parse().unwrap();
    let request = client.request(method.clone(), path);
    let request = if method == Method::GET { request } else { request.json(&json!({})) };
    request.send().await.unwrap().status()
}

fn fill(path: &str, project: &TestProject) -> String {
    path.replace("{project}", &project.id)
        .replace("{table}", "items")
        .replace("{bucket}", "uploads")
        .replace("{key}", "00000000-0000-7000-8000-000000000000")
}

/// Returns a client with its own IP address, so that requests with wrong credentials stay below the limit per IP
/// address.
fn from_own_address(client: &Client, number: usize) -> Client {
    client.with_header("cf-connecting-ip", &format!("192.0.2.{number}"))
}

#[tokio::test]
async fn each_route_accepts_only_the_callers_of_its_row() {
    let app = TestApp::builder().var("ATLASHUB_TRUSTED_PROXIES", "127.0.0.1").start().await;
    let project = app.create_project("Table").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY)").await;
    crate::auth::enable(&project).await;
    crate::auth::sign_up(&project, "a@example.com").await;
    let wrong_key = format!("ah_sec_{}", "b".repeat(43));
    let admin = Client::new(&*app.admin_url);
    for (number, (method, path, access)) in TABLE.iter().enumerate() {
        let path = fill(path, &project);
        let route = format!("{method} {path}");
        if *access == OpenPublic {
            assert_eq!(call(&app.public(), method, &path).await, StatusCode::OK, "{route}");
            assert_eq!(call(&app.admin(), method, &path).await, StatusCode::NOT_FOUND, "on the admin surface: {route}");
            continue;
        }
        let on_public = matches!(access, AnyKey | SecretKey | SignedIn);
        if on_public {
            assert_eq!(call(&app.public(), method, &path).await, StatusCode::UNAUTHORIZED, "no key: {route}");
            let wrong = from_own_address(&app.public(), number).with_header("x-api-key", &wrong_key);
            assert_eq!(call(&wrong, method, &path).await, StatusCode::UNAUTHORIZED, "wrong key: {route}");
            let owner = app.public().with_header("x-dev-admin-token", crate::support::ADMIN_TOKEN);
            assert_eq!(call(&owner, method, &path).await, StatusCode::UNAUTHORIZED, "owner's token: {route}");
            if *access == SignedIn {
                for client in [project.secret(), project.publishable()] {
                    assert_eq!(call(&client, method, &path).await, StatusCode::UNAUTHORIZED, "no user: {route}");
                    // Each request uses a new session, because one of the routes ends it.
                    let (_, body) = crate::auth::log_in(&project, "a@example.com", crate::auth::PASSWORD).await;
                    let bearer = format!("Bearer {}", body["session"]["accessToken"].as_str().unwrap());
                    let status = call(&client.with_header("authorization", &bearer), method, &path).await;
                    // Some routes reject an empty body.
                    let is_accepted = status.is_success() || status == StatusCode::BAD_REQUEST;
                    assert!(is_accepted, "user: {route}: {status}");
                }
                assert_eq!(call(&app.admin(), method, &path).await, StatusCode::NOT_FOUND, "{route}");
                continue;
            }
            let secret = call(&project.secret(), method, &path).await;
            assert!(
                secret != StatusCode::UNAUTHORIZED && secret != StatusCode::FORBIDDEN,
                "secret key: {route}: {secret}"
            );
            let publishable = call(&project.publishable(), method, &path).await;
            if *access == SecretKey {
                assert_eq!(publishable, StatusCode::FORBIDDEN, "publishable key: {route}");
            } else {
                assert_ne!(publishable, StatusCode::UNAUTHORIZED, "publishable key: {route}");
            }
            // Each surface serves only its own routes.
            assert_eq!(call(&app.admin(), method, &path).await, StatusCode::NOT_FOUND, "on the admin surface: {route}");
            continue;
        }
        let anonymous = call(&admin, method, &path).await;
        let guess = from_own_address(&admin, number).with_header("x-dev-admin-token", "not-the-token-at-all");
        let wrong = call(&guess, method, &path).await;
        let keyed = call(&admin.with_header("x-api-key", &project.secret_key), method, &path).await;
        match access {
            // The file does not exist.
            Open if path.starts_with("/assets/") => assert_eq!(keyed, StatusCode::NOT_FOUND, "{route}"),
            Open => assert_eq!([anonymous, wrong, keyed], [StatusCode::OK; 3], "{route}"),
            SignIn => assert!(anonymous.is_client_error() && wrong.is_client_error(), "{route}"),
            _ => assert_eq!([anonymous, wrong, keyed], [StatusCode::UNAUTHORIZED; 3], "{route}"),
        }
        if *access == Owner {
            let owner = call(&app.admin(), method, &path).await;
            assert!(owner != StatusCode::UNAUTHORIZED && owner != StatusCode::FORBIDDEN, "owner: {route}: {owner}");
            let public = call(&project.secret(), method, &path).await;
            assert_eq!(public, StatusCode::NOT_FOUND, "on the public surface: {route}");
        }
    }
}

#[tokio::test]
async fn key_of_one_project_has_no_access_to_another() {
    let app = TestApp::start().await;
    let (own, other) = (app.create_project("Own").await, app.create_project("Other").await);
    other.sql("CREATE TABLE secrets (id int PRIMARY KEY); INSERT INTO secrets VALUES (1)").await;
    assert_eq!(own.secret().get("/v1/db/secrets").await.0, StatusCode::NOT_FOUND);
    let (_, tables) = own.secret().get("/v1/db/tables").await;
    assert_eq!(tables, json!({ "tables": [] }));
    let (status, _) = own.secret().get("/v1/storage/signed-download?bucket=uploads&objectKey=uploads/a").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
