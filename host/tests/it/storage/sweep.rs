//! What the full sweep removes, even if no request asks for it: oversize objects, records of unused uploads, and
//! abandoned multipart uploads. `staged` tests what it moves.

use atlashub::storage::{StorageState, sweep_all_projects};
use axum::extract::FromRef;
use reqwest::StatusCode;
use serde_json::json;

use super::{multipart::send_parts, start_with_faulty_store};
use crate::support::{TestApp, TestProject, Uploads, must_send};

pub fn storage_state(app: &TestApp) -> StorageState {
    StorageState::from_ref(&app.app)
}

/// Moves the records of a project back in time, as if its uploads had been signed `hours` earlier.
pub async fn backdate_records(app: &TestApp, project: &TestProject, hours: i32) {
    sqlx::query(
        "UPDATE file_metadata SET expires_at = expires_at - make_interval(hours => $2),
             owner_expires_at = owner_expires_at - make_interval(hours => $2),
             updated_at = updated_at - make_interval(hours => $2) WHERE project_id = $1",
    )
    .bind(&project.id)
    .bind(hours)
    .execute(app.app.platform())
    .await
    .unwrap();
}

async fn paths(app: &TestApp, project: &TestProject) -> Vec<(String, String)> {
    sqlx::query_as("SELECT path, state FROM file_metadata WHERE project_id = $1 ORDER BY path")
        .bind(&project.id)
        .fetch_all(app.app.platform())
        .await
        .unwrap()
}

#[tokio::test]
async fn full_sweep_removes_oversize_objects() {
    let app = TestApp::start().await;
    let project = app.create_project("sweep").await;
    let signed = project.secret().sign("large.txt", json!({ "maxSize": 3 })).await;
    must_send(&signed, "1234").await;
    let signed = project.secret().sign("right.txt", json!({ "maxSize": 3 })).await;
    must_send(&signed, "123").await;
    let report = sweep_all_projects(&storage_state(&app)).await.unwrap();
    assert_eq!((report.oversize_removed, report.confirmed, report.records_removed), (1, 1, 0));
    let bucket = format!("proj-{}", project.id);
    assert_eq!(app.app.store().head(&bucket, "uploads/large.txt").await.unwrap(), None);
    assert!(app.app.store().head(&bucket, "uploads/right.txt").await.unwrap().is_some());
    assert_eq!(
        paths(&app, &project).await,
        [("large.txt".to_owned(), "pending".to_owned()), ("right.txt".to_owned(), "stored".to_owned())],
        "the limit was removed while its URL was valid"
    );

    // A URL can be used again until it expires. After that, the full sweep compares the record once more.
    let signed = project.secret().sign("replayed.txt", json!({ "maxSize": 3 })).await;
    must_send(&signed, "123").await;
    assert_eq!(sweep_all_projects(&storage_state(&app)).await.unwrap().confirmed, 1);
    must_send(&signed, "1234").await;
    backdate_records(&app, &project, 2).await;
    let report = sweep_all_projects(&storage_state(&app)).await.unwrap();
    assert_eq!((report.checked, report.oversize_removed), (3, 1));
    assert_eq!(sweep_all_projects(&storage_state(&app)).await.unwrap().checked, 0);
}

/// The sweep reads many records at once, so a record can have changed before its object is checked.
#[tokio::test]
async fn full_sweep_keeps_an_object_whose_limit_was_raised_after_its_record_was_read() {
    let (app, store) = start_with_faulty_store().await;
    let project = app.create_project("stale").await;
    let signed = project.secret().sign("stale.txt", json!({ "maxSize": 3 })).await;
    must_send(&signed, "1234").await;
    store.pause_response("/uploads/stale.txt", 5);
    let state = storage_state(&app);
    let sweeping = tokio::spawn(async move { sweep_all_projects(&state).await });
    store.wait_until_held().await;
    assert_eq!(store.clear(), [""; 0]);
    sqlx::query("UPDATE file_metadata SET max_size = 4 WHERE project_id = $1")
        .bind(&project.id)
        .execute(app.app.platform())
        .await
        .unwrap();
    store.resume();
    let report = sweeping.await.unwrap().unwrap();
    assert_eq!((report.confirmed, report.oversize_removed), (1, 0));
    assert_eq!(project.secret().download("stale.txt").await, b"1234");
}

#[tokio::test]
async fn full_sweep_removes_records_of_unused_uploads_only() {
    let app = TestApp::start().await;
    let project = app.create_project("never came").await;
    project.secret().sign("never.txt", json!({})).await;
    let signed = project.secret().sign("came.txt", json!({})).await;
    must_send(&signed, "x").await;
    backdate_records(&app, &project, 2).await;
    // The URL has expired, but an upload that began in time may still be running.
    let report = sweep_all_projects(&storage_state(&app)).await.unwrap();
    assert_eq!((report.confirmed, report.records_removed), (1, 0));
    backdate_records(&app, &project, 24).await;
    let report = sweep_all_projects(&storage_state(&app)).await.unwrap();
    assert_eq!(report.records_removed, 1);
    assert_eq!(paths(&app, &project).await, [("came.txt".to_owned(), "stored".to_owned())]);
    assert_eq!(project.secret().download("came.txt").await, b"x");
}

#[tokio::test]
async fn full_sweep_keeps_object_whose_replacement_was_not_uploaded() {
    let app = TestApp::start().await;
    let project = app.create_project("no replacement").await;
    project.secret().upload("x.txt", "twenty bytes of data").await;
    project.secret().sign("x.txt", json!({ "upsert": true, "maxSize": 3 })).await;
    for hours in [0, 2, 30] {
        backdate_records(&app, &project, hours).await;
        assert_eq!(sweep_all_projects(&storage_state(&app)).await.unwrap().oversize_removed, 0);
    }
    assert_eq!(paths(&app, &project).await, [("x.txt".to_owned(), "stored".to_owned())]);
    assert_eq!(project.secret().download("x.txt").await, b"twenty bytes of data");
}

#[tokio::test]
async fn objects_uploaded_without_a_signed_url_have_no_limit() {
    let app = TestApp::start().await;
    let project = app.create_project("by hand").await;
    let bucket = format!("proj-{}", project.id);
    let put = async |bytes: &'static str| {
        app.app.store().put_small(&bucket, "uploads/x.txt", "text/plain", bytes.into()).await.unwrap();
    };
    put("put by hand").await;
    assert_eq!(project.secret().download("x.txt").await, b"put by hand");
    put("put by hand, and longer").await;
    assert_eq!(project.secret().download("x.txt").await, b"put by hand, and longer");
    let (status, _) = project
        .secret()
        .post("/v1/storage/signed-upload", json!({ "bucket": "uploads", "path": "x.txt", "contentType": "a/b" }))
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
    sweep_all_projects(&storage_state(&app)).await.unwrap();
    assert_eq!(project.secret().download("x.txt").await, b"put by hand, and longer");
}

#[tokio::test]
async fn multipart_uploads_are_kept_while_their_urls_are_valid() {
    let app = TestApp::start().await;
    let project = app.create_project("stale parts").await;
    let bytes = vec![1_u8; 6 << 20];
    let signed = project.secret().sign("big.bin", json!({ "mode": "multipart", "size": bytes.len() })).await;
    assert_eq!(sweep_all_projects(&storage_state(&app)).await.unwrap().uploads_aborted, 0);
    let completion = send_parts(&signed, &bytes).await;
    assert_eq!(sweep_all_projects(&storage_state(&app)).await.unwrap().uploads_aborted, 0);
    let (status, body) = project.secret().post("/v1/storage/multipart/complete", completion).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(project.secret().download("big.bin").await.len(), bytes.len());
}

#[tokio::test]
async fn store_aborts_only_multipart_uploads_that_were_created_before_the_given_time() {
    let app = TestApp::start().await;
    let project = app.create_project("stale parts").await;
    let bucket = format!("proj-{}", project.id);
    project.secret().sign("big.bin", json!({ "mode": "multipart", "size": 6 << 20 })).await;
    let store = app.app.store();
    let yesterday = chrono::Utc::now() - chrono::Duration::days(1);
    assert_eq!(store.abort_uploads(&bucket, Some(yesterday)).await.unwrap(), 0);
    let soon = chrono::Utc::now() + chrono::Duration::minutes(1);
    assert_eq!(store.abort_uploads(&bucket, Some(soon)).await.unwrap(), 1);
    assert_eq!(store.abort_uploads(&bucket, None).await.unwrap(), 0);
}
