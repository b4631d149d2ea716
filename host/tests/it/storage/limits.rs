//! The limit of a signed upload outlives the uploaded object, because the upload's URL outlives the object, too.

use atlashub::storage::sweep_all_projects;
use reqwest::StatusCode;
use serde_json::json;

use super::{
    multipart::send_parts,
    sweep::{backdate_records, storage_state},
};
use crate::support::{TestApp, Uploads, code, must_send, path_of, upload_request};

/// An object can be removed because it is too large, or by its owner. Its URL is valid in both cases.
#[tokio::test]
async fn limit_applies_to_a_url_that_is_used_again_after_its_object_was_removed() {
    let app = TestApp::start().await;
    let project = app.create_project("again").await;
    let secret = project.secret();
    let objects = project.path("/buckets/uploads/objects");
    app.admin().patch(&project.path("/buckets/uploads"), json!({ "maxObjectBytes": 10 })).await;
    for (path, extra, first) in [
        ("large.txt", json!({ "maxSize": 4 }), "12345678901"),
        ("once.txt", json!({ "maxSize": 4, "once": true }), "12345678901"),
        ("bucket.txt", json!({}), "12345678901"),
        ("deleted.txt", json!({ "maxSize": 4 }), "1234"),
        ("moved.txt", json!({ "maxSize": 4 }), "1234"),
    ] {
        let signed = secret.sign(path, extra).await;
        must_send(&signed, first).await;
        let key = format!("uploads/{path}");
        let status = match path {
            "deleted.txt" => secret.delete(&path_of("object", &[("objectKey", &key)])).await.0,
            "moved.txt" => {
                let to = json!({ "objectKey": key, "to": "target.txt" });
                app.admin().post(&format!("{objects}/move"), to).await.0
            }
            _ => secret.sign_download(path).await.0,
        };
        let is_removed = status == StatusCode::OK || status == StatusCode::NOT_FOUND;
        assert!(is_removed, "{path}: {status}");
        for _ in 0..2 {
            must_send(&signed, "12345678901").await;
            let (status, error) = secret.sign_download(path).await;
            assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "object_not_found"), "{path}");
        }
    }
    assert_eq!(secret.download("target.txt").await, b"1234");

    // When no URL can store an object any more, the sweep removes the records of missing objects. Objects that other
    // programs store at these paths then have no limit.
    backdate_records(&app, &project, 30).await;
    sweep_all_projects(&storage_state(&app)).await.unwrap();
    let left: Vec<String> = sqlx::query_scalar("SELECT path FROM file_metadata WHERE project_id = $1")
        .bind(&project.id)
        .fetch_all(app.app.platform())
        .await
        .unwrap();
    assert_eq!(left, ["target.txt"]);
    let bucket = format!("proj-{}", project.id);
    app.app.store().put_small(&bucket, "uploads/large.txt", "text/plain", "12345678901".into()).await.unwrap();
    assert_eq!(secret.download("large.txt").await, b"12345678901");
}

/// An upload to the path of a removed object gets a new record.
#[tokio::test]
async fn upload_signed_after_a_deletion_has_its_own_limit_and_date() {
    let app = TestApp::start().await;
    let project = app.create_project("created again").await;
    let secret = project.secret();
    let deletion = path_of("object", &[("objectKey", "uploads/x.txt")]);
    let detail = project.path("/buckets/uploads/object?objectKey=x.txt");
    secret.upload("x.txt", "twenty bytes of data").await;
    let (_, before) = app.admin().get(&detail).await;
    assert_eq!(secret.delete(&deletion).await.0, StatusCode::OK);
    let signed = secret.sign("x.txt", json!({ "maxSize": 4 })).await;
    must_send(&signed, "12345").await;
    assert_eq!(secret.sign_download("x.txt").await.0, StatusCode::NOT_FOUND);
    must_send(&signed, "1234").await;
    assert_eq!(secret.download("x.txt").await, b"1234");
    let (_, after) = app.admin().get(&detail).await;
    assert_ne!(before["createdAt"], after["createdAt"], "{after}");
}

#[tokio::test]
async fn limit_signed_with_the_secret_key_is_not_raised_by_a_publishable_key() {
    let app = TestApp::start().await;
    let project = app.create_project("raise").await;
    app.admin().patch(&project.path("/buckets/uploads"), json!({ "publishable": "both" })).await;
    let (secret, publishable) = (project.secret(), project.publishable());
    let signed = secret.sign("x.bin", json!({ "maxSize": 4 })).await;
    let sign_parts = async |size: i64| {
        let request = upload_request("x.bin", json!({ "mode": "multipart", "size": size }));
        publishable.post("/v1/storage/signed-upload", request).await
    };
    for (size, expected) in [
        (5, StatusCode::PAYLOAD_TOO_LARGE),
        (4, StatusCode::OK),
        (3, StatusCode::OK),
        (5, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let (status, body) = sign_parts(size).await;
        assert_eq!(status, expected, "{size}: {body}");
    }
    must_send(&signed, "12345").await;
    assert_eq!(secret.sign_download("x.bin").await.0, StatusCode::NOT_FOUND);
    let (status, error) = sign_parts(5).await;
    assert_eq!((status, code(&error)), (StatusCode::PAYLOAD_TOO_LARGE, "object_too_large"), "{error}");
    must_send(&signed, "1234").await;
    assert_eq!(secret.download("x.bin").await, b"1234");
    // No upload is left of the requests that were refused.
    let open = app.app.store().list_uploads(&format!("proj-{}", project.id), None).await.unwrap();
    assert_eq!(open.uploads.len(), 2);
}

#[tokio::test]
async fn limit_signed_with_the_secret_key_applies_to_earlier_uploads_of_a_publishable_key() {
    let app = TestApp::start().await;
    let project = app.create_project("first").await;
    app.admin().patch(&project.path("/buckets/uploads"), json!({ "publishable": "both" })).await;
    let (secret, publishable) = (project.secret(), project.publishable());
    let parts = publishable.sign("x.bin", json!({ "mode": "multipart", "size": 5 })).await;
    let signed = secret.sign("x.bin", json!({ "maxSize": 4 })).await;
    must_send(&signed, "12345").await;
    assert_eq!(secret.sign_download("x.bin").await.0, StatusCode::NOT_FOUND);
    let completion = send_parts(&parts, b"12345").await;
    let (status, error) = publishable.post("/v1/storage/multipart/complete", completion).await;
    assert_eq!((status, code(&error)), (StatusCode::PAYLOAD_TOO_LARGE, "object_too_large"), "{error}");
    must_send(&signed, "1234").await;
    assert_eq!(secret.download("x.bin").await, b"1234");
}

#[tokio::test]
async fn limit_signed_with_the_secret_key_is_not_prolonged_by_a_publishable_key() {
    let app = TestApp::start().await;
    let project = app.create_project("extend").await;
    app.admin().patch(&project.path("/buckets/uploads"), json!({ "publishable": "both" })).await;
    project.secret().sign("x.bin", json!({ "maxSize": 4 })).await;
    let request = |size: i64| upload_request("x.bin", json!({ "mode": "multipart", "size": size }));
    let publishable = project.publishable();
    assert_eq!(publishable.post("/v1/storage/signed-upload", request(1)).await.0, StatusCode::OK);
    // The URL of the secret key expired more than a day ago. Only the URLs of the other upload's parts are valid.
    sqlx::query(
        "UPDATE file_metadata SET owner_expires_at = owner_expires_at - interval '30 hours' WHERE project_id = $1",
    )
    .bind(&project.id)
    .execute(app.app.platform())
    .await
    .unwrap();
    let (status, body) = publishable.post("/v1/storage/signed-upload", request(5)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
}
