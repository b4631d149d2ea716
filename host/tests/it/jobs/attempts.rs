//! Links between a run and its retries, the reason why a queued run waits, and repeating an ended run.

use std::{sync::Arc, time::Duration};

use atlashub::{config::Role, jobs::NewRun};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{JobsNode, TestApp, TestRunner, code, eventually};

async fn start(runner: &Arc<TestRunner>) -> TestApp {
    TestApp::builder().runner(runner.node("a")).start().await
}

/// Waits until the job has this number of ended runs, and returns their ids, oldest first.
async fn ended_runs(app: &TestApp, job: &str, count: usize) -> Vec<String> {
    eventually(&format!("{count} ended runs"), async || {
        let runs = app.runs_of(job).await;
        let ended = runs.iter().rev().filter(|run| run["finishedAt"].is_string());
        let ids: Vec<String> = ended.map(|run| run["id"].as_str().unwrap().to_owned()).collect();
        (ids.len() == count).then_some(ids)
    })
    .await
}

fn attempts(run: &Value) -> Vec<(i64, String, String)> {
    let attempts = run["attempts"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    attempts
        .map(|attempt| (attempt["attempt"].as_i64().unwrap(), text(&attempt["id"]), text(&attempt["status"])))
        .collect()
}

#[tokio::test]
async fn attempts_of_a_manual_run_are_linked() {
    let app = start(&TestRunner::new()).await;
    let job = app.create_job(json!({ "retries": 3, "params": { "failTimes": 2 } })).await;
    app.run_job(&job).await;
    let first = ended_runs(&app, &job, 3).await;
    // Another run of the job has its own attempts.
    app.run_job(&job).await;
    let all = ended_runs(&app, &job, 6).await;
    for runs in [&first[..], &all[3..]] {
        let statuses = ["fail", "fail", "success"].map(str::to_owned);
        let expected: Vec<_> = (1..).zip(runs.iter().cloned()).zip(statuses).map(|((n, id), s)| (n, id, s)).collect();
        for id in runs {
            let run = app.run(id).await;
            assert_eq!(attempts(&run), expected, "{id}");
            assert_eq!((&run["maxAttempts"], &run["waiting"]), (&json!(4), &Value::Null));
        }
        assert_eq!(app.run(&runs[2]).await["retryOf"], runs[1]);
        assert_eq!(app.run(&runs[0]).await["attempts"][1]["errorText"], "not yet");
    }
}

#[tokio::test]
async fn attempts_of_a_scheduled_run_are_linked() {
    let runner = TestRunner::new();
    let app = TestApp::builder().role(Role::Gateway).runner(runner.node("gateway")).start().await;
    let job = app.create_job(json!({ "scheduleCron": "0 * * * *", "retries": 1, "params": { "fail": "no" } })).await;
    app.rewind_schedule(&job, "3 days").await;
    let node = JobsNode::start(&app, &runner, "scheduler", Duration::from_secs(30)).await;
    let runs = ended_runs(&app, &job, 2).await;
    for id in &runs {
        let run = app.run(id).await;
        let ids: Vec<_> = attempts(&run).into_iter().map(|(_, id, _)| id).collect();
        assert_eq!(ids, runs);
    }
    node.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn queued_run_shows_the_reason_for_waiting() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let job = app.create_job(json!({ "overlap": "queue", "params": { "wait": true } })).await;
    let running = app.run_job(&job).await;
    app.until_run(&running, "running").await;
    let queued = app.run_job(&job).await;
    let waiting = app.run(&queued).await["waiting"].clone();
    assert_eq!(waiting, json!({ "reason": "overlap", "until": null, "runId": running }));
    runner.open_gate();
    app.until_run(&queued, "success").await;

    let failing = json!({ "retries": 1, "retryBackoffMs": 3_600_000, "params": { "fail": "no" } });
    let job = app.create_job(failing).await;
    app.run_job(&job).await;
    let retry = eventually("the retry", async || {
        app.runs_of(&job).await.into_iter().find(|run| run["attempt"] == 2).map(|run| run["id"].clone())
    })
    .await;
    let waiting = app.run(retry.as_str().unwrap()).await["waiting"].clone();
    assert_eq!((&waiting["reason"], &waiting["runId"]), (&json!("time"), &Value::Null));
    assert!(waiting["until"].is_string(), "{waiting}");

    let gateway = TestApp::builder().role(Role::Gateway).runner(runner.node("b")).start().await;
    let queued = gateway.run_job(&gateway.create_job(json!({})).await).await;
    let waiting = gateway.run(&queued).await["waiting"].clone();
    assert_eq!(waiting, json!({ "reason": "scheduler", "until": null, "runId": null }));
}

#[tokio::test]
async fn ended_run_can_be_run_again() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let admin = app.admin();
    let again = async |run: &str| admin.post(&format!("/admin/v1/runs/{run}/again"), json!({})).await;

    let job = app.create_job(json!({ "params": { "wait": true } })).await;
    let run = app.run_job(&job).await;
    app.until_run(&run, "running").await;
    let (status, error) = again(&run).await;
    assert_eq!((status, code(&error)), (StatusCode::CONFLICT, "conflict"), "{error}");
    runner.open_gate();
    app.until_run(&run, "success").await;
    let (status, started) = again(&run).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    let repeated = app.until_run(started["runId"].as_str().unwrap(), "success").await;
    assert_eq!((&repeated["jobId"], &repeated["trigger"]), (&json!(job), &json!("manual")));
    assert_eq!((&repeated["attempt"], &repeated["retryOf"]), (&json!(1), &Value::Null));

    // A run without a job can also be run again.
    let project = app.create_project("Shop").await;
    let new = NewRun {
        plugin: "test".to_owned(),
        plugin_job: String::new(),
        params: json!({ "result": { "answer": 42 } }),
        project_id: Some(project.id.clone()),
        timeout: Duration::from_secs(7),
    };
    let run = app.app.jobs().start_run(&new).await.unwrap().to_string();
    app.until_run(&run, "success").await;
    let (status, started) = again(&run).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    let repeated = app.until_run(started["runId"].as_str().unwrap(), "success").await;
    assert_eq!((&repeated["result"], &repeated["projectId"]), (&json!({ "answer": 42 }), &json!(project.id)));
    let attempts = runner.attempts();
    assert_eq!(attempts.last().unwrap().call.timeout, Duration::from_secs(7));

    for unknown in ["x", "00000000-0000-7000-8000-000000000000"] {
        assert_eq!(again(unknown).await.0, StatusCode::NOT_FOUND);
    }
    sqlx::query("UPDATE cron_job_runs SET project_id = 'gonegone' WHERE id = $1::uuid")
        .bind(&run)
        .execute(app.app.platform())
        .await
        .unwrap();
    let (status, error) = again(&run).await;
    assert_eq!((status, code(&error)), (StatusCode::CONFLICT, "conflict"), "{error}");
    let (_, entries) = admin.get("/admin/v1/audit?action=run.again").await;
    assert_eq!(entries["items"].as_array().unwrap().len(), 6, "{entries}");
}
