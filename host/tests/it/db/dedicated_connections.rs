//! Dedicated connections: when they are reused, and when they are replaced.

use std::{io::ErrorKind, time::Duration};

use atlashub::db::{DedicatedConnection, platform};
use sqlx::PgConnection;

use crate::support::{Postgres, Proxy, TestApp};

const TIMEOUT: Duration = Duration::from_secs(20);

async fn session(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await
}

async fn setting(dedicated: &DedicatedConnection, name: &str) -> String {
    let setting = dedicated.run(TIMEOUT, async |connection| {
        sqlx::query_scalar("SELECT setting || ' by ' || source FROM pg_settings WHERE name = $1")
            .bind(name)
            .fetch_one(connection)
            .await
    });
    setting.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn dedicated_connection_is_reused_until_it_fails() {
    let pool = platform::connect(&Postgres::shared().url("postgres"), 1).unwrap();
    let dedicated = DedicatedConnection::for_fixed_statements(&pool, "dedicated");
    let first = dedicated.run(TIMEOUT, session).await.unwrap();
    let rejected =
        dedicated.run(TIMEOUT, async |connection| sqlx::query("SELECT 1 / 0").execute(connection).await).await;
    assert!(matches!(rejected, Err(sqlx::Error::Database(_))), "{rejected:?}");
    assert_eq!(dedicated.run(TIMEOUT, session).await.unwrap(), first, "a failed statement closed the connection");
    sqlx::query("SELECT pg_terminate_backend($1, 5000)").bind(first).execute(&pool).await.unwrap();
    dedicated.run(TIMEOUT, session).await.expect_err("a statement should fail after its session was ended");
    assert_ne!(dedicated.run(TIMEOUT, session).await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connection_times_out_and_is_replaced() {
    let url = Postgres::shared().url("postgres");
    let address = format!("127.0.0.1:{}", Postgres::shared().port);
    let proxy = Proxy::start_to(address.parse().unwrap()).await;
    let pool = platform::connect(&url.replace(&address, &proxy.address().to_string()), 1).unwrap();
    let dedicated = DedicatedConnection::for_fixed_statements(&pool, "dedicated");
    let first = dedicated.run(TIMEOUT, session).await.unwrap();
    proxy.stall();
    let silent = dedicated.run(Duration::from_millis(50), session).await;
    assert!(matches!(&silent, Err(sqlx::Error::Io(error)) if error.kind() == ErrorKind::TimedOut), "{silent:?}");
    proxy.restore().await;
    assert_ne!(dedicated.run(TIMEOUT, session).await.unwrap(), first, "a silent connection was used again");
}

#[tokio::test(flavor = "multi_thread")]
async fn dedicated_connection_sets_planner_options() {
    let pool = platform::connect(&Postgres::shared().url("postgres"), 1).unwrap();
    let dedicated = DedicatedConnection::for_fixed_statements(&pool, "dedicated");
    assert_eq!(setting(&dedicated, "plan_cache_mode").await, "force_generic_plan by client");
    assert_eq!(setting(&dedicated, "enable_seqscan").await, "off by client");
    // The pool's options apply too.
    assert_eq!(setting(&dedicated, "statement_timeout").await, "15000 by client");
    let asynchronous = DedicatedConnection::for_fixed_statements(&pool, "dedicated").with_asynchronous_commit();
    assert_eq!(setting(&asynchronous, "synchronous_commit").await, "off by client");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_runs_of_a_job_are_found_by_index_despite_stale_statistics() {
    let app = TestApp::start().await;
    let dedicated = DedicatedConnection::for_fixed_statements(app.app.platform(), "dedicated");
    sqlx::query("ANALYZE cron_job_runs").execute(app.app.platform()).await.unwrap();
    let plan: Vec<String> = dedicated
        .run(TIMEOUT, async |connection| {
            sqlx::query_scalar(
                "EXPLAIN SELECT FROM cron_jobs j WHERE EXISTS
                     (SELECT FROM cron_job_runs o WHERE o.job_id = j.id AND o.status = 'queued' AND o.exclusive)",
            )
            .fetch_all(connection)
            .await
        })
        .await
        .unwrap();
    let plan = plan.join("\n");
    // The other index would be read completely for each job.
    assert!(plan.contains("cron_job_runs_waiting_idx") && !plan.contains("cron_job_runs_queued_idx"), "{plan}");
}
