//! Dumps and objects through a real component: within the grant, whole or not at all.

use std::{collections::BTreeMap, sync::Arc};

use atlashub::{
    jobs::RunFailure,
    object_store::PLATFORM_BUCKET,
    plugins::{Grants, runtime::HostLimits},
};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use plugin_manifest::{Capability, Scope};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    backups::dump::{LARGE, dumpers, restored, until_nobody_dumps},
    support::{Store, TestApp, TestProject, eventually, guests::GuestRun},
};

/// A component that `cargo xtask plugin testing` built.
pub(crate) fn built(file: &str) -> Vec<u8> {
    let tests = std::env::current_exe().unwrap();
    let target = tests.ancestors().nth(3).unwrap();
    let path = target.join("plugins").join(file);
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; build the plugins with `cargo xtask plugin`", path.display()))
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn grants(databases: &[&str], stores: &[&str]) -> Grants {
    let scopes = BTreeMap::from([
        (Capability::Databases, Scope { databases: names(databases), ..Scope::default() }),
        (Capability::Objects, Scope { stores: names(stores), ..Scope::default() }),
        (Capability::Http, Scope::default()),
        (Capability::Secrets, Scope::default()),
    ]);
    Grants { scopes, ..Grants::default() }
}

/// A guest that does what it is told, also what it shouldn't.
async fn guest(app: &TestApp, databases: &[&str], stores: &[&str], job: &str, params: Value) -> GuestRun {
    let services = Arc::clone(app.app.capabilities());
    let bytes = built("testing/hostile.wasm");
    let mut guest = GuestRun::with(&bytes, grants(databases, stores), HostLimits::default(), services).await;
    guest.call.job = job.to_owned();
    guest.call.params = params;
    guest.under_way(app.app.platform()).await
}

async fn result(guest: &GuestRun) -> Value {
    guest.run().await.unwrap_or_else(|failure| panic!("{failure:?}")).result
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn read(app: &TestApp, bucket: &str, key: &str) -> Vec<u8> {
    let (_, bytes) = app.app.store().get(bucket, key).await.unwrap().unwrap();
    bytes.try_collect::<Vec<Bytes>>().await.unwrap().concat()
}

/// Where the project's backups are, and a key there.
fn key(project: &TestProject, name: &str) -> String {
    format!("backups/project/{}/{name}", project.id)
}

/// Neither an object nor parts of one.
async fn until_nothing_is_left(bucket: &str, key: &str) {
    let client = Store::shared().client();
    eventually("no object or upload is left", async || {
        let objects = client.list_objects_v2().bucket(bucket).prefix(key).send().await.unwrap();
        let uploads = client.list_multipart_uploads().bucket(bucket).prefix(key).send().await.unwrap();
        let (objects, uploads) = (objects.contents.unwrap_or_default(), uploads.uploads.unwrap_or_default());
        objects.is_empty() && uploads.is_empty()
    })
    .await;
}

#[tokio::test]
async fn an_object_is_copied_past_the_guest_and_through_it() {
    let app = TestApp::start().await;
    let project = app.create_project("copied").await;
    let (store, bucket) = (format!("project:{}", project.id), format!("proj-{}", project.id));
    let body: Vec<u8> = (0..12_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let put = app.app.store().put_small(&bucket, "uploads/from.bin", "a/b", Bytes::from(body.clone()));
    put.await.unwrap();
    let params = |to: &str| json!({ "fromStore": store, "fromKey": "uploads/from.bin", "toStore": store, "toKey": to });
    let forward = guest(&app, &[], &[&store], "forward", params("uploads/same.bin")).await;
    assert_eq!(result(&forward).await, json!({ "bytes": body.len(), "sha256": sha256(&body) }));
    assert!(read(&app, &bucket, "uploads/same.bin").await == body);
    let transform = guest(&app, &[], &[&store], "transform", params("uploads/inverted.bin")).await;
    let inverted: Vec<u8> = body.iter().map(|byte| !byte).collect();
    assert_eq!(result(&transform).await, json!({ "bytes": body.len(), "sha256": sha256(&inverted) }));
    assert!(read(&app, &bucket, "uploads/inverted.bin").await == inverted);
}

#[tokio::test]
async fn a_dump_through_a_plugin_is_whole() {
    let app = TestApp::start().await;
    let project = app.create_project("dumped by a plugin").await;
    project.sql(LARGE).await;
    let (database, key) = (format!("project:{}", project.id), key(&project, "whole.dump"));
    let params = json!({ "database": database, "store": "backups", "key": key });
    let answer = result(&guest(&app, &[&database], &["backups"], "dump", params).await).await;
    let archive = read(&app, PLATFORM_BUCKET, &key).await;
    assert_eq!(answer["bytes"], archive.len());
    assert_eq!(answer["sha256"], sha256(&archive));
    assert_eq!(answer["rows"]["public.large"], 200_000);
    let mut copy = restored(&archive).await;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM large").fetch_one(&mut copy).await.unwrap();
    assert_eq!(rows, 200_000);

    // Dropped instead of committed, it is thrown away.
    let thrown = self::key(&project, "thrown.dump");
    let params = json!({ "database": database, "store": "backups", "key": thrown, "commit": false });
    assert_eq!(result(&guest(&app, &[&database], &["backups"], "dump", params).await).await["committed"], false);
    until_nothing_is_left(PLATFORM_BUCKET, &thrown).await;
}

#[tokio::test]
async fn a_guest_that_traps_in_the_middle_leaves_nothing() {
    let app = TestApp::start().await;
    let project = app.create_project("traps").await;
    project.sql(LARGE).await;
    let (database, store) = (format!("project:{}", project.id), format!("project:{}", project.id));
    let bucket = format!("proj-{}", project.id);
    let body = Bytes::from(vec![7; 3 << 20]);
    app.app.store().put_small(&bucket, "uploads/whole.bin", "a/b", body).await.unwrap();
    for (of, name, key) in
        [("dump", &database, ""), ("get", &store, "uploads/whole.bin"), ("put", &store, "uploads/never.bin")]
    {
        let params = json!({ "of": of, "name": name, "key": key, "bytes": 2 << 20 });
        let guest = guest(&app, &[&database], &[&store], "trap-in-stream", params).await;
        assert!(matches!(guest.run().await, Err(RunFailure::Failed { .. })), "{of}");
    }
    until_nobody_dumps(&app, &project).await;
    until_nothing_is_left(&bucket, "uploads/never.bin").await;
}

#[tokio::test]
async fn a_cancelled_dump_leaves_nothing() {
    let app = TestApp::start().await;
    app.app.store().ensure_bucket(PLATFORM_BUCKET).await.unwrap();
    let project = app.create_project("cancelled").await;
    project.sql(LARGE).await;
    // So that it can't be over before it is cancelled.
    let mut locker = project.connect().await;
    let (database, key) = (format!("project:{}", project.id), key(&project, "cancelled.dump"));
    let params = json!({ "database": database, "store": "backups", "key": key });
    let guest = guest(&app, &[&database], &["backups"], "dump", params).await;
    sqlx::raw_sql("BEGIN; LOCK TABLE large IN ACCESS EXCLUSIVE MODE").execute(&mut locker).await.unwrap();
    let cancel = guest.cancel.clone();
    let running = tokio::spawn(async move { guest.run().await });
    // It waits for the lock.
    eventually("the backup waits for the lock", async || {
        let waiting: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND wait_event_type = 'Lock'")
                .bind(format!("proj_{}_backup", project.id))
                .fetch_one(app.app.platform())
                .await
                .unwrap();
        waiting > 0
    })
    .await;
    cancel.cancel();
    assert_eq!(running.await.unwrap(), Err(RunFailure::Cancelled));
    until_nobody_dumps(&app, &project).await;
    assert_eq!(dumpers(&project), [] as [i32; 0]);
    until_nothing_is_left(PLATFORM_BUCKET, &key).await;
}

#[tokio::test]
async fn a_grant_reaches_no_further_than_its_scope() {
    let app = TestApp::start().await;
    let (ours, other) = (app.create_project("ours").await, app.create_project("other").await);
    let (our, others) = (format!("project:{}", ours.id), format!("project:{}", other.id));
    let listed = guest(&app, &[&our], &[], "databases", json!({})).await;
    assert_eq!(result(&listed).await, json!([our]));
    let listed = result(&guest(&app, &["*"], &[], "databases", json!({})).await).await;
    assert_eq!(listed[0], "platform");
    assert!([&our, &others].iter().all(|name| listed.as_array().unwrap().contains(&json!(name))), "{listed}");

    let failure =
        async |job: &str, params: Value| guest(&app, &[&our], &["backups", &our], job, params).await.failure().await;
    let dump = |database: &str, store: &str, key: &str| json!({ "database": database, "store": store, "key": key });
    for (params, expected) in [
        (dump("platform", "backups", &key(&ours, "x")), "database `platform`"),
        (dump(&others, "backups", &key(&ours, "x")), "leaves out database"),
        (dump("postgres", "backups", &key(&ours, "x")), "is no database"),
        (dump("project:../../etc", "backups", &key(&ours, "x")), "is no database"),
        (dump(&our, &others, "uploads/x"), "leaves out store"),
        (dump(&our, "platform", "uploads/x"), "no such store"),
        (dump(&our, "backups", "logs/x"), "start with `backups/`"),
        (dump(&our, "backups", "backups/../logs/x"), ".."),
    ] {
        let message = failure("dump", params.clone()).await;
        assert!(message.contains(expected), "{params}: {message}");
    }
    // Logs of runs are in the same bucket.
    let log = format!("logs/{}.ndjson", ours.id);
    app.app.store().ensure_bucket(PLATFORM_BUCKET).await.unwrap();
    app.app.store().put_small(PLATFORM_BUCKET, &log, "a/b", Bytes::from_static(b"x")).await.unwrap();
    let keys = guest(&app, &[], &["backups"], "objects", json!({ "store": "backups" })).await;
    let keys = result(&keys).await;
    assert!(keys.as_array().unwrap().iter().all(|key| key.as_str().unwrap().starts_with("backups/")), "{keys}");
    let keys = guest(&app, &[], &["backups"], "objects", json!({ "store": "backups", "prefix": "logs/" })).await;
    assert_eq!(result(&keys).await, json!([]));
    let message = failure("read", json!({ "store": "backups", "key": log })).await;
    assert!(message.contains("backups/"), "{message}");
}

#[tokio::test]
async fn a_run_that_lost_its_lease_stores_and_removes_nothing() {
    let app = TestApp::start().await;
    let project = app.create_project("fenced").await;
    let (store, bucket) = (format!("project:{}", project.id), format!("proj-{}", project.id));
    let body = Bytes::from_static(b"some bytes");
    app.app.store().put_small(&bucket, "uploads/from.bin", "a/b", body.clone()).await.unwrap();
    let params =
        json!({ "fromStore": store, "fromKey": "uploads/from.bin", "toStore": store, "toKey": "uploads/to.bin" });
    let mut lost = guest(&app, &[], &[&store], "forward", params).await;
    lost.call.lease = uuid::Uuid::new_v4();
    let failure = lost.failure().await;
    assert!(failure.contains("doesn't hold its lease"), "{failure}");
    until_nothing_is_left(&bucket, "uploads/to.bin").await;
}
