//! Jobs end to end: the HTTP API, the real scheduler, first-party plugins, and a web server that receives the requests.

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::support::{Client, Postgres, ProgramVars, TestApp, WebResponse, WebServer, eventually, expire_leases};

/// Waits for the run to end and returns it.
pub(crate) async fn ended(admin: &Client, run: &str) -> Value {
    eventually("the run's end", async || {
        let (status, run) = admin.get(&format!("/admin/v1/runs/{run}")).await;
        // On a busy machine, the platform database may be slow for a moment.
        assert!([StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&status), "{run}");
        (!run["finishedAt"].is_null()).then_some(run)
    })
    .await
}

pub(crate) async fn create(admin: &Client, job: Value) -> String {
    let (status, job) = admin.post("/admin/v1/jobs", job).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn begin(admin: &Client, job: &str) -> String {
    let (status, started) = admin.post(&format!("/admin/v1/jobs/{job}/run"), json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    started["runId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn http_job_sends_its_secrets_and_never_logs_them() {
    let server = WebServer::start(|request| match request.target.as_str() {
        "/fails" => WebResponse::status(500),
        _ => WebResponse::with(200, &[("content-type", "text/plain")], b"Bearer hunter2hunter2 was here"),
    })
    .await;
    let app =
        TestApp::builder().first_party_plugins().var("ATLASHUB_HTTP_ALLOWED_HOSTS", &server.entry()).start().await;
    let admin = app.admin();
    let job = json!({
        "name": "ping", "type": "http", "scheduleCron": "0 3 * * *", "httpUrl": server.url("/hook?a=1"),
        "httpMethod": "POST",
        "httpHeaders": { "Authorization": "Bearer hunter2hunter2" }, "httpBody": "{\"password\":\"swordfish\"}",
    });
    let job = create(&admin, job).await;
    let run = begin(&admin, &job).await;
    let sent = server.next().await;
    assert_eq!((sent.method.as_str(), sent.target.as_str()), ("POST", "/hook?a=1"));
    assert_eq!(sent.header("authorization"), Some("Bearer hunter2hunter2"));
    assert_eq!(sent.body, "{\"password\":\"swordfish\"}");
    let ended_run = ended(&admin, &run).await;
    assert_eq!((&ended_run["status"], &ended_run["httpStatus"]), (&json!("success"), &json!(200)), "{ended_run}");
    assert_eq!((&ended_run["plugin"], &ended_run["trigger"]), (&json!("http-job"), &json!("manual")));

    // Neither the run nor its log nor the job reveals a secret.
    let (_, log) = admin.get(&format!("/admin/v1/runs/{run}/log")).await;
    let (_, read) = admin.get(&format!("/admin/v1/jobs/{job}")).await;
    assert!(log["items"].as_array().is_some_and(|lines| !lines.is_empty()), "{log}");
    for text in [&ended_run, &log, &read] {
        assert!(!text.to_string().contains("hunter2"), "{text}");
        assert!(!text.to_string().contains("swordfish"), "{text}");
    }

    let (status, _) = admin.patch(&format!("/admin/v1/jobs/{job}"), json!({ "httpUrl": server.url("/fails") })).await;
    assert_eq!(status, StatusCode::OK);
    let failed = ended(&admin, &begin(&admin, &job).await).await;
    assert_eq!((&failed["status"], &failed["httpStatus"]), (&json!("fail"), &json!(500)), "{failed}");
    assert!(failed["errorText"].as_str().is_some_and(|text| text.contains("500")), "{failed}");
}

#[tokio::test]
async fn secrets_in_a_response_are_redacted_before_truncation() {
    // The preview is truncated at 4 KiB. In both responses, this position is inside a secret.
    let server = WebServer::start(|request| {
        let token = request.header("x-token").unwrap_or_default();
        let response = match request.target.as_str() {
            "/echo" => request.body.clone(),
            _ => format!("{}{token}", ".".repeat(4090)),
        };
        WebResponse::with(200, &[("content-type", "text/plain")], response.as_bytes())
    })
    .await;
    let app =
        TestApp::builder().first_party_plugins().var("ATLASHUB_HTTP_ALLOWED_HOSTS", &server.entry()).start().await;
    let admin = app.admin();
    let body = json!({ "password": "swordfish-".repeat(600), "user": "jane.doe" }).to_string();
    for (path, expected) in [("/echo", "***".to_owned()), ("/cut", format!("{}***", ".".repeat(4090)))] {
        let job = create(
            &admin,
            json!({
                "name": "echo", "type": "http", "scheduleCron": "0 3 * * *", "httpUrl": server.url(path),
                "httpMethod": "POST", "httpHeaders": { "x-token": "hunter2hunter2" }, "httpBody": body,
            }),
        )
        .await;
        let run = ended(&admin, &begin(&admin, &job).await).await;
        assert_eq!((&run["status"], &run["result"]["bodyPreview"]), (&json!("success"), &json!(expected)), "{run}");
    }
}

#[tokio::test]
async fn http_job_follows_redirects_and_fails_if_they_do_not_end() {
    let server = WebServer::start(|request| match request.target.as_str() {
        "/first" => WebResponse::redirect(302, "/second"),
        "/second" => WebResponse::redirect(307, "/gone"),
        "/gone" => WebResponse::status(404),
        "/moved" => WebResponse::redirect(301, "/fine"),
        "/same" => WebResponse::status(304),
        "/for-ever" => WebResponse::redirect(302, "/for-ever"),
        _ => WebResponse::status(204),
    })
    .await;
    let app =
        TestApp::builder().first_party_plugins().var("ATLASHUB_HTTP_ALLOWED_HOSTS", &server.entry()).start().await;
    let admin = app.admin();
    let check = async |path: &str, status: &str, http_status: Value| {
        let job = json!({ "name": "r", "type": "http", "scheduleCron": "@daily", "httpUrl": server.url(path) });
        let run = ended(&admin, &begin(&admin, &create(&admin, job).await).await).await;
        assert_eq!((&run["status"], &run["httpStatus"]), (&json!(status), &http_status), "{run}");
    };
    check("/moved", "success", json!(204)).await;
    check("/first", "fail", json!(404)).await;
    check("/same", "fail", json!(304)).await;
    check("/for-ever", "fail", json!(302)).await;
}

#[tokio::test]
async fn scheduled_plugin_jobs_run_when_due() {
    let server = WebServer::start(|_| WebResponse::status(204)).await;
    let app =
        TestApp::builder().first_party_plugins().var("ATLASHUB_HTTP_ALLOWED_HOSTS", &server.entry()).start().await;
    let admin = app.admin();
    let status = json!({
        "name": "status", "type": "platform", "plugin": "migrations", "pluginJob": "status",
        "scheduleCron": "* * * * * *",
    });
    let ping = json!({ "name": "ping", "type": "http", "scheduleCron": "* * * * * *", "httpUrl": server.url("/tick") });
    for job in [status, ping] {
        let job = create(&admin, job).await;
        let run = eventually("a scheduled run succeeded", async || {
            let (_, page) = admin.get(&format!("/admin/v1/jobs/{job}/runs")).await;
            page["items"].as_array()?.iter().find(|run| run["status"] == "success").cloned()
        })
        .await;
        assert_eq!((&run["trigger"], &run["attempt"]), (&json!("schedule"), &json!(1)), "{run}");
        assert!(run["scheduledFor"].is_string() && run["result"].is_object(), "{run}");
    }
    assert_eq!(server.next().await.target, "/tick");
}

#[tokio::test]
async fn first_party_plugin_jobs_run() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let admin = app.admin();
    for (plugin, job) in [("cleanup", "cleanup"), ("migrations", "status"), ("migrations", "apply")] {
        let job =
            json!({ "name": plugin, "type": "platform", "plugin": plugin, "pluginJob": job, "scheduleCron": "@daily" });
        let run = ended(&admin, &begin(&admin, &create(&admin, job).await).await).await;
        assert_eq!(run["status"], "success", "{run}");
        assert!(run["result"].is_object(), "{run}");
    }
    // The default time limit is the plugin's: a day for a backup, an hour if the plugin declares none.
    for (plugin, timeout_ms) in [("backup", 86_400_000), ("cleanup", 3_600_000)] {
        let job = json!({
            "name": "timed", "type": "platform", "plugin": plugin, "pluginJob": plugin, "scheduleCron": "@yearly",
            "params": if plugin == "backup" { json!({ "target": "platform" }) } else { json!({}) },
        });
        let (status, job) = admin.post("/admin/v1/jobs", job).await;
        assert_eq!((status, &job["timeoutMs"]), (StatusCode::CREATED, &json!(timeout_ms)), "{job}");
    }
    let (status, response) = admin
        .post("/admin/v1/jobs", json!({
            "name": "x", "type": "platform", "plugin": "backup", "scheduleCron": "@daily", "params": { "target": 1 },
        }))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{response}");
    let (status, response) = admin
        .post(
            "/admin/v1/jobs",
            json!({ "name": "x", "type": "platform", "plugin": "nobody", "scheduleCron": "@daily" }),
        )
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{response}");
}

#[tokio::test]
async fn stored_time_limit_is_checked_when_a_job_gets_another_plugin() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let admin = app.admin();
    // The default time limit of a backup is a day, and runs of `cleanup` are stopped after an hour.
    let job = json!({
        "name": "moved", "type": "platform", "plugin": "backup", "scheduleCron": "@yearly",
        "params": { "target": "platform" },
    });
    let job = create(&admin, job).await;
    let change = json!({ "plugin": "cleanup", "params": {} });
    let (status, error) = admin.patch(&format!("/admin/v1/jobs/{job}"), change.clone()).await;
    assert_eq!(
        (status, error["error"]["code"].as_str()),
        (StatusCode::BAD_REQUEST, Some("invalid_request")),
        "{error}"
    );
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("`timeoutMs` must be at most 3600000"), "{message}");
    assert_eq!(error["error"]["details"]["field"], "timeoutMs", "{error}");
    for (timeout_ms, fields) in [(None, vec!["timeoutMs"]), (Some(60_000), vec![])] {
        let mut definition = json!({ "jobId": job, "plugin": "cleanup", "params": {} });
        if let Some(timeout_ms) = timeout_ms {
            definition["timeoutMs"] = json!(timeout_ms);
        }
        let (_, checked) = admin.post("/admin/v1/jobs/check", definition).await;
        let errors = checked["errors"].as_array().unwrap();
        assert_eq!(
            errors.iter().map(|error| error["field"].as_str().unwrap()).collect::<Vec<_>>(),
            fields,
            "{checked}"
        );
    }
    let mut change = change;
    change["timeoutMs"] = json!(60_000);
    let (status, changed) = admin.patch(&format!("/admin/v1/jobs/{job}"), change).await;
    assert_eq!((status, &changed["timeoutMs"]), (StatusCode::OK, &json!(60_000)), "{changed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_of_a_killed_server_fails_and_is_retried() {
    let held = WebResponse::Hang(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".to_vec());
    let held = std::sync::Mutex::new(Some(held));
    // The first request gets an incomplete response, later ones a complete one.
    let server =
        WebServer::start(move |_| held.lock().unwrap().take().unwrap_or_else(|| WebResponse::status(204))).await;
    let url = Postgres::shared().platform_database().await;
    let vars = ProgramVars::external(&url).set("ATLASHUB_HTTP_ALLOWED_HOSTS", &server.entry());
    let admin_of = |url: &str| Client::new(url).with_header("x-dev-admin-token", "admin-token-of-the-tests");
    let serving = vars.serve(&[]);
    let admin = admin_of(&serving.admin_url);
    let job = json!({
        "name": "slow", "type": "http", "scheduleCron": "@yearly", "httpUrl": server.url("/"), "retries": 2,
        "retryBackoffMs": 1,
    });
    let job = create(&admin, job).await;
    let run = begin(&admin, &job).await;
    server.next().await;
    serving.kill();
    expire_leases(&mut PgConnection::connect(&url).await.unwrap()).await;

    let serving = vars.serve(&[]);
    let admin = admin_of(&serving.admin_url);
    let lost = ended(&admin, &run).await;
    assert_eq!(lost["status"], "fail", "{lost}");
    server.next().await;
    let runs = eventually("the second attempt's end", async || {
        let (_, page) = admin.get(&format!("/admin/v1/jobs/{job}/runs")).await;
        let runs = page["items"].as_array().unwrap().clone();
        runs.iter().all(|run| !run["finishedAt"].is_null() && runs.len() == 2).then_some(runs)
    })
    .await;
    let seen: Vec<_> =
        runs.iter().map(|run| (run["attempt"].as_i64(), run["status"].as_str(), run["trigger"].as_str())).collect();
    assert_eq!(seen, [(Some(2), Some("success"), Some("retry")), (Some(1), Some("fail"), Some("manual"))]);
    assert_eq!(server.count(), 2);
    serving.end();
}
