//! Connections that are kept for one use: what they outlive, and what is given up.

use std::{io::ErrorKind, time::Duration};

use atlashub::db::{KeptConnection, platform};
use sqlx::PgConnection;

use crate::support::{Postgres, Proxy, TestApp};

const PATIENCE: Duration = Duration::from_secs(20);

async fn session(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await
}

async fn setting(kept: &KeptConnection, name: &str) -> String {
    let shown = kept.run(PATIENCE, async |connection| {
        sqlx::query_scalar("SELECT setting || ' by ' || source FROM pg_settings WHERE name = $1")
            .bind(name)
            .fetch_one(connection)
            .await
    });
    shown.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_kept_until_it_fails() {
    let pool = platform::connect(&Postgres::shared().url("postgres"), 1).unwrap();
    let kept = KeptConnection::for_fixed_statements(&pool, "kept");
    let first = kept.run(PATIENCE, session).await.unwrap();
    let refused = kept.run(PATIENCE, async |connection| sqlx::query("SELECT 1 / 0").execute(connection).await).await;
    assert!(matches!(refused, Err(sqlx::Error::Database(_))), "{refused:?}");
    assert_eq!(
        kept.run(PATIENCE, session).await.unwrap(),
        first,
        "an error of a statement is no reason to connect anew"
    );
    sqlx::query("SELECT pg_terminate_backend($1, 5000)").bind(first).execute(&pool).await.unwrap();
    kept.run(PATIENCE, session).await.expect_err("the session is gone");
    assert_ne!(kept.run(PATIENCE, session).await.unwrap(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_given_up_in_time() {
    let url = Postgres::shared().url("postgres");
    let address = format!("127.0.0.1:{}", Postgres::shared().port);
    let proxy = Proxy::start_to(address.parse().unwrap()).await;
    let pool = platform::connect(&url.replace(&address, &proxy.address().to_string()), 1).unwrap();
    let kept = KeptConnection::for_fixed_statements(&pool, "kept");
    let first = kept.run(PATIENCE, session).await.unwrap();
    proxy.hush();
    let silent = kept.run(Duration::from_millis(50), session).await;
    assert!(matches!(&silent, Err(sqlx::Error::Io(error)) if error.kind() == ErrorKind::TimedOut), "{silent:?}");
    proxy.mend().await;
    assert_ne!(kept.run(PATIENCE, session).await.unwrap(), first, "what was silent is not used again");
}

#[tokio::test(flavor = "multi_thread")]
async fn its_plans_depend_on_no_statistics() {
    let pool = platform::connect(&Postgres::shared().url("postgres"), 1).unwrap();
    let kept = KeptConnection::for_fixed_statements(&pool, "kept");
    assert_eq!(setting(&kept, "plan_cache_mode").await, "force_generic_plan by client");
    assert_eq!(setting(&kept, "enable_seqscan").await, "off by client");
    // What the pool itself asks for holds here too.
    assert_eq!(setting(&kept, "statement_timeout").await, "15000 by client");
    let lazy = KeptConnection::for_fixed_statements(&pool, "kept").without_waiting_for_disk();
    assert_eq!(setting(&lazy, "synchronous_commit").await, "off by client");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jobs_own_runs_are_found_by_their_index_also_while_statistics_know_of_none() {
    let app = TestApp::start().await;
    let kept = KeptConnection::for_fixed_statements(app.app.platform(), "kept");
    sqlx::query("ANALYZE cron_job_runs").execute(app.app.platform()).await.unwrap();
    let plan: Vec<String> = kept
        .run(PATIENCE, async |connection| {
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
    // Another one would be read whole for each job.
    assert!(plan.contains("cron_job_runs_waiting_idx") && !plan.contains("cron_job_runs_queued_idx"), "{plan}");
}
