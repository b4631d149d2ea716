//! Backups the whole way: asked for over HTTP or on the command line, run by a scheduler, made by the plugin in the binary.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    backups::dump::{LARGE, dumpers, until_nobody_dumps},
    support::{ProgramVars, TestApp, TestProject, eventually},
};

pub(crate) async fn begin(app: &TestApp, target: &str) -> String {
    let (status, answer) = app.admin().post("/admin/v1/backups", json!({ "target": target })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    answer["runId"].as_str().unwrap().to_owned()
}

/// The run, once it has ended.
pub(crate) async fn ended(app: &TestApp, run: &str) -> Value {
    eventually("the run has ended", async || {
        let (status, run) = app.admin().get(&format!("/admin/v1/runs/{run}")).await;
        assert_eq!(status, StatusCode::OK, "{run}");
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
async fn a_backup_asked_for_over_http_is_made() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("whole way").await;
    project.sql("CREATE TABLE t AS SELECT i FROM generate_series(1, 1000) AS i").await;
    let run = ended(&app, &begin(&app, &format!("project:{}", project.id)).await).await;
    assert_eq!(run["status"], "success", "{run}");
    let backups = listed(&app, &project).await;
    assert_eq!(backups.len(), 1);
    assert_eq!(backups[0]["runId"], run["id"]);
    assert_eq!(backups[0]["state"], "ready");
}

#[tokio::test]
async fn all_is_the_platform_and_every_project() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let projects = [app.create_project("one").await, app.create_project("two").await];
    let run = ended(&app, &begin(&app, "all").await).await;
    assert_eq!(run["status"], "success", "{run}");
    for project in &projects {
        assert_eq!(listed(&app, project).await.len(), 1);
    }
    let (_, page) = app.admin().get("/admin/v1/backups?limit=200").await;
    let of_the_platform = |item: &&Value| item["target"] == "platform" && item["runId"] == run["id"];
    assert_eq!(page["items"].as_array().unwrap().iter().filter(of_the_platform).count(), 1);
}

#[tokio::test]
async fn a_cancelled_backup_leaves_nothing() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("cancelled on the way").await;
    project.sql(LARGE).await;
    // It waits for the lock, so that it can't be over before it is cancelled.
    let mut locker = project.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE large IN ACCESS EXCLUSIVE MODE").execute(&mut locker).await.unwrap();
    let run = begin(&app, &format!("project:{}", project.id)).await;
    eventually("the backup waits for the lock", async || {
        let waiting: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock')",
        )
        .bind(format!("proj_{}_backup", project.id))
        .fetch_one(app.app.platform())
        .await
        .unwrap();
        waiting
    })
    .await;
    let (status, answer) = app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
    assert!(status.is_success(), "{answer}");
    assert_eq!(ended(&app, &run).await["status"], "cancelled");
    until_nobody_dumps(&app, &project).await;
    assert!(dumpers(&project).is_empty());
    assert_eq!(listed(&app, &project).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_makes_a_backup_where_no_server_runs() {
    let url = crate::support::Postgres::shared().platform_database().await;
    let vars = ProgramVars::external(&url);
    let made = vars.run(&["backup", "create", "platform"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let id = made.stdout.split_whitespace().next().unwrap();
    let listed = vars.run(&["backup", "list"]);
    assert!(listed.stdout.contains(id), "{listed:?}");
    let wrong = vars.run(&["backup", "create", "project:nosuchproject"]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
}
