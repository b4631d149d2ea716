//! SQL in the background: scripts that are executed as runs.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::limits::wait_for_statements;
use crate::support::{TestApp, TestProject, eventually};

async fn start(app: &TestApp, project: &TestProject, body: Value) -> String {
    let (status, response) = app.admin().post(&project.path("/sql/runs"), body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{response}");
    response["runId"].as_str().unwrap().to_owned()
}

async fn ended(app: &TestApp, run: &str) -> Value {
    eventually("the run ends", async || {
        let (_, response) = app.admin().get(&format!("/admin/v1/runs/{run}")).await;
        response["finishedAt"].is_string().then_some(response)
    })
    .await
}

async fn value(app: &TestApp, project: &TestProject, sql: &str) -> Value {
    let (_, response) = app.admin().post(&project.path("/sql"), json!({ "sql": sql })).await;
    response["rows"][0][0].clone()
}

#[tokio::test]
async fn script_runs_in_the_background() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    // Every row of a query is computed, although none is kept.
    let sql = "CREATE TABLE items (id int); CREATE FUNCTION add(n int) RETURNS int LANGUAGE sql
        AS 'INSERT INTO items VALUES (n) RETURNING id'; SELECT add(g) FROM generate_series(1, 1000) g;";
    let run = start(&app, &project, json!({ "sql": sql })).await;
    let ended = ended(&app, &run).await;
    assert_eq!((&ended["status"], &ended["plugin"]), (&json!("success"), &json!("sql")), "{ended}");
    assert_eq!(ended["result"], json!({ "statements": 3, "committedStatements": 3, "rowCount": 1000 }));
    assert_eq!((&ended["projectId"], &ended["progress"]["done"]), (&json!(project.id), &json!(3)));
    assert_eq!(value(&app, &project, "SELECT count(*) FROM items").await, 1000);
    let (_, log) = app.admin().get(&format!("/admin/v1/runs/{run}/log")).await;
    let messages: Vec<&Value> = log["items"].as_array().unwrap().iter().map(|line| &line["message"]).collect();
    assert!(messages.contains(&&json!("3 of 3: SELECT")), "{messages:?}");
    let (_, history) = app.admin().get(&project.path("/queries/history")).await;
    assert!(history["items"].as_array().unwrap().iter().any(|entry| entry["sql"] == sql), "{history}");
    // A single statement needs no transaction around it.
    let run = start(&app, &project, json!({ "sql": "VACUUM items" })).await;
    assert_eq!(self::ended(&app, &run).await["status"], "success");
}

#[tokio::test]
async fn background_script_is_not_limited_by_the_size_of_a_response() {
    let app = TestApp::builder().var("ATLASHUB_RESPONSE_LIMIT_BYTES", "65536").start().await;
    let project = app.create_project("Shop").await;
    let sql = format!("CREATE TABLE items (id int); {}", "INSERT INTO items VALUES (1);".repeat(500));
    let ended = ended(&app, &start(&app, &project, json!({ "sql": sql })).await).await;
    assert_eq!(ended["status"], "success", "{ended}");
    assert_eq!(ended["result"], json!({ "statements": 501, "committedStatements": 501, "rowCount": 500 }));
    assert_eq!(value(&app, &project, "SELECT count(*) FROM items").await, 500);
}

#[tokio::test]
async fn failed_background_script_changes_nothing_and_late_one_times_out() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let sql = "CREATE TABLE made (); SELECT 1/0";
    let failed = ended(&app, &start(&app, &project, json!({ "sql": sql })).await).await;
    assert_eq!(failed["status"], "fail", "{failed}");
    assert_eq!(failed["errorText"], "Statement 2 of 2: division by zero. Nothing was changed.");
    assert_eq!(value(&app, &project, "SELECT to_regclass('made')").await, Value::Null);
    let endless = "SELECT count(*) FROM (SELECT generate_series(1, 100000000000)) AS s";
    let late = start(&app, &project, json!({ "sql": endless, "timeoutMs": 300 })).await;
    assert_eq!(ended(&app, &late).await["status"], "timeout");
    wait_for_statements(&app, &project.id, 0).await;
}

#[tokio::test]
async fn background_script_is_cancelled_in_postgres() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    let endless = "SELECT count(*) FROM (SELECT generate_series(1, 100000000000)) AS s";
    let run = start(&app, &project, json!({ "sql": endless })).await;
    wait_for_statements(&app, &project.id, 1).await;
    let (status, response) = app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
    assert!(status.is_success(), "{response}");
    assert_eq!(ended(&app, &run).await["status"], "cancelled");
    wait_for_statements(&app, &project.id, 0).await;
}

#[tokio::test]
async fn refused_script_starts_no_run() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    for (body, code) in [
        (json!({ "sql": "SELECT 1; BEGIN" }), "sql_refused"),
        (json!({ "sql": "SELECT 1 frm t" }), "sql_error"),
        (json!({ "sql": "" }), "invalid_request"),
        (json!({ "sql": "SELECT 1", "timeoutMs": 0 }), "invalid_request"),
        (json!({ "sql": "SELECT 1", "maxRows": 5 }), "invalid_json"),
    ] {
        let (status, response) = app.admin().post(&project.path("/sql/runs"), body.clone()).await;
        assert_eq!((status, &response["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{body}: {response}");
    }
    let (_, runs) = app.admin().get("/admin/v1/runs").await;
    assert_eq!(runs["items"], json!([]));
}

#[tokio::test]
async fn job_runs_sql() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    project.sql("CREATE TABLE ticks (at timestamptz DEFAULT now())").await;
    let body = json!({ "name": "tick", "type": "platform", "projectId": project.id, "plugin": "sql",
        "params": { "sql": "INSERT INTO ticks DEFAULT VALUES" }, "scheduleCron": "0 3 * * *" });
    let (status, job) = app.admin().post("/admin/v1/jobs", body).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    let path = format!("/admin/v1/jobs/{}/run", job["id"].as_str().unwrap());
    let (_, started) = app.admin().post(&path, json!({})).await;
    assert_eq!(ended(&app, started["runId"].as_str().unwrap()).await["status"], "success");
    assert_eq!(value(&app, &project, "SELECT count(*) FROM ticks").await, 1);
    let body = json!({ "name": "bad", "type": "platform", "projectId": project.id, "plugin": "sql",
        "params": { "sql": "DROP DATABASE postgres" }, "scheduleCron": "0 3 * * *" });
    let (status, response) = app.admin().post("/admin/v1/jobs", body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{response}");
}

#[tokio::test]
async fn job_of_a_plugin_that_needs_a_project_is_refused_without_one() {
    let app = TestApp::start().await;
    let project = app.create_project("Shop").await;
    for (plugin, params) in [("sql", json!({ "sql": "SELECT 1" })), ("storage", json!({ "bucket": "b", "prefix": "" }))]
    {
        let mut body = json!({ "name": "nowhere", "type": "platform", "plugin": plugin, "params": params,
            "scheduleCron": "0 3 * * *" });
        let (status, error) = app.admin().post("/admin/v1/jobs", body.clone()).await;
        let message = error["error"]["message"].as_str().unwrap_or_default();
        assert!(status == StatusCode::BAD_REQUEST && message.contains("`projectId`"), "{plugin}: {error}");
        let (status, check) = app.admin().post("/admin/v1/jobs/check", body.clone()).await;
        assert_eq!((status, &check["errors"][0]["field"]), (StatusCode::OK, &json!("projectId")), "{check}");

        body["projectId"] = json!(project.id);
        let (status, job) = app.admin().post("/admin/v1/jobs", body).await;
        assert_eq!(status, StatusCode::CREATED, "{job}");
        // An older version of AtlasHub accepted such a job.
        sqlx::query("UPDATE cron_jobs SET project_id = NULL").execute(app.app.platform()).await.unwrap();
        let path = format!("/admin/v1/jobs/{}", job["id"].as_str().unwrap());
        let (status, error) = app.admin().patch(&path, json!({ "params": job["params"] })).await;
        let message = error["error"]["message"].as_str().unwrap_or_default();
        assert!(status == StatusCode::BAD_REQUEST && message.contains("`projectId`"), "{plugin}: {error}");
        assert_eq!(app.admin().patch(&path, json!({ "enabled": false })).await.0, StatusCode::OK);
    }
}
