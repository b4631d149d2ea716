//! Requests with NUL characters, which Postgres can't store. A path with one is not found. A parameter or a field with
//! one may be refused, but never causes a server error.

use atlashub::db::audit::{self, NewAuditEntry};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, TestApp, TestProject};

/// Returns method, path and description of every operation below `/v1/` and `/admin/v1/`.
fn operations() -> Vec<(Method, String, Value)> {
    let document = serde_json::to_value(atlashub::router::openapi()).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        if path.starts_with("/v1/") || path.starts_with("/admin/v1/") {
            for (method, operation) in item.as_object().unwrap() {
                operations.push((method.to_uppercase().parse().unwrap(), path.clone(), operation.clone()));
            }
        }
    }
    operations
}

fn client_for(app: &TestApp, project: &TestProject, path: &str) -> Client {
    if path.starts_with("/v1/") { project.secret() } else { app.admin() }
}

/// Replaces path parameters with existing resources, and with `0` where the test has none.
fn fill(path: &str, project: &TestProject) -> String {
    let known = path.replace("{project}", &project.id).replace("{table}", "items").replace("{bucket}", "uploads");
    let segments = known.split('/').map(|segment| if segment.starts_with('{') { "0" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

async fn start() -> (TestApp, TestProject) {
    let app = TestApp::start().await;
    let project = app.create_project("Nul").await;
    project.sql("CREATE TABLE items (id int PRIMARY KEY, name text, data jsonb)").await;
    (app, project)
}

/// Sends a request, and returns its status without waiting for the end of the body, which a stream does not have.
async fn status(client: &Client, method: &Method, path: &str, body: Option<&Value>) -> StatusCode {
    let request = client.request(method.clone(), path);
    let request = if let Some(body) = body { request.json(body) } else { request };
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn path_with_a_nul_character_is_not_found_and_audited() {
    let (app, project) = start().await;
    let mut checked = 0;
    for (method, path, _) in operations() {
        let client = client_for(&app, &project, &path);
        for parameter in path.split('/').filter(|segment| segment.starts_with('{')) {
            let concrete = fill(&path.replace(parameter, "a%00b"), &project);
            let body = (method != Method::GET).then(|| json!({}));
            let found = status(&client, &method, &concrete, body.as_ref()).await;
            assert_eq!(found, StatusCode::NOT_FOUND, "{method} {concrete}");
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");

    let audited = async |action: &str| {
        let (_, page) = app.admin().get(&format!("/admin/v1/audit?action={action}&result=denied")).await;
        page["items"][0].clone()
    };
    assert_eq!(audited("admin.end_session").await["target"], "a\u{fffd}b");
    assert_eq!(audited("project.delete").await["projectId"], "a\u{fffd}b");
}

#[tokio::test]
async fn audit_entry_with_nul_characters_in_its_details_is_written() {
    let app = TestApp::start().await;
    let platform = app.app.platform();
    let mut entry = NewAuditEntry::new("system", "test.nul");
    entry.details = json!({ "na\0me": ["a\0b", 1, null] });
    audit::record(platform, &entry).await.unwrap();
    audit::begin(platform, &entry).await.unwrap().complete(platform, &entry).await.unwrap();
    let (_, page) = app.admin().get("/admin/v1/audit?action=test.nul").await;
    let details: Vec<&Value> = page["items"].as_array().unwrap().iter().map(|entry| &entry["details"]).collect();
    let expected = json!({ "na\u{fffd}me": ["a\u{fffd}b", 1, null] });
    assert_eq!(details, [&expected, &expected]);
}

#[tokio::test]
async fn parameter_with_a_nul_character_is_never_a_server_error() {
    let (app, project) = start().await;
    // One cursor for each kind of sort key.
    let cursors = [
        json!("a\0"),
        json!(["2026-01-01T00:00:00Z", "a\0"]),
        json!(["a\0", "00000000-0000-7000-8000-000000000000"]),
        json!(["createdAt", ["a\0", "a\0"]]),
        json!(["name", ["a\0", "a\0"]]),
    ];
    let cursors = cursors.map(|key| URL_SAFE_NO_PAD.encode(key.to_string()));
    let mut refused = 0;
    for (method, path, operation) in operations() {
        let client = client_for(&app, &project, &path);
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] != "query" {
                continue;
            }
            let name = parameter["name"].as_str().unwrap();
            let values = if name == "cursor" { &cursors[..] } else { &[] };
            for value in values.iter().map(String::as_str).chain(["a%00b"]) {
                let concrete = format!("{}?{name}={value}", fill(&path, &project));
                let body = (method != Method::GET).then(|| json!({}));
                let found = status(&client, &method, &concrete, body.as_ref()).await;
                assert!(!found.is_server_error(), "{method} {concrete}: {found}");
                refused += usize::from(found == StatusCode::BAD_REQUEST);
            }
        }
    }
    assert!(refused > 60, "{refused}");
    for parameter in ["q", "actor", "target", "projectId", "action"] {
        for list in ["audit", "audit/export"] {
            let path = format!("/admin/v1/{list}?{parameter}=a%00b");
            let (found, error) = app.admin().get(&path).await;
            let code = error["error"]["code"].as_str();
            assert_eq!((found, code), (StatusCode::BAD_REQUEST, Some("invalid_request")), "{path}");
        }
    }
}

/// Returns a copy of the value for each string in it, with a NUL character in that string.
fn with_nul(value: &Value) -> Vec<Value> {
    let replaced = |part: &Value, within: &dyn Fn(Value) -> Value| with_nul(part).into_iter().map(within).collect();
    match value {
        Value::String(text) => vec![json!(format!("{text}\0"))],
        Value::Array(parts) => {
            let at = |index: usize| -> Vec<Value> {
                replaced(&parts[index], &|part| {
                    let mut parts = parts.clone();
                    parts[index] = part;
                    json!(parts)
                })
            };
            (0..parts.len()).flat_map(at).collect()
        }
        Value::Object(members) => {
            let at = |(name, part): (&String, &Value)| -> Vec<Value> {
                replaced(part, &|part| {
                    let mut members = members.clone();
                    members[name] = part;
                    json!(members)
                })
            };
            members.iter().flat_map(at).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns requests whose bodies are valid or nearly valid.
fn bodies(project: &TestProject) -> Vec<(Method, String, Value)> {
    let (post, patch, put) = (Method::POST, Method::PATCH, Method::PUT);
    let owned = |path: &str| project.path(path);
    let bucket = |path: &str| project.path(&format!("/buckets/uploads/{path}"));
    let http_job = json!({
        "name": "j", "type": "http", "projectId": project.id, "scheduleCron": "@daily", "timezone": "UTC",
        "httpUrl": "https://example.com/", "httpMethod": "POST", "httpHeaders": { "a": "b" }, "httpBody": "text",
    });
    let plugin_job = json!({
        "name": "j", "type": "platform", "scheduleCron": "@daily", "plugin": "sql", "pluginJob": "script",
        "projectId": project.id, "params": { "sql": "SELECT 1" },
    });
    let upload = json!({ "bucket": "uploads", "path": "a.txt", "contentType": "text/plain", "maxSize": 1 });
    let parts = json!({ "objectKey": "uploads/a.txt", "uploadId": "id", "partNumbers": [1] });
    let complete =
        json!({ "objectKey": "uploads/a.txt", "uploadId": "id", "parts": [{ "partNumber": 1, "etag": "e" }] });
    let abort = json!({ "objectKey": "uploads/a.txt", "uploadId": "id" });
    let channel = json!({
        "name": "c", "kind": "email", "events": ["plugin"], "host": "mail.example.com", "port": 25,
        "from": "a@b.example", "to": ["c@d.example"], "username": "u", "password": "p",
    });
    vec![
        (post.clone(), "/admin/v1/session".to_owned(), json!({ "code": "a" })),
        (post.clone(), "/admin/v1/session".to_owned(), json!({ "token": "a" })),
        (post.clone(), "/admin/v1/projects".to_owned(), json!({ "name": "p" })),
        (patch.clone(), owned(""), json!({ "name": "p", "note": "n", "corsOrigins": ["https://a.example"] })),
        (post.clone(), owned("/keys"), json!({ "type": "secret", "name": "k" })),
        (put, owned("/tables/items/exposure"), json!({ "publishable": "read" })),
        (post.clone(), owned("/tables/items/rows"), json!({ "rows": [{ "id": 1, "name": "a", "data": ["a"] }] })),
        (patch, owned("/tables/items/rows?eq.id=1"), json!({ "values": { "name": "a", "data": { "a": "b" } } })),
        (
            post.clone(),
            owned("/tables/items/changes"),
            json!({ "changes": [{ "op": "insert", "set": { "id": 2, "name": "a", "data": ["a"] } }] }),
        ),
        (post.clone(), owned("/sql"), json!({ "sql": "SELECT 1", "queryId": "q" })),
        (post.clone(), owned("/sql/parse"), json!({ "sql": "SELECT 1" })),
        (post.clone(), owned("/sql/runs"), json!({ "sql": "SELECT 1" })),
        (post.clone(), owned("/queries"), json!({ "name": "q", "sql": "SELECT 1" })),
        (post.clone(), owned("/buckets"), json!({ "name": "photos" })),
        (post.clone(), bucket("objects/delete"), json!({ "keys": ["a.txt"] })),
        (post.clone(), bucket("objects/delete"), json!({ "prefix": "a/" })),
        (post.clone(), bucket("objects/copy"), json!({ "objectKey": "a.txt", "to": "b.txt", "toBucket": "uploads" })),
        (post.clone(), bucket("signed-upload"), upload.clone()),
        (post.clone(), bucket("multipart/parts"), parts.clone()),
        (post.clone(), bucket("multipart/complete"), complete.clone()),
        (post.clone(), bucket("multipart/abort"), abort.clone()),
        (post.clone(), "/v1/storage/signed-upload".to_owned(), upload),
        (post.clone(), "/v1/storage/multipart/parts".to_owned(), parts),
        (post.clone(), "/v1/storage/multipart/complete".to_owned(), complete),
        (post.clone(), "/v1/storage/multipart/abort".to_owned(), abort),
        (post.clone(), "/v1/db/items".to_owned(), json!({ "rows": [{ "id": 3, "name": "a", "data": ["a"] }] })),
        (post.clone(), "/admin/v1/backups".to_owned(), json!({ "target": format!("project:{}", project.id) })),
        (
            post.clone(),
            "/admin/v1/restores/uploads".to_owned(),
            json!({ "projectId": project.id, "fileName": "a.dump", "sizeBytes": 5 }),
        ),
        (post.clone(), "/admin/v1/restores".to_owned(), json!({ "projectId": project.id, "uploadId": "a" })),
        (
            post.clone(),
            "/admin/v1/exports".to_owned(),
            json!({
                "source": { "kind": "table", "projectId": project.id, "table": "items", "filter": "eq.name=a",
                    "order": "id", "select": "id" },
                "format": "csv",
            }),
        ),
        (
            post.clone(),
            "/admin/v1/imports".to_owned(),
            json!({ "projectId": project.id, "table": "items", "format": "csv", "sizeBytes": 5, "fileName": "a.csv" }),
        ),
        (post.clone(), "/admin/v1/jobs".to_owned(), http_job.clone()),
        (post.clone(), "/admin/v1/jobs".to_owned(), plugin_job.clone()),
        (post.clone(), "/admin/v1/jobs/check".to_owned(), http_job),
        (post.clone(), "/admin/v1/jobs/check".to_owned(), plugin_job),
        (post.clone(), "/admin/v1/cron/preview".to_owned(), json!({ "scheduleCron": "@daily", "timezone": "UTC" })),
        (post.clone(), "/admin/v1/notifications".to_owned(), channel.clone()),
        (post.clone(), "/admin/v1/trusted-keys".to_owned(), json!({ "name": "k", "publicKey": "RWQ" })),
        (post, "/admin/v1/plugins/backup/approve".to_owned(), json!({ "config": { "a": "b" }, "sha256": "00" })),
    ]
}

#[tokio::test]
async fn body_with_a_nul_character_is_never_a_server_error() {
    let (app, project) = start().await;
    let mut checked = 0;
    for (method, path, body) in bodies(&project) {
        let client = client_for(&app, &project, &path);
        for body in with_nul(&body) {
            let found = status(&client, &method, &path, Some(&body)).await;
            assert!(!found.is_server_error(), "{method} {path} {body}: {found}");
            checked += 1;
        }
    }
    assert!(checked > 80, "{checked}");
    let missing = utf8_percent_encode("a\0", NON_ALPHANUMERIC).to_string();
    let path = project.path(&format!("/table?name={missing}"));
    assert_eq!(status(&app.admin(), &Method::GET, &path, None).await, StatusCode::NOT_FOUND);
}
