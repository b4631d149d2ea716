//! Verifications that lose their connection to Postgres, and those that are repeated after a failure.

use atlashub::object_store::PLATFORM_BUCKET;
use serde_json::json;

use crate::{
    backups::{
        end_to_end::ended_run,
        plugin::{grants, plugin_with},
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

#[tokio::test]
async fn repeated_verification_of_a_target_checks_its_newest_backup_again_although_it_failed() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("repeated").await;
    project.sql("CREATE TABLE items AS SELECT 1 AS id").await;
    let target = format!("project:{}", project.id);
    let older = create_backup(&app, &target).await;
    let newest = create_backup(&app, &target).await;
    let (store, key) = (app.app.store(), newest["objectKey"].as_str().unwrap());
    let mut damaged = store.get_small(PLATFORM_BUCKET, key, 16 << 20).await.unwrap().to_vec();
    let last = damaged.len() - 1;
    damaged[last] ^= 0x10;
    store.put_small(PLATFORM_BUCKET, key, "application/octet-stream", damaged.into()).await.unwrap();
    for _ in 0..2 {
        let run = plugin_with(&app, "backup", "verify", json!({ "target": target }), grants()).await;
        let failure = run.failure().await;
        assert!(failure.contains("could not verify the backup"), "{failure}");
        assert_eq!(state(&app, &newest).await["state"], "failed");
    }
    assert_eq!(state(&app, &older).await["state"], "ready");
}
