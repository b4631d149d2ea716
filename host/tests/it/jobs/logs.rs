//! Logs of runs: storage, redaction, streaming.

use std::{sync::Arc, time::Duration};

use atlashub::{config::Role, object_store::PLATFORM_BUCKET};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{EventTail, JobsNode, TestApp, TestRunner, code, eventually};

async fn start(runner: &Arc<TestRunner>) -> TestApp {
    TestApp::builder().runner(runner.node("a")).start().await
}

async fn log(app: &TestApp, run: &str) -> Vec<Value> {
    let (status, body) = app.admin().get(&format!("/admin/v1/runs/{run}/log")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["items"].as_array().unwrap().clone()
}

/// Follows a log from its beginning, or after the line with the id `after`.
async fn follow(app: &TestApp, run: &str, after: Option<&str>) -> EventTail {
    EventTail::open(&app.admin(), &format!("/admin/v1/runs/{run}/log?follow=true"), after).await
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
async fn long_log_is_stored_completely_in_the_object_store() {
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
    let mut tail = follow(&app, &run, None).await;
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
async fn log_is_filtered_by_level_and_last_lines() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let job = app.create_job(json!({ "params": { "log": ["a", "b", "c"] } })).await;
    let run = app.run_job(&job).await;
    app.until_run(&run, "success").await;
    let lines = ["debug", "info", "warn", "error", "info"].iter().enumerate().map(|(number, level)| {
        json!({ "at": "2026-02-03T02:00:00Z", "level": level, "message": number.to_string(), "fields": {} })
    });
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    sqlx::query("UPDATE cron_job_runs SET log_text = $1, log_bytes = octet_length($1)")
        .bind(&text)
        .execute(app.app.platform())
        .await
        .unwrap();
    let path = format!("/admin/v1/runs/{run}/log");
    let messages = async |query: &str| -> String {
        let (status, page) = app.admin().get(&format!("{path}?{query}")).await;
        assert_eq!(status, StatusCode::OK, "{query}: {page}");
        page["items"].as_array().unwrap().iter().map(|line| line["message"].as_str().unwrap()).collect()
    };
    assert_eq!(messages("level=debug").await, "01234");
    assert_eq!(messages("level=info").await, "1234");
    assert_eq!(messages("level=warn").await, "23");
    assert_eq!(messages("level=error").await, "3");
    assert_eq!(messages("tail=2").await, "34");
    assert_eq!(messages("tail=9").await, "01234");
    assert_eq!(messages("tail=1&level=warn").await, "3");
    assert_eq!(messages("limit=1&level=warn").await, "2");
    for (query, expected) in [("level=warn", "23"), ("tail=2", "34"), ("tail=2&level=info", "34"), ("", "01234")] {
        let mut tail = EventTail::open(&app.admin(), &format!("{path}?follow=true&{query}"), None).await;
        let mut followed = String::new();
        loop {
            let event = tail.next().await.unwrap();
            if event.name == "end" {
                break;
            }
            followed.push_str(event.data["message"].as_str().unwrap());
        }
        assert_eq!(followed, expected, "{query}");
    }
    for query in
        ["level=loud", "tail=0", "tail=x", "tail=1&limit=1", "download=true&limit=1", "download=true&follow=true"]
    {
        let (status, error) = app.admin().get(&format!("{path}?{query}")).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{query}");
    }
}

#[tokio::test]
async fn log_is_downloaded_as_text() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let job = app.create_job(json!({ "params": { "log": ["first", "zweite ü"] } })).await;
    let run = app.run_job(&job).await;
    app.until_run(&run, "success").await;
    let download = async |query: &str| {
        let path = format!("/admin/v1/runs/{run}/log?download=true{query}");
        app.admin().request(Method::GET, &path).send().await.unwrap()
    };
    let response = download("").await;
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(response.headers()["content-disposition"], format!("attachment; filename=\"run-{run}.log\""));
    let text = response.text().await.unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].ends_with("Z INFO  first {\"attempt\":1}"), "{text}");
    assert!(lines[1].contains(" INFO  zweite ü "), "{text}");
    assert!(download("&tail=1").await.text().await.unwrap().starts_with(lines[1]));
    assert_eq!(download("&level=error").await.text().await.unwrap(), "");
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
    let mut tail = follow(&app, &run, None).await;
    let one = tail.next().await.unwrap();
    assert_eq!((one.name.as_str(), &one.data["message"]), ("", &json!("one")));
    assert_eq!(tail.next().await.unwrap().data["message"], "two");
    assert_eq!(app.run(&run).await["status"], "running", "the lines arrived only after the run");
    // A second client continues after the line `one`.
    let mut later = follow(&app, &run, Some(&one.id)).await;
    assert_eq!(later.next().await.unwrap().data["message"], "two");
    runner.open_gate();
    for tail in [&mut tail, &mut later] {
        let end = tail.next().await.unwrap();
        assert_eq!((end.name.as_str(), &end.data["status"]), ("end", &json!("success")));
        assert_eq!(tail.next().await, None, "the response continued after the end of the run");
    }
    node.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn log_streams_end_at_shutdown() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let job = app.create_job(json!({ "params": { "log": ["one"], "wait": true } })).await;
    let run = app.run_job(&job).await;
    let mut tail = follow(&app, &run, None).await;
    tail.next().await.unwrap();
    app.app.jobs().runs().close_log_streams();
    assert_eq!(tail.next().await, None);
    runner.open_gate();
    eventually("the run ends", async || app.run(&run).await["status"] == "success").await;
}
