//! Verifications that lose their connection to Postgres.

use crate::{
    backups::{
        end_to_end::ended_run,
        verify::{create_backup, hostile, prefix, start_verification, state},
    },
    support::{TestApp, eventually},
};

#[tokio::test]
async fn backup_is_not_marked_as_failed_if_the_connection_of_its_verification_is_lost() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("lost").await;
    project.sql(&hostile("PERFORM pg_catalog.pg_sleep(600);")).await;
    let backup = create_backup(&app, &format!("project:{}", project.id)).await;
    let run = start_verification(&app, &backup).await;
    eventually("the end of the session that creates the index", async || {
        let ended: Vec<bool> = sqlx::query_scalar(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE starts_with(datname, $1) AND query LIKE '%trap_index%'",
        )
        .bind(prefix(&app))
        .fetch_all(app.app.platform())
        .await
        .unwrap();
        (!ended.is_empty()).then_some(())
    })
    .await;
    let run = ended_run(&app, &run).await;
    assert_eq!(run["status"], "fail", "{run}");
    assert!(run["errorText"].as_str().unwrap().contains("Postgres"), "{run}");
    assert_eq!(state(&app, &backup).await["state"], "ready");
}
