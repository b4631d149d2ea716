//! A run continues only while it holds its lease.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::{
    jobs::schedulers::{GRACE, LEASE, gateway},
    support::{JobsNode, Postgres, Proxy, TestApp, TestRunner, eventually},
};

async fn lease_until(app: &TestApp, run: &str) -> DateTime<Utc> {
    sqlx::query_scalar("SELECT lease_until FROM cron_job_runs WHERE id = $1")
        .bind(run.parse::<Uuid>().unwrap())
        .fetch_one(app.app.platform())
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_stop_before_their_leases_expire_when_postgres_stops_responding() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let address = format!("127.0.0.1:{}", Postgres::shared().port);
    let proxy = Proxy::start_to(address.parse().unwrap()).await;
    let url = app.services.database_url.expose().replace(&address, &proxy.address().to_string());
    let node = JobsNode::start_on(&app, &url, &runner, "silent", Duration::from_secs(15)).await;
    // One run writes output all the time; the other ignores cancellation.
    let chatters = app.create_job(json!({ "params": { "chatter": true } })).await;
    let hangs = app.create_job(json!({ "params": { "hang": true, "stubborn": true } })).await;
    let runs = [app.run_job(&chatters).await, app.run_job(&hangs).await];
    for run in &runs {
        app.until_run(run, "running").await;
    }
    eventually("the first run has written output", async || {
        let (_, log) = app.admin().get(&format!("/admin/v1/runs/{}/log", runs[0])).await;
        !log["items"].as_array().unwrap().is_empty()
    })
    .await;
    proxy.stall();
    for run in &runs {
        let left = eventually("the run is stopped", async || runner.dropped_at(run.parse().unwrap())).await;
        let until = lease_until(&app, run).await;
        assert!(left < until, "stopped at {left}, but the lease expired at {until}");
    }
    // When Postgres responds again, the outcomes are recorded.
    proxy.restore().await;
    for run in &runs {
        let run = app.until_run(run, "fail").await;
        let reason = run["errorText"].as_str().unwrap();
        assert!(reason.starts_with("the server lost the run's lease"), "{reason}");
    }
    node.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locked_run_does_not_block_renewal_of_other_leases() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let node = JobsNode::start(&app, &runner, "a", LEASE).await;
    let job = app.create_job(json!({ "overlap": "allow", "params": { "wait": true } })).await;
    let (writes, other) = (app.run_job(&job).await, app.run_job(&job).await);
    eventually("both runs have started", async || runner.attempts().len() == 2).await;
    let lease = runner.attempts().into_iter().find(|ran| ran.call.run_id.to_string() == writes).unwrap().call.lease;
    let mut transaction = app.app.platform().begin().await.unwrap();
    assert!(atlashub::jobs::Runs::lock_lease(&mut transaction, writes.parse().unwrap(), lease).await.unwrap());
    let before = lease_until(&app, &other).await;
    eventually("the other lease is renewed", async || lease_until(&app, &other).await > before).await;
    transaction.commit().await.unwrap();
    let before = lease_until(&app, &writes).await;
    eventually("the unlocked run's lease is renewed again", async || lease_until(&app, &writes).await > before).await;
    runner.open_gate();
    for run in [writes, other] {
        app.until_run(&run, "success").await;
    }
    node.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduler_shutdown_stops_runs_before_releasing_them() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let node = JobsNode::start(&app, &runner, "a", LEASE).await;
    let job = json!({ "retries": 1, "overlap": "allow", "params": { "hang": true, "stubborn": true } });
    let stubborn = app.create_job(job).await;
    let cooperative = app.create_job(json!({ "retries": 1, "overlap": "allow", "params": { "hang": true } })).await;
    let runs = [app.run_job(&stubborn).await, app.run_job(&cooperative).await];
    eventually("both runs have started", async || runner.attempts().len() == 2).await;
    node.stop(Duration::from_millis(100)).await;
    for (run, job) in runs.iter().zip([&stubborn, &cooperative]) {
        let ended = app.run(run).await;
        assert_eq!((&ended["status"], &ended["errorText"]), (&json!("fail"), &json!("its scheduler stopped")));
        let left = runner.dropped_at(run.parse().unwrap()).unwrap();
        let finished: DateTime<Utc> = ended["finishedAt"].as_str().unwrap().parse().unwrap();
        assert!(left < finished, "recorded as ended at {finished}, but executed until {left}");
        let next = app.runs_of(job).await.remove(0);
        assert_eq!((&next["status"], &next["attempt"]), (&json!("queued"), &json!(2)));
    }
    assert_eq!(runner.ended().iter().filter(|ended| ended.will_retry).count(), 2, "not each attempt was reported once");
}
