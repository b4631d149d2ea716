//! The plugins in `plugins/examples`, built as components, installed in the plugin folder and run as jobs.

use std::sync::{
    Arc,
    atomic::{AtomicU16, Ordering},
};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    notifications::delivery::create_channel,
    support::{
        TestApp, WebResponse, WebServer, eventually,
        guests::built,
        plugin_files::{Author, PluginFolder, approve, until_state},
    },
};

/// Starts an app that may reach `allowed_hosts`, and installs and approves an example in it.
async fn app_with_example(folder: &PluginFolder, name: &str, allowed_hosts: &str) -> TestApp {
    let author = Author::new();
    folder.add_signed(name, &built(&format!("{name}.wasm")), &author);
    let app = TestApp::builder()
        .var("ATLASHUB_PLUGIN_DIR", folder.path().to_str().unwrap())
        .var("ATLASHUB_HTTP_ALLOWED_HOSTS", allowed_hosts)
        .var("ATLASHUB_DISK_LOW_PERCENT", "0")
        .start()
        .await;
    author.trusted_by(&app).await;
    until_state(&app.admin(), name, "pending").await;
    approve(&app, name, json!({})).await;
    until_state(&app.admin(), name, "active").await;
    app
}

/// Creates a job that is never due, and returns its id.
pub(super) async fn create_job(app: &TestApp, plugin: &str, job: &str, params: Value) -> String {
    let body = json!({
        "name": job, "type": "platform", "plugin": plugin, "pluginJob": job, "params": params,
        "scheduleCron": "0 0 1 1 *", "enabled": false,
    });
    let (status, job) = app.admin().post("/admin/v1/jobs", body).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

/// Runs a job and returns its result.
pub(super) async fn run_job(app: &TestApp, job: &str) -> Value {
    let run = app.run_job(job).await;
    let run = eventually("the run finishes", async || {
        let run = app.run(&run).await;
        (!run["finishedAt"].is_null()).then_some(run)
    })
    .await;
    assert_eq!(run["status"], "success", "{run}");
    run["result"].clone()
}

#[tokio::test]
async fn hello_report_stores_the_tables_of_a_project() {
    let folder = PluginFolder::new();
    let app = app_with_example(&folder, "hello-report", "").await;
    let project = app.create_project("Shop, new").await;
    project.sql("CREATE TABLE items AS SELECT i FROM generate_series(1, 100) AS i; ANALYZE items").await;
    let key = format!("backups/reports/{}.csv", project.id);
    let job = create_job(&app, "hello-report", "report", json!({ "key": key })).await;
    let result = run_job(&app, &job).await;
    assert_eq!(result["key"], key);

    let csv = app.app.store().get_small(atlashub::object_store::PLATFORM_BUCKET, &key, 1 << 20).await.unwrap();
    let csv = String::from_utf8(csv.to_vec()).unwrap();
    assert_eq!(csv.lines().next(), Some("database,title,schema,table,estimated_rows"));
    let row = format!("project:{},\"Shop, new\",public,items,100", project.id);
    assert!(csv.lines().any(|line| line == row), "{csv}");
    assert_eq!(json!(csv.lines().count() - 1), result["tables"]);
    assert_eq!(json!(csv.len()), result["sizeBytes"]);
}

#[tokio::test]
async fn uptime_check_notifies_owner_when_site_goes_down_and_recovers() {
    let (status, hook) = (Arc::new(AtomicU16::new(200)), WebServer::start(|_| WebResponse::status(204)).await);
    let current = Arc::clone(&status);
    let site = WebServer::start(move |_| WebResponse::status(current.load(Ordering::SeqCst))).await;
    let folder = PluginFolder::new();
    let app = app_with_example(&folder, "uptime-check", &format!("{},{}", site.entry(), hook.entry())).await;
    let channel = json!({
        "name": "Hook", "kind": "webhook", "events": ["plugin"], "url": hook.url("/"), "secret": "a-secret-of-the-test",
    });
    create_channel(&app, channel).await;
    let name = format!("check-{}", uuid::Uuid::now_v7().simple());
    let job = create_job(&app, "uptime-check", "check", json!({ "name": name, "url": site.url("/health") })).await;

    let result = run_job(&app, &job).await;
    assert_eq!((&result["up"], &result["changed"]), (&json!(true), &json!(false)));
    status.store(503, Ordering::SeqCst);
    let result = run_job(&app, &job).await;
    assert_eq!((&result["up"], &result["changed"]), (&json!(false), &json!(true)));
    assert_eq!(hook.next().await.json()["title"], format!("{name} is down"));
    assert_eq!(run_job(&app, &job).await["changed"], false);
    status.store(200, Ordering::SeqCst);
    assert_eq!(run_job(&app, &job).await["changed"], true);
    assert_eq!(hook.next().await.json()["title"], format!("{name} is up again"));
    assert_eq!(hook.count(), 2);

    // The schema of the parameters is checked when a job is saved.
    let body = json!({
        "name": "wrong", "type": "platform", "plugin": "uptime-check", "scheduleCron": "@daily",
        "params": { "name": "Not Valid", "url": site.url("/") },
    });
    let (status, error) = app.admin().post("/admin/v1/jobs", body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{error}");
}
