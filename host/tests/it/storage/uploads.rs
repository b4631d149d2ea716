//! Signed uploads: the store enforces the signed conditions, and existing objects are not replaced by accident.

use reqwest::{Method, StatusCode, header};
use serde_json::json;

use crate::support::{Store, TestApp, Uploads, code, must_send, raw, send, upload_request};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn upload_with_content_type_only_can_be_downloaded() {
    let app = TestApp::start().await;
    let project = app.create_project("files").await;
    let request = json!({ "bucket": "uploads", "path": "notes/x.png", "contentType": "image/png", "maxSize": 1000 });
    let (status, signed) = project.secret().post("/v1/storage/signed-upload", request).await;
    assert_eq!(status, StatusCode::OK, "{signed}");
    assert_eq!(signed["objectKey"], "uploads/notes/x.png");
    assert_eq!(signed["method"], "PUT");
    assert_eq!(signed["headers"], json!({ "content-type": "image/png" }));
    assert_eq!(signed["expiresIn"], 3600);
    assert!(signed.get("fields").is_none() && signed.get("multipart").is_none());

    let url = signed["uploadUrl"].as_str().unwrap();
    assert!(
        url.starts_with(&format!("{}/proj-{}/uploads/notes/x.png?", Store::shared().endpoint, project.id)),
        "{url}"
    );
    let response = raw().put(url).header("content-type", "image/png").body("png bytes").send().await.unwrap();
    assert!(response.status().is_success());

    let (status, body) = project.secret().sign_download("notes/x.png").await;
    assert_eq!((status, body["expiresIn"].as_i64()), (StatusCode::OK, Some(3600)));
    let response = raw().get(body["downloadUrl"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "image/png");
    assert!(response.headers().get(header::CONTENT_DISPOSITION).is_none());
    assert_eq!(response.bytes().await.unwrap(), "png bytes");

    let row: (String, String, i64, i64, String) = sqlx::query_as(
        "SELECT state, content_type, max_size, size, uploaded_by FROM file_metadata
         WHERE project_id = $1 AND bucket = 'uploads' AND path = 'notes/x.png'",
    )
    .bind(&project.id)
    .fetch_one(app.app.platform())
    .await
    .unwrap();
    assert_eq!(row, ("stored".into(), "image/png".into(), 1000, 9, "secret".into()));
}

#[tokio::test]
async fn unicode_and_special_characters_in_paths_round_trip() {
    let app = TestApp::start().await;
    let project = app.create_project("names").await;
    let long = format!("{}/{}", "d".repeat(500), "f".repeat(500));
    let paths = ["a b/ünï 日本語 🦀.txt", "100%.txt", "a+b&c=d?e#f;g", "it's (1)~!@$,:*.txt", "%41", long.as_str()];
    for path in paths {
        project.secret().upload(path, path.to_owned()).await;
        assert_eq!(project.secret().download(path).await, path.as_bytes(), "{path}");
    }
}

#[tokio::test]
async fn upload_with_other_content_type_is_rejected() {
    let app = TestApp::start().await;
    let project = app.create_project("types").await;
    let signed = project.secret().sign("x.txt", json!({})).await;
    let url = signed["uploadUrl"].as_str().unwrap();
    for content_type in [Some("text/html"), Some("text/plain; charset=utf-8"), None] {
        let mut request = raw().put(url).body("bytes");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        assert!(request.send().await.unwrap().status().is_client_error(), "{content_type:?}");
    }
    assert_eq!(project.secret().sign_download("x.txt").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn content_types_with_parameters_round_trip() {
    let app = TestApp::start().await;
    let project = app.create_project("parameters").await;
    for (path, content_type) in [
        ("a.webm", "video/webm;codecs=vp8,opus"),
        ("b.mp4", "video/mp4; codecs=\"avc1.42E01E, mp4a.40.2\""),
        ("c.txt", "text/plain; name=\"a; b \\\"c\\\"\"; charset=utf-8"),
    ] {
        let signed = project.secret().sign(path, json!({ "contentType": content_type })).await;
        assert_eq!(signed["headers"]["content-type"], content_type);
        must_send(&signed, "bytes").await;
        let (_, body) = project.secret().sign_download(path).await;
        let response = raw().get(body["downloadUrl"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], content_type);
    }
}

#[tokio::test]
async fn upload_of_other_length_than_signed_size_is_rejected() {
    let app = TestApp::start().await;
    let project = app.create_project("sizes").await;
    let signed = project.secret().sign("x.txt", json!({ "size": 5 })).await;
    assert_eq!(signed["headers"], json!({ "content-type": "text/plain", "content-length": "5" }));
    let url = signed["uploadUrl"].as_str().unwrap();
    for body in ["", "1234", "123456"] {
        let response = raw().put(url).header("content-type", "text/plain").body(body).send().await.unwrap();
        assert!(response.status().is_client_error(), "{body}");
    }
    assert_eq!(project.secret().sign_download("x.txt").await.0, StatusCode::NOT_FOUND);
    must_send(&signed, "12345").await;
    assert_eq!(project.secret().download("x.txt").await, b"12345");

    let empty = project.secret().sign("empty.txt", json!({ "size": 0 })).await;
    must_send(&empty, "").await;
    assert_eq!(project.secret().download("empty.txt").await, b"");
}

#[tokio::test]
async fn object_above_max_size_is_not_served_and_is_removed() {
    let app = TestApp::start().await;
    let project = app.create_project("large").await;
    let signed = project.secret().sign("x.txt", json!({ "maxSize": 10 })).await;
    must_send(&signed, "12345678901").await;
    let (status, error) = project.secret().sign_download("x.txt").await;
    assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "object_not_found"));
    let store = app.app.store();
    assert_eq!(store.head(&format!("proj-{}", project.id), "uploads/x.txt").await.unwrap(), None);
    let (gone, size): (bool, Option<i64>) =
        sqlx::query_as("SELECT gone, size FROM file_metadata WHERE project_id = $1")
            .bind(&project.id)
            .fetch_one(app.app.platform())
            .await
            .unwrap();
    assert_eq!((gone, size), (true, None), "the record does not say that the object is gone");

    // Signing another upload for the path also removes the object, instead of returning 409.
    let signed = project.secret().sign("x.txt", json!({ "maxSize": 10 })).await;
    must_send(&signed, "12345678901").await;
    let signed = project.secret().sign("x.txt", json!({ "maxSize": 10 })).await;
    must_send(&signed, "1234567890").await;
    assert_eq!(project.secret().download("x.txt").await, b"1234567890");
}

#[tokio::test]
async fn request_above_the_buckets_limit_returns_413() {
    let app = TestApp::start().await;
    let project = app.create_project("bounds").await;
    let (status, _) = app.admin().patch(&project.path("/buckets/uploads"), json!({ "maxObjectBytes": 100 })).await;
    assert_eq!(status, StatusCode::OK);
    for (extra, expected) in [
        (json!({ "maxSize": 101 }), StatusCode::PAYLOAD_TOO_LARGE),
        (json!({ "size": 101 }), StatusCode::PAYLOAD_TOO_LARGE),
        (json!({ "size": 101, "mode": "multipart" }), StatusCode::PAYLOAD_TOO_LARGE),
        (json!({ "maxSize": 101, "mode": "post" }), StatusCode::PAYLOAD_TOO_LARGE),
        (json!({ "maxSize": 10, "size": 11 }), StatusCode::PAYLOAD_TOO_LARGE),
        (json!({ "maxSize": 100, "size": 100 }), StatusCode::OK),
    ] {
        let request = upload_request("x.txt", extra.clone());
        let (status, body) = project.secret().post("/v1/storage/signed-upload", request).await;
        assert_eq!(status, expected, "{extra}: {body}");
        if expected != StatusCode::OK {
            assert_eq!(code(&body), "object_too_large");
        }
    }
    // Without `maxSize`, the bucket's limit applies.
    let signed = project.secret().sign("y.txt", json!({})).await;
    must_send(&signed, "x".repeat(101)).await;
    assert_eq!(project.secret().sign_download("y.txt").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn existing_object_without_upsert_returns_409() {
    let app = TestApp::start().await;
    let project = app.create_project("conflicts").await;
    project.secret().upload("x.txt", "first").await;
    let (status, error) = project.secret().post("/v1/storage/signed-upload", upload_request("x.txt", json!({}))).await;
    assert_eq!((status, code(&error)), (StatusCode::CONFLICT, "object_exists"));
    let signed = project.secret().sign("x.txt", json!({ "upsert": true })).await;
    must_send(&signed, "second").await;
    assert_eq!(project.secret().download("x.txt").await, b"second");
}

/// A smaller limit for a replacement must not remove the existing object.
#[tokio::test]
async fn unused_replacement_url_leaves_the_object_unchanged() {
    let app = TestApp::start().await;
    let project = app.create_project("keeps").await;
    project.secret().upload("x.txt", "twenty bytes of data").await;
    let signed = project.secret().sign("x.txt", json!({ "upsert": true, "maxSize": 10 })).await;
    assert_eq!(project.secret().download("x.txt").await, b"twenty bytes of data");
    // The limit applies to the replacement itself.
    must_send(&signed, "eleven byte").await;
    assert_eq!(project.secret().sign_download("x.txt").await.0, StatusCode::NOT_FOUND);
}

/// Two browser tabs sign uploads for one path. The smaller limit of the later upload must not remove the object of the
/// earlier upload.
#[tokio::test]
async fn two_valid_urls_for_one_path_share_the_larger_limit() {
    let app = TestApp::start().await;
    let project = app.create_project("tabs").await;
    let secret = project.secret();
    for (path, first, second) in [("a.txt", 20, 5), ("b.txt", 5, 20)] {
        for (size, expected) in [(20, StatusCode::OK), (21, StatusCode::NOT_FOUND)] {
            let path = format!("{size}/{path}");
            let signed = secret.sign(&path, json!({ "maxSize": first })).await;
            secret.sign(&path, json!({ "maxSize": second })).await;
            must_send(&signed, "x".repeat(size)).await;
            let (status, body) = secret.sign_download(&path).await;
            assert_eq!(status, expected, "{path}: {body}");
        }
    }
}

#[tokio::test]
async fn once_url_does_not_replace_an_object() {
    let app = TestApp::start().await;
    let project = app.create_project("once").await;
    let signed = project.secret().sign("x.txt", json!({ "once": true })).await;
    assert_eq!(signed["headers"], json!({ "content-type": "text/plain", "if-none-match": "*" }));
    must_send(&signed, "first").await;
    // Garage ignores the header `if-none-match`, but checks that it is sent as signed.
    if Store::shared().is_embedded() {
        assert!(send(&signed, "second").await.status().is_client_error());
        assert_eq!(project.secret().download("x.txt").await, b"first");
    }
    let signed = project.secret().sign("y.txt", json!({ "once": true })).await;
    let without = raw().put(signed["uploadUrl"].as_str().unwrap()).header("content-type", "text/plain").body("x");
    assert!(without.send().await.unwrap().status().is_client_error());
}

#[tokio::test]
async fn invalid_upload_requests_return_400() {
    let app = TestApp::start().await;
    let project = app.create_project("invalid").await;
    for (extra, expected) in [
        (json!({ "contentType": "png" }), "invalid_request"),
        (json!({ "contentType": "image/png\r\nx-evil: 1" }), "invalid_request"),
        (json!({ "bucket": "No Such" }), "invalid_request"),
        (json!({ "maxSize": 0 }), "invalid_request"),
        (json!({ "size": -1 }), "invalid_request"),
        (json!({ "once": true, "upsert": true }), "invalid_request"),
        (json!({ "mode": "multipart" }), "invalid_request"),
        (json!({ "mode": "carrier-pigeon" }), "invalid_json"),
        (json!({ "unknown": 1 }), "invalid_json"),
        (json!({ "path": 7 }), "invalid_json"),
    ] {
        let (status, error) =
            project.secret().post("/v1/storage/signed-upload", upload_request("x.txt", extra.clone())).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, expected), "{extra}");
    }
    let (status, error) =
        project.secret().post("/v1/storage/signed-upload", upload_request("x.txt", json!({ "bucket": "none" }))).await;
    assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "not_found"));
}

#[tokio::test]
async fn message_says_what_a_field_accepts() {
    let app = TestApp::start().await;
    let project = app.create_project("messages").await;
    let secret = project.secret();
    let expected = "`maxSize` must be a whole number of bytes from 1 to the bucket's maximum, not";
    for (extra, message) in [
        (json!({ "bucket": "" }), "The field `bucket` is missing.".to_owned()),
        (json!({ "maxSize": 1.5 }), format!("{expected} 1.5.")),
        (json!({ "maxSize": "5" }), format!("{expected} a string.")),
    ] {
        let (_, error) = secret.post("/v1/storage/signed-upload", upload_request("x.txt", extra)).await;
        assert_eq!(error["error"]["message"], message);
    }
    let without_bucket = json!({ "path": "x.txt", "contentType": "text/plain" });
    let (status, error) = secret.post("/v1/storage/signed-upload", without_bucket).await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"));
    assert_eq!(error["error"]["message"], "The field `bucket` is missing.");
    for (limit, found) in [("-1", "-1"), ("many", "`many`")] {
        let (status, error) = secret.get(&format!("/v1/storage/list?bucket=uploads&limit={limit}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(error["error"]["message"], format!("`limit` must be a whole number from 1 to 1000, not {found}."));
    }
}

/// The public endpoint is a host name that the platform itself never connects to.
#[tokio::test]
async fn urls_are_signed_for_the_public_endpoint() {
    let public = Store::shared().endpoint.replace("127.0.0.1", "localhost");
    let app = TestApp::builder().var("ATLASHUB_S3_PUBLIC_ENDPOINT", &public).start().await;
    let project = app.create_project("public").await;
    let signed = project.secret().sign("x.txt", json!({})).await;
    let url = signed["uploadUrl"].as_str().unwrap();
    assert!(url.starts_with(&public), "{url}");
    must_send(&signed, "bytes").await;
    assert_eq!(project.secret().download("x.txt").await, b"bytes");
    let (_, body) = project.secret().sign_download("x.txt").await;
    let elsewhere = body["downloadUrl"].as_str().unwrap().replace("localhost", "127.0.0.1");
    assert!(raw().get(elsewhere).send().await.unwrap().status().is_client_error(), "the host is not signed");
}

#[tokio::test]
async fn cors_allows_signed_urls_from_other_origins() {
    let app = TestApp::start().await;
    let project = app.create_project("browsers").await;
    let signed = project.secret().sign("x.txt", json!({})).await;
    let url = signed["uploadUrl"].as_str().unwrap();
    let preflight = raw()
        .request(Method::OPTIONS, url)
        .header(header::ORIGIN, "https://app.example.com")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "PUT")
        .header(header::ACCESS_CONTROL_REQUEST_HEADERS, "content-type")
        .send()
        .await
        .unwrap();
    assert!(preflight.status().is_success(), "{}", preflight.status());
    let allows = |name: header::HeaderName, wanted: &str| {
        let value = preflight.headers().get(&name).map(|value| value.to_str().unwrap().to_ascii_lowercase());
        value.is_some_and(|value| value == "*" || value.contains(&wanted.to_ascii_lowercase()))
    };
    assert!(allows(header::ACCESS_CONTROL_ALLOW_ORIGIN, "https://app.example.com"));
    assert!(allows(header::ACCESS_CONTROL_ALLOW_METHODS, "PUT"));
    assert!(allows(header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"));
    let put = raw()
        .put(url)
        .header(header::ORIGIN, "https://app.example.com")
        .header(header::CONTENT_TYPE, "text/plain")
        .body("bytes")
        .send()
        .await
        .unwrap();
    assert!(put.status().is_success());
    assert!(put.headers().contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    let exposed = put.headers()[header::ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap().to_ascii_lowercase();
    assert!(exposed.contains("etag"), "{exposed}");
}

/// The platform only signs URLs. It accepts no request body as large as this object, so the bytes can't pass through
/// it.
#[tokio::test]
async fn file_bytes_do_not_pass_through_the_gateway() {
    let app = TestApp::start().await;
    let project = app.create_project("direct").await;
    // This is larger than any body that the platform accepts.
    let bytes = vec![7_u8; 8 * MIB];
    project.secret().upload("big.bin", bytes.clone()).await;
    assert_eq!(project.secret().download("big.bin").await, bytes);

    let upload = project.secret().sign("other.bin", json!({})).await;
    let (_, download) = project.secret().sign_download("big.bin").await;
    for url in [&upload["uploadUrl"], &download["downloadUrl"]] {
        let url = url.as_str().unwrap();
        assert!(!url.starts_with(&app.public_url) && !url.starts_with(&app.admin_url), "{url}");
    }
    // No endpoint accepts the bytes of a file.
    let document = serde_json::to_value(atlashub::router::openapi()).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let body = operation["requestBody"]["content"].as_object();
            for content_type in body.into_iter().flat_map(|content| content.keys()) {
                assert_eq!(content_type, "application/json", "{method} {path}");
            }
        }
    }
}
