//! Outages of the store: requests fail within seconds with 503, and succeed again when the store is reachable.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{Proxy, TestApp, Uploads, code, must_send, path_of, upload_request};

#[tokio::test]
async fn unreachable_store_returns_503_within_seconds_and_recovers() {
    let proxy = Proxy::start().await;
    let app = TestApp::builder().var("ATLASHUB_S3_ENDPOINT", &proxy.url()).start().await;
    let project = app.create_project("outage").await;
    let secret = project.secret();
    secret.upload("x.txt", "bytes").await;
    for silent in [false, true] {
        if silent {
            proxy.accept_silently().await;
        } else {
            proxy.disconnect().await;
        }
        let download = path_of("signed-download", &[("objectKey", "uploads/x.txt")]);
        let removal = path_of("object", &[("objectKey", "uploads/x.txt")]);
        let list = path_of("list", &[("bucket", "uploads")]);
        let responses = tokio::join!(
            secret.get(&download),
            secret.post("/v1/storage/signed-upload", upload_request("y.txt", json!({}))),
            secret.get(&list),
            secret.delete(&removal),
        );
        let responses: [_; 4] = responses.into();
        // A 504 would mean that the request waited until its time limit.
        for (status, error) in responses {
            assert_eq!((status, code(&error)), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"), "{error}");
            assert!(!error.to_string().contains("127.0.0.1"), "the error reveals an internal address: {error}");
        }
        proxy.restore().await;
        assert_eq!(secret.download("x.txt").await, b"bytes", "silent: {silent}");
    }
    assert!(app.app.store().ping().await.is_ok());
}

#[tokio::test]
async fn signed_urls_work_while_the_internal_endpoint_is_down() {
    // Signed URLs use the public endpoint, so an outage of the internal one does not affect them.
    let proxy = Proxy::start().await;
    let store = crate::support::Store::shared();
    let app = TestApp::builder()
        .var("ATLASHUB_S3_ENDPOINT", &proxy.url())
        .var("ATLASHUB_S3_PUBLIC_ENDPOINT", &store.endpoint)
        .start()
        .await;
    let project = app.create_project("two ways").await;
    project.secret().upload("x.txt", "bytes").await;
    let (_, body) = project.secret().sign_download("x.txt").await;
    let signed = project.secret().sign("y.txt", json!({})).await;
    proxy.disconnect().await;
    let (status, error) = project.secret().get(&path_of("list", &[("bucket", "uploads")])).await;
    assert_eq!((status, code(&error)), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"), "{error}");
    let response = crate::support::raw().get(body["downloadUrl"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "bytes");
    must_send(&signed, "more bytes").await;
    proxy.restore().await;
    assert_eq!(project.secret().download("y.txt").await, b"more bytes");
}
