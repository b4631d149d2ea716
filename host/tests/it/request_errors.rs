//! Requests that can't be decoded: their errors name fields, parameters and JSON, never types of Rust. Percent-encoded
//! paths are decoded.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, TestApp};

/// Words of serde and of Rust's own parsers.
const INTERNAL_WORDS: [&str; 17] = [
    "struct ",
    "enum ",
    "variant",
    "i32",
    "i64",
    "u16",
    "u32",
    "u64",
    "f64",
    "expected",
    "invalid type",
    "untagged",
    "elements",
    "sequence",
    "invalid digit",
    "deserialize",
    "EOF",
];

const BODIES: [&str; 14] = [
    "",
    "{",
    "[]",
    "[1,2,3,4,5,6,7,8,9,10,11,12]",
    "[\"a\",\"b\",\"c\",\"d\"]",
    "null",
    "1",
    "\"x\"",
    "{\"a\":}",
    "{\"nothing\":1}",
    "{\"name\":[],\"type\":{},\"sql\":1,\"target\":[],\"bucket\":1,\"path\":{},\"rows\":1,\"values\":[]}",
    "{\"name\":\"a\",\"type\":\"x\",\"kind\":\"x\",\"publishable\":\"x\",\"scheduleCron\":1,\"maxRows\":\"x\"}",
    "{\"bucket\":\"private\",\"path\":\"a\",\"contentType\":\"a/b\",\"maxSize\":\"1\"}",
    "{\"rows\":[[1]],\"values\":[1]}",
];

async fn check(client: &Client, method: &Method, path: &str, body: Option<&str>) {
    let mut request = client.request(method.clone(), path);
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_owned());
    }
    let response = request.send().await.unwrap();
    let status = response.status();
    if status == StatusCode::NO_CONTENT || status.is_success() {
        return;
    }
    assert!(!status.is_server_error(), "{method} {path} {body:?}: {status}");
    let response: Value = response.json().await.unwrap();
    let error = &response["error"];
    let shown = format!("{} {}", error["message"], error["hint"]);
    for word in INTERNAL_WORDS {
        assert!(!shown.contains(word), "{method} {path} {body:?}: {shown} shows `{word}`");
    }
}

#[tokio::test]
async fn no_route_shows_rust_in_its_errors() {
    let app = TestApp::start().await;
    let project = app.create_project("request errors").await;
    project.sql("create table t (id int primary key)").await;
    let document = serde_json::to_value(atlashub::router::openapi()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let client = if path.starts_with("/v1") { project.secret() } else { app.admin() };
        let concrete = path
            .replace("{project}", &project.id)
            .replace("{table}", "t")
            .replace("{bucket}", "private")
            .replace("{plugin}", "backup");
        let concrete = concrete.split('/').map(|part| if part.starts_with('{') { "0" } else { part });
        let concrete = concrete.collect::<Vec<_>>().join("/");
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            if operation.get("requestBody").is_some() {
                for body in BODIES {
                    check(&client, &method, &concrete, Some(body)).await;
                }
            }
            if method == Method::GET {
                for query in
                    ["limit=x", "limit=-1", "limit=1.5", "limit=", "limit=1&limit=2", "cursor=%ff", "follow=maybe"]
                {
                    check(&client, &method, &format!("{concrete}?{query}"), None).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn array_is_not_accepted_for_an_object() {
    let app = TestApp::start().await;
    let project = app.create_project("arrays").await;
    // An array of values in the order of the request's fields.
    let (status, body) =
        project.secret().post("/v1/storage/signed-upload", json!(["private", "a.txt", "text/plain", 10])).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_json")), "{body}");
    assert_eq!(body["error"]["message"], "The body must be an object, not an array.");
    let (status, body) = app.admin().post("/admin/v1/projects", json!(["a name"])).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_json")), "{body}");
    let (status, body) = app.admin().post("/admin/v1/projects", json!({ "name": 5 })).await;
    assert_eq!(
        (status, &body["error"]["message"]),
        (StatusCode::BAD_REQUEST, &json!("`name` must be a string, not 5."))
    );
    let (_, body) = app.admin().get("/admin/v1/projects?limit=many").await;
    assert_eq!(body["error"]["message"], "`limit` must be a whole number from 0 to 4294967295, not `many`.");
}

#[tokio::test]
async fn percent_encoded_letters_in_a_path_are_decoded() {
    let app = TestApp::start().await;
    let project = app.create_project("encoded paths").await;
    project
        .sql(
            "create table tables (id int); create table \"a/b %c+d?é\" (\"x y\" int); create table books (id int);
             insert into \"a/b %c+d?é\" values (1)",
        )
        .await;
    let secret = project.secret();
    for path in ["/v1/db/tables", "/v1/db/%74ables", "/v1/%64b/t%61bles", "/%76%31/db/tables"] {
        let (status, body) = secret.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        assert!(body["tables"].is_array(), "{path}: {body}");
        let (status, _) = secret.post(path, json!({ "rows": [{ "id": 1 }] })).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    let (status, body) = secret.get("/v1/db/a%2Fb%20%25c+d%3F%C3%A9?select=%22x%20y%22&eq.x%20y=1").await;
    assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([{ "x y": 1 }])), "{body}");
    let (status, body) = secret.get("/v1/db/%62ooks?select=%69d&%65q.id=1").await;
    assert_eq!((status, &body["rows"]), (StatusCode::OK, &json!([])), "{body}");
    // A path is decoded only once.
    assert_eq!(secret.get("/v1/db/%2574ables").await.0, StatusCode::NOT_FOUND);
    assert_eq!(secret.get("/v1/db/%zz").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn unknown_parameters_are_named_by_routes_without_parameters() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let assert_refused = |path: &str, (status, body): (StatusCode, Value)| {
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}: {body}");
        assert!(body["error"]["message"].as_str().unwrap().contains("Unknown parameter `other`"), "{path}: {body}");
    };
    let admin = app.admin();
    for path in ["jobs/x", "migrations", "runs/x", "session", "system"] {
        assert_refused(path, admin.get(&format!("/admin/v1/{path}?other=1")).await);
    }
    assert_refused("jobs/check", admin.post("/admin/v1/jobs/check?other=1", json!({})).await);
    assert_refused("tables", project.secret().get("/v1/db/tables?other=1").await);
}
