//! Sweeps that remove old data in batches.

use atlashub::{
    backups::{IncompleteReport, remove_incomplete_below},
    db::audit::{self, NewAuditEntry},
    object_store::PLATFORM_BUCKET,
    projects,
    storage::{StorageSweep, SweepReport, sweep},
};
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use reqwest::StatusCode;
use serde_json::json;
use uuid::Uuid;

use crate::{
    backups::catalogue::store_backup,
    storage::sweep::{backdate_records, storage_state},
    support::{Store, TestApp, TestProject, Uploads as _, must_send},
};

async fn paths(app: &TestApp, project: &TestProject) -> Vec<String> {
    sqlx::query_scalar("SELECT path FROM file_metadata WHERE project_id = $1 ORDER BY path")
        .bind(&project.id)
        .fetch_all(app.app.platform())
        .await
        .unwrap()
}

#[tokio::test]
async fn unused_expired_uploads_are_removed_and_completed_ones_kept() {
    let app = TestApp::start().await;
    let project = app.create_project("unused").await;
    project.secret().sign("unused.txt", json!({})).await;
    let signed = project.secret().sign("uploaded.txt", json!({})).await;
    must_send(&signed, "x").await;
    assert_eq!(sweep(&storage_state(&app), StorageSweep::ExpiredUploads).await.unwrap(), SweepReport::default());
    backdate_records(&app, &project, 30).await;
    assert_eq!(sweep(&storage_state(&app), StorageSweep::ExpiredUploads).await.unwrap().removed, 1);
    assert_eq!(paths(&app, &project).await, ["uploaded.txt"]);
    assert_eq!(project.secret().download("uploaded.txt").await, b"x");
}

#[tokio::test]
async fn objects_larger_than_their_upload_url_allows_are_removed() {
    let app = TestApp::start().await;
    let project = app.create_project("oversize").await;
    let signed = project.secret().sign("large.txt", json!({ "maxSize": 3 })).await;
    must_send(&signed, "1234").await;
    let signed = project.secret().sign("within-limit.txt", json!({ "maxSize": 3 })).await;
    must_send(&signed, "123").await;
    let report = sweep(&storage_state(&app), StorageSweep::OversizeUploads).await.unwrap();
    assert_eq!(report, SweepReport { removed: 1, freed_bytes: 4, more: false });
    assert_eq!(paths(&app, &project).await, ["large.txt", "within-limit.txt"], "a limit was not kept");
    let bucket = format!("proj-{}", project.id);
    assert_eq!(app.app.store().head(&bucket, "uploads/large.txt").await.unwrap(), None);

    // The record was compared a moment ago, but not since this upload was signed.
    let signed = project.secret().sign("within-limit.txt", json!({ "maxSize": 3, "upsert": true })).await;
    must_send(&signed, "12345").await;
    let report = sweep(&storage_state(&app), StorageSweep::OversizeUploads).await.unwrap();
    assert_eq!(report, SweepReport { removed: 1, freed_bytes: 5, more: false });
    backdate_records(&app, &project, 30).await;
    assert_eq!(sweep(&storage_state(&app), StorageSweep::ExpiredUploads).await.unwrap().removed, 2);
    assert_eq!(paths(&app, &project).await, Vec::<String>::new());
}

#[tokio::test]
async fn upload_that_a_sweep_moves_to_its_path_does_not_count_as_removed() {
    let app = TestApp::start().await;
    let project = app.create_project("moved").await;
    let open = json!({ "publishable": "both" });
    assert_eq!(app.admin().patch(&project.path("/buckets/uploads"), open).await.0, StatusCode::OK);
    for (path, kind) in [("a.txt", StorageSweep::OversizeUploads), ("b.txt", StorageSweep::ExpiredUploads)] {
        let signed = project.publishable().sign(path, json!({})).await;
        must_send(&signed, "x").await;
        assert_eq!(sweep(&storage_state(&app), kind).await.unwrap(), SweepReport::default(), "{path}");
        assert!(paths(&app, &project).await.contains(&path.to_owned()), "{path} is not listed after its move");
    }
}

#[tokio::test]
async fn metadata_of_missing_objects_is_removed() {
    let app = TestApp::start().await;
    let project = app.create_project("orphans").await;
    for path in ["deleted.txt", "existing.txt"] {
        project.secret().upload(path, "x").await;
        project.secret().download(path).await;
    }
    let bucket = format!("proj-{}", project.id);
    app.app.store().delete(&bucket, "uploads/deleted.txt").await.unwrap();
    assert_eq!(
        sweep(&storage_state(&app), StorageSweep::OrphanMetadata).await.unwrap().removed,
        0,
        "a record that was checked recently was removed"
    );
    backdate_records(&app, &project, 24 * 31).await;
    assert_eq!(sweep(&storage_state(&app), StorageSweep::OrphanMetadata).await.unwrap().removed, 1);
    assert_eq!(paths(&app, &project).await, ["existing.txt"]);
    assert_eq!(sweep(&storage_state(&app), StorageSweep::OrphanMetadata).await.unwrap(), SweepReport::default());
}

#[tokio::test]
async fn keys_expired_or_revoked_before_cutoff_are_removed() {
    let app = TestApp::start().await;
    let project = app.create_project("old keys").await;
    let create = async |name: &str| {
        let body = json!({ "type": "secret", "name": name });
        let (status, response) = app.admin().post(&project.path("/keys"), body).await;
        assert_eq!(status, StatusCode::CREATED, "{response}");
    };
    for name in ["revoked long ago", "revoked recently", "expired long ago", "active"] {
        create(name).await;
    }
    sqlx::raw_sql(
        "UPDATE api_keys SET revoked_at = now() - interval '11 days' WHERE name = 'revoked long ago';
         UPDATE api_keys SET revoked_at = now() - interval '9 days' WHERE name = 'revoked recently';
         UPDATE api_keys SET expires_at = now() - interval '11 days' WHERE name = 'expired long ago';
         UPDATE api_keys SET expires_at = now() + interval '1 day' WHERE name = 'active'",
    )
    .execute(app.app.platform())
    .await
    .unwrap();
    // A sweep removes no more than the requested number.
    assert_eq!(projects::remove_expired_or_revoked_keys(app.app.platform(), 10, 1).await.unwrap(), 1);
    assert_eq!(projects::remove_expired_or_revoked_keys(app.app.platform(), 10, 1).await.unwrap(), 1);
    assert_eq!(projects::remove_expired_or_revoked_keys(app.app.platform(), 10, 1).await.unwrap(), 0);
    let names: Vec<String> =
        sqlx::query_scalar("SELECT name FROM api_keys WHERE project_id = $1 AND name <> 'default' ORDER BY name")
            .bind(&project.id)
            .fetch_all(app.app.platform())
            .await
            .unwrap();
    assert_eq!(names, ["active", "revoked recently"]);
}

#[tokio::test]
async fn old_audit_entries_are_removed() {
    let app = TestApp::start().await;
    for action in ["test.old", "test.new"] {
        audit::record(app.app.platform(), &NewAuditEntry::new("system", action)).await.unwrap();
    }
    sqlx::query("UPDATE audit_logs SET at = now() - interval '100 days' WHERE action = 'test.old'")
        .execute(app.app.platform())
        .await
        .unwrap();
    assert_eq!(audit::remove_older(app.app.platform(), 101, 10).await.unwrap(), 0);
    assert_eq!(audit::remove_older(app.app.platform(), 99, 10).await.unwrap(), 1);
    let left: Vec<String> = sqlx::query_scalar("SELECT action FROM audit_logs WHERE action LIKE 'test.%'")
        .fetch_all(app.app.platform())
        .await
        .unwrap();
    assert_eq!(left, ["test.new"]);
}

#[tokio::test]
async fn old_incomplete_backups_are_removed() {
    let app = TestApp::start().await;
    let project = app.create_project("incomplete backups").await;
    let complete = store_backup(&app, &project, 3).await;
    let store = app.app.store();
    let prefix = format!("backups/project/{}/", project.id);
    let put = async |name: &str| {
        let key = format!("{prefix}{name}");
        store.put_small(PLATFORM_BUCKET, &key, "a/b", Bytes::from_static(b"12345")).await.unwrap();
        key
    };
    let gone = [put("no-manifest.dump").await, put("no-dump.json").await];
    // A dump whose run has not ended is kept.
    let run = Uuid::now_v7();
    sqlx::query(
        "INSERT INTO cron_job_runs (id, plugin, plugin_job, trigger, status, lease_token, lease_until, started_at)
         VALUES ($1, 'backup', 'backup', 'manual', 'running', $1, now() + interval '1 hour', now())",
    )
    .bind(run)
    .execute(app.app.platform())
    .await
    .unwrap();
    let mut kept = vec![put(&format!("20260101T000000Z-{run}.dump")).await, put("notes.txt").await];
    kept.extend([complete.object_key, complete.manifest_key]);
    // A backup that lost its manifest is still in the catalogue, so only the owner may remove its dump.
    let listed = store_backup(&app, &project, 2).await;
    let lost = store_backup(&app, &project, 4).await;
    let (status, _) = app.admin().get("/admin/v1/backups").await;
    assert_eq!(status, StatusCode::OK);
    store.delete(PLATFORM_BUCKET, &listed.manifest_key).await.unwrap();
    kept.push(listed.object_key);
    // A lost dump may return, so its manifest stays.
    store.delete(PLATFORM_BUCKET, &lost.object_key).await.unwrap();
    kept.push(lost.manifest_key);

    store.create_multipart(PLATFORM_BUCKET, &format!("{prefix}unfinished.dump"), "a/b").await.unwrap();
    let unfinished = async || {
        let uploads = Store::shared().client().list_multipart_uploads().bucket(PLATFORM_BUCKET).prefix(&prefix);
        uploads.send().await.unwrap().uploads().len()
    };

    let remove = async |before: TimeDelta| {
        remove_incomplete_below(app.app.platform(), store, &prefix, Utc::now() + before).await.unwrap()
    };
    assert_eq!(remove(-TimeDelta::hours(1)).await, IncompleteReport::default(), "objects were removed too early");
    assert_eq!(unfinished().await, 1);
    assert_eq!(remove(TimeDelta::hours(1)).await, IncompleteReport { removed: 2, freed_bytes: 10 });
    assert_eq!(unfinished().await, 0);
    let exists = async |key: &String| store.head(PLATFORM_BUCKET, key).await.unwrap().is_some();
    for key in &gone {
        assert!(!exists(key).await, "{key}");
    }
    for key in &kept {
        assert!(exists(key).await, "{key}");
    }

    sqlx::query("DELETE FROM cron_job_runs WHERE id = $1").bind(run).execute(app.app.platform()).await.unwrap();
    assert_eq!(remove(TimeDelta::hours(1)).await.removed, 1);
    assert!(!exists(&kept[0]).await);
}
