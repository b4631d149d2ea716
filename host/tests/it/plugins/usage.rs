//! The owner's view of a plugin: its approval beside its request, its effective limits, its jobs and runs.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{
    eventually,
    plugin_files::{Author, PluginFolder, approve, component, manifest, until_plugin, until_state},
};

fn requesting(serial: u64, hosts: &[&str]) -> Value {
    let mut manifest = manifest("hello", serial);
    manifest["capabilities"] = json!([{ "capability": "http", "reason": "To greet.", "scope": { "hosts": hosts } }]);
    manifest["limits"] = json!({ "memoryMib": 1024, "cpuSeconds": 1 });
    manifest
}

#[tokio::test]
async fn approval_is_shown_beside_a_wider_request() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    folder.add_signed("hello", &component(&requesting(1, &["a.example"])), &author);
    let app = folder.app().await;
    let pending = until_state(&app.admin(), "hello", "rejected").await;
    assert_eq!((&pending["keyName"], &pending["approval"]), (&Value::Null, &Value::Null), "{pending}");
    author.trusted_by(&app).await;
    until_state(&app.admin(), "hello", "pending").await;
    let narrow = json!([{ "capability": "http", "scope": { "hosts": ["a.example"] } }]);
    let active = approve(&app, "hello", json!({ "granted": narrow })).await;
    let approval = &active["approval"];
    assert_eq!((&approval["approvedBy"], &approval["keyId"]), (&json!("owner"), &json!(author.key_id())), "{active}");
    assert_eq!((&approval["granted"], &approval["requested"]), (&narrow, &narrow));
    assert!(approval["approvedAt"].is_string() && approval["revokedAt"].is_null());
    let file = folder.path().join("hello.wasm");
    assert_eq!(active["file"], json!(file.to_str().unwrap()));
    let (_, keys) = app.admin().get("/admin/v1/trusted-keys").await;
    assert!(keys["items"].as_array().unwrap().iter().any(|key| key["name"] == active["keyName"]), "{active}");
    // For memory, the host's limit is lower than the request. For processor time, the request is lower.
    assert_eq!((&active["limits"]["memoryMib"], &active["limits"]["cpuSeconds"]), (&json!(1024), &json!(1)));
    assert!(active["effectiveLimits"]["memoryMib"].as_u64().unwrap() < 1024, "{active}");
    assert_eq!(active["effectiveLimits"]["cpuSeconds"], 1);

    folder.add_signed("hello", &component(&requesting(2, &["a.example", "b.example"])), &author);
    let wider = until_plugin(&app.admin(), "hello", |plugin| plugin["serial"] == 2).await;
    assert_eq!(wider["requested"][0]["scope"]["hosts"], json!(["a.example", "b.example"]));
    assert_eq!(wider["approval"]["requested"], narrow, "not the permissions that were requested at the approval");
}

#[tokio::test]
async fn jobs_and_runs_of_a_plugin_are_counted() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    folder.add_signed("hello", &component(&manifest("hello", 1)), &author);
    let app = folder.app().await;
    author.trusted_by(&app).await;
    until_state(&app.admin(), "hello", "pending").await;
    approve(&app, "hello", json!({})).await;
    let project = app.create_project("Shop").await;
    let job = |name: &str, project: Value| {
        let schedule = "0 3 * * *";
        json!({ "name": name, "type": "platform", "projectId": project, "plugin": "hello", "scheduleCron": schedule })
    };
    let (status, greet) = app.admin().post("/admin/v1/jobs", job("b greet", json!(project.id))).await;
    assert_eq!(status, StatusCode::CREATED, "{greet}");
    assert_eq!(app.admin().post("/admin/v1/jobs", job("A greet", Value::Null)).await.0, StatusCode::CREATED);
    let run = format!("/admin/v1/jobs/{}/run", greet["id"].as_str().unwrap());
    app.admin().post(&run, json!({})).await;
    let plugin = eventually("the run is counted", async || {
        let (_, plugin) = app.admin().get("/admin/v1/plugins/hello").await;
        (plugin["runs24h"]["total"] == 1 && plugin["activeRunCount"] == 0).then_some(plugin)
    })
    .await;
    assert_eq!(plugin["usedByCount"], 2);
    let used = &plugin["usedBy"];
    assert_eq!((&used[0]["jobName"], &used[1]["jobName"]), (&json!("A greet"), &json!("b greet")), "{plugin}");
    assert_eq!((&used[1]["jobId"], &used[1]["projectName"]), (&greet["id"], &json!("Shop")));
    assert_eq!((&used[0]["projectId"], &used[0]["enabled"]), (&Value::Null, &json!(true)));
    let (_, list) = app.admin().get("/admin/v1/plugins").await;
    let listed = list["items"].as_array().unwrap().iter().find(|plugin| plugin["name"] == "hello").unwrap();
    assert_eq!(listed["usedBy"], *used);
    assert_eq!(list["folder"], json!({ "path": folder.path().to_str().unwrap(), "problem": null }));
}

#[tokio::test]
async fn unreadable_folder_is_reported_with_the_list() {
    let folder = PluginFolder::new();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let path = file.to_str().unwrap();
    let app = crate::support::TestApp::builder().var("ATLASHUB_PLUGIN_DIR", path).start().await;
    let (status, list) = app.admin().get("/admin/v1/plugins").await;
    assert_eq!((status, &list["folder"]["path"]), (StatusCode::OK, &json!(path)));
    assert!(list["folder"]["problem"].as_str().unwrap().contains("can't be read"), "{list}");
}
