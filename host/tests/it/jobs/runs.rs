//! Single runs: start, retries, time limit, cancellation.

use std::{sync::Arc, time::Duration};

use atlashub::{config::Role, jobs::NewRun};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::postgres::PgListener;

use crate::support::{JobsNode, TestApp, TestRunner, WAIT_TIMEOUT, code, eventually};

async fn start(runner: &Arc<TestRunner>) -> TestApp {
    TestApp::builder().runner(runner.node("a")).start().await
}

#[tokio::test]
async fn manual_run_is_in_the_history() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let job =
        app.create_job(json!({ "enabled": false, "params": { "result": { "answer": 42 }, "progress": 7 } })).await;
    let path = format!("/admin/v1/jobs/{job}/run");
    let (status, body) = app.admin().post(&path, json!({ "parms": { "result": 1 } })).await;
    assert_eq!((status, code(&body)), (StatusCode::BAD_REQUEST, "invalid_json"), "{body}");
    let run = app.run_job(&job).await;
    let mut run = app.until_run(&run, "success").await;
    assert_eq!((&run["jobId"], &run["plugin"], &run["pluginJob"]), (&json!(job), &json!("test"), &json!("work")));
    assert_eq!((&run["trigger"], &run["attempt"], &run["scheduledFor"]), (&json!("manual"), &json!(1), &Value::Null));
    assert_eq!(run["result"], json!({ "answer": 42 }));
    assert_eq!(run["progress"], json!({ "done": 7, "total": 10, "message": "things" }));
    assert!(run["startedAt"].is_string() && run["finishedAt"].is_string() && run["durationMs"].is_i64(), "{run}");
    let (_, shown) = app.admin().get(&format!("/admin/v1/jobs/{job}")).await;
    assert_eq!(shown["lastRun"]["id"], run["id"]);
    let detail = run.as_object_mut().unwrap();
    assert_eq!(detail.remove("attempts").unwrap().as_array().unwrap().len(), 1);
    assert_eq!(detail.remove("waiting"), Some(Value::Null));
    assert_eq!(app.runs_of(&job).await, [run]);
    let metrics = app.admin().request(reqwest::Method::GET, "/metrics").send().await.unwrap().text().await;
    assert!(metrics.unwrap().contains("atlashub_jobs_runs_total{status=\"success\"}"));
}

#[tokio::test]
async fn run_without_a_job_is_executed_and_listed() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let new = NewRun {
        plugin: "test".to_owned(),
        plugin_job: String::new(),
        params: json!({ "log": ["by hand"] }),
        project_id: Some("someproject".to_owned()),
        timeout: Duration::from_secs(5),
    };
    let run = app.app.jobs().start_run(&new).await.unwrap().to_string();
    let run = app.until_run(&run, "success").await;
    assert_eq!(
        (&run["jobId"], &run["projectId"], &run["pluginJob"]),
        (&Value::Null, &json!("someproject"), &json!("work"))
    );
    assert_eq!(runner.attempts()[0].call.timeout, Duration::from_secs(5));
    let refused = app.app.jobs().start_run(&NewRun { plugin: "nobody".to_owned(), ..new }).await.unwrap_err();
    assert_eq!(refused.code().as_str(), "unprocessable");
}

#[tokio::test]
async fn failed_run_is_retried_up_to_the_limit() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let job = app.create_job(json!({ "retries": 3, "params": { "failTimes": 2 } })).await;
    let first = app.run_job(&job).await;
    let runs = eventually("three attempts", async || {
        let runs = app.runs_of(&job).await;
        (runs[0]["status"] == "success").then_some(runs)
    })
    .await;
    let reported: Vec<_> = runs
        .iter()
        .map(|run| {
            (run["status"].as_str().unwrap(), run["trigger"].as_str().unwrap(), run["attempt"].as_i64().unwrap())
        })
        .collect();
    assert_eq!(reported, [("success", "retry", 3), ("fail", "retry", 2), ("fail", "manual", 1)]);
    assert_eq!((&runs[2]["id"], &runs[2]["errorText"]), (&json!(first), &json!("not yet")));

    let job =
        app.create_job(json!({ "retries": 1, "params": { "fail": "no", "details": { "httpStatus": 503 } } })).await;
    app.run_job(&job).await;
    let runs = eventually("two attempts", async || {
        let runs = app.runs_of(&job).await;
        (runs.len() == 2 && runs[0]["status"] == "fail").then_some(runs)
    })
    .await;
    assert_eq!((&runs[0]["errorText"], &runs[0]["httpStatus"]), (&json!("no"), &json!(503)));

    // A failure that is not retryable is not retried.
    let job = app.create_job(json!({ "retries": 5, "params": { "fail": "refused", "final": true } })).await;
    let run = app.run_job(&job).await;
    app.until_run(&run, "fail").await;
    let marker = app.create_job(json!({})).await;
    let marker = app.run_job(&marker).await;
    app.until_run(&marker, "success").await;
    assert_eq!(app.runs_of(&job).await.len(), 1);
}

#[tokio::test]
async fn retry_delay_doubles_with_each_attempt() {
    let runner = TestRunner::new();
    let app = TestApp::builder().role(Role::Gateway).runner(runner.node("a")).start().await;
    let job = app.create_job(json!({ "retries": 9, "retryBackoffMs": 3_600_000, "params": { "fail": "x" } })).await;
    let node = JobsNode::start(&app, &runner, "b", Duration::from_secs(30)).await;
    app.run_job(&job).await;
    for attempt in 1..=3 {
        let hours: f64 = eventually("the next attempt", async || {
            sqlx::query_scalar(
                "SELECT extract(epoch FROM not_before - now())::float8 / 3600 FROM cron_job_runs
                 WHERE attempt = $1 AND status = 'queued'",
            )
            .bind(attempt + 1)
            .fetch_optional(app.app.platform())
            .await
            .unwrap()
        })
        .await;
        let expected = f64::from(1 << (attempt - 1));
        assert!(hours > expected * 0.98 && hours < expected * 1.26, "attempt {attempt}: {hours} h");
        sqlx::query("UPDATE cron_job_runs SET not_before = now() WHERE status = 'queued'")
            .execute(app.app.platform())
            .await
            .unwrap();
        sqlx::query("SELECT pg_notify('atlashub_jobs', 'queued')").execute(app.app.platform()).await.unwrap();
    }
    node.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn run_that_exceeds_its_time_limit_is_stopped() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    for params in [json!({ "hang": true }), json!({ "hang": true, "stubborn": true })] {
        let job = app.create_job(json!({ "timeoutMs": 150, "params": params })).await;
        let run = app.run_job(&job).await;
        let run = app.until_run(&run, "timeout").await;
        assert!(run["errorText"].as_str().unwrap().contains("time limit"), "{run}");
    }
}

#[tokio::test]
async fn panic_ends_only_its_own_run() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let waits = app.create_job(json!({ "params": { "wait": true } })).await;
    let waiting = app.run_job(&waits).await;
    app.until_run(&waiting, "running").await;
    let job = app.create_job(json!({ "params": { "panic": true } })).await;
    let run = app.run_job(&job).await;
    let run = app.until_run(&run, "fail").await;
    assert_eq!(run["errorText"], "the run panicked");
    // The run in progress continues, and the next ones begin.
    assert_eq!(app.run(&waiting).await["status"], "running");
    runner.open_gate();
    app.until_run(&waiting, "success").await;
    let other = app.create_job(json!({})).await;
    let other = app.run_job(&other).await;
    app.until_run(&other, "success").await;
}

#[tokio::test]
async fn run_can_be_cancelled_immediately_from_any_node() {
    let runner = TestRunner::new();
    // This node has no scheduler, so the cancellation must reach another node.
    let app = TestApp::builder().role(Role::Gateway).runner(runner.node("gateway")).start().await;
    let node = JobsNode::start(&app, &runner, "scheduler", Duration::from_secs(3600)).await;
    let mut messages = PgListener::connect(app.services.database_url.expose()).await.unwrap();
    messages.listen("atlashub_jobs").await.unwrap();
    for stubborn in [false, true] {
        let start = async || {
            let params = json!({ "hang": true, "stubborn": stubborn });
            let job = app.create_job(json!({ "retries": 3, "params": params })).await;
            let run = app.run_job(&job).await;
            eventually("the run has started", async || !runner.attempts_of(&job).is_empty()).await;
            (job, run)
        };
        let (job, run) = start().await;
        let (status, body) = app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        app.until_run(&run, "cancelled").await;
        let (status, body) = app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
        assert_eq!((status, code(&body)), (StatusCode::CONFLICT, "conflict"));
        assert_eq!(app.runs_of(&job).await.len(), 1, "a cancelled run was tried again");

        // The node also finds cancellations by polling, every five seconds. So the next run is cancelled by a copy of
        // the message alone, which polling can't find.
        let message = tokio::time::timeout(WAIT_TIMEOUT, async {
            loop {
                let message = messages.recv().await.unwrap();
                if message.payload().contains(&run) {
                    return message.payload().to_owned();
                }
            }
        });
        let message = message.await.expect("a message that names the run");
        let (_, other) = start().await;
        sqlx::query("SELECT pg_notify('atlashub_jobs', $1)")
            .bind(message.replace(&run, &other))
            .execute(app.app.platform())
            .await
            .unwrap();
        app.until_run(&other, "cancelled").await;
    }
    node.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn queued_run_can_be_cancelled_before_it_starts() {
    let runner = TestRunner::new();
    let app = TestApp::builder().role(Role::Gateway).runner(runner.node("a")).start().await;
    let job = app.create_job(json!({})).await;
    let run = app.run_job(&job).await;
    let (status, body) = app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
    assert_eq!((status, body["status"].as_str()), (StatusCode::ACCEPTED, Some("cancelled")));
    let node = JobsNode::start(&app, &runner, "b", Duration::from_secs(30)).await;
    let marker = app.run_job(&job).await;
    app.until_run(&marker, "success").await;
    assert_eq!(runner.attempts().len(), 1);
    node.stop(Duration::from_secs(1)).await;
    let (status, _) = app.admin().post("/admin/v1/runs/00000000-0000-7000-8000-000000000000/cancel", json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn runs_of_a_job_overlap_only_if_allowed() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    for (overlap, together) in [("queue", 1), ("skip", 1), ("allow", 3)] {
        let job = app.create_job(json!({ "overlap": overlap, "params": { "hang": true } })).await;
        let runs = [app.run_job(&job).await, app.run_job(&job).await, app.run_job(&job).await];
        eventually("the runs that may overlap have started", async || runner.attempts_of(&job).len() == together).await;
        // Runs that may not overlap run one after the other, in the order of the requests.
        for (number, run) in runs.iter().enumerate() {
            app.until_run(run, "running").await;
            let running = app.runs_of(&job).await.iter().filter(|run| run["status"] == "running").count();
            assert_eq!(running, if together == 3 { 3 - number } else { 1 }, "{overlap}");
            app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
            app.until_run(run, "cancelled").await;
        }
    }
}

/// Makes a manual run and its retries look as if the schedule had started them.
async fn of_schedule(app: &TestApp, run: &str) {
    let changed = sqlx::query("UPDATE cron_job_runs SET scheduled_for = now() WHERE $1 IN (id::text, retry_of::text)")
        .bind(run)
        .execute(app.app.platform())
        .await
        .unwrap();
    assert_ne!(changed.rows_affected(), 0);
}

#[tokio::test]
async fn active_run_of_a_disabled_job_is_not_retried_unless_it_is_manual() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let (params, backoff) = (json!({ "wait": true, "fail": "x" }), 3_600_000);
    let job = json!({ "retries": 3, "retryBackoffMs": backoff, "overlap": "allow", "params": params });
    let job = app.create_job(job).await;
    let (scheduled, manual) = (app.run_job(&job).await, app.run_job(&job).await);
    for run in [&scheduled, &manual] {
        app.until_run(run, "running").await;
    }
    of_schedule(&app, &scheduled).await;
    app.admin().patch(&format!("/admin/v1/jobs/{job}"), json!({ "enabled": false })).await;
    runner.open_gate();
    let ended = app.until_run(&scheduled, "fail").await;
    assert_eq!(ended["errorText"], "x (not retried: the job was disabled)", "{ended}");
    assert_eq!(app.until_run(&manual, "fail").await["errorText"], "x");
    let runs = app.runs_of(&job).await;
    let queued: Vec<_> = runs.iter().filter(|run| run["status"] == "queued").collect();
    assert_eq!((runs.len(), queued.len(), &queued[0]["scheduledFor"]), (3, 1, &Value::Null), "{runs:?}");
}

#[tokio::test]
async fn disabling_a_job_cancels_queued_runs_of_its_schedule() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let job = app.create_job(json!({ "retries": 3, "retryBackoffMs": 3_600_000, "params": { "fail": "x" } })).await;
    let run = app.run_job(&job).await;
    app.until_run(&run, "fail").await;
    assert_eq!(app.runs_of(&job).await[0]["status"], "queued");
    of_schedule(&app, &run).await;
    app.admin().patch(&format!("/admin/v1/jobs/{job}"), json!({ "enabled": false })).await;
    let runs = app.runs_of(&job).await;
    assert_eq!((&runs[0]["status"], &runs[0]["errorText"]), (&json!("cancelled"), &json!("the job was disabled")));
}

#[tokio::test]
async fn retry_queued_while_its_job_is_disabled_is_cancelled_when_it_is_due() {
    let runner = TestRunner::new();
    let app = start(&runner).await;
    let job = app.create_job(json!({ "retries": 3, "retryBackoffMs": 3_600_000, "params": { "fail": "x" } })).await;
    let run = app.run_job(&job).await;
    app.until_run(&run, "fail").await;
    of_schedule(&app, &run).await;
    // Disables the job without cancelling its queued runs, as if the retry had been queued a moment later.
    sqlx::query("UPDATE cron_jobs SET enabled = false, next_run_at = NULL WHERE id::text = $1")
        .bind(&job)
        .execute(app.app.platform())
        .await
        .unwrap();
    sqlx::query("UPDATE cron_job_runs SET not_before = now() WHERE retry_of::text = $1")
        .bind(&run)
        .execute(app.app.platform())
        .await
        .unwrap();
    sqlx::query("SELECT pg_notify('atlashub_jobs', 'queued')").execute(app.app.platform()).await.unwrap();
    let retry = app.runs_of(&job).await[0]["id"].as_str().unwrap().to_owned();
    let ended = app.until_run(&retry, "cancelled").await;
    assert_eq!(ended["errorText"], "the job was disabled", "{ended}");
    assert_eq!(app.runs_of(&job).await.len(), 2);
}

#[tokio::test]
async fn observer_receives_ended_runs_with_previous_status() {
    let runner = TestRunner::new();
    let app = TestApp::builder().role(Role::Gateway).runner(runner.node("a")).start().await;
    let node = JobsNode::start(&app, &runner, "b", Duration::from_secs(30)).await;
    let job = app.create_job(json!({ "retries": 1, "params": { "fail": "broken" } })).await;
    app.run_job(&job).await;
    eventually("both attempts have ended", async || runner.ended().len() == 2).await;
    app.admin().patch(&format!("/admin/v1/jobs/{job}"), json!({ "params": {} })).await;
    app.run_job(&job).await;
    eventually("the next run has ended", async || runner.ended().len() == 3).await;
    let reported: Vec<_> = runner
        .ended()
        .iter()
        .map(|ended| (format!("{:?}", ended.status), ended.will_retry, ended.previous_status.map(|s| format!("{s:?}"))))
        .collect();
    assert_eq!(
        reported,
        [
            ("Fail".to_owned(), true, None),
            ("Fail".to_owned(), false, None),
            ("Success".to_owned(), false, Some("Fail".to_owned())),
        ]
    );
    node.stop(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn waiting_for_a_permit_does_not_count_as_run_time() {
    let runner = TestRunner::new();
    let app = TestApp::builder().runner(runner.node("a")).start().await;
    let late = app.create_job(json!({ "timeoutMs": 500, "params": { "late": true } })).await;
    let hanging = app.create_job(json!({ "timeoutMs": 500, "params": { "hang": true, "stubborn": true } })).await;
    let late = app.run_job(&late).await;
    app.until_run(&late, "running").await;
    // By the time the second run times out, the first would have timed out too if waiting counted.
    let hanging = app.run_job(&hanging).await;
    app.until_run(&hanging, "timeout").await;
    runner.open_gate();
    app.until_run(&late, "success").await;
}
