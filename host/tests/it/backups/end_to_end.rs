//! Backups end to end: requested over HTTP or on the command line, run by a scheduler, created by the embedded plugin.

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::{
    backups::dump::{LARGE, pg_dump_processes, wait_until_no_dump_is_running},
    support::{ProgramVars, TestApp, TestProject, eventually},
};

pub(crate) async fn start_backup(app: &TestApp, target: &str) -> String {
    let (status, body) = app.admin().post("/admin/v1/backups", json!({ "target": target })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    body["runId"].as_str().unwrap().to_owned()
}

/// Waits until the run has ended, and returns it.
pub(crate) async fn ended_run(app: &TestApp, run: &str) -> Value {
    eventually(&format!("the end of run {run}"), async || {
        let (status, run) = app.admin().get(&format!("/admin/v1/runs/{run}")).await;
        // On a busy machine, the platform database may be slow for a moment.
        assert!([StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&status), "{run}");
        (!run["finishedAt"].is_null()).then_some(run)
    })
    .await
}

pub(crate) async fn listed(app: &TestApp, project: &TestProject) -> Vec<Value> {
    let (_, page) = app.admin().get("/admin/v1/backups?limit=200").await;
    let target = json!(format!("project:{}", project.id));
    page["items"].as_array().unwrap().iter().filter(|item| item["target"] == target).cloned().collect()
}

#[tokio::test]
async fn backup_requested_over_http_succeeds() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("end to end").await;
    project.sql("CREATE TABLE t AS SELECT i FROM generate_series(1, 1000) AS i").await;
    let run = ended_run(&app, &start_backup(&app, &format!("project:{}", project.id)).await).await;
    assert_eq!(run["status"], "success", "{run}");
    let backups = listed(&app, &project).await;
    assert_eq!(backups.len(), 1);
    assert_eq!(backups[0]["runId"], run["id"]);
    assert_eq!((&backups[0]["state"], &backups[0]["rowCount"]), (&json!("ready"), &json!(1000)));
}

#[tokio::test]
async fn target_all_backs_up_platform_and_every_project() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let projects = [app.create_project("one").await, app.create_project("two").await];
    let run = ended_run(&app, &start_backup(&app, "all").await).await;
    assert_eq!(run["status"], "success", "{run}");
    for project in &projects {
        assert_eq!(listed(&app, project).await.len(), 1);
    }
    let (_, page) = app.admin().get("/admin/v1/backups?limit=200").await;
    let of_the_platform = |item: &&Value| item["target"] == "platform" && item["runId"] == run["id"];
    assert_eq!(page["items"].as_array().unwrap().iter().filter(of_the_platform).count(), 1);
}

#[tokio::test]
async fn cancelled_backup_leaves_no_process_and_is_not_listed() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("cancelled on the way").await;
    project.sql(LARGE).await;
    // The lock keeps the dump from completing before it is cancelled.
    let mut locker = project.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE large IN ACCESS EXCLUSIVE MODE").execute(&mut locker).await.unwrap();
    let run = start_backup(&app, &format!("project:{}", project.id)).await;
    eventually("the dump waits for the lock", async || {
        let waiting: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock')",
        )
        .bind(format!("proj_{}_backup", project.id))
        .fetch_one(app.app.platform())
        .await
        .unwrap();
        waiting.then_some(())
    })
    .await;
    let (status, body) = app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
    assert!(status.is_success(), "{body}");
    assert_eq!(ended_run(&app, &run).await["status"], "cancelled");
    wait_until_no_dump_is_running(&app, &project).await;
    assert!(pg_dump_processes(&project).is_empty());
    assert_eq!(listed(&app, &project).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn command_line_creates_backup_without_a_running_server() {
    let url = crate::support::Postgres::shared().platform_database().await;
    let vars = ProgramVars::external(&url);
    let created = vars.run(&["backup", "create", "platform"]);
    assert_eq!(created.code, Some(0), "{created:?}");
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let nodes: i64 = sqlx::query_scalar("SELECT count(*) FROM nodes").fetch_one(&mut connection).await.unwrap();
    assert_eq!(nodes, 0, "the command is in the list of nodes");
    connection.close().await.unwrap();
    let id = created.stdout.split_whitespace().next().unwrap();
    let listed = vars.run(&["backup", "list"]);
    assert!(listed.stdout.contains(id), "{listed:?}");
    let failed = vars.run(&["backup", "create", "project:nosuchproject"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let failed = vars.run(&["backup", "create", "project:nope"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("There is no such project."), "{failed:?}");
    for arguments in [&["backup", "verify", "nope"][..], &["restore", "platform", "--backup", "nope", "--yes"]] {
        let refused = vars.run(arguments);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains("this is not the id of a backup"), "{refused:?}");
    }
}
