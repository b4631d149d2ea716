//! Buckets that plugins list, and URLs that they sign.

use atlashub::{jobs::RunFailure, plugins::runtime::HostLimits};
use plugin_manifest::Scope;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::guests::Platform;
use crate::support::raw;

impl Platform {
    async fn buckets(&self, act: &str, key: &str, options: Value) -> Result<Value, String> {
        let mut params = json!({ "act": act, "store": self.store(), "key": key });
        params.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        match self.guest("buckets", params).await.run().await {
            Ok(report) => Ok(report.result),
            Err(RunFailure::Failed { message, .. }) => Err(message),
            Err(failure) => panic!("{failure:?}"),
        }
    }
}

/// Uploads `body` to a signed URL. Returns the status.
async fn upload(signed: &Value, body: &'static str) -> StatusCode {
    assert_eq!(signed["method"], "PUT");
    let mut request = raw().put(signed["url"].as_str().unwrap()).body(body);
    let headers = signed["headers"].as_array().unwrap();
    // The client sets the length itself.
    for header in headers.iter().filter(|header| header[0] != "content-length") {
        request = request.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
    }
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn signed_urls_upload_and_download_objects() {
    let platform = Platform::start().await;
    let signed = platform.buckets("sign-upload", "uploads/a.txt", json!({})).await.unwrap();
    assert_eq!(upload(&signed, "hello").await, StatusCode::OK);
    let download = json!({ "fileName": "ä.txt" });
    let signed = platform.buckets("sign-download", "uploads/a.txt", download).await.unwrap();
    assert_eq!(
        (&signed["method"], &signed["headers"], &signed["expiresIn"]),
        (&json!("GET"), &json!([]), &json!(3600))
    );
    let response = raw().get(signed["url"].as_str().unwrap()).send().await.unwrap();
    let disposition = response.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(disposition.contains("attachment"), "{disposition}");
    assert_eq!(response.text().await.unwrap(), "hello");
    let listed = platform.buckets("list", "", json!({})).await.unwrap();
    assert_eq!(listed, json!([["private", 0, 0], ["uploads", 1, 5]]));
    // The record says which plugin signed the upload.
    let by: String = sqlx::query_scalar("SELECT uploaded_by FROM file_metadata WHERE project_id = $1")
        .bind(&platform.project.id)
        .fetch_one(platform.app.app.platform())
        .await
        .unwrap();
    assert_eq!(by, "plugin:hostile");

    let exists = platform.buckets("sign-upload", "uploads/a.txt", json!({})).await.unwrap_err();
    assert!(exists.contains("uploads/a.txt"), "{exists}");
    let signed = platform.buckets("sign-upload", "uploads/a.txt", json!({ "replace": true, "sizeBytes": 3 })).await;
    let signed = signed.unwrap();
    assert!(upload(&signed, "longer than three").await.is_client_error());
    assert_eq!(upload(&signed, "abc").await, StatusCode::OK);
}

#[tokio::test]
async fn buckets_and_their_limits_apply_to_signed_uploads() {
    let platform = Platform::start().await;
    let (status, body) =
        platform.app.admin().patch(&platform.project.path("/buckets/uploads"), json!({ "maxObjectBytes": 1000 })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    for (act, key, options, expected) in [
        ("sign-upload", "uploads/a", json!({ "sizeBytes": 1001 }), "1000"),
        ("sign-upload", "uploads/a", json!({ "maxSizeBytes": 1001 }), "1000"),
        ("sign-upload", "uploads/a", json!({ "maxSizeBytes": 0 }), "at least 1"),
        ("sign-upload", "nowhere/a", json!({}), "no such bucket"),
        ("sign-upload", "uploads", json!({}), "must start with the name of a bucket"),
        ("sign-upload", "uploads/../private/a", json!({}), ".."),
        ("sign-download", "uploads/../private/a", json!({}), ".."),
        ("sign-download", "uploads/none", json!({}), "does not exist"),
        ("sign-download", "nowhere/none", json!({}), "no such bucket"),
        ("sign-download", "uploads/none", json!({ "fileName": "a/b" }), "downloadAs"),
    ] {
        match platform.buckets(act, key, options.clone()).await {
            Err(message) => assert!(message.to_lowercase().contains(&expected.to_lowercase()), "{key}: {message}"),
            Ok(signed) => panic!("{act} {key} {options}: {signed}"),
        }
    }
    let too_many = platform.buckets("sign-upload", "uploads/a", json!({ "count": 1001 })).await.unwrap_err();
    assert!(too_many.contains("already tried to sign 1000 uploads"), "{too_many}");
    // All these uploads have one record, because they are for one path.
    let records: i64 = sqlx::query_scalar("SELECT count(*) FROM file_metadata WHERE project_id = $1")
        .bind(&platform.project.id)
        .fetch_one(platform.app.app.platform())
        .await
        .unwrap();
    assert_eq!(records, 1);
    let params = json!({ "act": "sign-upload", "store": platform.store(), "key": "uploads/b" });
    let mut guest = platform.guest("buckets", params).await;
    guest.call.lease = uuid::Uuid::new_v4();
    assert!(guest.failure().await.contains("no longer holds its lease"));
}

#[tokio::test]
async fn calls_outside_the_grant_are_denied() {
    let platform = Platform::start().await;
    let other = platform.app.create_project("other").await;
    let (own, foreign) = (platform.store(), format!("project:{}", other.id));
    let refused = async |stores: &[&str], act: &str, store: &str| {
        let stores = stores.iter().map(|name| (*name).to_owned()).collect();
        let scope = Scope { stores, ..Scope::default() };
        let params = json!({ "act": act, "store": store, "key": "uploads/a" });
        platform.guest_with(HostLimits::default(), scope, "buckets", params).await.failure().await
    };
    for act in ["list", "sign-download", "sign-upload"] {
        let message = refused(&[&own], act, &foreign).await;
        assert!(message.contains(&format!("does not include store `{foreign}`")), "{act}: {message}");
        assert!(refused(&["*"], act, "backups").await.contains("have buckets"), "{act}");
        assert!(refused(&["*"], act, "platform").await.contains("have buckets"), "{act}");
        assert!(refused(&["*"], act, "project:nothinghere").await.contains("no such project"), "{act}");
    }
}
