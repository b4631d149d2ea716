//! Scheduling: missed fire times, overlap, disabled jobs.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::{
    jobs::schedulers::{GRACE, LEASE, fire_times, gateway},
    support::{JobsNode, TestRunner, eventually, expire_leases},
};

#[tokio::test(flavor = "multi_thread")]
async fn missed_fire_times_get_one_run_or_none() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let once = app.create_job(json!({ "scheduleCron": "0 * * * *" })).await;
    let none = app.create_job(json!({ "scheduleCron": "0 * * * *", "catchUp": "none" })).await;
    for job in [&once, &none] {
        app.rewind_schedule(job, "3 days").await;
    }
    let node = JobsNode::start(&app, &runner, "a", LEASE).await;
    let run = eventually("the missed fire times have had a run", async || {
        let runs = app.runs_of(&once).await;
        runs.first().filter(|run| run["status"] == "success").cloned()
    })
    .await;
    assert_eq!(run["trigger"], "catchUp");
    let missed: DateTime<Utc> = run["scheduledFor"].as_str().unwrap().parse().unwrap();
    assert!(Utc::now() - missed < TimeDelta::hours(1) && missed.minute() == 0, "not the latest fire time: {missed}");
    let left: i64 = eventually("no job is due", async || {
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
async fn catch_up_run_waits_for_the_run_of_a_killed_scheduler() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let killed = JobsNode::start(&app, &runner, "killed", LEASE).await;
    let job = json!({ "scheduleCron": "0 * * * *", "overlap": "skip", "params": { "wait": true } });
    let job = app.create_job(job).await;
    let lost = app.run_job(&job).await;
    eventually("the run has started", async || runner.attempts_of(&job).len() == 1).await;
    killed.kill();
    app.rewind_schedule(&job, "3 days").await;
    runner.open_gate();
    let node = JobsNode::start(&app, &runner, "next", LEASE).await;
    let catch_up = eventually("the missed fire times have a run", async || {
        app.runs_of(&job).await.into_iter().find(|run| run["trigger"] == "catchUp")
    })
    .await;
    assert_ne!(catch_up["status"], "skipped", "{catch_up}");
    expire_leases(&mut app.app.platform().acquire().await.unwrap()).await;
    app.until_run(&lost, "fail").await;
    app.until_run(catch_up["id"].as_str().unwrap(), "success").await;
    node.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overlap_setting_skips_queues_or_allows_runs() {
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
    eventually("three runs at once", async || runner.attempts_of(&jobs["allow"]).len() >= 3).await;
    eventually("two runs are skipped", async || statuses("skip", "skipped").await >= 2).await;
    eventually("two runs are queued", async || statuses("queue", "queued").await >= 2).await;
    assert_eq!((statuses("skip", "running").await, statuses("skip", "queued").await), (1, 0));
    assert_eq!(statuses("queue", "running").await, 1);
    let skipped = app.runs_of(&jobs["skip"]).await[0].clone();
    assert_eq!(skipped["errorText"], "the previous run had not ended");
    assert!(skipped["finishedAt"].is_string() && skipped["startedAt"].is_null());
    assert_eq!((runner.attempts_of(&jobs["skip"]).len(), runner.attempts_of(&jobs["queue"]).len()), (1, 1));
    runner.open_gate();
    eventually("the queued runs ran", async || runner.attempts_of(&jobs["queue"]).len() >= 3).await;
    let times = fire_times(&runner.attempts_of(&jobs["queue"]));
    assert_eq!(times.len(), times.iter().collect::<BTreeSet<_>>().len());
    node.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disabled_job_does_not_run_and_new_schedule_starts_now() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let job = app.create_job(json!({ "scheduleCron": "* * * * * *", "enabled": false })).await;
    let node = JobsNode::start(&app, &runner, "a", LEASE).await;
    let marker = app.create_job(json!({ "scheduleCron": "* * * * * *" })).await;
    eventually("another job ran twice", async || runner.attempts_of(&marker).len() >= 2).await;
    assert_eq!(runner.attempts_of(&job).len(), 0);
    let enabled_at = Utc::now();
    let path = format!("/admin/v1/jobs/{job}");
    app.admin().patch(&path, json!({ "enabled": true })).await;
    eventually("the enabled job has run", async || !runner.attempts_of(&job).is_empty()).await;
    assert!(
        fire_times(&runner.attempts_of(&job))[0] > enabled_at - TimeDelta::seconds(1),
        "a fire time of the pause got a run"
    );
    let (_, changed) = app.admin().patch(&path, json!({ "scheduleCron": "0 0 1 1 *" })).await;
    assert!(changed["nextRuns"][0].as_str().unwrap().contains("-01-01T00:00:00"));
    let due: bool = sqlx::query_scalar(
        "SELECT next_run_at > now() + interval '1 minute' OR extract(month FROM now()) = 1
         FROM cron_jobs WHERE id = $1",
    )
    .bind(job.parse::<Uuid>().unwrap())
    .fetch_one(app.app.platform())
    .await
    .unwrap();
    assert!(due);
    node.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queued_runs_of_a_job_are_limited() {
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
    app.rewind_schedule(&job, "10 minutes").await;
    let node = JobsNode::start(&app, &runner, "a", LEASE).await;
    let skipped = eventually("a run is skipped", async || {
        app.runs_of(&job).await.into_iter().find(|run| run["status"] == "skipped")
    })
    .await;
    assert_eq!(skipped["errorText"], "too many runs of the job are queued");
    node.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_retries_count_as_running_for_overlap() {
    let runner = TestRunner::new();
    let app = gateway(&runner).await;
    let job = |overlap: &str| {
        json!({
            "scheduleCron": "* * * * * *", "overlap": overlap, "retries": 1, "retryBackoffMs": 2500,
            "params": { "failTimes": 1 },
        })
    };
    let (queues, skips) = (app.create_job(job("queue")).await, app.create_job(job("skip")).await);
    let node = JobsNode::start(&app, &runner, "a", LEASE).await;
    let ran = |job: &str| -> Vec<_> {
        runner.attempts_of(job).iter().map(|ran| (ran.call.scheduled_for.unwrap(), ran.call.attempt)).collect()
    };
    eventually("both ran four attempts", async || ran(&queues).len() >= 4 && ran(&skips).len() >= 4).await;
    for job in [&queues, &skips] {
        app.admin().patch(&format!("/admin/v1/jobs/{job}"), json!({ "enabled": false })).await;
        for pair in ran(job)[..4].chunks(2) {
            assert_eq!((pair[0].0, pair[0].1, pair[1].1), (pair[1].0, 1, 2), "{:?}", ran(job));
        }
    }
    assert!(ran(&queues)[2].0 - ran(&queues)[0].0 == TimeDelta::seconds(1), "a fire time was skipped");
    let left_out = app.runs_of(&skips).await.iter().filter(|run| run["status"] == "skipped").count();
    assert!(left_out >= 2, "{left_out}");
    node.stop(GRACE).await;
}
