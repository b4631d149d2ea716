//! Upload URLs signed without the secret key lead to staged objects. A staged object is moved to its path at most once,
//! and only if the path is free.

use atlashub::{object_store::StoreError, storage::sweep_all_projects};
use futures_util::{StreamExt as _, stream};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};

use super::{post::submit, sweep::storage_state};
use crate::{
    projects::gate::user_token,
    support::{Client, Store, TestApp, TestProject, Uploads, code, must_send, path_of, raw},
};

/// Creates a project whose bucket `uploads` is open to everyone.
async fn open_project(app: &TestApp, name: &str) -> TestProject {
    let project = app.create_project(name).await;
    let exposure = json!({ "publishable": "both", "signedIn": "both" });
    let (status, body) = app.admin().patch(&project.path("/buckets/uploads"), exposure).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    project
}

/// Returns a client for each kind of caller without the permissions of the secret key.
async fn untrusted(app: &TestApp, project: &TestProject) -> Vec<(&'static str, Client)> {
    let bearer = format!("Bearer {}", user_token(app, project, |_, _| {}).await);
    vec![
        ("publishable key", project.publishable()),
        ("user", project.publishable().with_header("authorization", &bearer)),
        ("user on a server", project.secret().with_header("authorization", &bearer)),
    ]
}

async fn staged_keys(app: &TestApp, project: &TestProject) -> Vec<String> {
    let page = app.app.store().list_page(&project_bucket(project), "_staged/", 1000, None).await.unwrap();
    page.objects.into_iter().map(|object| object.key).collect()
}

fn project_bucket(project: &TestProject) -> String {
    format!("proj-{}", project.id)
}

/// Returns the staged key of a signed PUT.
fn staged_key(signed: &Value) -> String {
    let url = signed["uploadUrl"].as_str().unwrap();
    format!("_staged/{}", url.split_once("/_staged/").unwrap().1.split('?').next().unwrap())
}

async fn set_state(app: &TestApp, project: &TestProject, state: &str) {
    sqlx::query("UPDATE open_uploads SET state = $2 WHERE project_id = $1")
        .bind(&project.id)
        .bind(state)
        .execute(app.app.platform())
        .await
        .unwrap();
}

async fn states(app: &TestApp, project: &TestProject) -> Vec<String> {
    sqlx::query_scalar("SELECT state FROM open_uploads WHERE project_id = $1 ORDER BY created_at")
        .bind(&project.id)
        .fetch_all(app.app.platform())
        .await
        .unwrap()
}

#[tokio::test]
async fn upload_url_replaces_its_own_upload_only_until_it_is_moved() {
    let app = TestApp::start().await;
    let project = open_project(&app, "again").await;
    let client = project.publishable();
    let signed = client.sign("a.txt", json!({})).await;
    must_send(&signed, "first").await;
    must_send(&signed, "second").await;
    assert_eq!(client.download("a.txt").await, b"second");
    must_send(&signed, "third").await;
    assert_eq!(client.download("a.txt").await, b"second");
}

#[tokio::test]
async fn old_upload_url_never_replaces_a_newer_object() {
    let app = TestApp::start().await;
    let project = open_project(&app, "kept").await;
    for (caller, client) in untrusted(&app, &project).await {
        let path = format!("{caller}.txt");
        let (put, form) = (client.sign(&path, json!({})).await, client.sign(&path, json!({ "mode": "post" })).await);
        assert_eq!(put["objectKey"], format!("uploads/{path}"));
        assert_eq!(put["headers"], json!({ "content-type": "text/plain" }));
        let owners = project.secret().sign(&path, json!({ "once": true })).await;
        must_send(&owners, "owner's").await;
        for access in ["download", "sweep", "list"] {
            must_send(&put, "replaced").await;
            assert!(submit(&form, "replaced", &[]).await.status().is_success());
            match access {
                "sweep" => drop(sweep_all_projects(&storage_state(&app)).await.unwrap()),
                "list" => drop(project.secret().get(&path_of("list", &[("bucket", "uploads")])).await),
                _ => {}
            }
            assert_eq!(client.download(&path).await, b"owner's", "{caller} {access}");
        }
        // A discarded upload does not become the object later: neither after the owner deletes the existing object, nor
        // after the upload's URL is used again.
        must_send(&put, "replaced").await;
        let deletion = path_of("object", &[("objectKey", &format!("uploads/{path}"))]);
        assert_eq!(project.secret().delete(&deletion).await.0, StatusCode::OK);
        must_send(&put, "replaced").await;
        assert_eq!(client.sign_download(&path).await.0, StatusCode::NOT_FOUND, "{caller}");
        sweep_all_projects(&storage_state(&app)).await.unwrap();
        assert_eq!(client.sign_download(&path).await.0, StatusCode::NOT_FOUND, "{caller}");
    }
    assert_eq!(staged_keys(&app, &project).await, [""; 0]);
}

#[tokio::test]
async fn upload_without_secret_key_is_visible_at_the_next_access() {
    let app = TestApp::start().await;
    let project = open_project(&app, "looks").await;
    let publishable = project.publishable();
    publishable.upload("notes/x.png", "png").await;
    let (status, body) = publishable.sign_download("notes/x.png").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let response = raw().get(body["downloadUrl"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain");
    assert_eq!(response.text().await.unwrap(), "png");

    publishable.upload("notes/y.png", "png").await;
    let (_, list) = project.secret().get(&path_of("list", &[("bucket", "uploads"), ("prefix", "notes/")])).await;
    let keys: Vec<&str> = list["items"].as_array().unwrap().iter().filter_map(|o| o["objectKey"].as_str()).collect();
    assert_eq!(keys, ["uploads/notes/x.png", "uploads/notes/y.png"]);
    assert_eq!(list["items"][1]["contentType"], "text/plain");

    publishable.upload("z.png", "z").await;
    let signed = publishable.sign("late.png", json!({})).await;
    let (status, error) = project
        .secret()
        .post("/v1/storage/signed-upload", json!({ "bucket": "uploads", "path": "z.png", "contentType": "a/b" }))
        .await;
    assert_eq!((status, code(&error)), (StatusCode::CONFLICT, "object_exists"));
    must_send(&signed, "late").await;
    let report = sweep_all_projects(&storage_state(&app)).await.unwrap();
    assert_eq!(report.uploads_moved, 1);
    assert_eq!(staged_keys(&app, &project).await, [""; 0]);
    let (_, bucket) = app.admin().get(&project.path("/buckets/uploads")).await;
    assert_eq!((&bucket["objectCount"], &bucket["objectBytes"]), (&json!(4), &json!(11)));
    let by: Vec<String> = sqlx::query_scalar("SELECT DISTINCT uploaded_by FROM file_metadata WHERE project_id = $1")
        .bind(&project.id)
        .fetch_all(app.app.platform())
        .await
        .unwrap();
    assert_eq!(by, ["publishable"]);
}

/// Uploads 260 objects: more than the 200 of one page that is moved before a bucket is listed.
#[tokio::test]
async fn list_contains_every_upload_that_has_arrived() {
    let app = TestApp::start().await;
    let project = open_project(&app, "many").await;
    let publishable = project.publishable();
    stream::iter(0..260)
        .for_each_concurrent(16, |number| {
            let publishable = &publishable;
            async move { publishable.upload(&format!("notes/{number}.txt"), "x").await }
        })
        .await;
    let (mut count, mut cursor) = (0, None::<String>);
    loop {
        let mut query = vec![("bucket", "uploads"), ("prefix", "notes/"), ("limit", "1000")];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let (status, page) = project.secret().get(&path_of("list", &query)).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        count += page["items"].as_array().unwrap().len();
        match page["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!((count, staged_keys(&app, &project).await.len()), (260, 0));
}

/// Covers the states that a process leaves behind when it is killed between two steps of a move.
#[tokio::test]
async fn interrupted_move_is_continued_by_the_next_access() {
    let app = TestApp::start().await;
    for access in ["download", "sweep"] {
        for step in ["marked", "copied", "recorded"] {
            let project = open_project(&app, &format!("{step} {access}")).await;
            let publishable = project.publishable();
            let signed = publishable.sign("x.txt", json!({ "maxSize": 10 })).await;
            must_send(&signed, "bytes").await;
            let (bucket, store) = (project_bucket(&project), app.app.store());
            set_state(&app, &project, "moving").await;
            if step != "marked" {
                let staged = store.head(&bucket, &staged_key(&signed)).await.unwrap().unwrap();
                let etag = staged.etag.unwrap();
                store.copy_if_absent(&bucket, &staged_key(&signed), "uploads/x.txt", &etag).await.unwrap();
            }
            if step == "recorded" {
                set_state(&app, &project, "over").await;
            }
            if access == "sweep" {
                sweep_all_projects(&storage_state(&app)).await.unwrap();
            }
            assert_eq!(publishable.download("x.txt").await, b"bytes", "{step} {access}");
            sweep_all_projects(&storage_state(&app)).await.unwrap();
            assert_eq!(publishable.download("x.txt").await, b"bytes", "{step} {access}");
            assert_eq!(
                (states(&app, &project).await, staged_keys(&app, &project).await.len()),
                (vec!["over".into()], 0)
            );
        }
    }
}

/// The process is killed after the copy, and the owner replaces the object before the next access.
#[tokio::test]
async fn interrupted_move_does_not_replace_an_object_that_came_later() {
    let app = TestApp::start().await;
    let project = open_project(&app, "crash").await;
    let signed = project.publishable().sign("x.txt", json!({})).await;
    must_send(&signed, "bytes").await;
    set_state(&app, &project, "moving").await;
    let owners = project.secret().sign("y.txt", json!({})).await;
    must_send(&owners, "y").await;
    app.app.store().put_small(&project_bucket(&project), "uploads/x.txt", "a/b", "owner's".into()).await.unwrap();
    sweep_all_projects(&storage_state(&app)).await.unwrap();
    assert_eq!(project.secret().download("x.txt").await, b"owner's");
    assert_eq!(staged_keys(&app, &project).await, [""; 0]);
}

#[tokio::test]
async fn exactly_one_of_simultaneous_uploads_to_a_path_becomes_the_object() {
    let app = TestApp::start().await;
    let project = open_project(&app, "race").await;
    let publishable = project.publishable();
    let mut uploads = Vec::new();
    for number in 0..6 {
        uploads.push((format!("bytes {number}"), publishable.sign("x.txt", json!({})).await));
    }
    futures_util::future::join_all(uploads.iter().map(|(bytes, signed)| must_send(signed, bytes.clone()))).await;
    let downloads = (0..12).map(|_| publishable.download("x.txt"));
    let seen = futures_util::future::join_all(downloads).await;
    assert!(seen.iter().all(|bytes| *bytes == seen[0]), "{seen:?}");
    assert!(uploads.iter().any(|(bytes, _)| bytes.as_bytes() == seen[0]));
    // Using the URLs again changes nothing.
    futures_util::future::join_all(uploads.iter().map(|(_, signed)| must_send(signed, "other"))).await;
    sweep_all_projects(&storage_state(&app)).await.unwrap();
    assert_eq!(publishable.download("x.txt").await, seen[0]);
    assert_eq!(staged_keys(&app, &project).await, [""; 0]);
    assert!(states(&app, &project).await.iter().all(|state| state == "over"));
}

#[tokio::test]
async fn staged_object_above_max_size_is_removed_and_can_be_sent_again() {
    let app = TestApp::start().await;
    let project = open_project(&app, "large").await;
    let publishable = project.publishable();
    let signed = publishable.sign("x.txt", json!({ "maxSize": 5 })).await;
    must_send(&signed, "123456").await;
    let (status, error) = publishable.sign_download("x.txt").await;
    assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "object_not_found"));
    assert_eq!(staged_keys(&app, &project).await, [""; 0]);
    must_send(&signed, "1234567").await;
    assert_eq!(sweep_all_projects(&storage_state(&app)).await.unwrap().oversize_removed, 1);
    // The limit of another URL for the path does not apply to this URL.
    project.secret().sign("x.txt", json!({ "maxSize": 1 })).await;
    must_send(&signed, "12345").await;
    assert_eq!(publishable.download("x.txt").await, b"12345");
    assert_eq!(project.secret().download("x.txt").await, b"12345");

    let exact = publishable.sign("y.txt", json!({ "size": 3 })).await;
    let longer = raw().put(exact["uploadUrl"].as_str().unwrap()).header("content-type", "text/plain").body("1234");
    assert!(longer.send().await.unwrap().status().is_client_error());
    let form = publishable.sign("z.txt", json!({ "mode": "post", "maxSize": 3 })).await;
    assert_eq!(form["objectKey"], "uploads/z.txt");
    assert!(submit(&form, "1234", &[]).await.status().is_client_error());
    assert!(submit(&form, "123", &[("Content-Type", "text/html")]).await.status().is_client_error());
    assert!(submit(&form, "123", &[]).await.status().is_success());
    assert_eq!(publishable.download("z.txt").await, b"123");
    let typed = publishable.sign("t.txt", json!({})).await;
    let wrong = raw().put(typed["uploadUrl"].as_str().unwrap()).header("content-type", "text/html").body("x");
    assert!(wrong.send().await.unwrap().status().is_client_error());
}

/// The owner's object is larger than its URL allows, so it is removed at the next access. The staged upload must not be
/// discarded because of that object.
#[tokio::test]
async fn staged_upload_replaces_an_oversize_object_and_max_size_still_applies_to_its_url() {
    let app = TestApp::start().await;
    let project = open_project(&app, "in the way").await;
    let publishable = project.publishable();
    let staged = publishable.sign("x.txt", json!({})).await;
    let owners = project.secret().sign("x.txt", json!({ "maxSize": 3 })).await;
    must_send(&owners, "too large").await;
    must_send(&staged, "staged").await;
    assert_eq!(sweep_all_projects(&storage_state(&app)).await.unwrap().uploads_moved, 1);
    assert_eq!(publishable.download("x.txt").await, b"staged");
    must_send(&owners, "larger").await;
    assert_eq!(publishable.sign_download("x.txt").await.0, StatusCode::NOT_FOUND);
    must_send(&owners, "fit").await;
    assert_eq!(publishable.download("x.txt").await, b"fit");
}

#[tokio::test]
async fn staged_objects_of_deleted_bucket_or_expired_upload_are_removed() {
    let app = TestApp::start().await;
    let project = open_project(&app, "leftovers").await;
    let publishable = project.publishable();
    let signed = publishable.sign("x.txt", json!({})).await;
    must_send(&signed, "before").await;
    let deletion = json!({ "confirm": "uploads" });
    let (status, _) = app.admin().delete_with(&project.path("/buckets/uploads"), deletion).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(staged_keys(&app, &project).await, [""; 0]);
    must_send(&signed, "after").await;
    sweep_all_projects(&storage_state(&app)).await.unwrap();
    assert_eq!(staged_keys(&app, &project).await, [""; 0]);

    let project = open_project(&app, "expired").await;
    let signed = project.publishable().sign("x.txt", json!({})).await;
    let backdate = async |hours: i32| {
        sqlx::query(
            "UPDATE open_uploads SET expires_at = expires_at - make_interval(hours => $2) WHERE project_id = $1",
        )
        .bind(&project.id)
        .bind(hours)
        .execute(app.app.platform())
        .await
        .unwrap();
    };
    // An upload that began in time may arrive after its URL has expired.
    backdate(2).await;
    sweep_all_projects(&storage_state(&app)).await.unwrap();
    must_send(&signed, "slow").await;
    assert_eq!(project.publishable().download("x.txt").await, b"slow");
    backdate(24).await;
    sweep_all_projects(&storage_state(&app)).await.unwrap();
    assert_eq!(states(&app, &project).await, [""; 0]);
    assert_eq!(project.publishable().download("x.txt").await, b"slow");
}

/// Some stores ignore the condition that the target must not exist, so this is only checked for the embedded store.
#[tokio::test]
async fn copy_if_absent_does_not_replace_an_object() {
    let app = TestApp::start().await;
    let project = app.create_project("copies").await;
    let (store, bucket) = (app.app.store(), project_bucket(&project));
    store.put_small(&bucket, "uploads/ü a", "a/b", "a".into()).await.unwrap();
    let etag = store.head(&bucket, "uploads/ü a").await.unwrap().unwrap().etag.unwrap();
    let copy = async |etag: &str| store.copy_if_absent(&bucket, "uploads/ü a", "uploads/b", etag).await;
    let error = copy("\"00000000000000000000000000000000\"").await.unwrap_err();
    assert!(matches!(error, StoreError::PreconditionFailed { .. }), "{error}");
    copy(&etag).await.unwrap();
    let copied = store.head(&bucket, "uploads/b").await.unwrap().unwrap();
    assert_eq!((copied.etag.as_deref(), copied.content_type.as_deref()), (Some(&*etag), Some("a/b")));
    if Store::shared().is_embedded() {
        let error = copy(&etag).await.unwrap_err();
        assert!(matches!(error, StoreError::PreconditionFailed { .. }), "{error}");
    }
}
