//! No path escapes its bucket, in any encoding.

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{Client, TestApp, Uploads, code, must_send, path_of, raw, upload_request};

#[tokio::test]
async fn invalid_paths_are_rejected_by_every_operation() {
    let app = TestApp::start().await;
    let project = app.create_project("paths").await;
    let other = app.create_project("other").await;
    let secret = project.secret();
    let too_long = "x".repeat(1025);
    let foreign = format!("proj-{}/uploads/x", other.id);
    let bad = [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        "../../x",
        "a\\b",
        "..\\a",
        "a\0b",
        "a\nb",
        "a\tb",
        "a\u{7f}b",
        "a\u{85}b",
        "a\u{202e}b",
        "%2e%2e/a",
        "%2E%2E%2Fa",
        "a/%2e%2e/b",
        "%2fa",
        "a%2f%2fb",
        "a%5cb",
        "a%00b",
        "a%0ab",
        "%252e%252e/a",
        "%25252e%25252e%25252fa",
        "%c0%ae%c0%ae/a",
        "a%ffb",
        &foreign,
        &too_long,
    ];
    for path in bad {
        let (status, error) = secret.post("/v1/storage/signed-upload", upload_request(path, json!({}))).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_path"), "upload {path:?}");
        let key = format!("uploads/{path}");
        for route in ["signed-download", "object"] {
            let url = path_of(route, &[("bucket", "uploads"), ("objectKey", &key)]);
            let (status, error) = if route == "object" { secret.delete(&url).await } else { secret.get(&url).await };
            assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_path"), "{route} {path:?}");
        }
        let multipart = [
            ("multipart/parts", json!({ "objectKey": key, "uploadId": "x", "partNumbers": [1] })),
            (
                "multipart/complete",
                json!({ "objectKey": key, "uploadId": "x", "parts": [{ "partNumber": 1, "etag": "x" }] }),
            ),
            ("multipart/abort", json!({ "objectKey": key, "uploadId": "x" })),
        ];
        for (route, body) in &multipart {
            let (status, error) = secret.post(&format!("/v1/storage/{route}"), body.clone()).await;
            assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_path"), "{route} {path:?}");
        }
        let admin = app.admin();
        let others = [
            ("signed-upload", json!({ "path": path, "contentType": "a/b" })),
            ("objects/move", json!({ "objectKey": key, "to": "x" })),
            ("objects/move", json!({ "objectKey": "uploads/x", "to": path })),
            ("objects/copy", json!({ "objectKey": key, "to": "x" })),
            ("objects/copy", json!({ "objectKey": "uploads/x", "to": path })),
        ];
        for (route, body) in multipart.into_iter().chain(others) {
            let (status, error) = admin.post(&project.path(&format!("/buckets/uploads/{route}")), body).await;
            assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_path"), "admin {route} {path:?}");
        }
        let query = path_of("object", &[("objectKey", &key)]).replace("/v1/storage/object", "");
        for route in ["object", "signed-download", "objects"] {
            let url = project.path(&format!("/buckets/uploads/{route}{query}"));
            let (status, error) = if route == "objects" { admin.delete(&url).await } else { admin.get(&url).await };
            assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_path"), "admin {route} {path:?}");
        }
    }
}

#[tokio::test]
async fn key_of_another_bucket_or_project_is_rejected() {
    let app = TestApp::start().await;
    let project = app.create_project("mine").await;
    let other = app.create_project("theirs").await;
    other.secret().upload("x.txt", "theirs").await;
    let foreign = format!("proj-{}/uploads/x.txt", other.id);
    for key in ["private/x.txt", "/uploads/x.txt", "uploads/../private/x", "../private/x.txt", "uploads/", &foreign] {
        let url = path_of("signed-download", &[("bucket", "uploads"), ("objectKey", key)]);
        let (status, error) = project.secret().get(&url).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_path"), "{key}");
        let url = path_of("object", &[("bucket", "uploads"), ("objectKey", key)]);
        let (status, error) = project.secret().delete(&url).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_path"), "{key}");
    }
    // The same key names another object in another project.
    let (status, error) = project.secret().sign_download("x.txt").await;
    assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "object_not_found"));
    let url = path_of("object", &[("bucket", "uploads"), ("objectKey", "uploads/x.txt")]);
    assert_eq!(project.secret().delete(&url).await.0, StatusCode::NOT_FOUND);
    let (_, list) = project.secret().get(&path_of("list", &[("bucket", "uploads")])).await;
    assert_eq!(list["items"], json!([]));
    assert_eq!(other.secret().download("x.txt").await, b"theirs");
    // Without `bucket`, the key determines the bucket.
    other.secret().upload("y.txt", "y").await;
    assert_eq!(
        other.secret().get(&path_of("signed-download", &[("objectKey", "uploads/y.txt")])).await.0,
        StatusCode::OK
    );
}

#[tokio::test]
async fn key_with_the_name_of_the_projects_bucket_in_the_store_is_rejected() {
    let app = TestApp::start().await;
    let project = app.create_project("internal").await;
    app.admin().patch(&project.path("/buckets/uploads"), json!({ "publishable": "both" })).await;
    project.secret().upload("x.txt", "x").await;
    let key = format!("proj-{}/uploads/x.txt", project.id);
    for client in [project.secret(), project.publishable()] {
        for named in [&[("objectKey", key.as_str())][..], &[("bucket", "uploads"), ("objectKey", key.as_str())]] {
            let (status, error) = client.get(&path_of("signed-download", named)).await;
            assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_path"), "{named:?}");
            assert!(error["error"]["message"].as_str().unwrap().contains("a project's bucket"), "{error}");
        }
    }
    // A bucket of the project may have such a name.
    let (status, _) = app.admin().post(&project.path("/buckets"), json!({ "name": "proj-marketing" })).await;
    assert_eq!(status, StatusCode::CREATED);
    let signed = project.secret().sign("x.txt", json!({ "bucket": "proj-marketing" })).await;
    must_send(&signed, "x").await;
    let url = path_of("signed-download", &[("objectKey", "proj-marketing/x.txt")]);
    assert_eq!(project.secret().get(&url).await.0, StatusCode::OK);
    // A prefix may be the beginning of another name.
    let url = path_of("list", &[("bucket", "uploads"), ("prefix", "proj-marketing")]);
    assert_eq!(project.secret().get(&url).await.0, StatusCode::OK);
}

/// With `bucket`, the key may omit the bucket, unless its first segment names another bucket that the caller may know
/// of.
#[tokio::test]
async fn key_without_its_bucket_names_the_same_object() {
    let app = TestApp::start().await;
    let project = app.create_project("short").await;
    app.admin().patch(&project.path("/buckets/uploads"), json!({ "publishable": "both" })).await;
    for (path, short) in [("range.txt", "range.txt"), ("notes/a b.txt", "notes/a b.txt"), ("u2/x", "uploads/u2/x")] {
        project.secret().upload(path, path.to_owned()).await;
        for client in [project.secret(), project.publishable()] {
            let url = path_of("signed-download", &[("bucket", "uploads"), ("objectKey", short)]);
            let (status, body) = client.get(&url).await;
            assert_eq!(status, StatusCode::OK, "{short}: {body}");
            let response = raw().get(body["downloadUrl"].as_str().unwrap()).send().await.unwrap();
            assert_eq!(response.text().await.unwrap(), path);
        }
        let admin = project.path(&format!("/buckets/uploads/objects?objectKey={}", short.replace(' ', "%20")));
        let (status, body) = app.admin().delete(&admin).await;
        assert_eq!((status, &body["objectKey"]), (StatusCode::OK, &json!(format!("uploads/{path}"))), "{body}");
    }
    let missing = path_of("signed-download", &[("bucket", "uploads"), ("objectKey", "uploads2/x.txt")]);
    assert_eq!(project.secret().get(&missing).await.0, StatusCode::NOT_FOUND);
    // A publishable key can't learn whether a bucket exists that is not exposed to it.
    for first in ["private", "nowhere"] {
        let url = path_of("signed-download", &[("bucket", "uploads"), ("objectKey", &format!("{first}/x.txt"))]);
        let (status, error) = project.publishable().get(&url).await;
        assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "object_not_found"), "{first}");
    }
}

#[tokio::test]
async fn unknown_parameters_are_rejected_by_storage_routes() {
    let app = TestApp::start().await;
    let project = app.create_project("unknown").await;
    let secret = project.secret();
    let admin = app.admin();
    for url in
        ["signed-download?objectKey=uploads/x&expires=1", "list?bucket=uploads&Prefix=a", "list?bucket=uploads&x"]
    {
        let (status, error) = secret.get(&format!("/v1/storage/{url}")).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{url}");
        let name = url.rsplit(['&', '?']).next().unwrap().split('=').next().unwrap();
        assert!(error["error"]["message"].as_str().unwrap().contains(&format!("`{name}`")), "{error}");
    }
    let deletion = secret.delete("/v1/storage/object?objectKey=uploads/x&force=true").await;
    assert_eq!(deletion.0, StatusCode::BAD_REQUEST);
    for (route, body) in [
        ("signed-upload", json!({ "bucket": "uploads", "path": "x", "contentType": "a/b" })),
        ("multipart/complete", json!({ "objectKey": "uploads/x", "uploadId": "x", "parts": [] })),
        ("multipart/abort", json!({ "objectKey": "uploads/x", "uploadId": "x" })),
    ] {
        let (status, error) = secret.post(&format!("/v1/storage/{route}?upsert=true"), body.clone()).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{route}");
        assert!(error["error"]["message"].as_str().unwrap().contains("`upsert`"), "{error}");
        let url = project.path(&format!("/buckets/uploads/{route}?upsert=true"));
        assert_eq!(admin.post(&url, body).await.0, StatusCode::BAD_REQUEST, "{route}");
    }
    for url in ["/buckets?page=2", "/buckets/uploads?x=1", "/buckets/uploads/objects?x=1"] {
        assert_eq!(admin.get(&project.path(url)).await.0, StatusCode::BAD_REQUEST, "{url}");
    }
}

#[tokio::test]
async fn invalid_prefixes_are_rejected() {
    let app = TestApp::start().await;
    let project = app.create_project("prefixes").await;
    for prefix in ["/", "../", "a/../", "../..", "./a", "a//", "a\\", "%2e%2e/", "a\0"] {
        let (status, error) =
            project.secret().get(&path_of("list", &[("bucket", "uploads"), ("prefix", prefix)])).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_path"), "{prefix:?}");
    }
}

#[tokio::test]
async fn prefix_may_end_in_dots_that_an_object_name_begins_with() {
    let app = TestApp::start().await;
    let project = app.create_project("dots").await;
    for path in ["..a", ".b", "n/..c", "n/d"] {
        project.secret().upload(path, "x").await;
    }
    let objects = project.path("/buckets/uploads/objects");
    for (prefix, expected) in [
        ("..", vec!["..a"]),
        (".", vec!["..a", ".b"]),
        ("n/..", vec!["n/..c"]),
        ("n/.", vec!["n/..c"]),
        ("...", Vec::new()),
    ] {
        let public = project.secret().get(&path_of("list", &[("bucket", "uploads"), ("prefix", prefix)])).await;
        for (status, page) in [public, app.admin().get(&format!("{objects}?prefix={prefix}")).await] {
            assert_eq!(status, StatusCode::OK, "{prefix}: {page}");
            let listed: Vec<_> =
                page["items"].as_array().unwrap().iter().map(|item| item["path"].as_str().unwrap()).collect();
            assert_eq!(listed, expected, "{prefix}");
        }
    }
}

#[tokio::test]
async fn prefix_that_starts_with_another_bucket_is_rejected_unless_it_is_a_folder() {
    let app = TestApp::start().await;
    let project = app.create_project("prefixes").await;
    let list =
        async |prefix: &str| project.secret().get(&path_of("list", &[("bucket", "uploads"), ("prefix", prefix)])).await;
    for prefix in ["private/", "private/notes"] {
        let (status, error) = list(prefix).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_path"), "{prefix}: {error}");
        assert!(error["error"]["hint"].as_str().unwrap().contains("`bucket=private`"), "{error}");
    }
    for prefix in ["private", "nowhere/", "uploads/", ""] {
        let (status, page) = list(prefix).await;
        assert_eq!((status, &page["items"]), (StatusCode::OK, &json!([])), "{prefix}: {page}");
    }
    let objects = project.path("/buckets/uploads/objects?prefix=private/");
    assert_eq!(app.admin().get(&objects).await.0, StatusCode::OK);
    // Other programs can have stored objects in a folder of that name.
    let bucket = format!("proj-{}", project.id);
    app.app.store().put_small(&bucket, "uploads/private/old.txt", "text/plain", "old".into()).await.unwrap();
    let (status, page) = list("private/").await;
    assert_eq!((status, &page["items"][0]["path"]), (StatusCode::OK, &json!("private/old.txt")), "{page}");
    let (status, page) = list("private/new").await;
    assert_eq!((status, &page["items"]), (StatusCode::OK, &json!([])), "{page}");
}

#[tokio::test]
async fn large_limit_of_a_list_is_reduced() {
    let app = TestApp::start().await;
    let project = app.create_project("limits").await;
    for (limit, expected) in [("0", 400), ("1", 200), ("1000", 200), ("5000", 200), ("99999999999", 200)] {
        let (status, page) = project.secret().get(&path_of("list", &[("bucket", "uploads"), ("limit", limit)])).await;
        assert_eq!(status.as_u16(), expected, "{limit}: {page}");
    }
}

#[tokio::test]
async fn path_of_an_upload_that_starts_with_another_bucket_is_rejected() {
    let app = TestApp::start().await;
    let project = app.create_project("prefixes").await;
    app.admin().patch(&project.path("/buckets/uploads"), json!({ "publishable": "both" })).await;
    for name in ["open", "closed"] {
        app.admin().post(&project.path("/buckets"), json!({ "name": name })).await;
    }
    app.admin().patch(&project.path("/buckets/open"), json!({ "publishable": "both" })).await;
    let sign = async |client: &Client, path: &str| {
        let body = json!({ "bucket": "uploads", "path": path, "contentType": "text/plain", "maxSize": 9 });
        client.post("/v1/storage/signed-upload", body).await
    };
    let (secret, publishable) = (project.secret(), project.publishable());
    for (client, path) in [(&secret, "open/x.txt"), (&secret, "closed/x.txt"), (&publishable, "open/x.txt")] {
        let (status, error) = sign(client, path).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_path"), "{path}: {error}");
    }
    let (_, error) = sign(&secret, "open/x.txt").await;
    assert!(error["error"]["hint"].as_str().unwrap().contains("a bucket `open`"), "{error}");
    // The bucket's own name would make the path a key of another object.
    for client in [&secret, &publishable] {
        let (status, error) = sign(client, "uploads/x.txt").await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_path"), "{error}");
        assert!(error["error"]["hint"].as_str().unwrap().contains("leave `uploads/` out"), "{error}");
    }
    // A publishable key can't learn that a bucket exists that is not exposed. A file may have the name of a bucket, and
    // a folder's name may begin with it.
    for (client, path) in
        [(&publishable, "closed/x.txt"), (&secret, "open"), (&secret, "uploads"), (&secret, "opened/x.txt")]
    {
        let (status, body) = sign(client, path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
    }
}

/// Other programs and earlier versions can have stored objects at such paths.
#[tokio::test]
async fn object_whose_path_starts_with_its_bucket_can_be_replaced() {
    let app = TestApp::start().await;
    let project = app.create_project("old paths").await;
    let bucket = format!("proj-{}", project.id);
    app.app.store().put_small(&bucket, "uploads/uploads/old.txt", "text/plain", "old".into()).await.unwrap();
    let sign = async |path: &str| {
        let body = json!({ "bucket": "uploads", "path": path, "contentType": "text/plain", "upsert": true });
        project.secret().post("/v1/storage/signed-upload", body).await
    };
    let (status, signed) = sign("uploads/old.txt").await;
    assert_eq!((status, &signed["objectKey"]), (StatusCode::OK, &json!("uploads/uploads/old.txt")), "{signed}");
    let (status, error) = sign("uploads/new.txt").await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_path"), "{error}");
}
