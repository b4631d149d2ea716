//! Schedulers during outages and restarts of Postgres, and with lost notifications.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use atlashub::config::Role;
use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use serde_json::json;
use uuid::Uuid;

use crate::{
    jobs::schedulers::{GRACE, LEASE, fire_times, gateway},
    support::{JobsNode, Postgres, Proxy, TestApp, TestRunner, eventually},
};

#[tokio::test(flavor = "multi_thread")]
async fn schedulers_survive_a_postgres_outage() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let address = format!("127.0.0.1:{}", Postgres::shared().port);
    let proxy = Proxy::start_to(address.parse().unwrap()).await;
    let url = app.services.database_url.expose().replace(&address, &proxy.address().to_string());
    let node = JobsNode::start_on(&app, &url, &runner, "a", LEASE).await;
    let waits = app.create_job(json!({ "params": { "wait": true } })).await;
    let run = app.run_job(&waits).await;
    eventually("the run has started", async || runner.attempts().len() == 1).await;
    proxy.disconnect().await;
    runner.open_gate();
    let ticks = app.create_job(json!({ "scheduleCron": "* * * * * *", "overlap": "allow" })).await;
    proxy.restore().await;
    // Outcomes of runs that ended during the outage are recorded afterwards, and new runs start.
    app.until_run(&run, "success").await;
    eventually("the scheduled job ran three times", async || runner.attempts_of(&ticks).len() > 2).await;
    let by_hand = app.create_job(json!({})).await;
    let by_hand = app.run_job(&by_hand).await;
    app.until_run(&by_hand, "success").await;
    let times = fire_times(&runner.attempts_of(&ticks));
    assert_eq!(times.len(), times.iter().collect::<BTreeSet<_>>().len(), "a fire time ran twice");
    node.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_without_a_notification_is_found_by_polling() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let job = app.create_job(json!({ "params": { "hang": true } })).await;
    let node = JobsNode::start(&app, &runner, "a", LEASE).await;
    // The run is inserted without a notification, as if the notification had been lost.
    let run: Uuid = sqlx::query_scalar(
        "INSERT INTO cron_job_runs (id, job_id, plugin, plugin_job, params, trigger)
         SELECT gen_random_uuid(), id, plugin, plugin_job, params, 'manual' FROM cron_jobs RETURNING id",
    )
    .fetch_one(app.app.platform())
    .await
    .unwrap();
    eventually("the run has started", async || !runner.attempts_of(&job).is_empty()).await;
    sqlx::query("UPDATE cron_job_runs SET cancel_requested_at = now() WHERE id = $1")
        .bind(run)
        .execute(app.app.platform())
        .await
        .unwrap();
    app.until_run(&run.to_string(), "cancelled").await;
    let due = app.create_job(json!({})).await;
    sqlx::query("UPDATE cron_jobs SET schedule_cron = '* * * * * *', next_run_at = now() WHERE id = $1")
        .bind(due.parse::<Uuid>().unwrap())
        .execute(app.app.platform())
        .await
        .unwrap();
    eventually("the due job has run", async || !runner.attempts_of(&due).is_empty()).await;
    node.stop(GRACE).await;
}

/// A run: id, job, fire time, attempt, status, error.
type RunRow = (Uuid, Uuid, Option<DateTime<Utc>>, i32, String, Option<String>);

/// Number of runs that are queued for each crash of Postgres.
const RUNS_PER_CRASH: usize = 1000;

#[tokio::test(flavor = "multi_thread")]
async fn schedulers_continue_after_postgres_restarts() {
    let postgres = Postgres::start_durable();
    let runner = TestRunner::new();
    let app = TestApp::builder()
        .database_url(&postgres.platform_database().await)
        .role(Role::Gateway)
        .runner(runner.node("gateway"))
        .start()
        .await;
    let lease = Duration::from_secs(20);
    let nodes = [JobsNode::start(&app, &runner, "a", lease).await, JobsNode::start(&app, &runner, "b", lease).await];
    let mut jobs = Vec::new();
    for (overlap, retries) in [("allow", 0), ("queue", 1), ("skip", 0), ("allow", 2)] {
        let job = json!({ "scheduleCron": "* * * * * *", "overlap": overlap, "retries": retries });
        jobs.push(app.create_job(job).await);
    }
    let waits = app.create_job(json!({ "params": { "wait": true } })).await;
    let held = app.run_job(&waits).await;
    eventually("the waiting run has started", async || runner.attempts_of(&waits).len() == 1).await;
    let bulk = app.create_job(json!({ "overlap": "allow" })).await;
    eventually("each job ran three times", async || jobs.iter().all(|job| runner.attempts_of(job).len() >= 3)).await;

    for round in 1..=2 {
        // Postgres restarts while runs are being claimed and ended.
        eventually("the runs are queued", async || queue_runs(&app, &bulk, RUNS_PER_CRASH).await.ok()).await;
        let expected = RUNS_PER_CRASH * (round - 1) + 50;
        eventually("some ran", async || runner.attempts_of(&bulk).len() >= expected).await;
        let postgres = &postgres;
        tokio::task::block_in_place(|| postgres.crash_and_restart());
        let back_at = Utc::now();
        let after = |job: &String| fire_times(&runner.attempts_of(job)).iter().filter(|at| **at > back_at).count();
        eventually("the scheduled jobs run again", async || jobs.iter().all(|job| after(job) >= 3)).await;
    }

    // A run that lasted over both restarts ends normally.
    runner.open_gate();
    app.until_run(&held, "success").await;
    for job in &jobs {
        let path = format!("/admin/v1/jobs/{job}");
        eventually("the job is disabled", async || {
            let (status, _) = app.admin().patch(&path, json!({ "enabled": false })).await;
            status == StatusCode::OK
        })
        .await;
    }
    let rows = eventually("no run is active or queued", async || {
        let rows: Vec<RunRow> =
            sqlx::query_as("SELECT id, job_id, scheduled_for, attempt, status, error_text FROM cron_job_runs")
                .fetch_all(app.app.platform())
                .await
                .ok()?;
        rows.iter().all(|(.., status, _)| status != "running" && status != "queued").then_some(rows)
    })
    .await;
    for node in nodes {
        node.stop(GRACE).await;
    }

    let mut ran = BTreeMap::new();
    for one in runner.attempts() {
        *ran.entry(one.call.run_id).or_insert(0) += 1;
    }
    let twice: Vec<_> = ran.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "these ran twice: {twice:?}");
    let mut known = BTreeSet::new();
    for (id, job, at, attempt, status, error) in &rows {
        assert!(at.is_none() || known.insert((job, at, attempt)), "two runs of {job} for {at:?}, attempt {attempt}");
        match status.as_str() {
            "success" => assert!(ran.contains_key(id), "{id} succeeded, but was not executed"),
            // The claim's response was lost with the connection, so no scheduler executed the run. It ends when its
            // lease expires, and is retried if it has retries left.
            "fail" => {
                assert_eq!(error.as_deref(), Some("its scheduler stopped"), "{id}");
                assert!(!ran.contains_key(id), "{id} failed, but was executed");
            }
            "skipped" => assert!(!ran.contains_key(id), "{id} was skipped, but was executed"),
            other => panic!("{id} is {other}"),
        }
    }
    let unknown = ran.keys().filter(|run| rows.iter().all(|(id, ..)| id != *run)).count();
    assert_eq!(unknown, 0, "runs were executed without a record");
    let bulk: Uuid = bulk.parse().unwrap();
    let succeeded = rows.iter().filter(|(_, job, .., status, _)| *job == bulk && status == "success").count();
    assert_eq!(succeeded, 2 * RUNS_PER_CRASH, "a run is lost");
}

/// Queues runs of a job, each with one retry per restart of Postgres.
async fn queue_runs(app: &TestApp, job: &str, count: usize) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH queued AS (
             INSERT INTO cron_job_runs (id, job_id, plugin, plugin_job, trigger, retries_left, retry_backoff_ms)
             SELECT gen_random_uuid(), id, plugin, plugin_job, 'manual', 2, 1 FROM cron_jobs, generate_series(1, $2)
             WHERE id = $1 RETURNING 1)
         SELECT pg_notify('atlashub_jobs', 'queued'), count(*) FROM queued",
    )
    .bind(job.parse::<Uuid>().unwrap())
    .bind(count as i32)
    .execute(app.app.platform())
    .await
    .map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_that_breaks_before_a_second_statement_does_not_hide_a_stored_job() {
    let runner = TestRunner::new();
    let address = format!("127.0.0.1:{}", Postgres::shared().port);
    let proxy = Proxy::start_to(address.parse().unwrap()).await;
    // Only a separate statement for the notification would contain this text.
    proxy.cut_at("SELECT pg_notify($1, $2)");
    let url = Postgres::shared().platform_database().await.replace(&address, &proxy.address().to_string());
    let app = TestApp::builder().role(Role::Gateway).runner(runner.node("gateway")).database_url(&url).start().await;
    let job = format!("/admin/v1/jobs/{}", app.create_job(json!({})).await);
    let (status, changed) = app.admin().patch(&job, json!({ "name": "changed" })).await;
    assert_eq!((status, &changed["name"]), (StatusCode::OK, &json!("changed")), "{changed}");
}
