//! The plugin folder: a plugin is loaded when its files are added, replaced when they change, and unloaded when they
//! are removed.

use std::{
    fs,
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{
    TestApp, eventually,
    plugin_files::{
        Author, PluginFolder, Run, approve, component, endless, manifest, run, until_plugin, until_state, with_body,
    },
};

/// Time for which a plugin stays loaded while its files may be an incomplete copy of a new version. On a busy machine,
/// a test may look only after that time. Then the result proves nothing, and the test begins again.
const COPY_TIME: Duration = Duration::from_secs(2);

#[tokio::test]
async fn plugin_is_loaded_replaced_and_unloaded_with_its_files() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let app = folder.app().await;
    author.trusted_by(&app).await;
    let admin = app.admin();
    folder.add_signed("hello", &component(&manifest("hello", 1)), &author);
    until_state(&admin, "hello", "pending").await;
    approve(&app, "hello", json!({})).await;
    folder.add_signed("hello", &component(&manifest("hello", 2)), &author);
    let newer = until_plugin(&admin, "hello", |plugin| plugin["serial"] == 2 && plugin["state"] == "active").await;
    assert_eq!(newer["version"], "2.0.0");
    folder.remove("hello");
    until_plugin(&admin, "hello", |response| response["error"]["code"] == "not_found").await;
    assert!(run(&app, "hello").await.is_err());
}

#[tokio::test]
async fn running_job_keeps_the_version_it_started_with() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    folder.add_signed("hello", &endless(&manifest("hello", 1)), &author);
    let app = folder.app().await;
    author.trusted_by(&app).await;
    approve(&app, "hello", json!({})).await;
    let old = Run::start(&app, "hello").await;
    folder.add_signed("hello", &component(&manifest("hello", 2)), &author);
    until_plugin(&app.admin(), "hello", |plugin| plugin["serial"] == 2 && plugin["state"] == "active").await;
    // The next run uses the new version while the old one is still running.
    assert!(run(&app, "hello").await.is_ok());
    folder.remove("hello");
    until_plugin(&app.admin(), "hello", |response| response["error"]["code"] == "not_found").await;
    old.cancel.cancel();
    assert_eq!(old.outcome().await, Err(atlashub::jobs::RunFailure::Cancelled));
}

#[tokio::test]
async fn run_of_a_replaced_version_stops_when_its_key_is_revoked() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    folder.add_signed("hello", &endless(&manifest("hello", 1)), &author);
    let app = folder.app().await;
    author.trusted_by(&app).await;
    approve(&app, "hello", json!({})).await;
    let old = Run::start(&app, "hello").await;
    folder.add_signed("hello", &component(&manifest("hello", 2)), &author);
    until_plugin(&app.admin(), "hello", |plugin| plugin["serial"] == 2).await;
    app.admin().delete(&format!("/admin/v1/trusted-keys/{}", author.key_id())).await;
    let outcome = old.outcome().await;
    assert!(
        matches!(&outcome, Err(atlashub::jobs::RunFailure::Failed { message, .. }) if message.contains("revoked")),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn component_without_signature_is_loaded_when_the_signature_arrives() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let app = folder.app().await;
    author.trusted_by(&app).await;
    let bytes = component(&manifest("hello", 1));
    folder.write("hello.wasm", &bytes);
    let half = until_state(&app.admin(), "hello", "rejected").await;
    assert!(half["reason"].as_str().unwrap().contains("hello.wasm.minisig"), "{half}");
    // There is neither an approval nor a hash that a revocation could record.
    let (status, error) = app.admin().post("/admin/v1/plugins/hello/revoke", json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT, "{error}");
    assert!(error["error"]["message"].as_str().unwrap().contains("nothing to revoke"), "{error}");
    folder.write("hello.wasm.minisig", author.sign(&bytes).as_bytes());
    until_state(&app.admin(), "hello", "pending").await;
}

#[tokio::test]
async fn plugin_stays_loaded_while_its_new_version_is_copied() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    folder.add_signed("hello", &component(&manifest("hello", 1)), &author);
    let app = folder.app().await;
    author.trusted_by(&app).await;
    approve(&app, "hello", json!({})).await;
    let bytes = component(&manifest("hello", 2));
    loop {
        let began = Instant::now();
        folder.write("hello.wasm", &bytes);
        // Until the new signature arrives, the previous one does not match the component.
        app.app.plugins().refresh().await.unwrap();
        let loaded = app.app.plugins().loaded("hello").map(|plugin| plugin.runnable.manifest.serial);
        if loaded == Some(1) {
            break;
        }
        assert!(began.elapsed() >= COPY_TIME, "instead of version 1, {loaded:?} is loaded");
        folder.add_signed("hello", &component(&manifest("hello", 1)), &author);
        until_plugin(&app.admin(), "hello", |plugin| plugin["serial"] == 1 && plugin["state"] == "active").await;
    }
    let half = until_state(&app.admin(), "hello", "rejected").await;
    assert!(half["reason"].as_str().unwrap().contains("was changed"), "{half}");
    folder.write("hello.wasm.minisig", author.sign(&bytes).as_bytes());
    until_plugin(&app.admin(), "hello", |plugin| plugin["serial"] == 2 && plugin["state"] == "active").await;
    let loaded = app.app.plugins().loaded("hello").map(|plugin| plugin.runnable.manifest.serial);
    assert_eq!(loaded, Some(2));
}

#[tokio::test]
async fn plugin_whose_files_stay_invalid_is_unloaded() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    let names = ["changed", "forged", "unsigned"];
    for name in names {
        folder.add_signed(name, &component(&manifest(name, 1)), &author);
    }
    let app = folder.app().await;
    author.trusted_by(&app).await;
    for name in names {
        approve(&app, name, json!({})).await;
    }
    folder.write("changed.wasm", &with_body(&manifest("changed", 1), "unreachable"));
    folder.write("forged.wasm.minisig", author.sign(b"another file").as_bytes());
    fs::remove_file(folder.path().join("unsigned.wasm.minisig")).unwrap();
    // A change of trust has no effect on the refusals.
    Author::new().trusted_by(&app).await;
    for (name, reason) in [("changed", "was changed"), ("forged", "was changed"), ("unsigned", "is missing")] {
        let refused = until_state(&app.admin(), name, "rejected").await;
        assert!(refused["reason"].as_str().unwrap().contains(reason), "{refused}");
        eventually("the plugin is unloaded", async || app.app.plugins().loaded(name).is_none()).await;
        assert!(run(&app, name).await.is_err());
        let (_, refused) = app.admin().get(&format!("/admin/v1/plugins/{name}")).await;
        assert_eq!(refused["state"], "rejected", "{refused}");
    }
}

#[tokio::test]
async fn revoked_plugin_is_unloaded_at_once_while_its_new_version_is_copied() {
    let folder = PluginFolder::new();
    let app = folder.app().await;
    let mut attempt = 0;
    loop {
        // A key that was revoked can't be trusted again.
        attempt += 1;
        let (author, name) = (Author::new(), format!("hello-{attempt}"));
        folder.add_signed(&name, &component(&manifest(&name, 1)), &author);
        author.trusted_by(&app).await;
        until_state(&app.admin(), &name, "pending").await;
        approve(&app, &name, json!({})).await;
        until_state(&app.admin(), &name, "active").await;
        let began = Instant::now();
        folder.write(&format!("{name}.wasm"), &component(&manifest(&name, 2)));
        app.app.plugins().refresh().await.unwrap();
        let was_loaded = app.app.plugins().loaded(&name).is_some();
        let path = format!("/admin/v1/trusted-keys/{}", author.key_id());
        assert_eq!(app.admin().delete(&path).await.0.as_u16(), 204);
        assert!(app.app.plugins().loaded(&name).is_none());
        if began.elapsed() < COPY_TIME {
            assert!(was_loaded);
            break;
        }
    }
}

#[tokio::test]
async fn folder_created_after_the_start_is_watched() {
    let (parent, author) = (tempfile::tempdir().unwrap(), Author::new());
    let path = parent.path().join("plugins");
    let app = TestApp::builder().var("ATLASHUB_PLUGIN_DIR", path.to_str().unwrap()).start().await;
    author.trusted_by(&app).await;
    assert_eq!(app.admin().get("/admin/v1/plugins").await.1["items"], json!([]));
    fs::create_dir(&path).unwrap();
    let bytes = component(&manifest("hello", 1));
    fs::write(path.join("hello.wasm.minisig"), author.sign(&bytes)).unwrap();
    fs::write(path.join("hello.wasm"), bytes).unwrap();
    until_state(&app.admin(), "hello", "pending").await;
}

#[tokio::test]
async fn key_in_the_folder_is_proposed_but_not_trusted() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    fs::create_dir(folder.path().join("trusted-keys")).unwrap();
    let file = format!("untrusted comment: a key\n{}\n", author.public_key());
    fs::write(folder.path().join("trusted-keys/somebody.pub"), file).unwrap();
    fs::write(folder.path().join("trusted-keys/nonsense.pub"), "nonsense").unwrap();
    folder.add_signed("hello", &component(&manifest("hello", 1)), &author);
    let app = folder.app().await;
    let refused = until_state(&app.admin(), "hello", "rejected").await;
    assert!(refused["reason"].as_str().unwrap().contains("not trusted"), "{refused}");
    let (_, keys) = app.admin().get("/admin/v1/trusted-keys").await;
    let proposed: Vec<_> = keys["items"].as_array().unwrap().iter().filter(|key| key["proposed"] == true).collect();
    assert_eq!(proposed.len(), 1, "{keys}");
    assert_eq!((&proposed[0]["name"], &proposed[0]["id"]), (&json!("somebody"), &json!(author.key_id())));
    author.trusted_by(&app).await;
    let (_, keys) = app.admin().get("/admin/v1/trusted-keys").await;
    assert!(keys["items"].as_array().unwrap().iter().all(|key| key["proposed"] == false), "{keys}");
    until_state(&app.admin(), "hello", "pending").await;
}

#[tokio::test]
async fn file_with_the_name_of_a_first_party_plugin_is_listed_as_rejected() {
    let (folder, author) = (PluginFolder::new(), Author::new());
    folder.add_signed("backup", &component(&manifest("backup", 9)), &author);
    let path = folder.path().to_str().unwrap();
    let app = TestApp::builder().first_party_plugins().var("ATLASHUB_PLUGIN_DIR", path).start().await;
    author.trusted_by(&app).await;
    let admin = app.admin();
    let listed = until_state(&admin, "backup.wasm", "rejected").await;
    assert_eq!(listed["reason"], "the name `backup` is reserved for AtlasHub's own plugins; use another name");
    assert_eq!((&listed["firstParty"], &listed["granted"], &listed["jobs"]), (&json!(false), &json!([]), &json!([])));
    let own = until_state(&admin, "backup", "active").await;
    assert_eq!((&own["firstParty"], &own["reason"]), (&json!(true), &json!(null)), "{own}");
    let (_, list) = admin.get("/admin/v1/plugins?limit=200").await;
    let names = list["items"].as_array().unwrap().iter().map(|plugin| plugin["name"].as_str().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("backup")).collect::<Vec<_>>(), ["backup", "backup.wasm"]);
    let (status, error) = admin.post("/admin/v1/plugins/backup.wasm/approve", json!({})).await;
    assert_eq!(status.as_u16(), 409, "{error}");
    eventually("the attempt is in the audit log", async || {
        let (_, audit) = admin.get("/admin/v1/audit?action=plugin.reject&limit=200").await;
        audit["items"].as_array()?.iter().any(|entry| entry["target"] == "backup.wasm").then_some(())
    })
    .await;
    folder.remove("backup");
    until_plugin(&admin, "backup.wasm", |response| response["error"]["code"] == "not_found").await;
    until_state(&admin, "backup", "active").await;
}
