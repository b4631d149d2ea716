//! Several schedulers, and schedulers that crash or shut down.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use atlashub::{
    config::Role,
    jobs::{JobRunner, OwnRuns, RunCall, RunFailure, RunOutput, RunRefusal, RunReport, Runs},
};
use chrono::{DateTime, TimeDelta, Timelike, Utc};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{
    ADMIN_TOKEN, Attempt, Client, JobsNode, Postgres, ProgramVars, Proxy, TestApp, TestRunner, eventually,
    expire_leases,
};

pub(crate) const LEASE: Duration = Duration::from_secs(30);
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// Starts an app with the API but without a scheduler.
pub(crate) async fn gateway(runner: &Arc<TestRunner>) -> TestApp {
    TestApp::builder().role(Role::Gateway).runner(runner.node("gateway")).start().await
}

/// Returns the fire time of each scheduled attempt, in order. A time that ran twice occurs twice.
pub(crate) fn fire_times(ran: &[Attempt]) -> Vec<DateTime<Utc>> {
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
    eventually("each job ran five times", async || jobs.iter().all(|job| runner.attempts_of(job).len() >= 5)).await;
    for job in &jobs {
        app.admin().patch(&format!("/admin/v1/jobs/{job}"), json!({ "enabled": false })).await;
    }
    for node in nodes {
        node.stop(GRACE).await;
    }
    for job in &jobs {
        let times = fire_times(&runner.attempts_of(job));
        for pair in times.windows(2) {
            assert_eq!(pair[1] - pair[0], TimeDelta::seconds(1), "a fire time ran twice or was skipped");
        }
        let runs = app.runs_of(job).await;
        assert!(runs.iter().filter(|run| run["status"] == "success").count() == times.len(), "{runs:?}");
    }
    let nodes: BTreeSet<_> = runner.attempts().iter().map(|ran| ran.node).collect();
    assert!(nodes.len() > 1, "one node did all the work: {nodes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_jobs_due_at_once_each_run_once() {
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
    eventually("all ran", async || runner.ended().len() >= 1000).await;
    for node in nodes {
        node.stop(GRACE).await;
    }
    let jobs: BTreeSet<_> = runner.attempts().iter().map(|ran| ran.call.job_id).collect();
    assert_eq!((runner.attempts().len(), jobs.len()), (1000, 1000));
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
async fn run_of_a_killed_scheduler_fails_and_is_retried() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let killed = JobsNode::start(&app, &runner, "killed", LEASE).await;
    let again = app.create_job(json!({ "retries": 1, "params": { "wait": true } })).await;
    let once = app.create_job(json!({ "params": { "wait": true } })).await;
    let runs = [app.run_job(&again).await, app.run_job(&once).await];
    eventually("both runs have started", async || runner.attempts().len() == 2).await;
    let lease = runner.attempts_of(&again)[0].call.lease;
    assert!(holds(&app, &runs[0], lease).await);
    killed.kill();
    runner.open_gate();
    expire_leases(&mut app.app.platform().acquire().await.unwrap()).await;
    let survivor = JobsNode::start(&app, &runner, "survivor", LEASE).await;
    let history = eventually("the second attempt", async || {
        let history = app.runs_of(&again).await;
        (history[0]["status"] == "success").then_some(history)
    })
    .await;
    assert_eq!((&history[0]["attempt"], &history[0]["trigger"]), (&json!(2), &json!("retry")));
    assert_eq!((&history[1]["status"], &history[1]["errorText"]), (&json!("fail"), &json!("its scheduler stopped")));
    let lost = app.until_run(&runs[1], "fail").await;
    assert_eq!((&lost["errorText"], app.runs_of(&once).await.len()), (&json!("its scheduler stopped"), 1));
    assert_eq!(runner.attempts_of(&again)[1].node, "survivor");
    // The previous holder of the lease can no longer write.
    assert!(!holds(&app, &runs[0], lease).await);
    survivor.stop(GRACE).await;
}

async fn holds(app: &TestApp, run: &str, lease: Uuid) -> bool {
    let mut transaction = app.app.platform().begin().await.unwrap();
    Runs::lock_lease(&mut transaction, run.parse().unwrap(), lease).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn outcome_after_a_lost_lease_changes_nothing() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    // The node `cut` reaches Postgres through a proxy, so that it can lose the connection and continue to run.
    let address = format!("127.0.0.1:{}", Postgres::shared().port);
    let proxy = Proxy::start_to(address.parse().unwrap()).await;
    let url = app.services.database_url.expose().replace(&address, &proxy.address().to_string());
    let cut = JobsNode::start_on(&app, &url, &runner, "cut", LEASE).await;
    let job = app.create_job(json!({ "retries": 1, "params": { "wait": true, "stubborn": true } })).await;
    let run = app.run_job(&job).await;
    eventually("the run has started", async || runner.attempts().len() == 1).await;
    proxy.disconnect().await;
    expire_leases(&mut app.app.platform().acquire().await.unwrap()).await;
    let other = JobsNode::start(&app, &runner, "other", LEASE).await;
    app.until_run(&run, "fail").await;
    eventually("another node runs it", async || runner.attempts().len() == 2).await;
    runner.open_gate();
    let history = eventually("the second attempt", async || {
        let history = app.runs_of(&job).await;
        (history[0]["status"] == "success").then_some(history)
    })
    .await;
    proxy.restore().await;
    // The disconnected node is connected again, and does not change the run that it lost.
    let marker = app.create_job(json!({ "params": { "log": ["after"] } })).await;
    other.stop(GRACE).await;
    let marker = app.run_job(&marker).await;
    app.until_run(&marker, "success").await;
    assert_eq!(app.runs_of(&job).await, history);
    assert_eq!(history[1]["errorText"], "its scheduler stopped");
    cut.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_scheduler_finishes_or_releases_its_runs() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let node = JobsNode::start(&app, &runner, "first", LEASE).await;
    let hangs = app.create_job(json!({ "retries": 1, "params": { "hang": true } })).await;
    let waits = app.create_job(json!({ "params": { "wait": true } })).await;
    let (hanging, waiting) = (app.run_job(&hangs).await, app.run_job(&waits).await);
    eventually("both runs have started", async || runner.attempts().len() == 2).await;
    runner.open_gate();
    node.stop(GRACE).await;
    // The runs end immediately, not when their leases expire.
    assert_eq!(app.run(&waiting).await["status"], "success");
    let given_up = app.run(&hanging).await;
    assert_eq!((&given_up["status"], &given_up["errorText"]), (&json!("fail"), &json!("its scheduler stopped")));
    let next = app.runs_of(&hangs).await.remove(0);
    assert_eq!((&next["status"], &next["attempt"]), (&json!("queued"), &json!(2)));
    let late = app.run_job(&waits).await;
    assert_eq!(app.run(&late).await["status"], "queued", "the stopped scheduler started a run");
    let second = JobsNode::start(&app, &runner, "second", LEASE).await;
    app.until_run(&late, "success").await;
    app.until_run(next["id"].as_str().unwrap(), "running").await;
    second.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn gateway_does_not_execute_runs() {
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
    let failed_run = eventually("the scheduler has executed the run", async || {
        let (_, failed_run) = admin.get(&path).await;
        (failed_run["status"] == "fail").then_some(failed_run)
    })
    .await;
    assert!(failed_run["errorText"].as_str().unwrap().contains("`nobody`"), "{failed_run}");
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
async fn concurrent_runs_are_limited_to_the_configured_number() {
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
    eventually("two run", async || runner.attempts().len() == 2).await;
    let running = app.runs_of(&job).await.iter().filter(|run| run["status"] == "running").count();
    assert_eq!(running, 2);
    runner.open_gate();
    for run in runs {
        app.until_run(&run, "success").await;
    }
    node.stop(GRACE).await;
}

/// A runner whose plugin `own` has a reserved permit. Runs of other plugins end after a run of this plugin has started.
/// The runner records the plugins of the runs, in the order in which the runs started.
#[derive(Default)]
struct OwnRunner {
    started: Mutex<Vec<String>>,
    own_started: CancellationToken,
}

#[async_trait]
impl JobRunner for OwnRunner {
    async fn check(&self, _plugin: &str, job: &str, _params: &Value) -> Result<String, RunRefusal> {
        Ok(job.to_owned())
    }

    fn own_runs(&self) -> OwnRuns {
        OwnRuns { plugins: &["own"], max: 1 }
    }

    async fn run(
        &self,
        call: RunCall,
        output: Arc<dyn RunOutput>,
        _cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure> {
        output.started();
        let is_own = call.plugin == "own";
        self.started.lock().push(call.plugin);
        if is_own {
            self.own_started.cancel();
        }
        self.own_started.cancelled().await;
        Ok(RunReport { result: Value::Null })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_permit_is_used_while_many_runs_of_other_plugins_are_queued() {
    let runner = Arc::new(OwnRunner::default());
    let app = TestApp::builder().runner(runner.clone()).var("ATLASHUB_JOB_CONCURRENCY", "1").start().await;
    // All runs are due. That of the plugin with the reserved permit became due last.
    sqlx::query(
        "WITH queued AS (
             INSERT INTO cron_job_runs (id, plugin, plugin_job, trigger, not_before)
             SELECT gen_random_uuid(), CASE n WHEN 100 THEN 'own' ELSE 'other' END, 'work', 'manual',
                 now() + (n - 200) * interval '1 second'
             FROM generate_series(1, 100) n RETURNING 1)
         SELECT pg_notify('atlashub_jobs', 'queued'), count(*) FROM queued",
    )
    .execute(app.app.platform())
    .await
    .unwrap();
    let position = async || runner.started.lock().iter().position(|plugin| plugin == "own");
    // Until the run of `own` starts, the runs of `other` can use only the permit that is not reserved.
    let before = eventually("the run with the reserved permit has started", position).await;
    assert!(before <= 1, "{before} runs started before it");
}
