//! Objects of projects in backups: each content is copied once, and copies are restored, checked and swept.

use age::{secrecy::ExposeSecret as _, x25519::Identity};
use atlashub::{
    backups::{CopySweepReport, remove_incomplete_below},
    object_store::PLATFORM_BUCKET,
};
use chrono::{TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    backups::{
        end_to_end::{ended_run, listed, start_backup},
        restore::{confirm, plan, restore_of},
        verify::{state, verify},
    },
    support::{TestApp, TestProject, eventually, must_send, raw, upload_request},
};

/// A size above the maximum for objects that are read into memory, and above the size of one part of an upload.
const LARGE_BYTES: usize = 9 << 20;

pub(crate) async fn upload(project: &TestProject, path: &str, bytes: &[u8]) {
    let request = upload_request(path, json!({ "upsert": true, "maxSize": bytes.len().max(1) }));
    let (status, signed) = project.secret().post("/v1/storage/signed-upload", request).await;
    assert!(status.is_success(), "{signed}");
    must_send(&signed, bytes.to_vec()).await;
}

/// Returns the bytes and the content type of an object, as an app receives them.
pub(crate) async fn download(project: &TestProject, key: &str) -> Option<(Vec<u8>, String)> {
    let path = format!("/v1/storage/signed-download?bucket=uploads&objectKey={key}");
    let (status, signed) = project.secret().get(&path).await;
    if status == StatusCode::NOT_FOUND {
        return None;
    }
    assert_eq!(status, StatusCode::OK, "{signed}");
    let response = raw().get(signed["downloadUrl"].as_str().unwrap()).send().await.unwrap();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    Some((response.bytes().await.unwrap().to_vec(), content_type))
}

/// Starts a backup of the project with its objects. Returns the id of the run.
pub(crate) async fn start(app: &TestApp, project: &TestProject) -> String {
    let request = json!({ "target": format!("project:{}", project.id), "objects": true });
    let (status, started) = app.admin().post("/admin/v1/backups", request).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    started["runId"].as_str().unwrap().to_owned()
}

/// Backs up the project with its objects. Returns the backup as listed, and the run's result for its objects.
pub(crate) async fn back_up(app: &TestApp, project: &TestProject) -> (Value, Value) {
    let run = ended_run(app, &start(app, project).await).await;
    assert_eq!(run["status"], "success", "{run}");
    let backups = listed(app, project).await;
    let backup = backups.iter().find(|backup| backup["runId"] == run["id"]).unwrap().clone();
    (backup, run["result"]["backups"][0]["objects"].clone())
}

/// Returns the keys of the objects in the platform's bucket that begin with `prefix`.
pub(crate) async fn keys(app: &TestApp, prefix: &str) -> Vec<String> {
    match app.app.store().list_page(PLATFORM_BUCKET, prefix, 1000, None).await {
        // The first backup creates the bucket.
        Err(error) if error.is_not_found() => Vec::new(),
        page => page.unwrap().objects.into_iter().map(|object| object.key).collect(),
    }
}

pub(crate) async fn copies(app: &TestApp, project: &TestProject) -> Vec<String> {
    keys(app, &format!("backup-objects/{}/", project.id)).await
}

/// Sweeps the copies of the project, as if it were tomorrow.
pub(crate) async fn sweep(app: &TestApp, project: &TestProject) -> CopySweepReport {
    let tomorrow = Utc::now() + TimeDelta::days(1);
    app.app.backups().copies.sweep_project(&project.id, tomorrow).await.unwrap()
}

pub(crate) async fn delete(app: &TestApp, backup: &Value) {
    let path = format!("/admin/v1/backups/{}", backup["id"].as_str().unwrap());
    assert_eq!(app.admin().delete(&path).await.0, StatusCode::NO_CONTENT);
}

pub(crate) fn large() -> Vec<u8> {
    (0..LARGE_BYTES).map(|index| (index % 251) as u8).collect()
}

#[tokio::test]
async fn contents_are_copied_once() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("files").await;
    upload(&project, "a.txt", b"first").await;
    upload(&project, "b.txt", b"second").await;
    upload(&project, "large.bin", &large()).await;
    let (backup, objects) = back_up(&app, &project).await;
    let bytes = 11 + LARGE_BYTES;
    assert_eq!(objects, json!({ "count": 3, "sizeBytes": bytes, "copied": 3, "copiedBytes": bytes }));
    assert_eq!((&backup["objectCount"], &backup["objectBytes"]), (&json!(3), &json!(bytes)));
    assert_eq!(copies(&app, &project).await.len(), 3);
    upload(&project, "again.txt", b"first").await;
    upload(&project, "b.txt", b"changed").await;
    let (_, objects) = back_up(&app, &project).await;
    assert_eq!((&objects["count"], &objects["copied"], &objects["copiedBytes"]), (&json!(4), &json!(1), &json!(7)));

    // Without the cache, objects are read again, but not copied again.
    sqlx::query("DELETE FROM backup_object_cache").execute(app.app.platform()).await.unwrap();
    let (_, objects) = back_up(&app, &project).await;
    assert_eq!((&objects["count"], &objects["copied"]), (&json!(4), &json!(0)));
    assert_eq!(copies(&app, &project).await.len(), 4);
}

#[tokio::test]
async fn backup_without_the_option_copies_no_objects() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("only the database").await;
    upload(&project, "a.txt", b"first").await;
    let run = start_backup(&app, &format!("project:{}", project.id)).await;
    assert_eq!(ended_run(&app, &run).await["status"], "success");
    assert_eq!(listed(&app, &project).await[0]["objectCount"], Value::Null);
    assert_eq!(copies(&app, &project).await, Vec::<String>::new());
    let (status, body) = app.admin().post("/admin/v1/backups", json!({ "target": "platform", "objects": true })).await;
    assert_eq!((status, &body["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")));
}

#[tokio::test]
async fn restore_brings_back_missing_and_changed_objects_and_keeps_others() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("restored").await;
    for (path, bytes) in [("same.txt", b"same".as_slice()), ("gone.txt", b"gone"), ("changed.txt", b"before")] {
        upload(&project, path, bytes).await;
    }
    upload(&project, "large.bin", &large()).await;
    let (backup, _) = back_up(&app, &project).await;
    for key in ["gone.txt", "large.bin"] {
        let path = format!("/v1/storage/object?bucket=uploads&objectKey=uploads/{key}");
        assert_eq!(project.secret().delete(&path).await.0, StatusCode::OK);
    }
    // The new content has the same size.
    upload(&project, "changed.txt", b"after!").await;
    upload(&project, "new.txt", b"new").await;

    let planned = plan(&app, &backup, &project).await;
    assert_eq!(planned["plan"]["objects"]["count"], 4);
    assert!(planned["plan"]["warnings"].to_string().contains("Objects of the backup: 4"), "{planned}");
    let (restored, run) = confirm(&app, &planned, &project).await;
    assert_eq!(restored["state"], "done", "{restored}");
    let written = 4 + 6 + LARGE_BYTES;
    assert_eq!(run["result"]["objects"], json!({ "written": 3, "writtenBytes": written, "unchanged": 1 }));
    for (key, bytes) in
        [("same.txt", b"same".to_vec()), ("gone.txt", b"gone".to_vec()), ("changed.txt", b"before".to_vec())]
    {
        let expected = Some((bytes, "text/plain".to_owned()));
        assert_eq!(download(&project, &format!("uploads/{key}")).await, expected, "{key}");
    }
    assert!(download(&project, "uploads/large.bin").await.unwrap().0 == large());
    assert_eq!(download(&project, "uploads/new.txt").await.unwrap().0, b"new");
}

#[tokio::test]
async fn restore_can_leave_objects_out() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("left out").await;
    upload(&project, "a.txt", b"before").await;
    let (backup, _) = back_up(&app, &project).await;
    upload(&project, "a.txt", b"after").await;
    let path = format!("/admin/v1/backups/{}/restore", backup["id"].as_str().unwrap());
    let (status, planned) = app.admin().post(&path, json!({ "projectId": project.id, "objects": false })).await;
    assert_eq!((status, &planned["plan"]["objects"]), (StatusCode::CREATED, &Value::Null), "{planned}");
    assert_eq!(confirm(&app, &planned, &project).await.0["state"], "done");
    assert_eq!(download(&project, "uploads/a.txt").await.unwrap().0, b"after");
}

#[tokio::test]
async fn objects_are_restored_into_another_project_with_their_buckets() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let (source, target) = (app.create_project("source").await, app.create_project("target").await);
    let bucket = json!({ "name": "pictures", "maxObjectBytes": 5000 });
    assert_eq!(source.admin().post(&source.path("/buckets"), bucket).await.0, StatusCode::CREATED);
    let exposure = json!({ "publishable": "both" });
    assert_eq!(source.admin().patch(&source.path("/buckets/pictures"), exposure).await.0, StatusCode::OK);
    let request = json!({ "bucket": "pictures", "path": "x.png", "contentType": "image/png", "maxSize": 100 });
    let (_, signed) = source.secret().post("/v1/storage/signed-upload", request).await;
    must_send(&signed, b"png".to_vec()).await;
    let (backup, _) = back_up(&app, &source).await;
    let planned = plan(&app, &backup, &target).await;
    assert_eq!(confirm(&app, &planned, &target).await.0["state"], "done");

    let (_, bucket) = target.admin().get(&target.path("/buckets/pictures")).await;
    assert_eq!((&bucket["maxObjectBytes"], &bucket["objectCount"]), (&json!(5000), &json!(1)), "{bucket}");
    assert_eq!(bucket["exposure"], json!({ "publishable": "none", "signedIn": "none" }));
    let path = "/v1/storage/signed-download?bucket=pictures&objectKey=pictures/x.png";
    let (status, signed) = target.secret().get(path).await;
    assert_eq!(status, StatusCode::OK, "{signed}");
    let response = raw().get(signed["downloadUrl"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "image/png");
    assert_eq!(response.bytes().await.unwrap(), "png");
}

#[tokio::test]
async fn copies_for_recipients_reveal_nothing_and_need_the_identity() {
    let key = Identity::generate();
    let builder = TestApp::builder().first_party_plugins();
    let recipient = key.to_public().to_string();
    let app = builder.var("ATLASHUB_BACKUP_AGE_RECIPIENTS", &recipient).start().await;
    let project = app.create_project("sealed files").await;
    let content = b"the recipe of the secret sauce".repeat(1000);
    upload(&project, "secret-name.txt", &content).await;
    let (backup, objects) = back_up(&app, &project).await;
    assert_eq!(objects["copied"], 1);

    let sha256 = {
        use sha2::Digest as _;
        hex::encode(sha2::Sha256::digest(&content))
    };
    let stored = [copies(&app, &project).await, keys(&app, &format!("backups/project/{}/", project.id)).await].concat();
    assert_eq!(stored.len(), 5, "{stored:?}");
    for key in &stored {
        assert!(!key.contains(&sha256), "{key}");
        let bytes = app.app.store().get_small(PLATFORM_BUCKET, key, 1 << 20).await.unwrap();
        for text in ["secret-name", "secret sauce", &sha256] {
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{key}: {text}");
        }
    }
    let (_, objects) = back_up(&app, &project).await;
    assert_eq!(objects["copied"], 0, "an encrypted copy was not used again");

    upload(&project, "secret-name.txt", b"overwritten").await;
    let identity = key.to_string().expose_secret().to_owned();
    let path = format!("/admin/v1/backups/{}/restore", backup["id"].as_str().unwrap());
    let request = json!({ "projectId": project.id, "identity": identity });
    let (status, planned) = app.admin().post(&path, request).await;
    assert_eq!(status, StatusCode::CREATED, "{planned}");
    let confirm = format!("/admin/v1/restores/{}/confirm", planned["id"].as_str().unwrap());
    let request = json!({ "confirm": project.name, "identity": identity });
    let (status, started) = app.admin().post(&confirm, request).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    ended_run(&app, started["runId"].as_str().unwrap()).await;
    assert_eq!(restore_of(&app, &planned).await["state"], "done");
    assert!(download(&project, "uploads/secret-name.txt").await.unwrap().0 == content);
}

#[tokio::test]
async fn encrypted_backup_does_not_use_unencrypted_copies() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("later encrypted").await;
    upload(&project, "a.txt", b"content").await;
    assert_eq!(back_up(&app, &project).await.1["copied"], 1);
    let recipient = Identity::generate().to_public().to_string();
    let node = TestApp::builder().database_url(app.services.database_url.expose());
    let node = node.master_keys(&app.services.master_key, None).var("ATLASHUB_BACKUP_AGE_RECIPIENTS", &recipient);
    app.app.stop_jobs().await;
    let encrypting = node.first_party_plugins().start().await;
    assert_eq!(back_up(&encrypting, &project).await.1["copied"], 1);
    assert_eq!(copies(&app, &project).await.len(), 2);
}

#[tokio::test]
async fn sweep_removes_only_copies_that_no_backup_refers_to() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("swept").await;
    upload(&project, "both.txt", b"in both").await;
    upload(&project, "first.txt", b"only in the first").await;
    let (first, _) = back_up(&app, &project).await;
    let path = "/v1/storage/object?bucket=uploads&objectKey=uploads/first.txt";
    assert_eq!(project.secret().delete(path).await.0, StatusCode::OK);
    let (second, _) = back_up(&app, &project).await;
    assert_eq!(sweep(&app, &project).await, CopySweepReport::default());

    delete(&app, &first).await;
    assert_eq!(
        app.app.backups().copies.sweep_project(&project.id, Utc::now() - TimeDelta::hours(1)).await.unwrap().removed,
        0,
        "copies were removed too early"
    );
    assert_eq!(sweep(&app, &project).await, CopySweepReport { removed: 1, freed_bytes: 17 });
    assert_eq!(verify(&app, &second).await["status"], "success");

    delete(&app, &second).await;
    assert_eq!(sweep(&app, &project).await.removed, 1);
    assert_eq!(copies(&app, &project).await, Vec::<String>::new());
    assert_eq!(keys(&app, &format!("backups/project/{}/", project.id)).await, Vec::<String>::new());
}

#[tokio::test]
async fn sweep_removes_nothing_while_names_are_missing_or_a_backup_is_in_progress() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("not swept").await;
    upload(&project, "a.txt", b"unused").await;
    let (backup, _) = back_up(&app, &project).await;
    let names = backup["objectKey"].as_str().unwrap().replace(".dump", ".names");
    app.app.store().delete(PLATFORM_BUCKET, &names).await.unwrap();
    assert_eq!(sweep(&app, &project).await, CopySweepReport::default());

    delete(&app, &backup).await;
    let mut other = app.app.platform().acquire().await.unwrap();
    sqlx::query("SELECT pg_advisory_lock_shared(hashtextextended('atlashub object copies ' || $1, 0))")
        .bind(&project.id)
        .execute(&mut *other)
        .await
        .unwrap();
    assert_eq!(sweep(&app, &project).await, CopySweepReport::default(), "copies were swept despite the lock");
    sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut *other).await.unwrap();
    assert_eq!(sweep(&app, &project).await.removed, 1);
}

#[tokio::test]
async fn cancelled_backup_with_objects_leaves_no_backup() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("cancelled").await;
    upload(&project, "a.txt", b"content").await;
    // Takes the lock like a sweep. The backup waits for the lock.
    let mut sweeping = app.app.platform().acquire().await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(hashtextextended('atlashub object copies ' || $1, 0))")
        .bind(&project.id)
        .execute(&mut *sweeping)
        .await
        .unwrap();
    let run = start(&app, &project).await;
    let prefix = format!("backups/project/{}/", project.id);
    eventually("the dump is stored", async || (!keys(&app, &prefix).await.is_empty()).then_some(())).await;
    let (status, _) = app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
    assert!(status.is_success());
    assert_eq!(ended_run(&app, &run).await["status"], "cancelled");
    sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut *sweeping).await.unwrap();
    assert_eq!(listed(&app, &project).await, Vec::<Value>::new());
    let later = Utc::now() + TimeDelta::hours(1);
    remove_incomplete_below(app.app.platform(), app.app.store(), &prefix, later).await.unwrap();
    assert_eq!(keys(&app, &prefix).await, Vec::<String>::new());
    assert_eq!(back_up(&app, &project).await.1["count"], 1);
}

#[tokio::test]
async fn files_of_a_backup_without_a_manifest_are_removed() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("interrupted").await;
    upload(&project, "a.txt", b"content").await;
    let (backup, _) = back_up(&app, &project).await;
    // Simulates a crash after the list and before the manifest was stored.
    sqlx::query("DELETE FROM backups").execute(app.app.platform()).await.unwrap();
    let store = app.app.store();
    store.delete(PLATFORM_BUCKET, backup["manifestKey"].as_str().unwrap()).await.unwrap();
    let (prefix, later) = (format!("backups/project/{}/", project.id), Utc::now() + TimeDelta::hours(1));
    let report = remove_incomplete_below(app.app.platform(), store, &prefix, later).await.unwrap();
    assert_eq!((report.removed, keys(&app, &prefix).await), (3, Vec::new()));
    assert_eq!(sweep(&app, &project).await.removed, 1);
}

#[tokio::test]
async fn missing_and_changed_copies_are_found() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("damaged").await;
    project.sql("CREATE TABLE kept AS SELECT 1 AS id").await;
    upload(&project, "a.txt", b"content").await;
    let (backup, _) = back_up(&app, &project).await;
    upload(&project, "a.txt", b"present").await;
    let copy = copies(&app, &project).await.remove(0);
    let store = app.app.store();
    store.put_small(PLATFORM_BUCKET, &copy, "a/b", "changed".into()).await.unwrap();
    let planned = plan(&app, &backup, &project).await;
    let (restored, run) = confirm(&app, &planned, &project).await;
    assert_eq!((&run["status"], &restored["state"]), (&json!("fail"), &json!("failed")));
    let error = restored["errorText"].as_str().unwrap();
    assert!(error.contains("`uploads/a.txt` was changed") && error.contains("database was not changed"), "{error}");
    assert_eq!(download(&project, "uploads/a.txt").await.unwrap().0, b"present");

    store.delete(PLATFORM_BUCKET, &copy).await.unwrap();
    let run = verify(&app, &backup).await;
    assert_eq!(run["status"], "fail", "{run}");
    let failed = state(&app, &backup).await;
    assert_eq!(failed["state"], "failed");
    assert!(failed["errorText"].as_str().unwrap().contains("missing in the object store: 1 of 1"), "{failed}");
}

#[tokio::test]
async fn objects_that_are_never_served_are_left_out() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("not served").await;
    upload(&project, "a.txt", b"served").await;
    let request = upload_request("too-large.txt", json!({ "maxSize": 3 }));
    let (_, signed) = project.secret().post("/v1/storage/signed-upload", request).await;
    must_send(&signed, b"larger than three".to_vec()).await;
    let (store, bucket) = (app.app.store(), format!("proj-{}", project.id));
    store.put_small(&bucket, "elsewhere/x", "a/b", "in no bucket".into()).await.unwrap();
    store.put_small(&bucket, "_staged/uploads/0/1", "a/b", "staged".into()).await.unwrap();
    let (_, objects) = back_up(&app, &project).await;
    assert_eq!((&objects["count"], &objects["sizeBytes"]), (&json!(1), &json!(6)), "{objects}");
}

#[tokio::test]
async fn catalogue_rebuilt_from_storage_knows_the_objects() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("rebuilt").await;
    upload(&project, "a.txt", b"content").await;
    let (backup, _) = back_up(&app, &project).await;
    sqlx::query("DELETE FROM backups").execute(app.app.platform()).await.unwrap();
    let rebuilt = listed(&app, &project).await;
    assert_eq!((&rebuilt[0]["id"], &rebuilt[0]["objectCount"]), (&backup["id"], &json!(1)));
    assert_eq!(verify(&app, &rebuilt[0]).await["status"], "success");
}
