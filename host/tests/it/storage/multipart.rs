//! Multipart uploads, for objects that don't fit into one request.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    projects::gate::user_token,
    support::{TestApp, TestProject, Uploads, code, raw, upload_request},
};

const MIB: usize = 1 << 20;

/// Sends every part and returns the request that completes the upload.
pub async fn send_parts(signed: &Value, bytes: &[u8]) -> Value {
    let mut parts = Vec::new();
    let mut rest = bytes;
    for part in signed["multipart"]["parts"].as_array().unwrap() {
        let (part_bytes, remaining) = rest.split_at(part["size"].as_u64().unwrap() as usize);
        rest = remaining;
        let response = raw().put(part["uploadUrl"].as_str().unwrap()).body(part_bytes.to_vec()).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.text().await.unwrap());
        let etag = response.headers()["etag"].to_str().unwrap().to_owned();
        parts.push(json!({ "partNumber": part["partNumber"], "etag": etag }));
    }
    assert!(rest.is_empty());
    json!({ "objectKey": signed["objectKey"], "uploadId": signed["multipart"]["uploadId"], "parts": parts })
}

async fn sign(project: &TestProject, path: &str, size: usize) -> Value {
    project.secret().sign(path, json!({ "mode": "multipart", "size": size, "partSize": 5 * MIB })).await
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i / 1000) as u8).collect()
}

#[tokio::test]
async fn parts_become_one_object_and_completing_is_idempotent() {
    let app = TestApp::start().await;
    let project = app.create_project("parts").await;
    let bytes = bytes(11 * MIB + 3);
    let signed = sign(&project, "big.bin", bytes.len()).await;
    assert_eq!((signed["uploadUrl"].as_str(), signed["method"].as_str()), (Some(""), Some("PUT")));
    assert_eq!(signed["expiresIn"], 86400);
    assert_eq!(signed["multipart"]["partSize"], 5 * MIB);
    let sizes: Vec<u64> =
        signed["multipart"]["parts"].as_array().unwrap().iter().map(|part| part["size"].as_u64().unwrap()).collect();
    assert_eq!(sizes, [5 * MIB as u64, 5 * MIB as u64, MIB as u64 + 3]);

    let mut completion = send_parts(&signed, &bytes).await;
    assert_eq!(
        project.secret().sign_download("big.bin").await.0,
        StatusCode::NOT_FOUND,
        "visible before it is complete"
    );
    // Parts may be listed in any order.
    completion["parts"].as_array_mut().unwrap().reverse();
    for _ in 0..2 {
        let (status, object) = project.secret().post("/v1/storage/multipart/complete", completion.clone()).await;
        assert_eq!(status, StatusCode::OK, "{object}");
        assert_eq!(object["size"], bytes.len());
        assert_eq!(object["contentType"], "text/plain");
    }
    assert_eq!(project.secret().download("big.bin").await, bytes);
}

#[tokio::test]
async fn part_of_another_length_is_rejected() {
    let app = TestApp::start().await;
    let project = app.create_project("part length").await;
    let signed = sign(&project, "big.bin", 6 * MIB).await;
    let url = signed["multipart"]["parts"][1]["uploadUrl"].as_str().unwrap();
    for length in [MIB - 1, MIB + 1] {
        let response = raw().put(url).body(vec![0; length]).send().await.unwrap();
        assert!(response.status().is_client_error(), "{length}");
    }
}

#[tokio::test]
async fn abort_with_another_object_key_leaves_the_upload_open() {
    let app = TestApp::start().await;
    let project = app.create_project("other key").await;
    let bytes = bytes(6 * MIB);
    let signed = sign(&project, "big.bin", bytes.len()).await;
    let completion = send_parts(&signed, &bytes).await;
    let upload_id = &signed["multipart"]["uploadId"];
    let abort = json!({ "objectKey": "uploads/other.bin", "uploadId": upload_id });
    let (status, error) = project.secret().post("/v1/storage/multipart/abort", abort).await;
    assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "object_not_found"), "{error}");
    // More parts can be signed only while the upload is open.
    let parts = json!({ "objectKey": signed["objectKey"], "uploadId": upload_id, "partNumbers": [1] });
    let (status, parts) = project.secret().post("/v1/storage/multipart/parts", parts).await;
    assert_eq!(status, StatusCode::OK, "{parts}");
    let (status, object) = project.secret().post("/v1/storage/multipart/complete", completion).await;
    assert_eq!(status, StatusCode::OK, "{object}");
}

#[tokio::test]
async fn aborted_upload_cannot_be_completed() {
    let app = TestApp::start().await;
    let project = app.create_project("aborts").await;
    let bytes = bytes(6 * MIB);
    let signed = sign(&project, "big.bin", bytes.len()).await;
    let completion = send_parts(&signed, &bytes).await;
    let abort = json!({ "objectKey": signed["objectKey"], "uploadId": signed["multipart"]["uploadId"] });
    let (status, _) = project.secret().post("/v1/storage/multipart/abort", abort).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, error) = project.secret().post("/v1/storage/multipart/complete", completion).await;
    assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "object_not_found"), "{error}");
    assert_eq!(project.secret().sign_download("big.bin").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn id_that_no_upload_can_have_is_not_found() {
    let app = TestApp::start().await;
    let project = app.create_project("no id").await;
    for (client, route) in [
        (project.secret(), "/v1/storage/multipart".to_owned()),
        (app.admin(), project.path("/buckets/uploads/multipart")),
    ] {
        for id in ["", "\0"] {
            for (end, extra) in [
                ("parts", json!({ "partNumbers": [1] })),
                ("complete", json!({ "parts": [{ "partNumber": 1, "etag": "\"x\"" }] })),
                ("abort", json!({})),
            ] {
                let mut body = extra;
                body["objectKey"] = json!("uploads/x.bin");
                body["uploadId"] = json!(id);
                let (status, error) = client.post(&format!("{route}/{end}"), body).await;
                assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "object_not_found"), "{route}/{end} {id:?}");
            }
        }
    }
}

#[tokio::test]
async fn completing_with_other_parts_returns_400() {
    let app = TestApp::start().await;
    let project = app.create_project("wrong parts").await;
    let bytes = bytes(6 * MIB);
    let signed = sign(&project, "big.bin", bytes.len()).await;
    let completion = send_parts(&signed, &bytes).await;
    let variants: &[(&str, Value)] = &[
        ("none", json!([])),
        ("twice the same", json!([completion["parts"][0], completion["parts"][0]])),
        ("number 0", json!([{ "partNumber": 0, "etag": "\"x\"" }])),
        (
            "another etag",
            json!([{ "partNumber": 1, "etag": "\"00000000000000000000000000000000\"" }, completion["parts"][1]]),
        ),
        ("a part that was not signed", json!([{ "partNumber": 7, "etag": completion["parts"][0]["etag"] }])),
    ];
    for (case, parts) in variants {
        let mut request = completion.clone();
        request["parts"] = parts.clone();
        let (status, error) = project.secret().post("/v1/storage/multipart/complete", request).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{case}: {error}");
    }
    let (status, _) = project.secret().post("/v1/storage/multipart/complete", completion).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn completing_without_all_parts_returns_400_and_leaves_the_upload_open() {
    let app = TestApp::start().await;
    let project = app.create_project("some parts").await;
    let bytes = bytes(11 * MIB);
    let mut signed = sign(&project, "big.bin", bytes.len()).await;
    let last = signed["multipart"]["parts"].as_array_mut().unwrap().pop().unwrap();
    let mut completion = send_parts(&signed, &bytes[..10 * MIB]).await;
    let admin_path = project.path("/buckets/uploads/multipart/complete");
    let first = json!([completion["parts"][0]]);
    for parts in [first, completion["parts"].clone()] {
        let mut request = completion.clone();
        request["parts"] = parts;
        for (client, path) in [(project.secret(), "/v1/storage/multipart/complete"), (app.admin(), admin_path.as_str())]
        {
            let (status, error) = client.post(path, request.clone()).await;
            assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{path}: {error}");
            let message = error["error"]["message"].as_str().unwrap();
            assert!(message.contains("every part") && message.contains("1 to 3"), "{message}");
        }
    }
    assert_eq!(project.secret().sign_download("big.bin").await.0, StatusCode::NOT_FOUND);

    // The upload can still be completed.
    signed["multipart"]["parts"] = json!([last]);
    let rest = send_parts(&signed, &bytes[10 * MIB..]).await;
    completion["parts"].as_array_mut().unwrap().push(rest["parts"][0].clone());
    let (status, object) = project.secret().post("/v1/storage/multipart/complete", completion).await;
    assert_eq!((status, &object["size"]), (StatusCode::OK, &json!(bytes.len())), "{object}");
    assert_eq!(project.secret().download("big.bin").await, bytes);
}

/// Without the secret key, completing requires upload access and does not replace an object that was uploaded in the
/// meantime.
#[tokio::test]
async fn completing_requires_upload_access_and_a_free_path() {
    let app = TestApp::start().await;
    let project = app.create_project("rights").await;
    let (_, _) = app.admin().patch(&project.path("/buckets/uploads"), json!({ "publishable": "upload" })).await;
    let publishable = project.publishable();
    let bytes = bytes(5 * MIB);
    let signed = publishable.sign("big.bin", json!({ "mode": "multipart", "size": bytes.len() })).await;
    let completion = send_parts(&signed, &bytes).await;
    project.secret().upload("big.bin", "faster").await;
    let (status, error) = publishable.post("/v1/storage/multipart/complete", completion.clone()).await;
    assert_eq!((status, code(&error)), (StatusCode::CONFLICT, "object_exists"));
    let (_, _) = app.admin().patch(&project.path("/buckets/uploads"), json!({ "publishable": "download" })).await;
    for end in ["complete", "abort"] {
        let mut body = completion.clone();
        if end == "abort" {
            body.as_object_mut().unwrap().remove("parts");
        }
        let (status, _) = publishable.post(&format!("/v1/storage/multipart/{end}"), body).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{end}");
    }
    assert_eq!(project.secret().download("big.bin").await, b"faster");
}

#[tokio::test]
async fn upload_is_used_only_by_its_signer_and_the_secret_key() {
    let app = TestApp::start().await;
    let project = app.create_project("signers").await;
    let exposure = json!({ "publishable": "both", "signedIn": "both" });
    let (status, bucket) = app.admin().patch(&project.path("/buckets/uploads"), exposure).await;
    assert_eq!(status, StatusCode::OK, "{bucket}");
    let mut users = Vec::new();
    for id in ["7b0f8a4e-36c1-4c0b-9d4e-0a1c2e3f4a5b", "0d9b2f8c-5a44-4f0e-8b1d-6c3e7f2a1b90"] {
        let token = user_token(&app, &project, |claims, _| claims["sub"] = json!(id)).await;
        users.push(project.publishable().with_header("authorization", &format!("Bearer {token}")));
    }
    let (publishable, secret) = (project.publishable(), project.secret());
    let bytes = bytes(5 * MIB);
    for (case, signer, others) in [
        ("publishable", &publishable, vec![&users[0]]),
        ("user", &users[0], vec![&users[1], &publishable]),
        ("secret", &secret, vec![&users[0], &publishable]),
    ] {
        for (ended_by, client) in [("signer", signer), ("secret", &secret)] {
            let path = format!("{case}/{ended_by}.bin");
            let signed = signer.sign(&path, json!({ "mode": "multipart", "size": bytes.len() })).await;
            let completion = send_parts(&signed, &bytes).await;
            let abort = json!({ "objectKey": signed["objectKey"], "uploadId": signed["multipart"]["uploadId"] });
            let mut parts = abort.clone();
            parts["partNumbers"] = json!([1]);
            let requests = [("parts", &parts), ("complete", &completion), ("abort", &abort)];
            for other in &others {
                for (end, body) in requests {
                    let (status, error) = other.post(&format!("/v1/storage/multipart/{end}"), body.clone()).await;
                    assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "object_not_found"), "{path} {end}");
                }
            }
            for (end, body) in &requests[..2] {
                let (status, answer) = client.post(&format!("/v1/storage/multipart/{end}"), (*body).clone()).await;
                assert_eq!(status, StatusCode::OK, "{path} {end}: {answer}");
            }
            assert_eq!(secret.download(&path).await, bytes, "{path}");
        }
    }
}

#[tokio::test]
async fn object_larger_than_its_maximum_size_is_removed_on_completion() {
    let app = TestApp::start().await;
    let project = app.create_project("too much").await;
    let bytes = bytes(6 * MIB);
    let signed = sign(&project, "big.bin", bytes.len()).await;
    let completion = send_parts(&signed, &bytes).await;
    // Simulates an upload that was signed for a smaller object.
    sqlx::query("UPDATE file_metadata SET max_size = 1000 WHERE project_id = $1")
        .bind(&project.id)
        .execute(app.app.platform())
        .await
        .unwrap();
    let (status, error) = project.secret().post("/v1/storage/multipart/complete", completion).await;
    assert_eq!((status, code(&error)), (StatusCode::PAYLOAD_TOO_LARGE, "object_too_large"));
    assert_eq!(project.secret().sign_download("big.bin").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn largest_object_has_at_most_1024_parts() {
    let app = TestApp::start().await;
    let project = app.create_project("huge").await;
    let huge = 5_i64 << 40;
    let (_, _) = app.admin().patch(&project.path("/buckets/uploads"), json!({ "maxObjectBytes": huge })).await;
    let signed = project.secret().sign("huge.bin", json!({ "mode": "multipart", "size": huge })).await;
    let parts = signed["multipart"]["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 1024);
    assert_eq!(parts.iter().map(|part| part["size"].as_i64().unwrap()).sum::<i64>(), huge);
    for (extra, case) in [
        (json!({ "size": huge, "partSize": 16 * MIB }), "too many parts"),
        (json!({ "size": 100, "partSize": 1 }), "parts too small"),
        (json!({ "size": 0 }), "no bytes"),
    ] {
        let mut request = upload_request("x.bin", extra);
        request["mode"] = json!("multipart");
        let (status, error) = project.secret().post("/v1/storage/signed-upload", request).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{case}");
    }
}
