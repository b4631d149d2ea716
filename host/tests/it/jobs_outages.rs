//! Schedulers and a Postgres that goes away, or forgets to tell.

use std::collections::BTreeSet;

use serde_json::json;
use uuid::Uuid;

use crate::{
    jobs_schedulers::{GRACE, LEASE, fire_times, gateway},
    support::{JobsNode, Postgres, Proxy, TestRunner, until},
};

#[tokio::test(flavor = "multi_thread")]
async fn schedulers_outlive_a_postgres_that_goes_away() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let address = format!("127.0.0.1:{}", Postgres::shared().port);
    let proxy = Proxy::start_to(address.parse().unwrap()).await;
    let url = app.services.database_url.expose().replace(&address, &proxy.address().to_string());
    let node = JobsNode::start_on(&app, &url, &runner, "a", LEASE).await;
    let waits = app.create_job(json!({ "params": { "wait": true } })).await;
    let run = app.run_job(&waits).await;
    until("it runs", async || (runner.ran().len() == 1).then_some(())).await;
    proxy.cut().await;
    runner.open();
    let ticks = app.create_job(json!({ "scheduleCron": "* * * * * *", "overlap": "allow" })).await;
    proxy.mend().await;
    // What ended while Postgres was away is told when it is back, and work goes on.
    app.until_run(&run, "success").await;
    until("it ticks", async || (runner.ran_of(&ticks).len() > 2).then_some(())).await;
    let by_hand = app.create_job(json!({})).await;
    let by_hand = app.run_job(&by_hand).await;
    app.until_run(&by_hand, "success").await;
    let times = fire_times(&runner.ran_of(&ticks));
    assert_eq!(times.len(), times.iter().collect::<BTreeSet<_>>().len(), "none ran twice");
    node.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_was_told_of_is_found() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let job = app.create_job(json!({ "params": { "hang": true } })).await;
    let node = JobsNode::start(&app, &runner, "a", LEASE).await;
    // Written past every notification, as where one was lost.
    let run: Uuid = sqlx::query_scalar(
        "INSERT INTO cron_job_runs (id, job_id, plugin, plugin_job, params, trigger)
         SELECT gen_random_uuid(), id, plugin, plugin_job, params, 'manual' FROM cron_jobs RETURNING id",
    )
    .fetch_one(app.app.platform())
    .await
    .unwrap();
    until("it runs", async || (!runner.ran_of(&job).is_empty()).then_some(())).await;
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
    until("it is due", async || (!runner.ran_of(&due).is_empty()).then_some(())).await;
    node.stop(GRACE).await;
}
