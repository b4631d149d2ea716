//! Prepared statements of shared connections.

use std::time::Duration;

use atlashub::db::{DbRole, Statement};
use tokio::time::timeout;

use crate::support::{TestApp, eventually};

/// Time after which the test cancels a statement. It is shorter than the time after which the connection of a cancelled
/// statement is no longer used.
const WAITING_TIME: Duration = Duration::from_millis(50);

#[tokio::test]
async fn statement_whose_preparation_is_cancelled_is_prepared_once() {
    const READ: &str = "SELECT id FROM public.items";
    let app = TestApp::start().await;
    let project = app.create_project("prepared").await;
    project.sql("CREATE TABLE items (id int)").await;
    let pools = &app.app.projects().pools;
    // These statements run no code of the project, so they share a connection.
    let fetch = async |sql: &str| pools.fetch(&project.id, DbRole::App, &Statement::of_catalogue(sql)).await;
    fetch("SELECT 1").await.unwrap();

    // Postgres parses the statement when the lock is released.
    let mut locker = project.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE").execute(&mut locker).await.unwrap();
    assert!(timeout(WAITING_TIME, fetch(READ)).await.is_err(), "the statement did not wait for the lock");
    sqlx::raw_sql("ROLLBACK").execute(&mut locker).await.unwrap();
    assert!(fetch(READ).await.unwrap().is_empty());

    let count = format!("SELECT count(*) FROM pg_catalog.pg_prepared_statements WHERE statement = '{READ}'");
    eventually("the session has one prepared statement", async || {
        let prepared: i64 = fetch(&count).await.unwrap()[0].get(0);
        (prepared == 1).then_some(())
    })
    .await;
}
