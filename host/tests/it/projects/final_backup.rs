//! Deleting a project after a final backup.

use atlashub::object_store::PLATFORM_BUCKET;
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    backups::catalogue::store_backup,
    backups::end_to_end::{ended_run, listed},
    backups::objects::{download, upload},
    backups::restore::{confirm, plan},
    support::{TestApp, TestProject, eventually, raw},
};

async fn delete(app: &TestApp, project: &TestProject) -> (StatusCode, Value) {
    app.admin().delete_with(&project.path(""), json!({ "confirm": project.name, "finalBackup": true })).await
}

/// Waits until the project's status and detail satisfy the condition, and returns the detail.
async fn project_when(app: &TestApp, project: &TestProject, condition: impl Fn(StatusCode, &Value) -> bool) -> Value {
    eventually("the project has changed", async || {
        let (status, detail) = app.admin().get(&project.path("")).await;
        condition(status, &detail).then_some(detail)
    })
    .await
}

/// Returns actor and result of the audit entries of the deletion, oldest first.
async fn deletion_entries(app: &TestApp, project: &TestProject) -> Vec<(String, String)> {
    sqlx::query_as(
        "SELECT actor, result FROM audit_logs
         WHERE action = 'project.delete' AND (project_id = $1 OR details->>'name' = $2) ORDER BY at, id",
    )
    .bind(&project.id)
    .bind(&project.name)
    .fetch_all(app.app.platform())
    .await
    .unwrap()
}

#[tokio::test]
async fn project_is_deleted_after_its_final_backup() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("finally").await;
    project.sql("CREATE TABLE t AS SELECT 1 AS x").await;
    upload(&project, "a.txt", b"kept").await;
    let (status, response) = delete(&app, &project).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{response}");
    project_when(&app, &project, |status, _| status == StatusCode::NOT_FOUND).await;
    // The project disappears from the API when its deletion starts. Its database is dropped a little later.
    eventually("the deletion is audited", async || (deletion_entries(&app, &project).await.len() == 2).then_some(()))
        .await;
    eventually("the database is dropped", async || {
        let dropped: bool = sqlx::query_scalar("SELECT NOT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
            .bind(format!("proj_{}", project.id))
            .fetch_one(app.app.platform())
            .await
            .unwrap();
        dropped.then_some(())
    })
    .await;
    let backups = listed(&app, &project).await;
    assert_eq!((backups.len(), &backups[0]["runId"]), (1, &response["runId"]), "{backups:?}");
    assert_eq!((&backups[0]["objectCount"], &backups[0]["objectBytes"]), (&json!(1), &json!(4)), "{backups:?}");
    let other = app.create_project("another").await;
    let (restored, run) = confirm(&app, &plan(&app, &backups[0], &other).await, &other).await;
    assert_eq!(restored["state"], "done", "{run}");
    assert_eq!(download(&other, "uploads/a.txt").await.unwrap().0, b"kept");
    let path = format!("/admin/v1/backups/{}/download", backups[0]["id"].as_str().unwrap());
    let (status, link) = app.admin().post(&path, json!({})).await;
    assert_eq!(status, StatusCode::OK, "{link}");
    let dump = raw().get(link["downloadUrl"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
    assert!(dump.starts_with(b"PGDMP"));
    let entries = deletion_entries(&app, &project).await;
    assert_eq!(entries.iter().map(|entry| entry.1.as_str()).collect::<Vec<_>>(), ["success", "success"]);
    assert_eq!(entries[1].0, "system");
}

#[tokio::test]
async fn project_is_kept_with_reason_when_final_backup_fails() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("kept after all").await;
    project.sql("CREATE TABLE t AS SELECT 1 AS x").await;
    // The dump waits for this lock.
    let mut locker = project.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE").execute(&mut locker).await.unwrap();
    let (status, response) = delete(&app, &project).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{response}");
    let run = response["runId"].as_str().unwrap();
    let (_, shown) = app.admin().get(&project.path("")).await;
    assert_eq!((&shown["deleteAfterRun"], &shown["state"]), (&json!(run), &json!("ready")));
    let (status, second) = delete(&app, &project).await;
    assert_eq!(status, StatusCode::CONFLICT, "{second}");
    let (status, tables) = project.secret().get("/v1/db/tables").await;
    assert_eq!(status, StatusCode::OK, "{tables}");
    eventually("the run is running", async || {
        let (_, shown) = app.admin().get(&format!("/admin/v1/runs/{run}")).await;
        (shown["status"] == "running").then_some(())
    })
    .await;
    let (status, cancelled) = app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
    assert!(status.is_success(), "{cancelled}");
    assert_eq!(ended_run(&app, run).await["status"], "cancelled");
    let shown = project_when(&app, &project, |_, shown| shown["deleteAfterRun"].is_null()).await;
    assert!(shown["deleteProblem"].as_str().unwrap().contains("cancelled"), "{shown}");
    assert_eq!(shown["state"], "ready");
    eventually("the failure is audited", async || {
        (deletion_entries(&app, &project).await.last().unwrap().1 == "failed").then_some(())
    })
    .await;
}

#[tokio::test]
async fn final_backup_without_backup_plugin_returns_422() {
    let app = TestApp::start().await;
    let project = app.create_project("no plugin").await;
    let (status, response) = delete(&app, &project).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{response}");
    let wrong = json!({ "confirm": "another", "finalBackup": true });
    let (status, response) = app.admin().delete_with(&project.path(""), wrong).await;
    assert!(status.is_client_error() && status != StatusCode::UNPROCESSABLE_ENTITY, "{response}");
    let (_, shown) = app.admin().get(&project.path("")).await;
    assert_eq!(
        (&shown["state"], &shown["deleteAfterRun"], &shown["deleteProblem"]),
        (&json!("ready"), &Value::Null, &Value::Null)
    );
}

/// Makes the project's deletion wait for a run that has already ended: the state after a crash before the deletion
/// continued.
async fn wait_for_ended_run(app: &TestApp, project: &TestProject, run: Uuid, status: &str) {
    sqlx::query(
        "INSERT INTO cron_job_runs (id, project_id, trigger, status, plugin, plugin_job, started_at, finished_at)
         VALUES ($1, $2, 'manual', $3, 'backup', 'backup', now(), now())",
    )
    .bind(run)
    .bind(&project.id)
    .bind(status)
    .execute(app.app.platform())
    .await
    .unwrap();
    wait_for_run(app, project, run).await;
}

/// Makes the project's deletion wait for a run.
async fn wait_for_run(app: &TestApp, project: &TestProject, run: Uuid) {
    sqlx::query("UPDATE projects SET delete_after_run = $2 WHERE id = $1")
        .bind(&project.id)
        .bind(run)
        .execute(app.app.platform())
        .await
        .unwrap();
}

#[tokio::test]
async fn deletion_interrupted_by_crash_is_finished_or_cancelled() {
    let app = TestApp::start().await;
    let saved = app.create_project("saved").await;
    store_backup(&app, &saved, 0).await;
    let backup = listed(&app, &saved).await.remove(0);
    wait_for_ended_run(&app, &saved, backup["runId"].as_str().unwrap().parse().unwrap(), "success").await;
    let lost = app.create_project("lost").await;
    store_backup(&app, &lost, 0).await;
    let backup = listed(&app, &lost).await.remove(0);
    app.app.store().delete(PLATFORM_BUCKET, backup["objectKey"].as_str().unwrap()).await.unwrap();
    wait_for_ended_run(&app, &lost, backup["runId"].as_str().unwrap().parse().unwrap(), "success").await;
    let failed = app.create_project("failed").await;
    wait_for_ended_run(&app, &failed, Uuid::now_v7(), "fail").await;
    // The deletion is finished twice at the same time, as by two nodes.
    let (backups, projects) = (app.app.backups(), app.app.projects());
    let (first, second) = tokio::join!(backups.finish_deletions(projects), backups.finish_deletions(projects));
    first.unwrap();
    second.unwrap();
    project_when(&app, &saved, |status, _| status == StatusCode::NOT_FOUND).await;
    for (project, why) in [(&lost, "missing in the object store"), (&failed, "failed")] {
        let shown = project_when(&app, project, |_, shown| shown["deleteAfterRun"].is_null()).await;
        assert!(shown["deleteProblem"].as_str().unwrap().contains(why), "{shown}");
        assert_eq!(shown["state"], "ready");
    }
    let deletions = deletion_entries(&app, &saved).await;
    assert_eq!(deletions, [("system".to_owned(), "success".to_owned())]);
}

#[tokio::test]
async fn project_is_kept_if_its_backup_and_the_run_are_gone() {
    let app = TestApp::start().await;
    let project = app.create_project("without backup").await;
    store_backup(&app, &project, 0).await;
    let backup = listed(&app, &project).await.remove(0);
    app.app.store().delete(PLATFORM_BUCKET, backup["objectKey"].as_str().unwrap()).await.unwrap();
    // The run is not in the history. No other deletion causes the catalogue to be synchronized.
    wait_for_run(&app, &project, backup["runId"].as_str().unwrap().parse().unwrap()).await;
    app.app.backups().finish_deletions(app.app.projects()).await.unwrap();
    let (status, shown) = app.admin().get(&project.path("")).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    assert!(shown["deleteProblem"].as_str().unwrap().contains("missing in the object store"), "{shown}");
}
