//! Fire times go by the database's clock, also where it is wrong or jumps.

use atlashub::{config::Role, db::platform};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::{Postgres, TestApp, TestRunner};

/// A database whose clock a test can set: functions of its own come before those of Postgres.
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
async fn a_node_whose_clock_is_wrong_makes_jobs_by_the_databases() {
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
