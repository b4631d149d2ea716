//! Deletion of many objects in a run.

use futures_util::{StreamExt as _, stream};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{FaultProxy, TestApp, TestProject, Uploads, code, eventually, must_send};

async fn start(app: &TestApp, project: &TestProject, body: Value) -> String {
    let (status, response) = app.admin().post(&project.path("/buckets/uploads/objects/delete"), body).await;
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

async fn keys(app: &TestApp, project: &TestProject) -> Vec<String> {
    let page = app.app.store().list_page(&format!("proj-{}", project.id), "", 1000, None).await.unwrap();
    page.objects.into_iter().map(|object| object.key).collect()
}

#[tokio::test]
async fn given_keys_are_deleted_and_missing_ones_counted() {
    let app = TestApp::start().await;
    let project = app.create_project("keys").await;
    for path in ["a.txt", "notes/b.txt", "c.txt"] {
        project.secret().upload(path, "12345").await;
    }
    let run = start(&app, &project, json!({ "keys": ["a.txt", "uploads/notes/b.txt", "uploads/a.txt", "x"] })).await;
    let ended = ended(&app, &run).await;
    assert_eq!((&ended["status"], &ended["plugin"]), (&json!("success"), &json!("storage")), "{ended}");
    assert_eq!(ended["result"], json!({ "deleted": 2, "deletedBytes": 10, "missing": 1 }));
    assert_eq!((&ended["progress"]["done"], &ended["progress"]["total"]), (&json!(3), &json!(3)));
    assert_eq!(keys(&app, &project).await, ["uploads/c.txt"]);
    let (_, audit) = app.admin().get("/admin/v1/audit?action=object.delete_many").await;
    assert_eq!(audit["items"][0]["details"], json!({ "prefix": null, "keys": 4, "runId": run }), "{audit}");
}

/// Covers more than one page, an object uploaded without the secret key, and objects that AtlasHub did not sign.
#[tokio::test]
async fn only_the_folder_is_deleted_with_progress() {
    let app = TestApp::start().await;
    let project = app.create_project("folder").await;
    let (store, store_bucket) = (app.app.store(), format!("proj-{}", project.id));
    stream::iter(0..1203)
        .for_each_concurrent(16, |number| {
            let (key, store_bucket) = (format!("uploads/notes/{number}.txt"), &store_bucket);
            async move { store.put_small(store_bucket, &key, "text/plain", "xy".into()).await.unwrap() }
        })
        .await;
    let open = json!({ "publishable": "both" });
    assert_eq!(app.admin().patch(&project.path("/buckets/uploads"), open).await.0, StatusCode::OK);
    let staged = project.publishable().sign("notes/staged.txt", json!({})).await;
    must_send(&staged, "z").await;
    project.secret().upload("notes.txt", "stays").await;
    store.put_small(&store_bucket, "private/notes/x.txt", "text/plain", "x".into()).await.unwrap();

    let run = start(&app, &project, json!({ "prefix": "notes/" })).await;
    let ended = ended(&app, &run).await;
    assert_eq!(ended["status"], "success", "{ended}");
    assert_eq!(ended["result"], json!({ "deleted": 1204, "deletedBytes": 2407, "missing": 0 }));
    assert_eq!((&ended["progress"]["done"], &ended["progress"]["total"]), (&json!(1204), &json!(1204)));
    assert_eq!((&ended["projectId"], &ended["pluginJob"]), (&json!(project.id), &json!("delete")));
    assert_eq!(keys(&app, &project).await, ["private/notes/x.txt", "uploads/notes.txt"]);

    // An empty prefix selects the whole bucket.
    let run = start(&app, &project, json!({ "prefix": "" })).await;
    assert_eq!(self::ended(&app, &run).await["result"]["deleted"], 1);
    assert_eq!(keys(&app, &project).await, ["private/notes/x.txt"]);
}

#[tokio::test]
async fn invalid_deletion_starts_no_run() {
    let app = TestApp::start().await;
    let project = app.create_project("refused").await;
    let path = project.path("/buckets/uploads/objects/delete");
    let many: Vec<String> = (0..1001).map(|number| number.to_string()).collect();
    for (body, expected) in [
        (json!({}), "invalid_request"),
        (json!({ "keys": [] }), "invalid_request"),
        (json!({ "keys": many }), "invalid_request"),
        (json!({ "keys": ["a"], "prefix": "b/" }), "invalid_request"),
        (json!({ "keys": ["../a"] }), "invalid_path"),
        (json!({ "keys": ["private/a.txt"] }), "invalid_path"),
        (json!({ "prefix": "../" }), "invalid_path"),
        (json!({ "prefix": "a/", "recursive": true }), "invalid_json"),
    ] {
        let (status, response) = app.admin().post(&path, body.clone()).await;
        assert_eq!((status, code(&response)), (StatusCode::BAD_REQUEST, expected), "{body}: {response}");
    }
    let nowhere = project.path("/buckets/nowhere/objects/delete");
    assert_eq!(app.admin().post(&nowhere, json!({ "prefix": "" })).await.0, StatusCode::NOT_FOUND);
    assert_eq!(app.admin().get("/admin/v1/runs").await.1["items"], json!([]));
}

#[tokio::test]
async fn job_empties_a_folder() {
    let app = TestApp::start().await;
    let project = app.create_project("nightly").await;
    project.secret().upload("tmp/a.txt", "x").await;
    project.secret().upload("b.txt", "x").await;
    let body = json!({ "name": "empty tmp", "type": "platform", "projectId": project.id, "plugin": "storage",
        "params": { "bucket": "uploads", "prefix": "tmp/" }, "scheduleCron": "0 3 * * *" });
    let (status, job) = app.admin().post("/admin/v1/jobs", body).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    let path = format!("/admin/v1/jobs/{}/run", job["id"].as_str().unwrap());
    let (_, started) = app.admin().post(&path, json!({})).await;
    assert_eq!(ended(&app, started["runId"].as_str().unwrap()).await["status"], "success");
    assert_eq!(keys(&app, &project).await, ["uploads/b.txt"]);
    let body = json!({ "name": "bad", "type": "platform", "projectId": project.id, "plugin": "storage",
        "params": { "bucket": "uploads" }, "scheduleCron": "0 3 * * *" });
    assert_eq!(app.admin().post("/admin/v1/jobs", body).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn cancelled_deletion_keeps_no_record_of_a_deleted_object() {
    let (store, endpoint) = FaultProxy::before_store().await;
    let app = TestApp::builder().var("ATLASHUB_S3_ENDPOINT", &endpoint).start().await;
    let project = app.create_project("cancelled").await;
    project.secret().upload("a.txt", "12345").await;
    let detail = project.path("/buckets/uploads/object?objectKey=uploads/a.txt");
    assert_eq!(app.admin().get(&detail).await.0, StatusCode::OK);
    let objects = async || app.admin().get(&project.path("/buckets/uploads")).await.1["objectCount"].clone();
    assert_eq!(objects().await, 1);
    // The run is cancelled after the store has deleted the object.
    store.pause_response("?delete", 1);
    let run = start(&app, &project, json!({ "prefix": "" })).await;
    store.wait_until_held().await;
    let (status, body) = app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
    assert!(status.is_success(), "{body}");
    assert_eq!(ended(&app, &run).await["status"], "cancelled");
    store.resume();
    eventually("the record is deleted", async || objects().await == 0).await;
    assert_eq!(store.clear(), [""; 0]);
}
