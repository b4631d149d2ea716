//! Filters and orders of the lists of jobs and runs, and the summary of runs.

use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{TestApp, TestRunner, code};

async fn start(runner: &Arc<TestRunner>) -> TestApp {
    TestApp::builder().runner(runner.node("a")).start().await
}

async fn items(app: &TestApp, path: &str) -> Vec<Value> {
    let (status, page) = app.admin().get(&format!("/admin/v1/{path}")).await;
    assert_eq!(status, StatusCode::OK, "{path}: {page}");
    page["items"].as_array().unwrap().clone()
}

async fn names(app: &TestApp, query: &str) -> Vec<String> {
    let jobs = items(app, &format!("jobs?{query}")).await;
    jobs.iter().map(|job| job["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn runs_are_filtered_by_status_trigger_and_time() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let project = app.create_project("Shop").await;
    let job = app
        .create_job(json!({ "name": "Import", "projectId": project.id, "retries": 1, "params": { "failTimes": 1 } }))
        .await;
    let first = app.run_job(&job).await;
    app.until_run(&first, "fail").await;
    crate::support::eventually("the retry", async || {
        (items(&app, "runs?status=success").await.len() == 1).then_some(())
    })
    .await;
    let hanging = app.create_job(json!({ "params": { "wait": true } })).await;
    let waiting = app.run_job(&hanging).await;
    app.until_run(&waiting, "running").await;

    let ids = async |query: &str| -> Vec<String> {
        let runs = items(&app, &format!("runs?{query}")).await;
        runs.iter().map(|run| run["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("status=fail").await, [first.as_str()]);
    assert_eq!(ids("status=fail,timeout,running").await, [waiting.as_str(), first.as_str()]);
    assert_eq!(ids("active=true").await, [waiting.as_str()]);
    assert_eq!(ids("active=false").await.len(), 2);
    assert_eq!(ids("trigger=manual").await.len(), 2);
    assert_eq!(ids(&format!("jobId={hanging}")).await, [waiting.as_str()]);
    let (status, _) = app.admin().get(&format!("/admin/v1/jobs/{job}/runs?jobId={hanging}")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let retry = &items(&app, "runs?trigger=retry").await[0];
    assert_eq!((&retry["retryOf"], &retry["attempt"]), (&json!(first), &json!(2)));
    assert_eq!((&retry["jobName"], &retry["projectName"]), (&json!("Import"), &json!("Shop")));
    let at = app.run(&waiting).await["createdAt"].as_str().unwrap().to_owned();
    assert_eq!(ids(&format!("from={at}")).await, [waiting.as_str()]);
    assert_eq!(ids(&format!("to={at}")).await.len(), 2);
    assert!(ids("to=2001-01-01T00:00:00Z").await.is_empty());
    for query in ["status=broken", "trigger=me", "active=maybe", "from=yesterday", "jobId=x"] {
        let (status, error) = app.admin().get(&format!("/admin/v1/runs?{query}")).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{query}");
    }

    let (status, summary) = app.admin().get("/admin/v1/runs/summary?by=hour").await;
    assert_eq!(status, StatusCode::OK, "{summary}");
    let numbers =
        |counts: &Value| ["total", "failed", "succeeded", "active"].map(|name| counts[name].as_i64().unwrap());
    assert_eq!(numbers(&summary), [3, 1, 1, 1]);
    let periods = summary["items"].as_array().unwrap();
    assert!((24..=25).contains(&periods.len()), "{summary}");
    assert_eq!(periods.iter().map(|period| period["total"].as_i64().unwrap()).sum::<i64>(), 3);
    let (_, summary) = app.admin().get(&format!("/admin/v1/runs/summary?by=day&projectId={}", project.id)).await;
    assert_eq!(numbers(&summary), [2, 1, 1, 0]);
    let (status, error) = app.admin().get("/admin/v1/runs/summary?from=2001-01-01T00:00:00Z").await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{error}");
    runner.open_gate();
}

#[tokio::test]
async fn jobs_are_listed_with_recent_runs_and_failures() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let job = app.create_job(json!({ "name": "Ping", "params": { "fail": "no answer" } })).await;
    let mut runs = Vec::new();
    for _ in 0..3 {
        let run = app.run_job(&job).await;
        app.until_run(&run, "fail").await;
        runs.insert(0, run);
    }
    let shown = &items(&app, "jobs?recentRuns=2").await[0];
    let recent: Vec<_> = shown["recentRuns"].as_array().unwrap().iter().map(|run| &run["id"]).collect();
    assert_eq!(recent, [&runs[0], &runs[1]]);
    assert!(shown["recentRuns"][0]["durationMs"].is_i64() && shown["recentRuns"][0]["startedAt"].is_string());
    assert_eq!(shown["runCount"], 3);
    let failing = &shown["failing"];
    assert_eq!((&failing["count"], &failing["runId"]), (&json!(3), &json!(runs[0])));
    assert_eq!(failing["errorText"], "no answer");
    let (_, detail) = app.admin().get(&format!("/admin/v1/jobs/{job}")).await;
    assert!(detail.get("recentRuns").is_none() && detail["runCount"] == 3, "{detail}");
    let (status, error) = app.admin().get("/admin/v1/jobs?recentRuns=101").await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"));
}

#[tokio::test]
async fn jobs_are_filtered_by_the_plugin_that_executes_them() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    app.create_job(json!({ "name": "Work" })).await;
    let request = json!({
        "name": "Request", "type": "http", "httpUrl": "https://example.com/", "scheduleCron": "0 0 1 1 *",
    });
    let (status, job) = app.admin().post("/admin/v1/jobs", request).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    assert_eq!(names(&app, "plugin=http-job").await, ["Request"]);
    assert_eq!(names(&app, "plugin=test").await, ["Work"]);
}

#[tokio::test]
async fn jobs_are_searched_sorted_and_filtered_by_state() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    app.create_job(json!({ "name": "beta", "enabled": false })).await;
    let failing = app.create_job(json!({ "name": "Zeta", "params": { "fail": "no" } })).await;
    app.create_job(json!({ "name": "Alpha" })).await;
    let run = app.run_job(&failing).await;
    app.until_run(&run, "fail").await;
    let broken = app.create_job(json!({ "name": "Old" })).await;
    sqlx::query("UPDATE cron_jobs SET schedule_cron = 'never' WHERE id = $1::uuid")
        .bind(&broken)
        .execute(app.app.platform())
        .await
        .unwrap();
    assert_eq!(names(&app, "").await, ["beta", "Zeta", "Alpha", "Old"]);
    assert_eq!(names(&app, "order=name").await, ["Alpha", "beta", "Old", "Zeta"]);
    assert_eq!(names(&app, "order=-name").await, ["Zeta", "Old", "beta", "Alpha"]);
    assert_eq!(names(&app, "order=failing").await, ["Zeta", "Alpha", "beta", "Old"]);
    assert_eq!(names(&app, "order=-lastRun").await.last().unwrap(), "Zeta");
    assert_eq!(names(&app, "q=ET").await, ["beta", "Zeta"]);
    assert_eq!(names(&app, "state=failing").await, ["Zeta"]);
    assert_eq!(names(&app, "state=disabled").await, ["beta"]);
    assert_eq!(names(&app, "state=problem").await, ["Old"]);
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = app.admin().get(&format!("/admin/v1/jobs?limit=1&order=name{cursor}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        found.push(page["items"][0]["name"].as_str().unwrap().to_owned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, ["Alpha", "beta", "Old", "Zeta"]);
    for query in ["limit=1", "order=-name", "order=createdAt", "state=failing"] {
        let (status, error) = app.admin().get(&format!("/admin/v1/jobs?{query}{cursor}")).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_cursor"), "{query}");
    }
    for query in ["order=size", "state=fine", "q=%00"] {
        let (status, error) = app.admin().get(&format!("/admin/v1/jobs?{query}")).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{query}");
    }
}
