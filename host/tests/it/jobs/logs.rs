//! Logs of runs: storage, redaction, streaming.

use std::{sync::Arc, time::Duration};

use atlashub::{config::Role, jobs::PLATFORM_BUCKET};
use futures_util::StreamExt as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{JobsNode, TestApp, TestRunner, eventually};

async fn start(runner: &Arc<TestRunner>) -> TestApp {
    TestApp::builder().runner(runner.node("a")).start().await
}

async fn log(app: &TestApp, run: &str) -> Vec<Value> {
    let (status, body) = app.admin().get(&format!("/admin/v1/runs/{run}/log")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["items"].as_array().unwrap().clone()
}

/// The event stream of a followed log.
struct Tail {
    body: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    text: String,
}

#[derive(Debug, PartialEq)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

impl Tail {
    async fn open(app: &TestApp, run: &str, after: Option<&str>) -> Self {
        let mut request = app.admin().request(Method::GET, &format!("/admin/v1/runs/{run}/log?follow=true"));
        if let Some(after) = after {
            request = request.header("last-event-id", after);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        Self { body: Box::pin(response.bytes_stream()), text: String::new() }
    }

    /// Waits for the next event. Returns `None` at the end of the response.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let prefix = format!("{name}: ");
                    event.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default().to_owned()
                };
                let found = (!event.starts_with(':')).then(|| Event {
                    name: field("event"),
                    id: field("id"),
                    data: serde_json::from_str(&field("data")).unwrap(),
                });
                self.text = rest.to_owned();
                match found {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            let chunk = tokio::time::timeout(Duration::from_secs(60), self.body.next()).await.expect("an event");
            self.text.push_str(std::str::from_utf8(&chunk?.unwrap()).unwrap());
        }
    }
}

#[tokio::test]
async fn log_lines_have_level_and_time() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let job = app.create_job(json!({ "params": { "log": ["first", "nul \u{1}", "zwei\nZeilen ü"] } })).await;
    let run = app.run_job(&job).await;
    app.until_run(&run, "success").await;
    let lines = log(&app, &run).await;
    let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["first", "nul \u{1}", "zwei\nZeilen ü"]);
    assert_eq!((&lines[0]["level"], &lines[0]["fields"]), (&json!("info"), &json!({ "attempt": 1 })));
    assert!(lines[0]["at"].is_string());
    assert_eq!(app.run(&run).await["logObjectKey"], Value::Null);
    assert_eq!(app.admin().get("/admin/v1/runs/x/log").await.0, StatusCode::NOT_FOUND);
    let (status, _) = app.admin().get("/admin/v1/runs/00000000-0000-7000-8000-000000000000/log?follow=true").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn long_log_is_stored_whole_in_the_object_store() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let job = app.create_job(json!({ "params": { "lines": 1000 } })).await;
    let run = app.run_job(&job).await;
    let ended_run = app.until_run(&run, "success").await;
    let key = ended_run["logObjectKey"].as_str().unwrap();
    assert_eq!(key, format!("logs/{job}/{run}.ndjson"));
    assert!(app.app.store().head(PLATFORM_BUCKET, key).await.unwrap().is_some());
    let in_row: i32 = sqlx::query_scalar("SELECT octet_length(log_text) FROM cron_job_runs")
        .fetch_one(app.app.platform())
        .await
        .unwrap();
    assert!(in_row > 60_000 && in_row <= 65_536, "{in_row}");
    let lines = log(&app, &run).await;
    assert_eq!(lines.len(), 1000);
    assert!(lines[999]["message"].as_str().unwrap().starts_with("line 999 "));
    let mut tail = Tail::open(&app, &run, None).await;
    let mut count = 0;
    while let Some(event) = tail.next().await {
        if event.name == "end" {
            break;
        }
        count += 1;
    }
    assert_eq!(count, 1000);
    // Deleting the job deletes the log.
    app.admin().delete(&format!("/admin/v1/jobs/{job}")).await;
    assert!(app.app.store().head(PLATFORM_BUCKET, key).await.unwrap().is_none());
}

#[tokio::test]
async fn log_is_paged() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    for lines in [5, 450] {
        let job = app.create_job(json!({ "params": { "log": ["zwei\nZeilen ü"], "lines": lines } })).await;
        let run = app.run_job(&job).await;
        app.until_run(&run, "success").await;
        let limit = lines / 2;
        let (mut seen, mut pages) = (Vec::new(), 0);
        let mut path = format!("/admin/v1/runs/{run}/log?limit={}", limit.min(200));
        loop {
            let (status, page) = app.admin().get(&path).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            seen.extend(page["items"].as_array().unwrap().clone());
            pages += 1;
            let Some(cursor) = page["nextCursor"].as_str() else { break };
            path = format!("/admin/v1/runs/{run}/log?limit={}&cursor={cursor}", limit.min(200));
        }
        assert_eq!((seen.len(), pages), (lines as usize + 1, 3));
        assert_eq!(seen, log(&app, &run).await);
        let (status, _) = app.admin().get(&format!("/admin/v1/runs/{run}/log?cursor=x")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        let (status, _) = app.admin().get(&format!("/admin/v1/runs/{run}/log?limit=3&follow=true")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn secrets_are_redacted_from_logs_errors_and_results() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let platform = app.create_job(json!({ "params": { "logSecrets": true } })).await;
    let sealer = &app.app.projects().sealer;
    let platform_id: uuid::Uuid = platform.parse().unwrap();
    let headers = sealer
        .seal(br#"{"X-Key":"Bearer long-token-1234"}"#, &atlashub::jobs::job_headers_identity(platform_id))
        .unwrap();
    let body = sealer.seal(br#"body"with quotes"#, &atlashub::jobs::job_body_identity(platform_id)).unwrap();
    sqlx::query("UPDATE cron_jobs SET http_headers_json = $2, http_body_json = $3 WHERE id = $1")
        .bind(platform_id)
        .bind(headers)
        .bind(body)
        .execute(app.app.platform())
        .await
        .unwrap();
    let run = app.run_job(&platform).await;
    let ended_run = app.until_run(&run, "success").await;
    let lines = log(&app, &run).await;
    let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["body is ***", "header.x-key is ***"]);
    assert_eq!(lines[0]["fields"], json!({ "v": "***" }));
    assert_eq!(ended_run["progress"]["message"], "***");

    for (params, status, field, expected) in [
        (json!({ "fail": "refused Bearer long-token-1234" }), "fail", "errorText", json!("refused ***")),
        (json!({ "result": { "v": "Bearer long-token-1234" } }), "success", "result", json!({ "v": "***" })),
    ] {
        sqlx::query("UPDATE cron_jobs SET params = $2 WHERE id = $1")
            .bind(platform_id)
            .bind(params)
            .execute(app.app.platform())
            .await
            .unwrap();
        let run = app.run_job(&platform).await;
        assert_eq!(app.until_run(&run, status).await[field], expected);
    }
}

#[tokio::test]
async fn log_of_a_run_on_another_node_can_be_followed_to_its_end() {
    let runner = TestRunner::new();
    let app = TestApp::builder().role(Role::Gateway).runner(runner.node("gateway")).start().await;
    let node = JobsNode::start(&app, &runner, "scheduler", Duration::from_secs(30)).await;
    let job = app.create_job(json!({ "params": { "log": ["one", "two"], "wait": true } })).await;
    let run = app.run_job(&job).await;
    let mut tail = Tail::open(&app, &run, None).await;
    let one = tail.next().await.unwrap();
    assert_eq!((one.name.as_str(), &one.data["message"]), ("", &json!("one")));
    assert_eq!(tail.next().await.unwrap().data["message"], "two");
    assert_eq!(app.run(&run).await["status"], "running", "the lines arrived during the run");
    // A second client resumes at the first one's position.
    let mut later = Tail::open(&app, &run, Some(&one.id)).await;
    assert_eq!(later.next().await.unwrap().data["message"], "two");
    runner.open_gate();
    for tail in [&mut tail, &mut later] {
        let end = tail.next().await.unwrap();
        assert_eq!((end.name.as_str(), &end.data["status"]), ("end", &json!("success")));
        assert_eq!(tail.next().await, None, "the response ends with the run");
    }
    node.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn log_streams_end_at_shutdown() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let job = app.create_job(json!({ "params": { "log": ["one"], "wait": true } })).await;
    let run = app.run_job(&job).await;
    let mut tail = Tail::open(&app, &run, None).await;
    tail.next().await.unwrap();
    app.app.jobs().runs().close_log_streams();
    assert_eq!(tail.next().await, None);
    runner.open_gate();
    eventually("it ends", async || app.run(&run).await["status"] == "success").await;
}
