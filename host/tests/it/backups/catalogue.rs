//! The catalogue of backups, and its synchronization with the object store.

use std::sync::Arc;

use atlashub::{
    backups::{BackupManifest, ManifestTable, backup_id, list_stored_backups},
    db::DatabaseName,
    jobs::{JobRunner, RunCall, RunFailure, RunOutput, RunRefusal, RunReport},
    object_store::PLATFORM_BUCKET,
    plugins::{BackupCatalogue as _, CatalogueError, NewBackup, RunLease},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{TestApp, TestProject, code, path_of, raw};

const DUMP: &[u8] = b"PGDMP and so on";

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Stores a backup as the plugin does, with a creation time `days_ago` days ago.
pub(crate) async fn store_backup(app: &TestApp, project: &TestProject, days_ago: i64) -> NewBackup {
    // The time is rounded, because the database stores microseconds.
    let now = DateTime::from_timestamp_micros(Utc::now().timestamp_micros()).unwrap();
    let created_at = now - chrono::TimeDelta::days(days_ago);
    let stem = format!("backups/project/{}/{}-{}", project.id, created_at.format("%Y%m%dT%H%M%SZ"), Uuid::now_v7());
    let backup = NewBackup {
        target: DatabaseName::Project(project.id.clone()),
        object_key: format!("{stem}.dump"),
        manifest_key: format!("{stem}.json"),
        size_bytes: DUMP.len() as u64,
        sha256: sha256(DUMP),
        created_at,
    };
    let manifest = BackupManifest {
        target: backup.target.to_string(),
        title: Some(project.name.clone()),
        created_at,
        size_bytes: backup.size_bytes,
        encrypted: false,
        sha256: backup.sha256.clone(),
        server_version: "15.14".to_owned(),
        dump_version: Some("15.14".to_owned()),
        atlashub_version: Some("0.1.0".to_owned()),
        master_key_id: Some("k".to_owned()),
        run_id: Some(Uuid::now_v7().to_string()),
        tables: vec![ManifestTable { schema: "public".to_owned(), table: "t".to_owned(), rows: 3 }],
        objects: None,
    };
    let store = app.app.store();
    store.ensure_bucket(PLATFORM_BUCKET).await.unwrap();
    store
        .put_small(PLATFORM_BUCKET, &backup.object_key, "application/octet-stream", Bytes::from_static(DUMP))
        .await
        .unwrap();
    let text = serde_json::to_vec(&manifest).unwrap();
    store.put_small(PLATFORM_BUCKET, &backup.manifest_key, "application/json", text.into()).await.unwrap();
    backup
}

/// Lists the project's backups. Other tests share the bucket.
async fn listed(app: &TestApp, project: &TestProject) -> Vec<Value> {
    let mut items = Vec::new();
    let mut path = "/admin/v1/backups?limit=200".to_owned();
    loop {
        let (status, page) = app.admin().get(&path).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("/admin/v1/backups?limit=200&cursor={cursor}"),
            None => break,
        }
    }
    items.retain(|item| item["target"] == format!("project:{}", project.id));
    items
}

fn path(backup: &NewBackup, rest: &str) -> String {
    format!("/admin/v1/backups/{}{rest}", backup_id(&backup.object_key))
}

#[tokio::test]
async fn lost_catalogue_is_rebuilt_from_manifests() {
    let app = TestApp::start().await;
    let project = app.create_project("lost catalogue").await;
    let older = store_backup(&app, &project, 3).await;
    let newer = store_backup(&app, &project, 1).await;
    let items = listed(&app, &project).await;
    let keys: Vec<_> = items.iter().map(|item| item["objectKey"].as_str().unwrap()).collect();
    assert_eq!(keys, [newer.object_key.as_str(), older.object_key.as_str()]);
    assert_eq!(items[0]["state"], "ready");
    assert_eq!(items[0]["sizeBytes"], DUMP.len());
    assert_eq!(items[0]["sha256"], sha256(DUMP));
    assert_eq!(items[0]["title"], "lost catalogue");
    assert_eq!(items[0]["createdAt"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap(), newer.created_at);
    sqlx::query("DELETE FROM backups").execute(app.app.platform()).await.unwrap();
    assert_eq!(listed(&app, &project).await, items, "the entries differ after they were listed from the store");
    // Listing the stored backups needs no database.
    let stored = list_stored_backups(app.app.store()).await.unwrap();
    let backups: Vec<_> = stored.iter().filter(|backup| backup.manifest.target.ends_with(&project.id)).collect();
    assert_eq!(backups.len(), 2);
    assert_eq!(backups[0].manifest.tables[0].rows, 3);
}

#[tokio::test]
async fn backup_can_be_downloaded_and_deleted() {
    let app = TestApp::start().await;
    let project = app.create_project("downloaded").await;
    let backup = store_backup(&app, &project, 0).await;
    assert_eq!(listed(&app, &project).await.len(), 1);
    let (status, body) = app.admin().post(&path(&backup, "/download"), json!({})).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(body["expiresIn"], 3600);
    let response = raw().get(body["downloadUrl"].as_str().unwrap()).send().await.unwrap();
    assert!(response.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    assert_eq!(response.bytes().await.unwrap(), DUMP);

    let (status, _) = app.admin().delete(&path(&backup, "")).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    for key in [&backup.object_key, &backup.manifest_key] {
        assert_eq!(app.app.store().head(PLATFORM_BUCKET, key).await.unwrap(), None, "{key}");
    }
    assert_eq!(listed(&app, &project).await.len(), 0);
    for (status, body) in [
        app.admin().delete(&path(&backup, "")).await,
        app.admin().post(&path(&backup, "/download"), json!({})).await,
        app.admin().delete("/admin/v1/backups/not-an-id").await,
    ] {
        assert_eq!(status, StatusCode::NOT_FOUND, "{body}");
    }
}

#[tokio::test]
async fn backup_without_dump_is_missing_until_the_dump_returns() {
    let app = TestApp::start().await;
    let project = app.create_project("missing").await;
    let backup = store_backup(&app, &project, 0).await;
    assert_eq!(listed(&app, &project).await[0]["state"], "ready");
    app.app.store().delete(PLATFORM_BUCKET, &backup.object_key).await.unwrap();
    assert_eq!(listed(&app, &project).await[0]["state"], "missing");
    let (status, body) = app.admin().post(&path(&backup, "/download"), json!({})).await;
    assert_eq!((status, code(&body)), (StatusCode::NOT_FOUND, "object_not_found"));
    // Retention doesn't count the missing backup.
    let catalogue = &app.app.backups().catalogue;
    assert_eq!(catalogue.list(Some(&backup.target)).await.unwrap(), []);
    app.app.store().put_small(PLATFORM_BUCKET, &backup.object_key, "a/b", Bytes::from_static(DUMP)).await.unwrap();
    assert_eq!(listed(&app, &project).await[0]["state"], "ready");
    app.app.store().delete(PLATFORM_BUCKET, &backup.object_key).await.unwrap();
    assert_eq!(app.admin().delete(&path(&backup, "")).await.0, StatusCode::NO_CONTENT);
    assert_eq!(listed(&app, &project).await.len(), 0);
}

#[tokio::test]
async fn backup_is_recorded_only_if_its_fields_are_valid_and_match_the_stored_dump() {
    let app = TestApp::start().await;
    let project = app.create_project("recorded").await;
    let backup = store_backup(&app, &project, 0).await;
    let catalogue = &app.app.backups().catalogue;
    let run = insert_running_run(&app).await;
    let check_invalid = async |change: &dyn Fn(&mut NewBackup), expected: &str| {
        let mut invalid = backup.clone();
        change(&mut invalid);
        match catalogue.record(invalid, run).await {
            Err(CatalogueError::Invalid(message)) => assert!(message.contains(expected), "{message}"),
            other => panic!("{expected}: {other:?}"),
        }
    };
    check_invalid(&|backup| backup.size_bytes += 1, "bytes").await;
    check_invalid(&|backup| backup.sha256 = "x".to_owned(), "sha256").await;
    check_invalid(&|backup| backup.manifest_key = "backups/platform/other.json".to_owned(), "keys").await;
    check_invalid(
        &|backup| {
            backup.object_key = "backups/platform/none.dump".to_owned();
            backup.manifest_key = "backups/platform/none.json".to_owned();
        },
        "dump",
    )
    .await;
    let id = catalogue.record(backup.clone(), run).await.unwrap();
    assert_eq!(catalogue.record(backup.clone(), run).await.unwrap(), id, "the second recording has another id");
    let items = listed(&app, &project).await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["id"], id.to_string());
    assert_eq!(items[0]["runId"], run.run_id.to_string());
    assert_eq!(catalogue.find(id).await.unwrap().object_key, backup.object_key);
}

/// Inserts a running run and returns its lease.
async fn insert_running_run(app: &TestApp) -> RunLease {
    let run = RunLease { run_id: Uuid::now_v7(), lease: Uuid::new_v4() };
    // The run has a lease of a day that belongs to no scheduler, so no scheduler claims the run or ends it.
    sqlx::query(
        "INSERT INTO cron_job_runs (id, trigger, status, plugin, plugin_job, lease_token, lease_until, started_at)
         VALUES ($1, 'manual', 'running', 'backup', 'backup', $2, now() + interval '1 day', now())",
    )
    .bind(run.run_id)
    .bind(run.lease)
    .execute(app.app.platform())
    .await
    .unwrap();
    run
}

#[tokio::test]
async fn run_without_lease_records_no_backup() {
    let app = TestApp::start().await;
    let project = app.create_project("fenced").await;
    let backup = store_backup(&app, &project, 0).await;
    let run = insert_running_run(&app).await;
    let stale = RunLease { lease: Uuid::new_v4(), ..run };
    let catalogue = &app.app.backups().catalogue;
    assert!(matches!(catalogue.record(backup.clone(), stale).await, Err(CatalogueError::LeaseLost)));
    sqlx::query("UPDATE cron_job_runs SET status = 'cancelled'").execute(app.app.platform()).await.unwrap();
    assert!(matches!(catalogue.record(backup.clone(), run).await, Err(CatalogueError::LeaseLost)));
    let recorded: i64 = sqlx::query_scalar("SELECT count(*) FROM backups WHERE object_key = $1")
        .bind(&backup.object_key)
        .fetch_one(app.app.platform())
        .await
        .unwrap();
    assert_eq!(recorded, 0);
}

/// A job runner that accepts only the job `backup` of the plugin `backup`. A run ends only when it is cancelled.
struct EndlessBackupRunner;

#[async_trait::async_trait]
impl JobRunner for EndlessBackupRunner {
    async fn check(&self, plugin: &str, job: &str, params: &Value) -> Result<String, RunRefusal> {
        assert_eq!((plugin, job), ("backup", "backup"));
        assert!(params["target"].is_string(), "{params}");
        Ok(job.to_owned())
    }

    async fn run(
        &self,
        _call: RunCall,
        _output: Arc<dyn RunOutput>,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure> {
        cancel.cancelled().await;
        Err(RunFailure::Cancelled)
    }
}

#[tokio::test]
async fn creating_a_backup_starts_a_run_of_the_plugin() {
    let app = TestApp::builder().runner(Arc::new(EndlessBackupRunner)).start().await;
    let project = app.create_project("by hand").await;
    for target in ["all", "platform", &format!("project:{}", project.id)] {
        let (status, body) = app.admin().post("/admin/v1/backups", json!({ "target": target })).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        let (status, run) = app.admin().get(&format!("/admin/v1/runs/{}", body["runId"].as_str().unwrap())).await;
        assert_eq!(status, StatusCode::OK, "{run}");
        assert_eq!(
            (&run["plugin"], &run["trigger"], &run["jobId"]),
            (&json!("backup"), &json!("manual"), &Value::Null)
        );
    }
    for (target, expected) in [
        ("", StatusCode::BAD_REQUEST),
        ("project:", StatusCode::BAD_REQUEST),
        ("project:nosuchproject", StatusCode::NOT_FOUND),
        // Too short for the id of a project.
        ("project:nope", StatusCode::NOT_FOUND),
    ] {
        let (status, body) = app.admin().post("/admin/v1/backups", json!({ "target": target })).await;
        assert_eq!(status, expected, "{target}: {body}");
    }
}

#[tokio::test]
async fn api_keys_cannot_read_backups_and_project_removal_keeps_them() {
    let app = TestApp::start().await;
    let project = app.create_project("outlived").await;
    let backup = store_backup(&app, &project, 0).await;
    for bucket in ["backups", PLATFORM_BUCKET] {
        for client in [project.secret(), project.publishable()] {
            let (status, body) =
                client.get(&path_of("signed-download", &[("bucket", bucket), ("objectKey", &backup.object_key)])).await;
            assert!(status.is_client_error(), "{status} {body}");
        }
        let (status, body) = project.secret().get(&path_of("list", &[("bucket", bucket)])).await;
        assert!(status.is_client_error(), "{status} {body}");
    }
    let (status, body) = app.admin().delete_with(&project.path(""), json!({ "confirm": "outlived" })).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    let items = listed(&app, &project).await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["title"], "outlived");
    assert_eq!(app.admin().post(&path(&backup, "/download"), json!({})).await.0, StatusCode::OK);
}

#[tokio::test]
async fn invalid_manifests_are_not_listed() {
    let app = TestApp::start().await;
    let project = app.create_project("broken manifest").await;
    let backup = store_backup(&app, &project, 0).await;
    let with = |field: &str, value: Value| {
        let mut manifest = json!({
            "target": backup.target.to_string(), "createdAt": "2026-01-01T00:00:00Z", "sizeBytes": 1,
            "sha256": backup.sha256, "serverVersion": "1",
        });
        manifest[field] = value;
        manifest.to_string()
    };
    for text in [
        String::new(),
        "{".to_owned(),
        "{}".to_owned(),
        with("target", json!("other")),
        with("sha256", json!("x")),
        with("title", json!("a\0b")),
        with("createdAt", json!("+200000-01-01T00:00:00Z")),
    ] {
        app.app
            .store()
            .put_small(PLATFORM_BUCKET, &backup.manifest_key, "a/b", Bytes::from(text.clone()))
            .await
            .unwrap();
        assert_eq!(listed(&app, &project).await.len(), 0, "{text}");
    }
    // The other fields of these manifests are valid.
    let valid = Bytes::from(with("serverVersion", json!("1")));
    app.app.store().put_small(PLATFORM_BUCKET, &backup.manifest_key, "a/b", valid).await.unwrap();
    assert_eq!(listed(&app, &project).await.len(), 1);
}

#[tokio::test]
async fn too_large_manifest_is_refused_and_does_not_hide_other_backups() {
    let app = TestApp::start().await;
    let project = app.create_project("large manifest").await;
    let (large, good) = (store_backup(&app, &project, 1).await, store_backup(&app, &project, 0).await);
    let text = vec![b' '; (16 << 20) + 1];
    app.app.store().put_small(PLATFORM_BUCKET, &large.manifest_key, "a/b", text.into()).await.unwrap();
    let items = listed(&app, &project).await;
    let keys: Vec<_> = items.iter().map(|item| item["objectKey"].as_str().unwrap()).collect();
    assert_eq!(keys, [good.object_key.as_str()]);
    let stored = list_stored_backups(app.app.store()).await.unwrap();
    assert_eq!(stored.iter().filter(|backup| backup.manifest.target.ends_with(&project.id)).count(), 1);
    match app.app.backups().catalogue.record(large, insert_running_run(&app).await).await {
        Err(CatalogueError::Invalid(message)) => assert!(message.contains("too many tables"), "{message}"),
        other => panic!("{other:?}"),
    }
}
