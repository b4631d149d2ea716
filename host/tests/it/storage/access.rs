//! Access to buckets: denied by default; only the secret key can list, delete and replace objects.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{TestApp, TestProject, Uploads, code, path_of, send, upload_request};

async fn expose(app: &TestApp, project: &TestProject, access: &str) {
    let (status, bucket) = app.admin().patch(&project.path("/buckets/uploads"), json!({ "publishable": access })).await;
    assert_eq!((status, bucket["exposure"]["publishable"].as_str()), (StatusCode::OK, Some(access)), "{bucket}");
}

#[tokio::test]
async fn bucket_exposure_applies_to_the_publishable_key_at_once() {
    let app = TestApp::start().await;
    let project = app.create_project("exposure").await;
    project.secret().upload("there.txt", "bytes").await;
    let publishable = project.publishable();
    for (access, uploads, downloads) in [
        ("none", false, false),
        ("upload", true, false),
        ("download", false, true),
        ("both", true, true),
        ("none", false, false),
    ] {
        // No pause is needed, because a change made on this node applies to the next request.
        expose(&app, &project, access).await;
        let (status, body) = publishable.post("/v1/storage/signed-upload", upload_request("new.txt", json!({}))).await;
        assert_eq!(status, if uploads { StatusCode::OK } else { StatusCode::FORBIDDEN }, "{access}: {body}");
        let (status, body) = publishable.sign_download("there.txt").await;
        assert_eq!(status, if downloads { StatusCode::OK } else { StatusCode::FORBIDDEN }, "{access}: {body}");
    }
}

#[tokio::test]
async fn unexposed_and_missing_buckets_get_the_same_response() {
    let app = TestApp::start().await;
    let project = app.create_project("hidden").await;
    let mut responses = Vec::new();
    for bucket in ["private", "nowhere"] {
        let request = upload_request("x.txt", json!({ "bucket": bucket }));
        let (status, mut upload) = project.publishable().post("/v1/storage/signed-upload", request).await;
        assert_eq!((status, code(&upload)), (StatusCode::FORBIDDEN, "forbidden"));
        let key = format!("{bucket}/x.txt");
        let (status, mut download) =
            project.publishable().get(&path_of("signed-download", &[("objectKey", &key)])).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        for body in [&mut upload, &mut download] {
            body["error"]["requestId"] = json!(null);
        }
        responses.push((upload, download));
    }
    assert_eq!(responses[0], responses[1]);
}

#[tokio::test]
async fn list_delete_and_upsert_require_the_secret_key() {
    let app = TestApp::start().await;
    let project = app.create_project("secret").await;
    expose(&app, &project, "both").await;
    let publishable = project.publishable();
    publishable.upload("x.txt", "bytes").await;
    assert_eq!(publishable.download("x.txt").await, b"bytes");

    let (status, error) = publishable.get(&path_of("list", &[("bucket", "uploads")])).await;
    assert_eq!((status, code(&error)), (StatusCode::FORBIDDEN, "forbidden"));
    let removal = path_of("object", &[("bucket", "uploads"), ("objectKey", "uploads/x.txt")]);
    let (status, error) = publishable.delete(&removal).await;
    assert_eq!((status, code(&error)), (StatusCode::FORBIDDEN, "forbidden"));
    for path in ["x.txt", "new.txt"] {
        let request = upload_request(path, json!({ "upsert": true }));
        let (status, error) = publishable.post("/v1/storage/signed-upload", request).await;
        assert_eq!((status, code(&error)), (StatusCode::FORBIDDEN, "forbidden"), "{path}");
    }
    assert_eq!(project.secret().download("x.txt").await, b"bytes");
    let by: String = sqlx::query_scalar("SELECT uploaded_by FROM file_metadata WHERE project_id = $1")
        .bind(&project.id)
        .fetch_one(app.app.platform())
        .await
        .unwrap();
    assert_eq!(by, "publishable");
}

#[tokio::test]
async fn requests_without_a_valid_key_return_401() {
    let app = TestApp::start().await;
    let project = app.create_project("keys").await;
    let other = app.create_project("others").await;
    project.secret().upload("x.txt", "bytes").await;
    let routes = [
        path_of("signed-download", &[("bucket", "uploads"), ("objectKey", "uploads/x.txt")]),
        path_of("list", &[("bucket", "uploads")]),
    ];
    for route in &routes {
        assert_eq!(app.public().get(route).await.0, StatusCode::UNAUTHORIZED);
        let wrong = app.public().with_header("x-api-key", "ah_sec_wrong");
        assert_eq!(wrong.get(route).await.0, StatusCode::UNAUTHORIZED);
        let unsigned = project.secret().with_header("authorization", "Bearer nonsense");
        assert_eq!(unsigned.get(route).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(other.secret().get(&routes[0]).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn signed_url_is_valid_for_one_object_and_method_only() {
    let app = TestApp::start().await;
    let project = app.create_project("narrow").await;
    project.secret().upload("a.txt", "a").await;
    project.secret().upload("b.txt", "b").await;
    let (_, body) = project.secret().sign_download("a.txt").await;
    let url = body["downloadUrl"].as_str().unwrap();
    let http = crate::support::raw();
    assert!(http.get(url).send().await.unwrap().status().is_success());
    assert!(http.get(url.replace("a.txt", "b.txt")).send().await.unwrap().status().is_client_error());
    assert!(http.get(url.split_once('?').unwrap().0).send().await.unwrap().status().is_client_error());
    assert!(http.delete(url).send().await.unwrap().status().is_client_error());
    assert!(http.put(url).body("evil").send().await.unwrap().status().is_client_error());
    let signed = project.secret().sign("c.txt", json!({})).await;
    let moved = json!({
        "method": "PUT", "headers": signed["headers"],
        "uploadUrl": signed["uploadUrl"].as_str().unwrap().replace("c.txt", "a.txt"),
    });
    assert!(send(&moved, "evil").await.status().is_client_error());
    assert_eq!(project.secret().download("a.txt").await, b"a");
}
