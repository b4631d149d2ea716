//! Checks of a definition before it is saved.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{TestApp, TestRunner, WebResponse, WebServer, code};

async fn check(app: &TestApp, definition: Value) -> Value {
    let (status, check) = app.admin().post("/admin/v1/jobs/check", definition.clone()).await;
    assert_eq!(status, StatusCode::OK, "{definition}: {check}");
    check
}

/// Returns the fields with an error, each followed by its path if there is one.
fn fields(check: &Value) -> Vec<String> {
    let errors = check["errors"].as_array().unwrap().iter();
    errors
        .map(|error| {
            assert!(error["message"].as_str().is_some_and(|message| message.len() > 5), "{error}");
            format!("{}{}", error["field"].as_str().unwrap(), error["path"].as_str().unwrap_or_default())
        })
        .collect()
}

#[tokio::test]
async fn every_problem_of_a_definition_is_reported_with_its_field() {
    let app = TestApp::builder().runner(TestRunner::new().node("a")).start().await;
    assert_eq!(fields(&check(&app, json!({})).await), ["name", "scheduleCron", "type"]);
    let wrong = json!({
        "type": "platform", "name": " ", "scheduleCron": "* 25 * * *", "timezone": "Europe/Berlin",
        "projectId": "nothingx", "timeoutMs": 1, "retries": 101, "retryBackoffMs": -1, "plugin": "test",
        "pluginJob": "rest", "httpUrl": "https://example.com/",
    });
    let expected =
        ["name", "projectId", "scheduleCron", "timeoutMs", "retries", "retryBackoffMs", "httpUrl", "pluginJob"];
    assert_eq!(fields(&check(&app, wrong).await), expected);
    let job = |change: Value| {
        let mut job = json!({ "name": "n", "type": "platform", "plugin": "test", "scheduleCron": "0 3 * * 1" });
        job.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        job
    };
    for (change, expected) in [
        (json!({}), vec![]),
        (json!({ "timezone": "Mars/Base" }), vec!["timezone"]),
        (json!({ "plugin": "" }), vec!["plugin"]),
        (json!({ "plugin": "nobody" }), vec!["plugin"]),
        (json!({ "params": { "bad": true } }), vec!["params/bad"]),
        (json!({ "params": [] }), vec!["params"]),
        (json!({ "type": "http", "httpUrl": "https://a.example/" }), vec!["plugin"]),
    ] {
        let checked = check(&app, job(change.clone())).await;
        assert_eq!(fields(&checked), expected, "{change}");
    }
    let checked = check(&app, job(json!({ "timezone": "Europe/Berlin" }))).await;
    assert_eq!(checked["description"], "At 03:00, on Monday");
    assert_eq!(checked["nextRuns"].as_array().unwrap().len(), 5);
    assert_eq!((&checked["host"], &checked["hostAllowed"]), (&Value::Null, &Value::Null));

    // Nothing was stored or recorded.
    assert_eq!(app.admin().get("/admin/v1/jobs").await.1["items"], json!([]));
    assert_eq!(app.admin().get("/admin/v1/audit").await.1["items"], json!([]));
    let (status, error) = app.admin().post("/admin/v1/jobs/check", json!({ "nam": "x" })).await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_json"));
}

#[tokio::test]
async fn check_of_a_request_reports_whether_its_host_is_allowed() {
    let server = WebServer::start(|_| WebResponse::status(204)).await;
    let allowed = format!("{},https://*.example", server.entry());
    let app = TestApp::builder().first_party_plugins().var("ATLASHUB_HTTP_ALLOWED_HOSTS", &allowed).start().await;
    let job = |change: Value| {
        let mut job = json!({ "name": "n", "type": "http", "scheduleCron": "@daily", "httpUrl": server.url("/") });
        job.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        job
    };
    let checked = check(&app, job(json!({}))).await;
    assert_eq!((fields(&checked).len(), &checked["hostAllowed"]), (0, &json!(true)), "{checked}");
    assert_eq!(checked["host"], server.address.to_string());
    let denied = check(&app, job(json!({ "httpUrl": "https://api.example.com/x" }))).await;
    assert_eq!((&denied["host"], &denied["hostAllowed"]), (&json!("api.example.com"), &json!(false)));
    let message = denied["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("api.example.com") && message.contains("ATLASHUB_HTTP_ALLOWED_HOSTS"), "{message}");
    let headers: serde_json::Map<_, _> = (0..40).map(|n| (format!("x-{n}"), json!("v".repeat(2000)))).collect();
    for (change, expected, host_allowed) in [
        (json!({ "httpUrl": "" }), vec!["httpUrl"], Value::Null),
        (json!({ "httpUrl": "api.example" }), vec!["httpUrl"], Value::Null),
        (json!({ "httpUrl": "ftp://a.example/" }), vec!["httpUrl"], Value::Null),
        (json!({ "httpUrl": "https://a.example/" }), vec![], json!(true)),
        (json!({ "httpUrl": "http://a.example/" }), vec!["httpUrl"], json!(false)),
        (json!({ "httpMethod": "OPTIONS" }), vec!["httpMethod"], json!(true)),
        (json!({ "httpMethod": "post", "httpBody": { "a": 1 } }), vec![], json!(true)),
        (json!({ "httpBody": "x" }), vec!["httpBody"], json!(true)),
        (json!({ "httpHeaders": { "host": "x" } }), vec!["httpHeaders"], json!(true)),
        (json!({ "httpHeaders": { "accept": null } }), vec!["httpHeaders"], json!(true)),
        (json!({ "httpHeaders": headers }), vec!["httpHeaders"], json!(true)),
        (json!({ "timeoutMs": 86_400_000 }), vec!["timeoutMs"], json!(true)),
    ] {
        let checked = check(&app, job(change.clone())).await;
        assert_eq!(
            (fields(&checked), &checked["hostAllowed"]),
            (expected.iter().map(|&f| f.to_owned()).collect(), &host_allowed),
            "{change}: {checked}"
        );
    }
    assert_eq!(server.count(), 0, "a request was sent");
}

#[tokio::test]
async fn change_is_checked_with_the_stored_values() {
    let app = TestApp::builder().runner(TestRunner::new().node("a")).start().await;
    let job = json!({
        "name": "n", "type": "http", "scheduleCron": "@daily", "httpUrl": "https://a.example/", "httpMethod": "POST",
        "httpHeaders": { "authorization": "secret" }, "httpBody": "text",
    });
    let (status, job) = app.admin().post("/admin/v1/jobs", job).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    let check_change = async |change: Value| {
        let mut definition = json!({ "jobId": job["id"] });
        definition.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        check(&app, definition).await
    };
    let unchanged = check_change(json!({})).await;
    assert_eq!((fields(&unchanged).len(), &unchanged["host"]), (0, &json!("a.example")), "{unchanged}");
    assert_eq!(unchanged["nextRuns"].as_array().unwrap().len(), 5);
    for (change, expected) in [
        (json!({ "type": "http", "httpHeaders": { "Authorization": null }, "httpBody": "***" }), vec![]),
        (json!({ "httpHeaders": { "accept": null } }), vec!["httpHeaders"]),
        (json!({ "httpMethod": "GET" }), vec!["httpBody"]),
        (json!({ "httpMethod": "GET", "httpBody": "" }), vec![]),
        (json!({ "type": "platform" }), vec!["type"]),
        (json!({ "projectId": "otherone" }), vec!["projectId"]),
        (json!({ "scheduleCron": "", "timezone": "UTC" }), vec!["scheduleCron"]),
    ] {
        assert_eq!(fields(&check_change(change.clone()).await), expected, "{change}");
    }
    let bare = json!({ "name": "b", "type": "http", "scheduleCron": "@daily", "httpUrl": "https://a.example/",
        "httpMethod": "POST" });
    let (_, bare) = app.admin().post("/admin/v1/jobs", bare).await;
    for (body, expected) in [("***", vec!["httpBody"]), ("", vec![]), ("text", vec![])] {
        let definition = json!({ "jobId": bare["id"], "httpBody": body });
        assert_eq!(fields(&check(&app, definition).await), expected, "{body}");
    }
    let (status, _) = app.admin().post("/admin/v1/jobs/check", json!({ "jobId": "x" })).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
