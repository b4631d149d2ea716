//! Objects that change while they are backed up, and backups of one project at the same time as other backups, sweeps
//! and changes of the recipients.

use age::{secrecy::ExposeSecret as _, x25519::Identity};
use atlashub::backups::CopySweepReport;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use super::objects::{back_up, copies, delete, download, large, start, sweep, upload};
use crate::{
    backups::{
        end_to_end::{ended_run, listed},
        restore::{confirm, path_of, plan, restore_of},
        verify::verify,
    },
    support::{FaultProxy, TestApp, TestProject, eventually, must_send, until_waiting_for, upload_request},
};

/// The request that reads the large object.
const READ_LARGE: &str = "/uploads/large.bin?x-id=GetObject";
/// Number of times that a backup reads an object that keeps changing: twice in each of five attempts.
const MAX_READS: usize = 10;

/// A platform whose connections to the store can be made to pause.
async fn app_and_store() -> (TestApp, FaultProxy) {
    let (store, endpoint) = FaultProxy::before_store().await;
    let app = TestApp::builder().first_party_plugins().var("ATLASHUB_S3_ENDPOINT", &endpoint).start().await;
    (app, store)
}

async fn remove(project: &TestProject, path: &str) {
    let path = format!("/v1/storage/object?bucket=uploads&objectKey=uploads/{path}");
    assert_eq!(project.secret().delete(&path).await.0, StatusCode::OK);
}

/// Returns a large content that differs for every `version`.
fn version_of_large(version: u8) -> Vec<u8> {
    let mut bytes = large();
    bytes.push(version);
    bytes
}

/// Returns the fields of a run's warning about objects that are not in the backup.
async fn left_out(app: &TestApp, run: &Value) -> Value {
    let path = format!("/admin/v1/runs/{}/log", run["id"].as_str().unwrap());
    let (status, log) = app.admin().get(&path).await;
    assert_eq!(status, StatusCode::OK, "{log}");
    let lines = log["items"].as_array().unwrap();
    let is_warning = |line: &&Value| line["message"].as_str().unwrap().contains("not in the backup");
    lines.iter().find(is_warning).unwrap_or_else(|| panic!("{log}"))["fields"].clone()
}

/// Restores the newest backup, and asserts that it succeeds.
async fn restore_newest(app: &TestApp, project: &TestProject) {
    let backup = listed(app, project).await.remove(0);
    let (restored, run) = confirm(app, &plan(app, &backup, project).await, project).await;
    assert_eq!(restored["state"], "done", "{restored} {run}");
}

/// Makes backups wait after they have listed the objects and before they copy them.
struct PausedBackups(PgConnection);

impl PausedBackups {
    async fn begin(app: &TestApp) -> Self {
        let mut connection = PgConnection::connect(app.services.database_url.expose()).await.unwrap();
        let sql = "BEGIN; LOCK TABLE backup_object_cache IN ACCESS EXCLUSIVE MODE";
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        Self(connection)
    }

    /// Waits until this number of backups has listed objects.
    async fn reached(&mut self, count: i64) {
        until_waiting_for(&mut self.0, "backup_object_cache", count).await;
    }

    async fn end(mut self) {
        sqlx::raw_sql("COMMIT").execute(&mut self.0).await.unwrap();
    }
}

#[tokio::test]
async fn large_object_replaced_while_it_is_read_is_backed_up_as_it_is_afterwards() {
    let (app, store) = app_and_store().await;
    let project = app.create_project("replaced").await;
    upload(&project, "large.bin", &version_of_large(0)).await;
    store.pause_response(READ_LARGE, 1 << 20);
    let run = start(&app, &project).await;
    store.wait_until_held().await;
    upload(&project, "large.bin", &version_of_large(1)).await;
    assert_eq!(store.clear(), [""; 0]);
    store.resume();
    let run = ended_run(&app, &run).await;
    assert_eq!(run["status"], "success", "{run}");
    assert_eq!(run["result"]["backups"][0]["objects"]["copied"], 1, "{run}");
    assert_eq!(copies(&app, &project).await.len(), 1);
    remove(&project, "large.bin").await;
    restore_newest(&app, &project).await;
    assert!(download(&project, "uploads/large.bin").await.unwrap().0 == version_of_large(1));
}

#[tokio::test]
async fn large_object_deleted_while_it_is_read_is_not_in_the_backup() {
    let (app, store) = app_and_store().await;
    let project = app.create_project("deleted").await;
    upload(&project, "large.bin", &large()).await;
    upload(&project, "small.txt", b"small").await;
    store.pause_response(READ_LARGE, 1 << 20);
    let run = start(&app, &project).await;
    store.wait_until_held().await;
    remove(&project, "large.bin").await;
    assert_eq!(store.clear(), [""; 0]);
    store.resume();
    let run = ended_run(&app, &run).await;
    assert_eq!(run["status"], "success", "{run}");
    assert_eq!(run["result"]["backups"][0]["objects"]["count"], 1, "{run}");
    assert_eq!(left_out(&app, &run).await["deleted_meanwhile"], 1);
    assert_eq!(copies(&app, &project).await.len(), 1);
    assert_eq!(verify(&app, &listed(&app, &project).await[0]).await["status"], "success");
}

#[tokio::test]
async fn backup_of_an_object_that_keeps_changing_fails_and_names_it() {
    let (app, store) = app_and_store().await;
    let project = app.create_project("changing").await;
    upload(&project, "large.bin", &version_of_large(0)).await;
    store.pause_response(READ_LARGE, 1 << 20);
    let run = start(&app, &project).await;
    for read in 1..=MAX_READS {
        store.wait_until_held().await;
        upload(&project, "large.bin", &version_of_large(u8::try_from(read).unwrap())).await;
        store.resume();
    }
    let run = ended_run(&app, &run).await;
    assert_eq!(run["status"], "fail", "{run}");
    let error = run["errorText"].as_str().unwrap();
    assert!(error.contains("`uploads/large.bin` kept changing"), "{error}");
    assert_eq!(listed(&app, &project).await, Vec::<Value>::new());
    assert_eq!(copies(&app, &project).await, Vec::<String>::new());
    store.clear();
    assert_eq!(back_up(&app, &project).await.1["copied"], 1);
}

#[tokio::test]
async fn objects_replaced_or_deleted_after_they_were_listed_are_backed_up_as_they_are_now() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("listed").await;
    upload(&project, "deleted.txt", b"deleted").await;
    upload(&project, "replaced.txt", b"before").await;
    let oversize = upload_request("oversize.txt", json!({ "maxSize": 3, "upsert": true }));
    let (_, oversize) = project.secret().post("/v1/storage/signed-upload", oversize).await;
    must_send(&oversize, b"abc".to_vec()).await;
    upload(&project, "raised.txt", b"abc").await;
    let mut paused = PausedBackups::begin(&app).await;
    let run = start(&app, &project).await;
    paused.reached(1).await;
    remove(&project, "deleted.txt").await;
    upload(&project, "replaced.txt", b"afterwards").await;
    // The object is larger than its upload was signed for, so it is never served. The upload of the other object was
    // signed for its new size.
    must_send(&oversize, b"larger than three".to_vec()).await;
    upload(&project, "raised.txt", b"larger than three").await;
    paused.end().await;
    let run = ended_run(&app, &run).await;
    assert_eq!(run["status"], "success", "{run}");
    assert_eq!(run["result"]["backups"][0]["objects"]["count"], 2, "{run}");
    assert_eq!(left_out(&app, &run).await, json!({ "deleted_meanwhile": 1, "never_served": 1 }));
    for path in ["replaced.txt", "raised.txt"] {
        remove(&project, path).await;
    }
    restore_newest(&app, &project).await;
    for (key, bytes) in [("replaced.txt", b"afterwards".as_slice()), ("raised.txt", b"larger than three")] {
        assert_eq!(download(&project, &format!("uploads/{key}")).await.unwrap().0, bytes, "{key}");
    }
    assert_eq!(download(&project, "uploads/oversize.txt").await, None);
}

#[tokio::test]
async fn two_backups_at_once_share_copies_and_are_both_complete() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("twice").await;
    for (path, content) in [("a.txt", "first"), ("b.txt", "second"), ("c.txt", "first")] {
        upload(&project, path, content.as_bytes()).await;
    }
    let mut paused = PausedBackups::begin(&app).await;
    let runs = [start(&app, &project).await, start(&app, &project).await];
    paused.reached(2).await;
    paused.end().await;
    for run in runs {
        let run = ended_run(&app, &run).await;
        assert_eq!(run["status"], "success", "{run}");
        assert_eq!(run["result"]["backups"][0]["objects"]["count"], 3, "{run}");
    }
    assert_eq!(copies(&app, &project).await.len(), 2);
    let backups = listed(&app, &project).await;
    assert_eq!(backups.len(), 2);
    delete(&app, &backups[0]).await;
    assert_eq!(sweep(&app, &project).await, CopySweepReport::default());
    assert_eq!(verify(&app, &backups[1]).await["status"], "success");
    remove(&project, "b.txt").await;
    restore_newest(&app, &project).await;
    assert_eq!(download(&project, "uploads/b.txt").await.unwrap().0, b"second");
}

#[tokio::test]
async fn sweep_during_a_backup_removes_no_copy_that_the_backup_uses() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("swept meanwhile").await;
    upload(&project, "a.txt", b"content").await;
    let (first, _) = back_up(&app, &project).await;
    let mut paused = PausedBackups::begin(&app).await;
    let run = start(&app, &project).await;
    paused.reached(1).await;
    delete(&app, &first).await;
    assert_eq!(sweep(&app, &project).await, CopySweepReport::default(), "copies were swept during a backup");
    paused.end().await;
    let run = ended_run(&app, &run).await;
    assert_eq!(run["status"], "success", "{run}");
    assert_eq!(run["result"]["backups"][0]["objects"]["copied"], 0, "{run}");
    assert_eq!(sweep(&app, &project).await, CopySweepReport::default());
    assert_eq!(verify(&app, &listed(&app, &project).await[0]).await["status"], "success");
}

#[tokio::test]
async fn backup_after_a_change_of_recipients_uses_no_copies_for_the_previous_recipients() {
    let (old, new) = (Identity::generate(), Identity::generate());
    let recipient = |identity: &Identity| identity.to_public().to_string();
    let builder = TestApp::builder().first_party_plugins();
    let first = builder.var("ATLASHUB_BACKUP_AGE_RECIPIENTS", &recipient(&old)).start().await;
    let project = first.create_project("rotated").await;
    upload(&project, "a.txt", b"small").await;
    upload(&project, "large.bin", &large()).await;
    assert_eq!(back_up(&first, &project).await.1["copied"], 2);
    first.app.stop_jobs().await;

    let node = TestApp::builder().database_url(first.services.database_url.expose());
    let node = node.master_keys(&first.services.master_key, None).first_party_plugins();
    let second = node.var("ATLASHUB_BACKUP_AGE_RECIPIENTS", &recipient(&new)).start().await;
    let (backup, objects) = back_up(&second, &project).await;
    assert_eq!(objects["copied"], 2, "a copy for another recipient was used again");
    assert_eq!(back_up(&second, &project).await.1["copied"], 0);
    for path in ["a.txt", "large.bin"] {
        remove(&project, path).await;
    }
    let plan_with = async |identity: &Identity| {
        let path = format!("/admin/v1/backups/{}/restore", backup["id"].as_str().unwrap());
        let identity = identity.to_string().expose_secret().to_owned();
        second.admin().post(&path, json!({ "projectId": project.id, "identity": identity })).await
    };
    assert_eq!(plan_with(&old).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let (status, planned) = plan_with(&new).await;
    assert_eq!(status, StatusCode::CREATED, "{planned}");
    let request = json!({ "confirm": project.name, "identity": new.to_string().expose_secret() });
    let (status, started) = second.admin().post(&path_of(&planned, "/confirm"), request).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{started}");
    let run = ended_run(&second, started["runId"].as_str().unwrap()).await;
    assert_eq!(restore_of(&second, &planned).await["state"], "done", "{run}");
    assert_eq!(download(&project, "uploads/a.txt").await.unwrap().0, b"small");
    assert!(download(&project, "uploads/large.bin").await.unwrap().0 == large());
}

#[tokio::test]
async fn large_objects_are_copied_and_brought_back_in_parts() {
    let app = TestApp::builder().first_party_plugins().start().await;
    let project = app.create_project("parts").await;
    upload(&project, "large.bin", &large()).await;
    back_up(&app, &project).await;
    remove(&project, "large.bin").await;
    restore_newest(&app, &project).await;
    // The number of parts is a suffix of the ETag. A copy in one request would fail above the store's limit of 5 GiB.
    let copy = copies(&app, &project).await.remove(0);
    let bucket = format!("proj-{}", project.id);
    for (bucket, key) in [(atlashub::object_store::PLATFORM_BUCKET, copy.as_str()), (&bucket, "uploads/large.bin")] {
        let object = app.app.store().head(bucket, key).await.unwrap().unwrap();
        assert!(object.etag.as_deref().unwrap().trim_matches('"').ends_with("-2"), "{key}: {object:?}");
    }
}

#[tokio::test]
async fn large_object_is_not_requested_before_its_turn() {
    let (app, store) = app_and_store().await;
    let project = app.create_project("turns").await;
    upload(&project, "large-1.bin", &version_of_large(1)).await;
    upload(&project, "large-2.bin", &version_of_large(2)).await;
    upload(&project, "small.txt", b"small").await;
    for request in ["/uploads/large-1.bin?x-id=GetObject", "/uploads/large-2.bin?x-id=GetObject"] {
        store.pause_response(request, 1 << 20);
    }
    let run = start(&app, &project).await;
    store.wait_until_held().await;
    // Copying the small object takes several requests. Meanwhile, the backup could have requested both large objects.
    eventually("the small object is copied", async || copies(&app, &project).await.len() == 1).await;
    // It has requested only the first one: while that one is copied, nobody would read the response for the second one,
    // so a store might close it.
    assert_eq!(store.clear().len(), 1);
    store.resume();
    let run = ended_run(&app, &run).await;
    assert_eq!(run["result"]["backups"][0]["objects"]["copied"], 3, "{run}");
}
