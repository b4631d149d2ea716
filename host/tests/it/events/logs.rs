//! Logs of runs in the stream.

use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{EventTail, TestApp, TestRunner, code};

async fn start(runner: &Arc<TestRunner>) -> TestApp {
    TestApp::builder().runner(runner.node("a")).start().await
}

#[tokio::test]
async fn log_of_a_run_is_part_of_the_stream() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let job = app.create_job(json!({ "params": { "log": ["one", "two"], "wait": true } })).await;
    let run = app.run_job(&job).await;
    let path = format!("/admin/v1/events?log={run}");
    let mut tail = EventTail::open(&app.admin(), &path, None).await;
    let one = tail.until("log", &json!({ "runId": run, "message": "one", "level": "info" })).await;
    assert!(one.data["at"].is_string() && one.data["fields"].is_object(), "{one:?}");
    tail.until("log", &json!({ "runId": run, "message": "two" })).await;
    assert_eq!(app.run(&run).await["status"], "running", "the lines arrived only after the run");
    // A second stream continues after the line `one`.
    let mut later = EventTail::open(&app.admin(), &path, Some(&one.id)).await;
    assert_eq!(later.next().await.unwrap().data["state"], "resumed");
    let next = later.until("log", &json!({})).await;
    assert_eq!(next.data["message"], "two");
    runner.open_gate();
    for tail in [&mut tail, &mut later] {
        let end = tail.until("logEnd", &json!({ "runId": run })).await;
        assert_eq!(end.data["run"]["status"], "success");
    }
    // The stream continues after the end of the log.
    let other = app.create_job(json!({})).await;
    tail.until("job", &json!({ "id": other })).await;
}

#[tokio::test]
async fn several_logs_are_followed_together() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let mut runs = Vec::new();
    for lines in [3, 300] {
        let job = app.create_job(json!({ "params": { "lines": lines } })).await;
        let run = app.run_job(&job).await;
        app.until_run(&run, "success").await;
        runs.push((run, lines));
    }
    let path = format!("/admin/v1/events?log={},{}", runs[0].0, runs[1].0);
    let mut tail = EventTail::open(&app.admin(), &path, None).await;
    let (mut counts, mut ended) = ([0, 0], 0);
    while ended < 2 {
        let event = tail.next().await.unwrap();
        let index = runs.iter().position(|(run, _)| event.data["runId"] == *run);
        match (event.name.as_str(), index) {
            ("log", Some(index)) => counts[index] += 1,
            ("logEnd", Some(_)) => ended += 1,
            _ => {}
        }
    }
    assert_eq!(counts, [3, 300]);
}

#[tokio::test]
async fn unknown_repeated_and_too_many_logs_are_refused() {
    let app = start(&TestRunner::new()).await;
    let unknown = "00000000-0000-7000-8000-000000000000";
    let id = |number: u32| format!("00000000-0000-7000-8000-{number:012}");
    let too_many = (0..5).map(id).collect::<Vec<_>>().join(",");
    for (log, status, expected) in [
        (unknown.to_owned(), StatusCode::NOT_FOUND, "not_found"),
        ("x".to_owned(), StatusCode::NOT_FOUND, "not_found"),
        (format!("{unknown},{unknown}"), StatusCode::BAD_REQUEST, "invalid_request"),
        (too_many, StatusCode::BAD_REQUEST, "invalid_request"),
    ] {
        let (refused, error) = app.admin().get(&format!("/admin/v1/events?log={log}")).await;
        assert_eq!((refused, code(&error)), (status, expected), "{log}");
    }
    let (status, error) = app.admin().get("/admin/v1/events?logs=1").await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"));
}
