//! Jobs of type `http` end to end: requests that are refused when a job is saved, bodies, and responses.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    egress_bodies::compress,
    jobs::end_to_end::{begin, create, ended},
    support::{Client, TestApp, WebResponse, WebServer},
};

async fn app_for(allowed_hosts: &str) -> TestApp {
    TestApp::builder().first_party_plugins().var("ATLASHUB_HTTP_ALLOWED_HOSTS", allowed_hosts).start().await
}

fn job(url: &str) -> Value {
    json!({ "name": "r", "type": "http", "scheduleCron": "@yearly", "httpUrl": url })
}

async fn run_once(admin: &Client, job: Value) -> Value {
    ended(admin, &begin(admin, &create(admin, job).await).await).await
}

#[tokio::test]
async fn request_that_would_be_refused_is_rejected_when_the_job_is_saved() {
    let server = WebServer::start(|_| WebResponse::status(204)).await;
    let app = app_for(&format!("{},https://*.example,http://a.example:25", server.entry())).await;
    let admin = app.admin();
    let saved = create(&admin, job(&server.url("/"))).await;
    let check = async |change: Value, status: u16, part: &str| {
        let mut new = job(&server.url("/"));
        new.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let path = format!("/admin/v1/jobs/{saved}");
        for (actual, error) in [admin.post("/admin/v1/jobs", new).await, admin.patch(&path, change.clone()).await] {
            let message = error["error"]["message"].as_str().unwrap_or_default();
            assert!(actual.as_u16() == status && message.contains(part), "{change}: {actual} {error}");
        }
    };
    let headers = |count: usize, bytes: usize| -> Value {
        let header = |number| (format!("x-{number}"), json!("v".repeat(bytes)));
        json!({ "httpHeaders": (0..count).map(header).collect::<serde_json::Map<_, _>>() })
    };
    check(json!({ "httpUrl": "https://elsewhere.test/" }), 422, "ATLASHUB_HTTP_ALLOWED_HOSTS").await;
    check(json!({ "httpUrl": "http://b.example/" }), 422, "`http://b.example` is not on the allowlist").await;
    check(json!({ "httpUrl": "https://b.example:22/" }), 422, "22").await;
    check(json!({ "httpUrl": "https://b.example:0/" }), 400, "port is 0").await;
    check(json!({ "httpMethod": "OPTIONS" }), 400, "`httpMethod`").await;
    check(json!({ "httpHeaders": { "Expect": "100-continue" } }), 400, "can't be set by a job").await;
    check(json!({ "httpHeaders": { "proxy-authorization": "x" } }), 400, "can't be set by a job").await;
    check(headers(40, 2000), 400, "64 KiB of headers").await;
    check(json!({ "timeoutMs": 3_600_001 }), 400, "at most 3600000").await;
    for allowed in [json!({ "httpUrl": "http://a.example:25/" }), headers(30, 2000), json!({ "timeoutMs": 3_600_000 })]
    {
        let (status, response) = admin.patch(&format!("/admin/v1/jobs/{saved}"), allowed).await;
        assert_eq!(status, StatusCode::OK, "{response}");
    }
    assert_eq!(server.count(), 0);

    // The plugin's grant narrows the allowlist, including for existing jobs.
    let grant = json!({ "granted": [
        { "capability": "http", "scope": { "hosts": ["c.example"] } }, { "capability": "secrets" },
    ] });
    let (status, plugin) = admin.post("/admin/v1/plugins/http-job/approve", grant).await;
    assert_eq!(status, StatusCode::OK, "{plugin}");
    check(json!({ "httpUrl": "https://b.example/" }), 422, "`b.example` is not among the granted hosts").await;
    let (status, error) = admin.post(&format!("/admin/v1/jobs/{saved}/run"), json!({})).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{error}");
    create(&admin, job("https://c.example/")).await;
    // A job that may not run can still be renamed and disabled.
    let (status, response) =
        admin.patch(&format!("/admin/v1/jobs/{saved}"), json!({ "name": "off", "enabled": false })).await;
    assert_eq!(status, StatusCode::OK, "{response}");
}

#[tokio::test]
async fn private_address_is_rejected_when_the_job_is_saved() {
    let server = WebServer::start(|_| WebResponse::status(204)).await;
    let app = app_for("*").await;
    let port = server.address.port();
    for host in ["127.0.0.1", "2130706433", "[::1]", "localhost", "169.254.169.254", "0.0.0.0"] {
        let (status, error) = app.admin().post("/admin/v1/jobs", job(&format!("http://{host}:{port}/"))).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{host}: {error}");
        assert!(error["error"]["message"].as_str().unwrap().contains("a private or reserved IP"), "{host}: {error}");
    }
    // The name can't be resolved now. That may change before the job runs.
    create(&app.admin(), job("https://unknown.invalid/")).await;
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn status_of_a_redirect_that_is_not_followed_is_kept() {
    let server = WebServer::start(|request| match request.target.as_str() {
        "/out" => WebResponse::redirect(307, "https://elsewhere.test/login?token=hidden"),
        "/metadata" => WebResponse::redirect(302, "http://169.254.169.254/"),
        "/loop" => WebResponse::redirect(308, "/loop"),
        "/file" => WebResponse::redirect(301, "file:///etc/passwd"),
        _ => WebResponse::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_vec()),
    })
    .await;
    let app = app_for(&server.entry()).await;
    for (path, status) in [("/out", 307), ("/metadata", 302), ("/loop", 308), ("/file", 301), ("/cut", 200)] {
        let run = run_once(&app.admin(), job(&server.url(path))).await;
        assert_eq!((&run["status"], &run["httpStatus"]), (&json!("fail"), &json!(status)), "{run}");
        assert!(!run.to_string().contains("hidden"), "{run}");
    }
}

#[tokio::test]
async fn compressed_response_is_previewed_as_text() {
    let body = compress("br", b"{\"fine\": true, \"token\": \"hunter2hunter2\"}").await;
    let server = WebServer::start(move |_| {
        WebResponse::with(200, &[("content-type", "application/json"), ("content-encoding", "br")], &body)
    })
    .await;
    let app = app_for(&server.entry()).await;
    let mut job = job(&server.url("/"));
    job["httpHeaders"] = json!({ "x-token": "hunter2hunter2" });
    let run = run_once(&app.admin(), job).await;
    // The secret is found in the decoded text.
    assert_eq!(run["result"]["bodyPreview"], "{\"fine\": true, \"token\": \"***\"}", "{run}");
    assert_eq!(run["result"]["bodyBytes"], 30, "{run}");
}

#[tokio::test]
async fn response_in_a_wrong_encoding_succeeds_without_its_preview() {
    let server = WebServer::start(|_| {
        WebResponse::with(200, &[("content-type", "text/plain"), ("content-encoding", "gzip")], b"plain text")
    })
    .await;
    let app = app_for(&server.entry()).await;
    let run = run_once(&app.admin(), job(&server.url("/"))).await;
    assert_eq!((&run["status"], &run["httpStatus"]), (&json!("success"), &json!(200)), "{run}");
    assert_eq!(run["result"].get("bodyPreview"), None, "{run}");
    let (_, log) = app.admin().get(&format!("/admin/v1/runs/{}/log", run["id"].as_str().unwrap())).await;
    assert!(log.to_string().contains("not in the encoding `gzip`"), "{log}");
}

#[tokio::test]
async fn json_body_is_sent_exactly_as_given() {
    let server = WebServer::start(|_| WebResponse::status(204)).await;
    let app = app_for(&server.entry()).await;
    let admin = app.admin();
    let url = server.url("/");
    // Written by hand: a JSON library would change the numbers.
    let check = async |body: &str, headers: Value, sent: &str, content_type: Option<&str>| {
        let new = format!(
            r#"{{"name":"j","type":"http","scheduleCron":"@yearly","httpUrl":"{url}","httpMethod":"POST",
                "httpHeaders":{headers},"httpBody":{body}}}"#
        );
        let response = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .post(admin.url("/admin/v1/jobs"))
            .header("x-dev-admin-token", crate::support::ADMIN_TOKEN)
            .header("content-type", "application/json")
            .body(new)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::CREATED, "{body}");
        let saved: Value = response.json().await.unwrap();
        assert_eq!(saved["httpBody"], "***", "{saved}");
        let id = saved["id"].as_str().unwrap().to_owned();
        let run = ended(&admin, &begin(&admin, &id).await).await;
        assert_eq!(run["status"], "success", "{run}");
        let received = server.next().await;
        assert_eq!((received.body.as_str(), received.header("content-type")), (sent, content_type), "{body}");
        id
    };
    let json = Some("application/json");
    let object = r#"{"price": 1.10, "big": 123456789012345678901, "a": [true, null]}"#;
    let id = check(object, json!({}), object, json).await;
    check("[1,2]", json!({}), "[1,2]", json).await;
    check("1.10", json!({}), "1.10", json).await;
    check("false", json!({}), "false", json).await;
    check("{}", json!({ "Content-Type": "application/ld+json" }), "{}", Some("application/ld+json")).await;
    // A string is sent unchanged.
    check(r#""{\"a\":1}""#, json!({}), r#"{"a":1}"#, None).await;

    // A PATCH keeps, replaces or removes the body.
    let path = format!("/admin/v1/jobs/{id}");
    let sent = async |change: Value| {
        let (status, response) = admin.patch(&path, change).await;
        assert_eq!(status, StatusCode::OK, "{response}");
        ended(&admin, &begin(&admin, &id).await).await;
        let received = server.next().await;
        (received.body.clone(), received.header("content-type").map(str::to_owned))
    };
    let json = || Some("application/json".to_owned());
    assert_eq!(sent(json!({ "httpBody": "***", "name": "kept" })).await, (object.to_owned(), json()));
    assert_eq!(sent(json!({ "httpBody": {"b": 2} })).await, (r#"{"b":2}"#.to_owned(), json()));
    assert_eq!(sent(json!({ "httpBody": "text" })).await, ("text".to_owned(), None));
    assert_eq!(sent(json!({ "httpBody": "" })).await, (String::new(), None));
    let (status, error) = admin.patch(&path, json!({ "httpBody": vec!["x".repeat(300 << 10)] })).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
}
