//! Schedules, and what holds when there are several schedulers, or they die, or Postgres does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use atlashub::{config::Role, jobs::JobsState};
use chrono::{DateTime, TimeDelta, Timelike, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::support::{ADMIN_TOKEN, Client, JobsNode, Postgres, ProgramVars, Proxy, Ran, TestApp, TestRunner, until};

const LEASE: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(5);

/// The API without a scheduler of its own.
async fn gateway(runner: &Arc<TestRunner>) -> TestApp {
    TestApp::builder().role(Role::Gateway).runner(runner.node("gateway")).start().await
}

/// Fire times that ran, each as often as it did.
fn fire_times(ran: &[Ran]) -> Vec<DateTime<Utc>> {
    let mut times: Vec<_> = ran.iter().filter_map(|ran| ran.call.scheduled_for).collect();
    times.sort();
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn three_schedulers_run_every_fire_time_exactly_once() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let mut jobs = Vec::new();
    for overlap in ["allow", "allow", "queue", "allow", "queue", "allow"] {
        jobs.push(app.create_job(json!({ "scheduleCron": "* * * * * *", "overlap": overlap })).await);
    }
    let nodes = [
        JobsNode::start(&app, &runner, "a", LEASE).await,
        JobsNode::start(&app, &runner, "b", LEASE).await,
        JobsNode::start(&app, &runner, "c", LEASE).await,
    ];
    until("each job ran five times", async || jobs.iter().all(|job| runner.ran_of(job).len() >= 5).then_some(())).await;
    for job in &jobs {
        app.admin().patch(&format!("/admin/v1/jobs/{job}"), json!({ "enabled": false })).await;
    }
    for node in nodes {
        node.stop(GRACE).await;
    }
    for job in &jobs {
        let times = fire_times(&runner.ran_of(job));
        for pair in times.windows(2) {
            assert_eq!(pair[1] - pair[0], TimeDelta::seconds(1), "neither twice nor left out");
        }
        let runs = app.runs_of(job).await;
        assert!(runs.iter().filter(|run| run["status"] == "success").count() == times.len(), "{runs:?}");
    }
    let nodes: BTreeSet<_> = runner.ran().iter().map(|ran| ran.node).collect();
    assert!(nodes.len() > 1, "the work is shared: {nodes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_jobs_that_are_due_at_once_all_run_once() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let due = (Utc::now() + TimeDelta::seconds(3)).with_nanosecond(0).unwrap();
    sqlx::query(
        "INSERT INTO cron_jobs (id, name, type, schedule_cron, plugin, plugin_job, next_run_at)
         SELECT gen_random_uuid(), 'job ' || n, 'platform', $1, 'test', 'work', $2 FROM generate_series(1, 1000) n",
    )
    .bind(format!("{} {} {} * * *", due.second(), due.minute(), due.hour()))
    .bind(due)
    .execute(app.app.platform())
    .await
    .unwrap();
    let nodes = [JobsNode::start(&app, &runner, "a", LEASE).await, JobsNode::start(&app, &runner, "b", LEASE).await];
    until("all ran", async || (runner.ended().len() >= 1000).then_some(())).await;
    for node in nodes {
        node.stop(GRACE).await;
    }
    let jobs: BTreeSet<_> = runner.ran().iter().map(|ran| ran.call.job_id).collect();
    assert_eq!((runner.ran().len(), jobs.len()), (1000, 1000));
    let (successes, middle, late): (i64, f64, f64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE status = 'success'),
             percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - scheduled_for)),
             percentile_cont(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM started_at - scheduled_for))
         FROM cron_job_runs",
    )
    .fetch_one(app.app.platform())
    .await
    .unwrap();
    eprintln!("lateness of a thousand: p50 {:.0} ms, p99 {:.0} ms", middle * 1e3, late * 1e3);
    assert_eq!(successes, 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_scheduler_was_killed_is_marked_and_tried_again() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let killed = JobsNode::start(&app, &runner, "killed", Duration::from_secs(1)).await;
    let again = app.create_job(json!({ "retries": 1, "params": { "wait": true } })).await;
    let once = app.create_job(json!({ "params": { "wait": true } })).await;
    let runs = [app.run_job(&again).await, app.run_job(&once).await];
    until("they run", async || (runner.ran().len() == 2).then_some(())).await;
    let lease = runner.ran_of(&again)[0].call.lease;
    assert!(holds(&app, &runs[0], lease).await);
    killed.kill();
    runner.open();
    let survivor = JobsNode::start(&app, &runner, "survivor", LEASE).await;
    let history = until("the second attempt", async || {
        let history = app.runs_of(&again).await;
        (history[0]["status"] == "success").then_some(history)
    })
    .await;
    assert_eq!((&history[0]["attempt"], &history[0]["trigger"]), (&json!(2), &json!("retry")));
    assert_eq!((&history[1]["status"], &history[1]["errorText"]), (&json!("fail"), &json!("its scheduler stopped")));
    let lost = app.until_run(&runs[1], "fail").await;
    assert_eq!((&lost["errorText"], app.runs_of(&once).await.len()), (&json!("its scheduler stopped"), 1));
    assert_eq!(runner.ran_of(&again)[1].node, "survivor");
    // Whoever still believes to have it can write nothing any more.
    assert!(!holds(&app, &runs[0], lease).await);
    survivor.stop(GRACE).await;
}

async fn holds(app: &TestApp, run: &str, lease: Uuid) -> bool {
    let mut transaction = app.app.platform().begin().await.unwrap();
    JobsState::hold_lease(&mut transaction, run.parse().unwrap(), lease).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_comes_after_the_lease_was_lost_changes_nothing() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    // Cut off from Postgres, but alive.
    let address = format!("127.0.0.1:{}", Postgres::shared().port);
    let proxy = Proxy::start_to(address.parse().unwrap()).await;
    let url = app.services.database_url.expose().replace(&address, &proxy.address().to_string());
    let cut = JobsNode::start_on(&app, &url, &runner, "cut", Duration::from_secs(1)).await;
    let job = app.create_job(json!({ "retries": 1, "params": { "wait": true, "stubborn": true } })).await;
    let run = app.run_job(&job).await;
    until("it runs", async || (runner.ran().len() == 1).then_some(())).await;
    proxy.cut().await;
    let other = JobsNode::start(&app, &runner, "other", LEASE).await;
    app.until_run(&run, "fail").await;
    until("another node runs it", async || (runner.ran().len() == 2).then_some(())).await;
    runner.open();
    let history = until("the second attempt", async || {
        let history = app.runs_of(&job).await;
        (history[0]["status"] == "success").then_some(history)
    })
    .await;
    proxy.mend().await;
    // The node that was cut off is well again, and what it had is still as it was.
    let marker = app.create_job(json!({ "params": { "log": ["after"] } })).await;
    other.stop(GRACE).await;
    let marker = app.run_job(&marker).await;
    app.until_run(&marker, "success").await;
    assert_eq!(app.runs_of(&job).await, history);
    assert_eq!(history[1]["errorText"], "its scheduler stopped");
    cut.stop(GRACE).await;
}

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
async fn what_was_missed_is_caught_up_with_once_or_not_at_all() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let once = app.create_job(json!({ "scheduleCron": "0 * * * *" })).await;
    let none = app.create_job(json!({ "scheduleCron": "0 * * * *", "catchUp": "none" })).await;
    for job in [&once, &none] {
        app.pretend_handled(job, "3 days").await;
    }
    let node = JobsNode::start(&app, &runner, "a", LEASE).await;
    let run = until("it is caught up with", async || {
        let runs = app.runs_of(&once).await;
        runs.first().filter(|run| run["status"] == "success").cloned()
    })
    .await;
    assert_eq!(run["trigger"], "catchUp");
    let missed: DateTime<Utc> = run["scheduledFor"].as_str().unwrap().parse().unwrap();
    assert!(Utc::now() - missed < TimeDelta::hours(1) && missed.minute() == 0, "the latest of them: {missed}");
    let left: i64 = until("the other is handled", async || {
        sqlx::query_scalar("SELECT count(*) FROM cron_jobs WHERE next_run_at <= now()")
            .fetch_optional(app.app.platform())
            .await
            .unwrap()
            .filter(|due: &i64| *due == 0)
    })
    .await;
    assert_eq!((left, app.runs_of(&once).await.len(), app.runs_of(&none).await.len()), (0, 1, 0));
    node.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_still_runs_when_it_is_due_is_skipped_queued_or_joined() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let mut jobs = BTreeMap::new();
    for overlap in ["skip", "queue", "allow"] {
        let job = json!({ "scheduleCron": "* * * * * *", "overlap": overlap, "params": { "wait": true } });
        jobs.insert(overlap, app.create_job(job).await);
    }
    let node = JobsNode::start(&app, &runner, "a", LEASE).await;
    let statuses = async |overlap: &str, status: &str| {
        app.runs_of(&jobs[overlap]).await.iter().filter(|run| run["status"] == status).count()
    };
    until("three fire times", async || (runner.ran_of(&jobs["allow"]).len() >= 3).then_some(())).await;
    until("skipped", async || (statuses("skip", "skipped").await >= 2).then_some(())).await;
    until("queued", async || (statuses("queue", "queued").await >= 2).then_some(())).await;
    assert_eq!((statuses("skip", "running").await, statuses("skip", "queued").await), (1, 0));
    assert_eq!(statuses("queue", "running").await, 1);
    let skipped = app.runs_of(&jobs["skip"]).await[0].clone();
    assert_eq!(skipped["errorText"], "the run before was still going");
    assert!(skipped["finishedAt"].is_string() && skipped["startedAt"].is_null());
    assert_eq!((runner.ran_of(&jobs["skip"]).len(), runner.ran_of(&jobs["queue"]).len()), (1, 1));
    runner.open();
    until("the queue is worked off", async || (runner.ran_of(&jobs["queue"]).len() >= 3).then_some(())).await;
    let times = fire_times(&runner.ran_of(&jobs["queue"]));
    assert_eq!(times.len(), times.iter().collect::<BTreeSet<_>>().len());
    node.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_job_does_not_run_and_a_changed_schedule_counts_from_now() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let job = app.create_job(json!({ "scheduleCron": "* * * * * *", "enabled": false })).await;
    let node = JobsNode::start(&app, &runner, "a", LEASE).await;
    let marker = app.create_job(json!({ "scheduleCron": "* * * * * *" })).await;
    until("time goes by", async || (runner.ran_of(&marker).len() >= 2).then_some(())).await;
    assert_eq!(runner.ran_of(&job).len(), 0);
    let enabled_at = Utc::now();
    let path = format!("/admin/v1/jobs/{job}");
    app.admin().patch(&path, json!({ "enabled": true })).await;
    until("it runs", async || (!runner.ran_of(&job).is_empty()).then_some(())).await;
    assert!(
        fire_times(&runner.ran_of(&job))[0] > enabled_at - TimeDelta::seconds(1),
        "the pause is not caught up with"
    );
    let (_, changed) = app.admin().patch(&path, json!({ "scheduleCron": "0 0 1 1 *" })).await;
    assert!(changed["nextRuns"][0].as_str().unwrap().contains("-01-01T00:00:00"));
    let due: bool = sqlx::query_scalar("SELECT next_run_at > now() + interval '1 minute' OR extract(month FROM now()) = 1 FROM cron_jobs WHERE id = $1")
        .bind(job.parse::<Uuid>().unwrap())
        .fetch_one(app.app.platform())
        .await
        .unwrap();
    assert!(due);
    node.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_is_told_to_stop_finishes_or_gives_up_what_it_has() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let node = JobsNode::start(&app, &runner, "first", LEASE).await;
    let hangs = app.create_job(json!({ "retries": 1, "params": { "hang": true } })).await;
    let waits = app.create_job(json!({ "params": { "wait": true } })).await;
    let (hanging, waiting) = (app.run_job(&hangs).await, app.run_job(&waits).await);
    until("they run", async || (runner.ran().len() == 2).then_some(())).await;
    runner.open();
    node.stop(Duration::from_millis(500)).await;
    // At once, not when the lease runs out.
    assert_eq!(app.run(&waiting).await["status"], "success");
    let given_up = app.run(&hanging).await;
    assert_eq!((&given_up["status"], &given_up["errorText"]), (&json!("fail"), &json!("its scheduler stopped")));
    let next = app.runs_of(&hangs).await.remove(0);
    assert_eq!((&next["status"], &next["attempt"]), (&json!("queued"), &json!(2)));
    let late = app.run_job(&waits).await;
    assert_eq!(app.run(&late).await["status"], "queued", "nobody takes up work any more");
    let second = JobsNode::start(&app, &runner, "second", LEASE).await;
    app.until_run(&late, "success").await;
    app.until_run(next["id"].as_str().unwrap(), "running").await;
    second.kill();
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

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_does_not_grow_without_end() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let job = app.create_job(json!({ "scheduleCron": "* * * * *", "overlap": "queue" })).await;
    sqlx::query(
        "INSERT INTO cron_job_runs (id, job_id, plugin, plugin_job, trigger, not_before)
         SELECT gen_random_uuid(), id, plugin, plugin_job, 'manual', now() + interval '1 hour'
         FROM cron_jobs, generate_series(1, 100)",
    )
    .execute(app.app.platform())
    .await
    .unwrap();
    app.pretend_handled(&job, "10 minutes").await;
    let node = JobsNode::start(&app, &runner, "a", LEASE).await;
    let skipped =
        until("it is skipped", async || app.runs_of(&job).await.into_iter().find(|run| run["status"] == "skipped"))
            .await;
    assert_eq!(skipped["errorText"], "too many runs of the job are waiting");
    node.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_leaves_work_to_the_scheduler() {
    let url = Postgres::shared().platform_database().await;
    let vars = ProgramVars::external(&url);
    let gateway = vars.serve(&["--role", "gateway"]);
    let platform = atlashub::db::platform::connect(&url, 2).unwrap();
    let run = Uuid::now_v7();
    sqlx::query(
        "WITH run AS (INSERT INTO cron_job_runs (id, plugin, plugin_job, trigger) VALUES ($1, 'nobody', 'x', 'manual'))
         SELECT pg_notify('atlashub_jobs', 'queued')",
    )
    .bind(run)
    .execute(&platform)
    .await
    .unwrap();
    let admin = Client::new(&*gateway.admin_url).with_header("x-dev-admin-token", ADMIN_TOKEN);
    let path = format!("/admin/v1/runs/{run}");
    assert_eq!(admin.get(&path).await.1["status"], "queued");
    let scheduler = vars.serve(&["--role", "scheduler"]);
    let told = until("the scheduler took it", async || {
        let (_, told) = admin.get(&path).await;
        (told["status"] == "fail").then_some(told)
    })
    .await;
    assert!(told["errorText"].as_str().unwrap().contains("`nobody`"), "{told}");
    let worker: String = sqlx::query_scalar("SELECT worker FROM cron_job_runs WHERE id = $1")
        .bind(run)
        .fetch_one(&platform)
        .await
        .unwrap();
    assert!(worker.starts_with(&format!("{}-", scheduler.pid())), "{worker}");
    scheduler.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(scheduler.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_runs_at_once_than_there_are_turns() {
    let runner = TestRunner::new();
    let app = TestApp::builder()
        .role(Role::Gateway)
        .runner(runner.node("gateway"))
        .var("ATLASHUB_JOB_CONCURRENCY", "2")
        .start()
        .await;
    let job = app.create_job(json!({ "overlap": "allow", "params": { "wait": true } })).await;
    let mut runs = Vec::new();
    for _ in 0..6 {
        runs.push(app.run_job(&job).await);
    }
    let node = JobsNode::start(&app, &runner, "a", LEASE).await;
    until("two run", async || (runner.ran().len() == 2).then_some(())).await;
    let running = app.runs_of(&job).await.iter().filter(|run| run["status"] == "running").count();
    assert_eq!(running, 2);
    runner.open();
    for run in runs {
        app.until_run(&run, "success").await;
    }
    node.stop(GRACE).await;
}
