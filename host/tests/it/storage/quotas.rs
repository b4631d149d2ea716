//! Limits on uploads that have not ended, and the removal of abandoned uploads.

use atlashub::{config::Role, object_store::PLATFORM_BUCKET, storage::abort_stale_uploads};
use chrono::{Duration, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{multipart::send_parts, sweep::storage_state};
use crate::support::{Client, Store, TestApp, TestProject, Uploads, code, must_send, upload_request};

const MIB: usize = 1 << 20;

async fn app_with_quotas() -> (TestApp, TestProject) {
    let app = TestApp::builder()
        .var("ATLASHUB_MAX_OPEN_UPLOADS", "3")
        .var("ATLASHUB_MAX_OPEN_MULTIPART_UPLOADS", "2")
        .start()
        .await;
    let project = app.create_project("quotas").await;
    app.admin().patch(&project.path("/buckets/uploads"), json!({ "publishable": "both" })).await;
    (app, project)
}

async fn try_sign(client: &Client, path: &str, extra: Value) -> (StatusCode, Value) {
    client.post("/v1/storage/signed-upload", upload_request(path, extra)).await
}

#[tokio::test]
async fn open_uploads_of_a_publishable_key_are_limited() {
    let (app, project) = app_with_quotas().await;
    let publishable = project.publishable();
    let mut signed = Vec::new();
    for number in 0..3 {
        signed.push(publishable.sign(&format!("{number}"), json!({})).await);
    }
    let response = publishable
        .request(reqwest::Method::POST, "/v1/storage/signed-upload")
        .json(&upload_request("more", json!({})))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.headers().contains_key("retry-after"));
    let error: Value = response.json().await.unwrap();
    assert_eq!(code(&error), "rate_limited");
    // Other keys have their own quotas, and the secret key has none.
    for number in 0..5 {
        project.secret().sign(&format!("secret {number}"), json!({})).await;
    }
    let (status, key) = app.admin().post(&project.path("/keys"), json!({ "name": "b", "type": "publishable" })).await;
    assert_eq!(status, StatusCode::CREATED, "{key}");
    let other = app.public().with_header("x-api-key", key["key"].as_str().unwrap());
    other.sign("other", json!({})).await;
    // An upload that has arrived is no longer open.
    must_send(&signed[0], "bytes").await;
    publishable.sign("more", json!({})).await;
    assert_eq!(try_sign(&publishable, "even more", json!({})).await.0, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(publishable.download("0").await, b"bytes");
}

#[tokio::test]
async fn open_multipart_uploads_of_a_publishable_key_are_limited() {
    let (app, project) = app_with_quotas().await;
    let publishable = project.publishable();
    let multipart = || json!({ "mode": "multipart", "size": 5 * MIB });
    let first = publishable.sign("0", multipart()).await;
    let second = publishable.sign("1", multipart()).await;
    let (status, error) = try_sign(&publishable, "2", multipart()).await;
    assert_eq!((status, code(&error)), (StatusCode::TOO_MANY_REQUESTS, "rate_limited"), "{error}");
    let uploads = app.app.store().list_uploads(&format!("proj-{}", project.id), None).await.unwrap().uploads;
    assert_eq!(uploads.len(), 2, "a refused request created an upload");
    let abort = json!({ "objectKey": "uploads/0", "uploadId": first["multipart"]["uploadId"] });
    assert_eq!(publishable.post("/v1/storage/multipart/abort", abort).await.0, StatusCode::NO_CONTENT);
    publishable.sign("2", multipart()).await;
    assert_eq!(try_sign(&publishable, "3", multipart()).await.0, StatusCode::TOO_MANY_REQUESTS);
    let completion = send_parts(&second, &vec![1; 5 * MIB]).await;
    let (status, body) = publishable.post("/v1/storage/multipart/complete", completion).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    publishable.sign("3", multipart()).await;
}

#[tokio::test]
async fn part_urls_are_signed_as_they_are_needed() {
    let app = TestApp::start().await;
    let project = app.create_project("few parts").await;
    let size = 100 * 5 * MIB + 1;
    app.admin().patch(&project.path("/buckets/uploads"), json!({ "publishable": "upload" })).await;
    let publishable = project.publishable();
    let request = json!({ "mode": "multipart", "size": size, "partSize": 5 * MIB, "partCount": 3 });
    let signed = publishable.sign("big.bin", request).await;
    assert!(signed.to_string().len() < 4096, "{}", signed.to_string().len());
    let numbers = |parts: &Value| -> Vec<(i64, i64)> {
        let parts = parts.as_array().unwrap().iter();
        parts.map(|part| (part["partNumber"].as_i64().unwrap(), part["size"].as_i64().unwrap())).collect()
    };
    let part = 5 * MIB as i64;
    assert_eq!(numbers(&signed["multipart"]["parts"]), [(1, part), (2, part), (3, part)]);
    assert_eq!(signed["multipart"]["partCount"], 101);

    let upload_id = &signed["multipart"]["uploadId"];
    let parts =
        |numbers: Value| json!({ "objectKey": "uploads/big.bin", "uploadId": upload_id, "partNumbers": numbers });
    let (status, more) = publishable.post("/v1/storage/multipart/parts", parts(json!([101, 2]))).await;
    assert_eq!(status, StatusCode::OK, "{more}");
    assert_eq!(numbers(&more["parts"]), [(2, part), (101, 1)]);
    assert!((86_000..=86_400).contains(&more["expiresIn"].as_u64().unwrap()), "{more}");
    let url = more["parts"][1]["uploadUrl"].as_str().unwrap();
    assert!(crate::support::raw().put(url).body("x").send().await.unwrap().status().is_success());
    for numbers in [json!([]), json!([0]), json!([102]), json!([1, 1]), json!([-1])] {
        let (status, error) = publishable.post("/v1/storage/multipart/parts", parts(numbers.clone())).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{numbers}");
    }
    let unknown = json!({ "objectKey": "uploads/big.bin", "uploadId": "x", "partNumbers": [1] });
    let (status, error) = publishable.post("/v1/storage/multipart/parts", unknown).await;
    assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "object_not_found"));
    let abort = json!({ "objectKey": "uploads/big.bin", "uploadId": signed["multipart"]["uploadId"] });
    publishable.post("/v1/storage/multipart/abort", abort).await;
    let (status, _) = publishable.post("/v1/storage/multipart/parts", parts(json!([1]))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

/// A multipart upload that was signed without `upsert` does not replace an object that was uploaded in the meantime.
#[tokio::test]
async fn completing_replaces_a_newer_object_only_with_upsert() {
    let app = TestApp::start().await;
    let project = app.create_project("newer").await;
    let secret = project.secret();
    for (path, upsert) in [("a", false), ("b", true)] {
        let request = json!({ "mode": "multipart", "size": 5 * MIB, "upsert": upsert });
        let signed = secret.sign(path, request).await;
        let completion = send_parts(&signed, &vec![1; 5 * MIB]).await;
        must_send(&secret.sign(path, json!({ "upsert": true })).await, "newer").await;
        let (status, body) = secret.post("/v1/storage/multipart/complete", completion).await;
        assert_eq!(status, if upsert { StatusCode::OK } else { StatusCode::CONFLICT }, "{body}");
        assert_eq!(secret.download(path).await.len(), if upsert { 5 * MIB } else { 5 });
    }
}

/// Inserts a run that started `started_minutes` ago. It belongs to no job, like a manual backup.
async fn start_run(app: &TestApp, started_minutes: i32) {
    sqlx::query(
        "INSERT INTO cron_job_runs (id, trigger, status, started_at, lease_token, lease_until, plugin, plugin_job)
         SELECT gen_random_uuid(), 'manual', 'running', now() - make_interval(mins => $1), gen_random_uuid(),
                now() + interval '1 day', 'backup', 'backup'",
    )
    .bind(started_minutes)
    .execute(app.app.platform())
    .await
    .unwrap();
}

#[tokio::test]
async fn idle_or_expired_multipart_uploads_are_aborted_unless_a_run_may_be_making_them() {
    // The test sweeps the platform bucket at a later time. In a shared store, that would abort the uploads of other
    // tests.
    let store = Store::start_separate();
    let app = TestApp::builder()
        .role(Role::Gateway)
        .var("ATLASHUB_S3_ENDPOINT", &store.endpoint)
        .var("ATLASHUB_S3_ACCESS_KEY_ID", &store.access_key)
        .var("ATLASHUB_S3_SECRET_ACCESS_KEY", &store.secret_key)
        .var("ATLASHUB_S3_REGION", &store.region)
        .start()
        .await;
    let project = app.create_project("abandoned").await;
    let bucket = format!("proj-{}", project.id);
    app.admin().patch(&project.path("/buckets/uploads"), json!({ "publishable": "upload" })).await;
    let multipart = || json!({ "mode": "multipart", "size": 5 * MIB });
    project.publishable().sign("publishable", multipart()).await;
    project.secret().sign("secret", multipart()).await;
    let (state, store) = (storage_state(&app), app.app.store());
    let open = async |bucket: &str| -> Vec<String> {
        let uploads = store.list_uploads(bucket, None).await.unwrap().uploads;
        uploads.into_iter().map(|upload| upload.key).collect()
    };
    store.ensure_bucket(PLATFORM_BUCKET).await.unwrap();
    store.create_multipart(PLATFORM_BUCKET, "backups/dead.dump", "a/b").await.unwrap();
    let after =
        async |minutes: i64| abort_stale_uploads(&state, Utc::now() + Duration::minutes(minutes)).await.unwrap();

    assert_eq!(after(29).await, 0);
    // A run that started before the upload may still be sending it, even if no part arrived for a long time.
    start_run(&app, 1).await;
    assert_eq!(after(45).await, 1);
    assert_eq!(open(&bucket).await, ["uploads/secret"]);
    assert_eq!(open(PLATFORM_BUCKET).await, ["backups/dead.dump"]);
    sqlx::query("UPDATE cron_job_runs SET status = 'fail'").execute(app.app.platform()).await.unwrap();
    start_run(&app, -10).await;
    assert_eq!(after(45).await, 1);
    assert_eq!(open(PLATFORM_BUCKET).await, [""; 0]);

    assert_eq!(after(24 * 60).await, 0);
    assert_eq!(after(26 * 60).await, 1);
    assert_eq!(open(&bucket).await, [""; 0]);
    let (status, _) = project.publishable().post("/v1/storage/signed-upload", upload_request("p", multipart())).await;
    assert_eq!(status, StatusCode::OK);
}
