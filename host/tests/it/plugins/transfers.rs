//! Transfers of dumps and objects by a real component. They stay within the grant, and are stored completely or not at
//! all.

use std::{collections::BTreeMap, sync::Arc};

use atlashub::{
    jobs::RunFailure,
    object_store::PLATFORM_BUCKET,
    plugins::{guest::Grants, runtime::HostLimits},
};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use plugin_manifest::{Capability, Scope};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    backups::dump::{LARGE, pg_dump_processes, restored, wait_until_no_dump_is_running},
    support::{Store, TestApp, TestProject, eventually, guests::GuestRun},
};

/// Reads a component that `cargo xtask plugin` built.
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
        (Capability::Query, Scope::default()),
        (Capability::State, Scope::default()),
        (Capability::Buckets, Scope::default()),
    ]);
    Grants { scopes, ..Grants::default() }
}

/// Prepares a run of the hostile guest.
async fn guest(app: &TestApp, databases: &[&str], stores: &[&str], job: &str, params: Value) -> GuestRun {
    let services = Arc::clone(app.app.capabilities());
    let bytes = built("testing/hostile.wasm");
    let mut guest = GuestRun::with(&bytes, grants(databases, stores), HostLimits::default(), services).await;
    guest.call.job = job.to_owned();
    guest.call.params = params;
    guest.insert_as_running(app.app.platform()).await
}

async fn result(guest: &GuestRun) -> Value {
    guest.run().await.unwrap_or_else(|failure| panic!("{failure:?}")).result
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

async fn read(app: &TestApp, bucket: &str, key: &str) -> Vec<u8> {
    let (_, bytes) = app.app.store().get(bucket, key).await.unwrap().unwrap();
    bytes.try_collect::<Vec<Bytes>>().await.unwrap().concat()
}

/// Returns a key under the project's prefix in the store `backups`.
fn key(project: &TestProject, name: &str) -> String {
    format!("backups/project/{}/{name}", project.id)
}

/// Waits until no key that starts with `key` has an object or an unfinished upload.
async fn until_nothing_is_left(bucket: &str, key: &str) {
    let client = Store::shared().client();
    eventually(&format!("nothing remains at {key}"), async || {
        let objects = client.list_objects_v2().bucket(bucket).prefix(key).send().await.unwrap();
        let uploads = client.list_multipart_uploads().bucket(bucket).prefix(key).send().await.unwrap();
        objects.contents().is_empty() && uploads.uploads().is_empty()
    })
    .await;
}

#[tokio::test]
async fn object_is_copied_forwarded_and_transformed() {
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
    // Every byte passes through the guest and counts towards this limit.
    let transform = transform.limit(|limits| limits.host_call_mib = 32);
    let inverted: Vec<u8> = body.iter().map(|byte| !byte).collect();
    assert_eq!(result(&transform).await, json!({ "bytes": body.len(), "sha256": sha256(&inverted) }));
    assert!(read(&app, &bucket, "uploads/inverted.bin").await == inverted);
}

#[tokio::test]
async fn dump_through_a_plugin_is_complete() {
    let app = TestApp::start().await;
    let project = app.create_project("dumped by a plugin").await;
    project.sql(LARGE).await;
    let (database, key) = (format!("project:{}", project.id), key(&project, "whole.dump"));
    let params = json!({ "database": database, "store": "backups", "key": key });
    let dump = result(&guest(&app, &[&database], &["backups"], "dump", params).await).await;
    let archive = read(&app, PLATFORM_BUCKET, &key).await;
    assert_eq!(dump["bytes"], archive.len());
    assert_eq!(dump["sha256"], sha256(&archive));
    assert_eq!(dump["rows"]["public.large"], 200_000);
    let mut copy = restored(&archive).await;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM large").fetch_one(&mut copy).await.unwrap();
    assert_eq!(rows, 200_000);

    // An upload that is dropped instead of committed is discarded.
    let discarded = self::key(&project, "discarded.dump");
    let params = json!({ "database": database, "store": "backups", "key": discarded, "commit": false });
    assert_eq!(result(&guest(&app, &[&database], &["backups"], "dump", params).await).await["committed"], false);
    until_nothing_is_left(PLATFORM_BUCKET, &discarded).await;
}

#[tokio::test]
async fn guest_that_traps_during_a_transfer_leaves_nothing() {
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
    wait_until_no_dump_is_running(&app, &project).await;
    until_nothing_is_left(&bucket, "uploads/never.bin").await;
}

#[tokio::test]
async fn cancelled_dump_leaves_no_object() {
    let app = TestApp::start().await;
    app.app.store().ensure_bucket(PLATFORM_BUCKET).await.unwrap();
    let project = app.create_project("cancelled").await;
    project.sql(LARGE).await;
    // The lock keeps the dump from ending before it is cancelled.
    let mut locker = project.connect().await;
    let (database, key) = (format!("project:{}", project.id), key(&project, "cancelled.dump"));
    let params = json!({ "database": database, "store": "backups", "key": key });
    let guest = guest(&app, &[&database], &["backups"], "dump", params).await;
    sqlx::raw_sql("BEGIN; LOCK TABLE large IN ACCESS EXCLUSIVE MODE").execute(&mut locker).await.unwrap();
    let cancel = guest.cancel.clone();
    let running = tokio::spawn(async move { guest.run().await });
    eventually("pg_dump waits for the lock", async || {
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
    wait_until_no_dump_is_running(&app, &project).await;
    assert_eq!(pg_dump_processes(&project), [] as [i32; 0]);
    until_nothing_is_left(PLATFORM_BUCKET, &key).await;
}

#[tokio::test]
async fn calls_outside_the_granted_scope_are_denied() {
    let app = TestApp::start().await;
    let (granted, other) = (app.create_project("ours").await, app.create_project("other").await);
    let (store, other_store) = (format!("project:{}", granted.id), format!("project:{}", other.id));
    let listed = guest(&app, &[&store], &[], "databases", json!({})).await;
    assert_eq!(result(&listed).await, json!([store]));
    let listed = result(&guest(&app, &["*"], &[], "databases", json!({})).await).await;
    assert_eq!(listed[0], "platform");
    assert!([&store, &other_store].iter().all(|name| listed.as_array().unwrap().contains(&json!(name))), "{listed}");

    let failure = async |job: &str, params: Value| {
        guest(&app, &[&store], &["backups", &store], job, params).await.failure().await
    };
    let dump = |database: &str, store: &str, key: &str| json!({ "database": database, "store": store, "key": key });
    for (params, expected) in [
        (dump("platform", "backups", &key(&granted, "x")), "database `platform`"),
        (dump(&other_store, "backups", &key(&granted, "x")), "does not include database"),
        (dump("postgres", "backups", &key(&granted, "x")), "is not a database name"),
        (dump("project:../../etc", "backups", &key(&granted, "x")), "is not a database name"),
        (dump(&store, &other_store, "uploads/x"), "does not include store"),
        (dump(&store, "platform", "uploads/x"), "unknown store"),
        (dump(&store, "backups", "logs/x"), "must start with `backups/`"),
        (dump(&store, "backups", "backups/../logs/x"), ".."),
    ] {
        let message = failure("dump", params.clone()).await;
        assert!(message.contains(expected), "{params}: {message}");
    }
    // The logs of runs are in the same bucket, but not in the store.
    let log = format!("logs/{}.ndjson", granted.id);
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
async fn run_without_lease_stores_nothing() {
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
    assert!(failure.contains("no longer holds its lease"), "{failure}");
    until_nothing_is_left(&bucket, "uploads/to.bin").await;
}
