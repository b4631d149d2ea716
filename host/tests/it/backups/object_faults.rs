//! Backups and restores with objects that are cancelled, or during which the object store is full or cuts a request, at
//! each of their steps.

use atlashub::{backups::remove_incomplete_below, object_store::PLATFORM_BUCKET, storage::sweep_all_projects};
use chrono::{TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use super::objects::{back_up, copies, download, keys, large, start, sweep, upload};
use crate::{
    backups::{
        end_to_end::{ended_run, listed},
        restore::{confirm, plan},
        verify::verify,
    },
    support::{FaultProxy, Hang, Store, TestApp, TestProject, eventually},
};

/// The steps of a backup that store something, each with a string that its request contains.
pub(crate) const BACKUP_STEPS: [(&str, &str); 7] = [
    ("a small object is copied", "PUT /atlashub-platform/backup-objects/"),
    ("the upload of a large copy begins", "?uploads HTTP"),
    ("the first part of a large copy is sent", "partNumber=1&"),
    ("a large copy is completed", "?uploadId="),
    ("the names of the copies are stored", ".names?x-id=PutObject"),
    ("the list of objects is stored", ".objects?x-id=PutObject"),
    ("the manifest is stored", ".json?x-id=PutObject"),
];
/// The response of the embedded store if its disk is full.
const FULL: &str = "HTTP/1.1 507 Insufficient Storage\r\ncontent-type: application/xml\r\ncontent-length: 137\r\n\
    connection: close\r\n\r\n<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>InternalError</Code>\
    <Message>There is no space left for this object.</Message></Error>";

/// A project with objects. The platform's connections to the object store can be made to fail.
struct Faulty {
    app: TestApp,
    project: TestProject,
    store: FaultProxy,
}

impl Faulty {
    async fn start() -> Self {
        let (store, endpoint) = FaultProxy::before_store().await;
        let app = TestApp::builder().first_party_plugins().var("ATLASHUB_S3_ENDPOINT", &endpoint).start().await;
        let project = app.create_project("Shop").await;
        upload(&project, "a.txt", b"small").await;
        upload(&project, "large.bin", &large()).await;
        Self { app, project, store }
    }

    /// Backs the project up while the store fails. Returns the error of the run.
    async fn failed_backup(&self, step: &str) -> String {
        let run = ended_run(&self.app, &start(&self.app, &self.project).await).await;
        assert_eq!(self.store.clear(), [""; 0], "{step}: {run}");
        assert_eq!(run["status"], "fail", "{step}: {run}");
        run["errorText"].as_str().unwrap().to_owned()
    }
}

/// Asserts that the project has no backup, and that sweeps remove everything that it has in the platform's bucket.
pub(crate) async fn check_sweeps_remove_everything(app: &TestApp, project: &TestProject, step: &str) {
    assert_eq!(listed(app, project).await, Vec::<Value>::new(), "{step}");
    let (prefix, later) = (format!("backups/project/{}/", project.id), Utc::now() + TimeDelta::hours(1));
    remove_incomplete_below(app.app.platform(), app.app.store(), &prefix, later).await.unwrap();
    assert_eq!(keys(app, &prefix).await, Vec::<String>::new(), "{step}");
    assert_eq!(listed(app, project).await, Vec::<Value>::new(), "{step}");
    sweep(app, project).await;
    assert_eq!(copies(app, project).await, Vec::<String>::new(), "{step}");
    eventually("the end of the uploads", async || uploads(PLATFORM_BUCKET, &project.id).await == 0).await;
}

/// Sweeps until the project has nothing in the platform's bucket: a request that was on its way when its run was
/// cancelled may still succeed.
async fn sweep_until_nothing_is_left(app: &TestApp, project: &TestProject, step: &str) {
    let (prefix, later) = (format!("backups/project/{}/", project.id), Utc::now() + TimeDelta::hours(1));
    eventually(&format!("sweeps remove everything after: {step}"), async || {
        remove_incomplete_below(app.app.platform(), app.app.store(), &prefix, later).await.unwrap();
        sweep(app, project).await;
        keys(app, &prefix).await.is_empty()
            && copies(app, project).await.is_empty()
            && uploads(PLATFORM_BUCKET, &project.id).await == 0
    })
    .await;
}

/// Returns the number of a bucket's unfinished uploads whose key contains `text`.
pub(crate) async fn uploads(bucket: &str, text: &str) -> usize {
    let listed = Store::shared().client().list_multipart_uploads().bucket(bucket).send().await.unwrap();
    listed.uploads().iter().filter(|upload| upload.key().unwrap().contains(text)).count()
}

#[tokio::test]
async fn backup_fails_if_the_store_is_full_at_any_step_and_sweeps_remove_its_objects() {
    let faulty = Faulty::start().await;
    for (step, request) in BACKUP_STEPS {
        faulty.store.respond(request, FULL);
        let error = faulty.failed_backup(step).await;
        assert!(error.contains("no space left"), "{step}: {error}");
        check_sweeps_remove_everything(&faulty.app, &faulty.project, step).await;
    }
    assert_eq!(back_up(&faulty.app, &faulty.project).await.1["copied"], 2);
}

#[tokio::test]
async fn backup_fails_if_the_store_cuts_a_request_at_any_step_and_sweeps_remove_its_objects() {
    let faulty = Faulty::start().await;
    for (step, request) in BACKUP_STEPS {
        faulty.store.cut(request);
        let error = faulty.failed_backup(step).await;
        assert!(error.contains("can't be reached"), "{step}: {error}");
        check_sweeps_remove_everything(&faulty.app, &faulty.project, step).await;
    }
    assert_eq!(back_up(&faulty.app, &faulty.project).await.1["copied"], 2);
}

#[tokio::test]
async fn backup_cancelled_at_any_step_is_not_listed_and_sweeps_remove_its_objects() {
    let faulty = Faulty::start().await;
    let (app, project) = (&faulty.app, &faulty.project);
    let prefix = format!("backups/project/{}/", project.id);
    // The request that stores the first dump creates the bucket, so it is not the first to be held.
    for (step, request) in BACKUP_STEPS.into_iter().chain([("the dump is stored", ".dump?x-id=PutObject")]) {
        faulty.store.hold(request);
        let run = start(app, project).await;
        tokio::select! {
            biased;
            () = faulty.store.wait_until_held() => {}
            ended = ended_run(app, &run) => panic!("{step}: the run ended too early: {ended}"),
        }
        let (status, body) = app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await;
        assert!(status.is_success(), "{step}: {body}");
        let ended = ended_run(app, &run).await;
        assert_eq!(ended["status"], "cancelled", "{step}: {ended}");
        faulty.store.clear();
        faulty.store.release();
        // Without a manifest, the catalogue does not take a dump for a backup.
        assert_eq!(listed(app, project).await, Vec::<Value>::new(), "{step}");
        let manifests: Vec<_> = keys(app, &prefix).await.into_iter().filter(|key| key.ends_with(".json")).collect();
        assert_eq!(manifests, Vec::<String>::new(), "{step}");
        sweep_until_nothing_is_left(app, project, step).await;
        assert_eq!(listed(app, project).await, Vec::<Value>::new(), "{step}");
    }
    let (backup, objects) = back_up(app, project).await;
    assert_eq!((&objects["count"], &objects["copied"]), (&json!(2), &json!(2)), "{objects}");
    assert_eq!(verify(app, &backup).await["status"], "success");
}

#[tokio::test]
async fn backup_cancelled_while_it_is_recorded_is_complete_or_leaves_nothing() {
    let faulty = Faulty::start().await;
    let (app, project) = (&faulty.app, &faulty.project);
    let mut platform = PgConnection::connect(app.services.database_url.expose()).await.unwrap();
    let hang = Hang::at(&mut platform, "INSERT", "backups", "true").await;
    let run = start(app, project).await;
    hang.reached(&mut platform).await;
    // The statement that hangs holds the run's lock, so the request to cancel the run waits for it.
    let cancel = async { app.admin().post(&format!("/admin/v1/runs/{run}/cancel"), json!({})).await };
    let end = async {
        eventually("the request waits for the run's lock", async || {
            let sql = "SELECT EXISTS (SELECT FROM pg_stat_activity
                                      WHERE datname = current_database() AND wait_event_type = 'Lock')";
            sqlx::query_scalar::<_, bool>(sql).fetch_one(&mut platform).await.unwrap()
        })
        .await;
        hang.end(&mut platform).await;
    };
    let ((status, body), ()) = tokio::join!(cancel, end);
    assert!(status.is_success() || status == StatusCode::CONFLICT, "{body}");
    let ended = ended_run(app, &run).await;
    assert!(ended["status"] == "cancelled" || ended["status"] == "fail", "{ended}");
    match listed(app, project).await.as_slice() {
        [] => sweep_until_nothing_is_left(app, project, "the backup is recorded").await,
        [backup] => assert_eq!(verify(app, backup).await["status"], "success", "{backup}"),
        more => panic!("one run made several backups: {more:?}"),
    }
    assert_eq!(back_up(app, project).await.1["count"], 2);
}

#[tokio::test]
async fn backup_after_a_failed_one_uses_its_copies() {
    let faulty = Faulty::start().await;
    faulty.store.respond(".names?x-id=PutObject", FULL);
    faulty.failed_backup("names").await;
    assert_eq!(listed(&faulty.app, &faulty.project).await, Vec::<Value>::new());
    assert_eq!(copies(&faulty.app, &faulty.project).await.len(), 2);
    let (backup, objects) = back_up(&faulty.app, &faulty.project).await;
    assert_eq!((&objects["count"], &objects["copied"]), (&json!(2), &json!(0)));
    assert_eq!(verify(&faulty.app, &backup).await["status"], "success");
}

#[tokio::test]
async fn sweeps_remove_the_objects_of_a_backup_that_could_not_reach_the_store_at_its_end() {
    let faulty = Faulty::start().await;
    faulty.store.pause_response("/uploads/large.bin?x-id=GetObject", 1 << 20);
    let run = start(&faulty.app, &faulty.project).await;
    faulty.store.wait_until_held().await;
    faulty.store.clear();
    // Neither the rest of the object nor any other response arrives, so the run can't remove its dump either.
    faulty.store.cut("HTTP/1.1");
    faulty.store.close();
    let run = ended_run(&faulty.app, &run).await;
    assert_eq!(run["status"], "fail", "{run}");
    assert!(run["errorText"].as_str().unwrap().contains("object store"), "{run}");
    faulty.store.clear();
    check_sweeps_remove_everything(&faulty.app, &faulty.project, "the store is unreachable").await;
    assert_eq!(back_up(&faulty.app, &faulty.project).await.1["copied"], 2);
}

/// The steps of a restore that read or store objects, each with a string that its request contains.
pub(crate) const RESTORE_STEPS: [(&str, &str); 6] = [
    ("the list of objects is read", ".objects?x-id=GetObject"),
    ("a copy is read", "GET /atlashub-platform/backup-objects/"),
    ("a small object is restored", "/uploads/a.txt?x-id=PutObject"),
    ("the upload of a large object begins", "/uploads/large.bin?uploads"),
    ("the first part of a large object is sent", "/uploads/large.bin?x-id=UploadPart&partNumber=1&"),
    ("a large object is completed", "/uploads/large.bin?uploadId="),
];

#[tokio::test]
async fn restore_keeps_the_database_and_complete_objects_if_the_store_fails_at_any_step() {
    let faulty = Faulty::start().await;
    let project = &faulty.project;
    project.sql("CREATE TABLE items AS SELECT 1 AS id").await;
    let (backup, _) = back_up(&faulty.app, project).await;
    project.sql("INSERT INTO items VALUES (2)").await;
    for (step, request) in RESTORE_STEPS {
        upload(project, "a.txt", b"changed").await;
        upload(project, "large.bin", b"changed").await;
        let planned = plan(&faulty.app, &backup, project).await;
        if request.contains("GetObject") || request.starts_with("GET") {
            faulty.store.cut(request);
        } else {
            faulty.store.respond(request, FULL);
        }
        let (restored, run) = confirm(&faulty.app, &planned, project).await;
        assert_eq!(faulty.store.clear(), [""; 0], "{step}: {run}");
        assert_eq!((&run["status"], &restored["state"]), (&json!("fail"), &json!("failed")), "{step}: {restored}");
        let error = restored["errorText"].as_str().unwrap();
        assert!(error.contains("The database was not changed"), "{step}: {error}");
        let (status, rows) = project.secret().get("/v1/db/items?order=id").await;
        assert_eq!((status, rows["rows"].as_array().unwrap().len()), (StatusCode::OK, 2), "{step}");
        let (small, big) = (download(project, "uploads/a.txt").await, download(project, "uploads/large.bin").await);
        assert!([b"small".as_slice(), b"changed"].contains(&&*small.unwrap().0), "{step}");
        let big = big.unwrap().0;
        assert!(big == b"changed" || big == large(), "{step}: {} bytes", big.len());
        let bucket = format!("proj-{}", project.id);
        eventually("the end of the upload", async || uploads(&bucket, "large.bin").await == 0).await;
    }
    let (restored, _) = confirm(&faulty.app, &plan(&faulty.app, &backup, project).await, project).await;
    assert_eq!(restored["state"], "done");
    assert_eq!(download(project, "uploads/a.txt").await.unwrap().0, b"small");
    assert!(download(project, "uploads/large.bin").await.unwrap().0 == large());
    // A sweep removes objects that are larger than was signed for. The restored objects are not among them.
    sweep_all_projects(&faulty.app.app.backups().copies.storage).await.unwrap();
    assert!(download(project, "uploads/large.bin").await.is_some());
}
