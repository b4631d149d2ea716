//! Fire times follow the database's clock, even if it is wrong or jumps.

use std::collections::BTreeSet;

use atlashub::{config::Role, db::platform};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    jobs::schedulers::{GRACE, LEASE, fire_times},
    support::{JobsNode, Postgres, TestApp, TestRunner, eventually},
};

/// A database whose clock a test can set: its search path puts replacement functions before Postgres's own.
struct Clock {
    database: String,
    platform: PgPool,
}

impl Clock {
    async fn new() -> Self {
        let database = Postgres::shared().platform_database().await;
        let platform = platform::connect(&database, 1).unwrap();
        sqlx::raw_sql(
            "CREATE TABLE public.clock (ahead interval NOT NULL);
             INSERT INTO public.clock VALUES ('0');
             CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
                 'SELECT pg_catalog.clock_timestamp() + ahead FROM public.clock';
             CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql AS
                 'SELECT pg_catalog.now() + ahead FROM public.clock';
             DO $$ BEGIN
                 EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
             END $$",
        )
        .execute(&platform)
        .await
        .unwrap();
        Self { database, platform }
    }

    async fn put_forward(&self, by: &str) {
        sqlx::query("UPDATE public.clock SET ahead = ahead + $1::text::interval")
            .bind(by)
            .execute(&self.platform)
            .await
            .unwrap();
    }

    async fn gateway(&self, runner: &std::sync::Arc<TestRunner>) -> TestApp {
        let builder = TestApp::builder().role(Role::Gateway).database_url(&self.database);
        builder.runner(runner.node("gateway")).start().await
    }
}

#[tokio::test]
async fn node_with_wrong_clock_follows_the_database_clock() {
    let runner = TestRunner::new();
    let clock = Clock::new().await;
    clock.put_forward("10 days").await;
    let app = clock.gateway(&runner).await;
    let job = app.create_job(json!({ "scheduleCron": "@hourly" })).await;
    let ahead = async || {
        let (until, next): (DateTime<Utc>, DateTime<Utc>) =
            sqlx::query_as("SELECT scheduled_until, next_run_at FROM cron_jobs WHERE id = $1")
                .bind(job.parse::<Uuid>().unwrap())
                .fetch_one(&clock.platform)
                .await
                .unwrap();
        assert!(until < next);
        until - Utc::now()
    };
    assert!(ahead().await > TimeDelta::days(9));
    clock.put_forward("10 days").await;
    let (status, _) = app.admin().patch(&format!("/admin/v1/jobs/{job}"), json!({ "timezone": "Asia/Tokyo" })).await;
    assert_eq!(status, StatusCode::OK);
    assert!(ahead().await > TimeDelta::days(19));
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_changes_repeat_no_fire_time_and_missed_ones_get_at_most_one_run() {
    let runner = TestRunner::new();
    let clock = Clock::new().await;
    let app = clock.gateway(&runner).await;
    let job = |catch_up: &str| json!({ "scheduleCron": "* * * * * *", "overlap": "allow", "catchUp": catch_up });
    let (once, none) = (app.create_job(job("once")).await, app.create_job(job("none")).await);
    let node = JobsNode::start(&app, &runner, "a", LEASE).await;
    let ticks = async |job: &str, from: usize| {
        eventually("the job ran three more times", async || runner.attempts_of(job).len() >= from + 3).await;
    };
    for job in [&once, &none] {
        ticks(job, 0).await;
    }

    // Three hours contain more than ten thousand fire times.
    let before = runner.attempts_of(&once).len();
    clock.put_forward("3 hours").await;
    let caught_up = eventually("the missed fire times have had a run", async || {
        let caught_up = |run: &&serde_json::Value| run["trigger"] == "catchUp" && run["status"] == "success";
        app.runs_of(&once).await.iter().find(caught_up).cloned()
    })
    .await;
    let latest: DateTime<Utc> = caught_up["scheduledFor"].as_str().unwrap().parse().unwrap();
    assert!(latest - Utc::now() > TimeDelta::hours(3) - TimeDelta::minutes(2), "not the latest fire time: {latest}");
    for job in [&once, &none] {
        // Fire times of the last ten seconds before the new time count as on time, so each of them gets a run. Twelve
        // further runs include later fire times, too.
        ticks(job, before + 12).await;
        let times = fire_times(&runner.attempts_of(job));
        let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| gap.num_seconds() > 1).collect();
        assert_eq!(gaps.len(), 1, "not exactly one gap, where the clock jumped: {gaps:?}");
        assert!(times.len() < 200, "{} runs", times.len());
    }
    let caught_up = async |job: &str| app.runs_of(job).await.iter().filter(|run| run["trigger"] == "catchUp").count();
    assert_eq!((caught_up(&once).await, caught_up(&none).await), (1, 0));

    // When the clock is set back, nothing fires twice.
    clock.put_forward("-1 hour").await;
    let marker = app.create_job(job("once")).await;
    ticks(&marker, 0).await;
    let waiting = runner.attempts_of(&once).len();
    ticks(&marker, 3).await;
    assert_eq!(runner.attempts_of(&once).len(), waiting);
    clock.put_forward("1 hour").await;
    ticks(&once, waiting).await;
    for job in [&once, &none, &marker] {
        let times = fire_times(&runner.attempts_of(job));
        assert_eq!(times.iter().collect::<BTreeSet<_>>().len(), times.len(), "a fire time ran twice");
    }
    node.stop(GRACE).await;
}
