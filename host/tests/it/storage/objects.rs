//! Folders, details, counts, moves and copies of objects on the admin surface.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::start_with_faulty_store;
use crate::support::{Client, FaultProxy, TestApp, TestProject, Uploads, code, eventually, path_of};

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn bucket(project: &TestProject) -> String {
    project.path("/buckets/uploads")
}

fn paths(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["path"].as_str().unwrap()).collect()
}

async fn detail(admin: &Client, project: &TestProject, path: &str) -> (StatusCode, Value) {
    admin.get(&format!("{}/object?objectKey={}", bucket(project), encoded(path))).await
}

#[tokio::test]
async fn delimiter_lists_one_level_with_folders() {
    let app = TestApp::start().await;
    let project = app.create_project("folders").await;
    for path in ["a.txt", "notes/1.txt", "notes/2024/x.txt", "notes/2025/y.txt", "z/deep/er/w.txt"] {
        project.secret().upload(path, "x").await;
    }
    let (admin, objects) = (app.admin(), format!("{}/objects", bucket(&project)));
    let (status, top) = admin.get(&format!("{objects}?delimiter=/")).await;
    assert_eq!((status, paths(&top)), (StatusCode::OK, vec!["a.txt"]), "{top}");
    assert_eq!(top["prefixes"], json!(["notes/", "z/"]));
    let (_, notes) = admin.get(&format!("{objects}?delimiter=/&prefix=notes/")).await;
    assert_eq!((paths(&notes), &notes["prefixes"]), (vec!["notes/1.txt"], &json!(["notes/2024/", "notes/2025/"])));
    let (_, flat) = admin.get(&format!("{objects}?prefix=notes/")).await;
    assert_eq!((paths(&flat).len(), &flat["prefixes"]), (3, &json!([])));
    // The secret key lists in the same way.
    let (_, public) = project.secret().get("/v1/storage/list?bucket=uploads&delimiter=/").await;
    assert_eq!(public["prefixes"], json!(["notes/", "z/"]));
    let (status, error) = admin.get(&format!("{objects}?delimiter=-")).await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"));

    // A page can contain both folders and objects, which count towards its limit.
    let (mut items, mut prefixes, mut cursor) = (Vec::new(), Vec::new(), None::<String>);
    loop {
        let cursor_query = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let (status, page) = admin.get(&format!("{objects}?delimiter=/&prefix=notes/&limit=1{cursor_query}")).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        items.extend(paths(&page).into_iter().map(str::to_owned));
        prefixes.extend(page["prefixes"].as_array().unwrap().clone());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!((items, prefixes), (vec!["notes/1.txt".to_owned()], vec![json!("notes/2024/"), json!("notes/2025/")]));
}

/// MinIO's response to a prefix whose last segment is `.` or `..`.
const REFUSED_BY_MINIO: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: application/xml\r\n\
    content-length: 114\r\nconnection: close\r\n\r\n<Error><Code>XMinioInvalidObjectName</Code>\
    <Message>Object name contains unsupported characters.</Message></Error>";

#[tokio::test]
async fn prefix_that_ends_in_dots_is_listed_although_the_store_refuses_it() {
    let (app, store) = start_with_faulty_store().await;
    let project = app.create_project("dots").await;
    for path in ["n/-a", "n/..b", "n/..c/d", "n/..e", "n/.f", "n/g"] {
        project.secret().upload(path, "x").await;
    }
    store.respond("prefix=uploads%2Fn%2F.", REFUSED_BY_MINIO);
    for (query, items, folders) in [
        ("prefix=n/..", vec!["n/..b", "n/..c/d", "n/..e"], vec![]),
        ("prefix=n/..&delimiter=/", vec!["n/..b", "n/..e"], vec!["n/..c/"]),
        ("prefix=n/.", vec!["n/..b", "n/..c/d", "n/..e", "n/.f"], vec![]),
    ] {
        let (mut listed, mut groups, mut cursor) = (Vec::new(), Vec::new(), String::new());
        loop {
            let path = format!("/v1/storage/list?bucket=uploads&limit=1&{query}{cursor}");
            let (status, page) = project.secret().get(&path).await;
            assert_eq!(status, StatusCode::OK, "{query}: {page}");
            listed.extend(paths(&page).into_iter().map(str::to_owned));
            groups.extend(page["prefixes"].as_array().unwrap().clone());
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!((json!(listed), json!(groups)), (json!(items), json!(folders)), "{query}");
    }
    assert_eq!(store.clear(), [""; 0], "the store refused no prefix");
}

#[tokio::test]
async fn listed_uploads_count_in_their_bucket_at_once() {
    let app = TestApp::start().await;
    let project = app.create_project("counts").await;
    project.secret().upload("a.txt", "12345").await;
    project.secret().sign("pending.txt", json!({})).await;
    let (_, page) = app.admin().get(&format!("{}/objects", bucket(&project))).await;
    assert_eq!(paths(&page), ["a.txt"]);
    let (_, bucket) = app.admin().get(&bucket(&project)).await;
    assert_eq!((&bucket["objectCount"], &bucket["objectBytes"]), (&json!(1), &json!(5)), "{bucket}");
}

#[tokio::test]
async fn object_has_type_size_dates_and_uploader() {
    let app = TestApp::start().await;
    let project = app.create_project("details").await;
    let admin = app.admin();
    for path in ["plain.txt", "50%.txt", "what#is?this&.txt", "notes/🦀 crab.txt", &format!("{}.txt", "n".repeat(890))]
    {
        project.secret().upload(path, "bytes").await;
        let (status, object) = detail(&admin, &project, path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {object}");
        assert_eq!((&object["path"], &object["size"]), (&json!(path), &json!(5)));
        assert_eq!((&object["contentType"], &object["uploadedBy"]), (&json!("text/plain"), &json!("secret")));
        assert!(object["etag"].is_string() && object["lastModified"].is_string() && object["createdAt"].is_string());
    }
    let (status, error) = detail(&admin, &project, "missing.txt").await;
    assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "object_not_found"));
    assert_eq!(detail(&admin, &project, "../x").await.0, StatusCode::BAD_REQUEST);
    let other = project.path("/buckets/nowhere/object?objectKey=a.txt");
    assert_eq!(admin.get(&other).await.0, StatusCode::NOT_FOUND);
    let head = |path: &str| {
        let path = format!("{}/object?objectKey={path}", bucket(&project));
        let request = admin.request(reqwest::Method::HEAD, &path);
        async move { request.send().await.unwrap().status() }
    };
    assert_eq!((head("plain.txt").await, head("missing.txt").await), (StatusCode::OK, StatusCode::NOT_FOUND));
}

#[tokio::test]
async fn prefix_is_counted_in_the_store() {
    let app = TestApp::start().await;
    let project = app.create_project("counting").await;
    for (path, bytes) in [("notes/a.txt", "1"), ("notes/b/c.txt", "22"), ("notes2.txt", "333")] {
        project.secret().upload(path, bytes).await;
    }
    let count = format!("{}/objects/count", bucket(&project));
    for (query, objects, bytes) in [("", 3, 6), ("?prefix=notes/", 2, 3), ("?prefix=notes", 3, 6), ("?prefix=x", 0, 0)]
    {
        let (status, response) = app.admin().get(&format!("{count}{query}")).await;
        assert_eq!(status, StatusCode::OK, "{response}");
        assert_eq!((&response["objectCount"], &response["objectBytes"]), (&json!(objects), &json!(bytes)), "{query}");
        assert_eq!(response["complete"], true);
    }
    assert_eq!(app.admin().get(&format!("{count}?prefix=../")).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(app.admin().get(&project.path("/buckets/nowhere/objects/count")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn object_moves_with_its_bytes_type_and_uploader() {
    let app = TestApp::start().await;
    let project = app.create_project("moves").await;
    let admin = app.admin();
    project.secret().upload("a.txt", "bytes").await;
    let to = json!({ "objectKey": "uploads/a.txt", "to": "notes/50% 🦀.txt" });
    let (status, moved) = admin.post(&format!("{}/objects/move", bucket(&project)), to).await;
    assert_eq!((status, &moved["objectKey"]), (StatusCode::OK, &json!("uploads/notes/50% 🦀.txt")), "{moved}");
    assert_eq!(project.secret().download("notes/50% 🦀.txt").await, b"bytes");
    let (_, object) = detail(&admin, &project, "notes/50% 🦀.txt").await;
    assert_eq!((&object["contentType"], &object["uploadedBy"]), (&json!("text/plain"), &json!("secret")), "{object}");
    assert_eq!(detail(&admin, &project, "a.txt").await.0, StatusCode::NOT_FOUND);
    let (_, bucket) = admin.get(&bucket(&project)).await;
    assert_eq!((&bucket["objectCount"], &bucket["objectBytes"]), (&json!(1), &json!(5)));
}

#[tokio::test]
async fn move_to_a_taken_path_needs_replace() {
    let app = TestApp::start().await;
    let project = app.create_project("taken").await;
    let admin = app.admin();
    project.secret().upload("a.txt", "a").await;
    project.secret().upload("b.txt", "b").await;
    let path = format!("{}/objects/move", bucket(&project));
    let (status, error) = admin.post(&path, json!({ "objectKey": "a.txt", "to": "b.txt" })).await;
    assert_eq!((status, code(&error)), (StatusCode::CONFLICT, "object_exists"), "{error}");
    assert_eq!(
        (project.secret().download("a.txt").await, project.secret().download("b.txt").await),
        (b"a".to_vec(), b"b".to_vec())
    );
    let replace = json!({ "objectKey": "a.txt", "to": "b.txt", "replace": true });
    assert_eq!(admin.post(&path, replace).await.0, StatusCode::OK);
    assert_eq!(project.secret().download("b.txt").await, b"a");
    assert_eq!(project.secret().sign_download("a.txt").await.0, StatusCode::NOT_FOUND);
    for (body, status) in [
        (json!({ "objectKey": "b.txt", "to": "b.txt" }), StatusCode::BAD_REQUEST),
        (json!({ "objectKey": "b.txt", "to": "../b.txt" }), StatusCode::BAD_REQUEST),
        (json!({ "objectKey": "b.txt", "to": "x.txt", "toBucket": "nowhere" }), StatusCode::NOT_FOUND),
        (json!({ "objectKey": "missing.txt", "to": "x.txt" }), StatusCode::NOT_FOUND),
    ] {
        let (actual, error) = admin.post(&path, body.clone()).await;
        assert_eq!(actual, status, "{body}: {error}");
    }
    assert_eq!(project.secret().download("b.txt").await, b"a", "a refused move changed the object");
}

#[tokio::test]
async fn move_to_a_key_instead_of_a_path_is_refused() {
    let app = TestApp::start().await;
    let project = app.create_project("keys").await;
    let admin = app.admin();
    project.secret().upload("a.txt", "a").await;
    for action in ["move", "copy"] {
        let path = format!("{}/objects/{action}", bucket(&project));
        for body in [
            json!({ "objectKey": "uploads/a.txt", "to": "uploads/b.txt" }),
            json!({ "objectKey": "a.txt", "to": "private/b.txt", "toBucket": "private" }),
        ] {
            let (status, error) = admin.post(&path, body.clone()).await;
            assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_path"), "{body}: {error}");
            assert!(error["error"]["hint"].as_str().unwrap().contains("relative to its bucket"), "{error}");
        }
    }
    // An object that another program stored in such a folder can be renamed there, and moved out.
    let (store, store_bucket) = (app.app.store(), format!("proj-{}", project.id));
    store.put_small(&store_bucket, "uploads/uploads/c.txt", "text/plain", "c".into()).await.unwrap();
    for (from, to) in [("uploads/c.txt", "uploads/d.txt"), ("uploads/d.txt", "d.txt")] {
        let body = json!({ "objectKey": format!("uploads/{from}"), "to": to });
        let (status, moved) = admin.post(&format!("{}/objects/move", bucket(&project)), body).await;
        assert_eq!((status, &moved["path"]), (StatusCode::OK, &json!(to)), "{moved}");
    }
}

#[tokio::test]
async fn only_one_of_simultaneous_moves_of_an_object_succeeds() {
    let app = TestApp::start().await;
    let project = app.create_project("at once").await;
    project.secret().upload("a.txt", "bytes").await;
    let (admin, path) = (app.admin(), format!("{}/objects/move", bucket(&project)));
    let moves = (0..10).map(|number| admin.post(&path, json!({ "objectKey": "a.txt", "to": format!("{number}.txt") })));
    let responses = futures_util::future::join_all(moves).await;
    let moved: Vec<&Value> =
        responses.iter().filter(|(status, _)| *status == StatusCode::OK).map(|(_, body)| &body["path"]).collect();
    assert_eq!(moved.len(), 1, "{responses:?}");
    for (status, body) in responses.iter().filter(|(status, _)| *status != StatusCode::OK) {
        assert_eq!((*status, code(body)), (StatusCode::NOT_FOUND, "object_not_found"), "{body}");
    }
    let (_, page) = admin.get(&format!("{}/objects", bucket(&project))).await;
    assert_eq!(paths(&page), [moved[0].as_str().unwrap()]);
}

#[tokio::test]
async fn cursor_of_another_list_is_refused() {
    let app = TestApp::start().await;
    let (project, other) = (app.create_project("lists").await, app.create_project("other").await);
    for path in ["notes/1.txt", "notes/2.txt", "notes2.txt"] {
        project.secret().upload(path, "x").await;
    }
    let admin = app.admin();
    let list = format!("{}/objects", bucket(&project));
    let (_, page) = admin.get(&format!("{list}?prefix=notes/&limit=1")).await;
    let cursor = page["nextCursor"].as_str().unwrap();
    for wrong in [
        format!("{list}?prefix=notes&cursor={cursor}"),
        format!("{list}?cursor={cursor}"),
        format!("{list}?prefix=notes/&delimiter=/&cursor={cursor}"),
        format!("{}?prefix=notes/&cursor={cursor}", project.path("/buckets/private/objects")),
        format!("{}/objects?prefix=notes/&cursor={cursor}", bucket(&other)),
        format!("{list}?prefix=notes/&cursor=bm90ZXM"),
        format!("{list}?prefix=notes/&cursor=-"),
    ] {
        let (status, error) = admin.get(&wrong).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_cursor"), "{wrong}");
    }
    // The number of objects per page may change.
    let (_, page) = admin.get(&format!("{list}?prefix=notes/&limit=7&cursor={cursor}")).await;
    assert_eq!((paths(&page), &page["nextCursor"]), (vec!["notes/2.txt"], &Value::Null));
}

/// The store lists an object. The object is deleted before the page is recorded.
#[tokio::test]
async fn object_deleted_while_it_is_listed_does_not_count() {
    let (app, store) = start_with_faulty_store().await;
    let project = app.create_project("stale page").await;
    let secret = project.secret();
    secret.upload("a.txt", "a").await;
    store.pause_response("prefix=uploads", 5);
    let list = path_of("list", &[("bucket", "uploads")]);
    let delete = async {
        store.wait_until_held().await;
        assert_eq!(store.clear(), [""; 0]);
        let deleted = secret.delete(&path_of("object", &[("objectKey", "uploads/a.txt")])).await;
        store.resume();
        deleted
    };
    let ((listed, page), (deleted, body)) = tokio::join!(secret.get(&list), delete);
    assert_eq!((listed, deleted), (StatusCode::OK, StatusCode::OK), "{page} {body}");
    let (_, uploads) = app.admin().get(&bucket(&project)).await;
    assert_eq!(uploads["objectCount"], 0, "{uploads}");
}

#[tokio::test]
async fn copy_stays_within_the_limit_of_its_bucket() {
    let app = TestApp::start().await;
    let project = app.create_project("copies").await;
    let admin = app.admin();
    let small = json!({ "name": "small", "maxObjectBytes": 3 });
    assert_eq!(admin.post(&project.path("/buckets"), small).await.0, StatusCode::CREATED);
    project.secret().upload("a.txt", "12345").await;
    let path = format!("{}/objects/copy", bucket(&project));
    let (status, error) = admin.post(&path, json!({ "objectKey": "a.txt", "to": "a.txt", "toBucket": "small" })).await;
    assert_eq!((status, code(&error)), (StatusCode::PAYLOAD_TOO_LARGE, "object_too_large"), "{error}");
    // The smaller limit of an earlier signed upload to the path does not apply to the copy.
    let signed = json!({ "maxSize": 2 });
    project.secret().sign("b.txt", signed).await;
    let (status, copy) = admin.post(&path, json!({ "objectKey": "a.txt", "to": "b.txt" })).await;
    assert_eq!((status, &copy["size"]), (StatusCode::OK, &json!(5)), "{copy}");
    for path in ["a.txt", "b.txt"] {
        assert_eq!(project.secret().download(path).await, b"12345");
    }
    let (status, copy) = admin.post(&path, json!({ "objectKey": "a.txt", "to": "a.txt", "toBucket": "private" })).await;
    assert_eq!((status, &copy["objectKey"]), (StatusCode::OK, &json!("private/a.txt")));
}

#[tokio::test]
async fn open_multipart_uploads_are_listed_until_they_end() {
    let app = TestApp::start().await;
    let project = app.create_project("open").await;
    let admin = app.admin();
    let request = json!({ "mode": "multipart", "size": 12 << 20, "partSize": 5 << 20 });
    let first = project.secret().sign("first.bin", request.clone()).await;
    let second = project.secret().sign("second.bin", request).await;
    let list = format!("{}/multipart", bucket(&project));
    let (status, page) = admin.get(&list).await;
    assert_eq!((status, paths(&page)), (StatusCode::OK, vec!["second.bin", "first.bin"]), "{page}");
    let listed = &page["items"][0];
    assert_eq!((&listed["uploadId"], &listed["size"]), (&second["multipart"]["uploadId"], &json!(12 << 20)));
    assert_eq!((&listed["contentType"], &listed["uploadedBy"]), (&json!("text/plain"), &json!("secret")));
    let (_, page) = admin.get(&format!("{list}?limit=1")).await;
    let (_, next) = admin.get(&format!("{list}?limit=1&cursor={}", page["nextCursor"].as_str().unwrap())).await;
    assert_eq!((paths(&page), paths(&next)), (vec!["second.bin"], vec!["first.bin"]));
    for signed in [&first, &second] {
        let abort = json!({ "objectKey": signed["objectKey"], "uploadId": signed["multipart"]["uploadId"] });
        assert_eq!(admin.post(&format!("{list}/abort"), abort).await.0, StatusCode::NO_CONTENT);
    }
    assert_eq!(admin.get(&list).await.1["items"], json!([]));
    let left = app.app.store().list_uploads(&format!("proj-{}", project.id), None).await.unwrap();
    assert!(left.uploads.is_empty(), "{:?}", left.uploads);
    assert_eq!(admin.get(&project.path("/buckets/nowhere/multipart")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn deletion_whose_request_is_cancelled_keeps_no_record() {
    let (store, endpoint) = FaultProxy::before_store().await;
    let app = TestApp::builder()
        .var("ATLASHUB_S3_ENDPOINT", &endpoint)
        .var("ATLASHUB_REQUEST_TIMEOUT_SECONDS", "5")
        .start()
        .await;
    let project = app.create_project("cancelled").await;
    project.secret().upload("a.txt", "a").await;
    assert_eq!(detail(&app.admin(), &project, "uploads/a.txt").await.0, StatusCode::OK);
    let objects = async || app.admin().get(&bucket(&project)).await.1["objectCount"].clone();
    assert_eq!(objects().await, 1);
    // The request times out after the store has deleted the object.
    store.pause_response("x-id=DeleteObject", 1);
    let (status, body) = project.secret().delete(&path_of("object", &[("objectKey", "uploads/a.txt")])).await;
    assert_eq!((status, code(&body)), (StatusCode::GATEWAY_TIMEOUT, "timeout"), "{body}");
    store.resume();
    eventually("the record is deleted", async || objects().await == 0).await;
    assert_eq!(store.clear(), [""; 0]);
}
