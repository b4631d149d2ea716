//! Signed downloads, and listing and deleting objects.

use reqwest::{StatusCode, header};
use serde_json::{Value, json};

use crate::support::{TestApp, TestProject, Uploads, code, must_send, path_of, raw};

async fn disposition(project: &TestProject, key: &str, download_as: Option<&str>) -> Option<String> {
    let mut parameters = vec![("bucket", "uploads"), ("objectKey", key)];
    parameters.extend(download_as.map(|name| ("downloadAs", name)));
    let (status, body) = project.secret().get(&path_of("signed-download", &parameters)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let response = raw().get(body["downloadUrl"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.headers().get(header::CONTENT_DISPOSITION).map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn download_as_sets_file_name_and_active_types_are_attachments() {
    let app = TestApp::start().await;
    let project = app.create_project("names").await;
    for (path, content_type) in [("a.txt", "text/plain"), ("page.html", "text/html"), ("i.svg", "image/svg+xml")] {
        let signed = project.secret().sign(path, json!({ "contentType": content_type })).await;
        must_send(&signed, "x").await;
    }
    assert_eq!(disposition(&project, "uploads/a.txt", None).await, None);
    assert_eq!(
        disposition(&project, "uploads/a.txt", Some("b c.txt")).await.as_deref(),
        Some("attachment; filename=\"b c.txt\"")
    );
    assert_eq!(
        disposition(&project, "uploads/a.txt", Some("Übersicht \"1\".txt")).await.as_deref(),
        Some("attachment; filename=\"_bersicht _1_.txt\"; filename*=UTF-8''%C3%9Cbersicht%20%221%22.txt")
    );
    assert_eq!(
        disposition(&project, "uploads/page.html", None).await.as_deref(),
        Some("attachment; filename=\"page.html\"")
    );
    assert_eq!(disposition(&project, "uploads/i.svg", None).await.as_deref(), Some("attachment; filename=\"i.svg\""));
    for name in ["", "a/b", "a\\b", "a\nb", ".."] {
        let url = path_of("signed-download", &[("objectKey", "uploads/a.txt"), ("downloadAs", name)]);
        let (status, error) = project.secret().get(&url).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{name:?}");
    }
}

#[tokio::test]
async fn download_of_missing_object_or_bucket_returns_404() {
    let app = TestApp::start().await;
    let project = app.create_project("absent").await;
    let (status, error) = project.secret().sign_download("no.txt").await;
    assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "object_not_found"));
    // This upload was signed but never sent.
    project.secret().sign("pending.txt", json!({})).await;
    assert_eq!(project.secret().sign_download("pending.txt").await.0, StatusCode::NOT_FOUND);
    let (status, error) = project.secret().get(&path_of("signed-download", &[("objectKey", "nowhere/x")])).await;
    assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "not_found"));
    assert_eq!(project.secret().get("/v1/storage/signed-download").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn list_returns_pages_in_key_order_within_the_prefix() {
    let app = TestApp::start().await;
    let project = app.create_project("lists").await;
    for path in ["a/1.txt", "a/2.txt", "a/3.txt", "ab/4.txt", "b/5.txt"] {
        project.secret().upload(path, path.to_owned()).await;
    }
    let signed = project.secret().sign("a/6.txt", json!({ "bucket": "private" })).await;
    must_send(&signed, "elsewhere").await;

    let list = async |parameters: &[(&str, &str)]| -> Value {
        let mut all = vec![("bucket", "uploads")];
        all.extend(parameters);
        let (status, body) = project.secret().get(&path_of("list", &all)).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    };
    let paths = |body: &Value| -> Vec<String> {
        body["items"].as_array().unwrap().iter().map(|item| item["path"].as_str().unwrap().to_owned()).collect()
    };
    let all = list(&[]).await;
    assert_eq!(paths(&all), ["a/1.txt", "a/2.txt", "a/3.txt", "ab/4.txt", "b/5.txt"]);
    assert_eq!(all["nextCursor"], Value::Null);
    let first = &all["items"][0];
    assert_eq!((first["objectKey"].as_str(), first["size"].as_i64()), (Some("uploads/a/1.txt"), Some(7)));
    assert_eq!(first["contentType"], "text/plain");
    assert!(first["etag"].is_string() && first["lastModified"].is_string());
    assert_eq!(paths(&list(&[("prefix", "a/")]).await), ["a/1.txt", "a/2.txt", "a/3.txt"]);
    assert_eq!(paths(&list(&[("prefix", "a")]).await).len(), 4);
    assert_eq!(paths(&list(&[("prefix", "zzz")]).await).len(), 0);

    let mut seen = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..3 {
        let mut parameters = vec![("limit", "2")];
        parameters.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = list(&parameters).await;
        seen.extend(paths(&page));
        cursor = page["nextCursor"].as_str().map(str::to_owned);
    }
    assert_eq!((seen.len(), cursor), (5, None));
    assert_eq!(seen, paths(&all));

    for (name, value, expected) in
        [("limit", "0", "invalid_request"), ("limit", "x", "invalid_request"), ("cursor", "%%%", "invalid_cursor")]
    {
        let (status, error) = project.secret().get(&path_of("list", &[("bucket", "uploads"), (name, value)])).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, expected), "{name}={value}");
    }
    assert_eq!(project.secret().get(&path_of("list", &[("bucket", "nowhere")])).await.0, StatusCode::NOT_FOUND);
    assert_eq!(project.secret().get("/v1/storage/list").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn deleted_object_is_gone_and_its_path_can_be_reused() {
    let app = TestApp::start().await;
    let project = app.create_project("removal").await;
    project.secret().upload("x.txt", "bytes").await;
    let url = path_of("object", &[("bucket", "uploads"), ("objectKey", "uploads/x.txt")]);
    let (status, body) = project.secret().delete(&url).await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "objectKey": "uploads/x.txt", "deleted": true })));
    let (status, error) = project.secret().delete(&url).await;
    assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "object_not_found"));
    assert_eq!(project.secret().sign_download("x.txt").await.0, StatusCode::NOT_FOUND);
    project.secret().upload("x.txt", "again").await;
    assert_eq!(project.secret().download("x.txt").await, b"again");
}

/// Media players request ranges to seek. The store serves such requests.
#[tokio::test]
async fn range_request_returns_part_of_the_object() {
    let app = TestApp::start().await;
    let project = app.create_project("ranges").await;
    project.secret().upload("x.txt", "0123456789").await;
    let (_, body) = project.secret().sign_download("x.txt").await;
    let url = body["downloadUrl"].as_str().unwrap();
    let response = raw().get(url).header(header::RANGE, "bytes=2-4").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(response.bytes().await.unwrap(), "234");
}
