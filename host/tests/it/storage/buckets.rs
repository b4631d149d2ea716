//! Buckets and their objects on the admin surface.

use atlashub::storage::sweep_all_projects;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    multipart::send_parts,
    sweep::{backdate_records, storage_state},
};
use crate::support::{TestApp, Uploads, code, must_send, path_of, raw};

#[tokio::test]
async fn new_project_has_two_private_buckets() {
    let app = TestApp::start().await;
    let project = app.create_project("default").await;
    let (status, list) = app.admin().get(&project.path("/buckets")).await;
    assert_eq!(status, StatusCode::OK);
    let names: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|bucket| &bucket["name"]).collect();
    assert_eq!(names, ["private", "uploads"]);
    assert_eq!(list["nextCursor"], Value::Null);
    for bucket in list["items"].as_array().unwrap() {
        assert_eq!(bucket["exposure"], json!({ "publishable": "none", "signedIn": "none" }));
        assert_eq!((bucket["objectCount"].as_i64(), bucket["objectBytes"].as_i64()), (Some(0), Some(0)));
        assert!(bucket["maxObjectBytes"].as_i64() > Some(0));
    }
}

#[tokio::test]
async fn buckets_can_be_created_updated_and_listed_with_their_object_counts() {
    let app = TestApp::start().await;
    let project = app.create_project("buckets").await;
    let admin = app.admin();
    let (status, bucket) =
        admin.post(&project.path("/buckets"), json!({ "name": "photos", "maxObjectBytes": 1000 })).await;
    assert_eq!((status, bucket["maxObjectBytes"].as_i64()), (StatusCode::CREATED, Some(1000)), "{bucket}");
    let (status, error) = admin.post(&project.path("/buckets"), json!({ "name": "photos" })).await;
    assert_eq!((status, code(&error)), (StatusCode::CONFLICT, "conflict"));
    for name in ["", "Photos", "a.b", "-a", "a/b", "..", &"x".repeat(64)] {
        let (status, error) = admin.post(&project.path("/buckets"), json!({ "name": name })).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{name}");
    }
    for limit in [0, -1, (5_i64 << 40) + 1] {
        let body = json!({ "maxObjectBytes": limit });
        let changed = admin.patch(&project.path("/buckets/photos"), body).await;
        let body = json!({ "name": "other", "maxObjectBytes": limit });
        let created = admin.post(&project.path("/buckets"), body).await;
        for (status, error) in [changed, created] {
            assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "invalid_request"), "{limit}");
            assert_eq!(error["error"]["details"], json!({ "field": "maxObjectBytes" }), "the field is not named");
        }
    }

    let (status, bucket) =
        admin.patch(&project.path("/buckets/photos"), json!({ "publishable": "download", "signedIn": "both" })).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(bucket["exposure"], json!({ "publishable": "download", "signedIn": "both" }));
    assert_eq!(bucket["maxObjectBytes"], 1000, "an omitted field changed");
    let (_, bucket) = admin.patch(&project.path("/buckets/photos"), json!({ "maxObjectBytes": 2000 })).await;
    assert_eq!((&bucket["maxObjectBytes"], &bucket["exposure"]["signedIn"]), (&json!(2000), &json!("both")));

    let signed = project.secret().sign("x.txt", json!({ "bucket": "photos" })).await;
    must_send(&signed, "12345").await;
    let url = path_of("signed-download", &[("objectKey", "photos/x.txt")]);
    assert_eq!(project.publishable().get(&url).await.0, StatusCode::OK);
    project.secret().sign("pending.txt", json!({ "bucket": "photos" })).await;
    let (_, bucket) = admin.get(&project.path("/buckets/photos")).await;
    assert_eq!((bucket["objectCount"].as_i64(), bucket["objectBytes"].as_i64()), (Some(1), Some(5)));

    let (_, page) = admin.get(&project.path("/buckets?limit=2")).await;
    assert_eq!((page["items"].as_array().unwrap().len(), page["items"][0]["name"].as_str()), (2, Some("photos")));
    let next = format!("/buckets?limit=2&cursor={}", page["nextCursor"].as_str().unwrap());
    let (_, page) = admin.get(&project.path(&next)).await;
    assert_eq!((page["items"][0]["name"].as_str(), &page["nextCursor"]), (Some("uploads"), &Value::Null));
    for (method, path) in [("get", "/buckets/nowhere"), ("patch", "/buckets/nowhere")] {
        let (status, _) = match method {
            "get" => admin.get(&project.path(path)).await,
            _ => admin.patch(&project.path(path), json!({ "publishable": "both" })).await,
        };
        assert_eq!(status, StatusCode::NOT_FOUND, "{method}");
    }
    assert_eq!(admin.get("/admin/v1/projects/nosuchproject/buckets").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn deleting_a_bucket_deletes_only_its_objects() {
    let app = TestApp::start().await;
    let project = app.create_project("deletes").await;
    let admin = app.admin();
    for name in ["photos", "photos2"] {
        assert_eq!(admin.post(&project.path("/buckets"), json!({ "name": name })).await.0, StatusCode::CREATED);
        for path in ["a.txt", "b/c.txt"] {
            let signed = project.secret().sign(path, json!({ "bucket": name })).await;
            must_send(&signed, "x").await;
        }
    }
    for confirm in ["", "photo", "photos2", "PHOTOS"] {
        let (status, error) = admin.delete_with(&project.path("/buckets/photos"), json!({ "confirm": confirm })).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "confirmation_required"), "{confirm}");
    }
    for body in [Some(json!({})), None] {
        let (status, error) = admin.send(reqwest::Method::DELETE, &project.path("/buckets/photos"), body).await;
        assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "confirmation_required"), "{error}");
    }
    let (status, _) = admin.delete_with(&project.path("/buckets/photos"), json!({ "confirm": "photos" })).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = admin.delete_with(&project.path("/buckets/photos"), json!({ "confirm": "photos" })).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let store_bucket = format!("proj-{}", project.id);
    let left = app.app.store().list_page(&store_bucket, "", 100, None).await.unwrap();
    let keys: Vec<&str> = left.objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["photos2/a.txt", "photos2/b/c.txt"]);
    let url = path_of("signed-download", &[("objectKey", "photos/a.txt")]);
    assert_eq!(project.secret().get(&url).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn deleting_a_bucket_again_removes_objects_that_an_interrupted_deletion_left() {
    let app = TestApp::start().await;
    let project = app.create_project("interrupted").await;
    let admin = app.admin();
    let bucket = project.path("/buckets/private");
    let confirmed = json!({ "confirm": "private" });
    assert_eq!(admin.delete_with(&bucket, confirmed.clone()).await.0, StatusCode::NO_CONTENT);
    // These objects arrived after the bucket's objects were removed. The process ended before it removed them, too.
    let store_bucket = format!("proj-{}", project.id);
    let store = app.app.store();
    for key in ["private/late.txt", "_staged/private/00/late", "private2/other.txt"] {
        store.put_small(&store_bucket, key, "text/plain", "x".into()).await.unwrap();
    }
    let (status, error) = admin.delete_with(&bucket, json!({ "confirm": "" })).await;
    assert_eq!((status, code(&error)), (StatusCode::BAD_REQUEST, "confirmation_required"), "{error}");
    assert_eq!(admin.delete_with(&bucket, confirmed.clone()).await.0, StatusCode::NO_CONTENT);
    let left = store.list_page(&store_bucket, "", 10, None).await.unwrap();
    let keys: Vec<&str> = left.objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["private2/other.txt"]);
    assert_eq!(admin.delete_with(&bucket, confirmed).await.0, StatusCode::NOT_FOUND);
}

/// URLs outlive the bucket that they were signed for. An object that such a URL stores never belongs to the next bucket
/// of the same name.
#[tokio::test]
async fn bucket_that_is_created_again_has_no_object_of_an_earlier_url() {
    let app = TestApp::start().await;
    let project = app.create_project("phoenix").await;
    let (admin, secret) = (app.admin(), project.secret());
    let bucket = project.path("/buckets/uploads");
    let open = json!({ "publishable": "both" });
    assert_eq!(admin.patch(&bucket, open).await.0, StatusCode::OK);
    let early = secret.sign("early.txt", json!({})).await;
    let late = secret.sign("notes/late.txt", json!({})).await;
    let staged = project.publishable().sign("staged.txt", json!({})).await;
    let parts = secret.sign("big.bin", json!({ "mode": "multipart", "size": 3 })).await;
    let completion = send_parts(&parts, b"big").await;
    let store_bucket = format!("proj-{}", project.id);
    // An upload without a record, of another program.
    app.app.store().create_multipart(&store_bucket, "uploads/other.bin", "a/b").await.unwrap();
    let other = app.app.store().create_multipart(&store_bucket, "uploads2/other.bin", "a/b").await.unwrap();
    must_send(&early, "before").await;
    assert_eq!(admin.delete_with(&bucket, json!({ "confirm": "uploads" })).await.0, StatusCode::NO_CONTENT);
    let left = app.app.store().list_uploads(&store_bucket, None).await.unwrap().uploads;
    assert_eq!(left.iter().map(|upload| &upload.upload_id).collect::<Vec<_>>(), [&other]);

    must_send(&early, "between").await;
    let name = json!({ "name": "uploads" });
    assert_eq!(admin.post(&project.path("/buckets"), name).await.0, StatusCode::CREATED);
    must_send(&late, "after").await;
    must_send(&staged, "after").await;
    let (status, error) = secret.post("/v1/storage/multipart/complete", completion).await;
    assert_eq!((status, code(&error)), (StatusCode::NOT_FOUND, "object_not_found"), "{error}");
    let (_, list) = admin.get(&format!("{bucket}/objects")).await;
    assert_eq!(list["items"], json!([]), "{list}");
    for path in ["early.txt", "staged.txt"] {
        assert_eq!(secret.sign_download(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    // The bucket is usable at once, also at the same path.
    secret.upload("early.txt", "new").await;
    assert_eq!(secret.download("early.txt").await, b"new");
    sweep_all_projects(&storage_state(&app)).await.unwrap();
    let left = app.app.store().list_page(&store_bucket, "", 10, None).await.unwrap();
    let keys: Vec<&str> = left.objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(keys, ["uploads/early.txt"]);
}

#[tokio::test]
async fn sweep_removes_what_a_url_stored_after_its_bucket_was_deleted() {
    let app = TestApp::start().await;
    let project = app.create_project("ghost").await;
    let signed = project.secret().sign("x.txt", json!({})).await;
    let deletion = json!({ "confirm": "uploads" });
    assert_eq!(app.admin().delete_with(&project.path("/buckets/uploads"), deletion).await.0, StatusCode::NO_CONTENT);
    for bytes in ["", "late"] {
        must_send(&signed, bytes).await;
        assert_eq!(sweep_all_projects(&storage_state(&app)).await.unwrap().oversize_removed, 1, "{bytes}");
    }
    let left = app.app.store().list_page(&format!("proj-{}", project.id), "", 10, None).await.unwrap();
    assert_eq!(left.objects, []);
    backdate_records(&app, &project, 30).await;
    assert_eq!(sweep_all_projects(&storage_state(&app)).await.unwrap().records_removed, 1);
}

/// During an update, a node of an earlier version may delete a bucket. It executes only the `DELETE` of this test.
#[tokio::test]
async fn bucket_deleted_by_an_earlier_version_leaves_only_the_limits_of_valid_urls() {
    let app = TestApp::start().await;
    let project = app.create_project("earlier").await;
    let (secret, store_bucket) = (project.secret(), format!("proj-{}", project.id));
    let signed = secret.sign("signed.txt", json!({})).await;
    let put = async || {
        app.app.store().put_small(&store_bucket, "uploads/put.txt", "text/plain", "put".into()).await.unwrap();
    };
    put().await;
    assert_eq!(secret.download("put.txt").await, b"put");
    let deleted = sqlx::query("DELETE FROM buckets WHERE project_id = $1 AND name = 'uploads'").bind(&project.id);
    assert_eq!(deleted.execute(app.app.platform()).await.unwrap().rows_affected(), 1);
    let left: Vec<(String, i64, bool)> =
        sqlx::query_as("SELECT path, max_size, gone FROM file_metadata WHERE project_id = $1")
            .bind(&project.id)
            .fetch_all(app.app.platform())
            .await
            .unwrap();
    assert_eq!(left, [("signed.txt".to_owned(), -1, true)]);
    let name = json!({ "name": "uploads" });
    assert_eq!(app.admin().post(&project.path("/buckets"), name).await.0, StatusCode::CREATED);
    must_send(&signed, "late").await;
    put().await;
    let (_, list) = app.admin().get(&project.path("/buckets/uploads/objects")).await;
    let listed: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|object| &object["path"]).collect();
    assert_eq!(listed, ["put.txt"], "{list}");
    assert_eq!(sweep_all_projects(&storage_state(&app)).await.unwrap().oversize_removed, 1);
    assert_eq!(secret.download("put.txt").await, b"put");
}

#[tokio::test]
async fn owner_can_upload_list_download_and_delete_objects() {
    let app = TestApp::start().await;
    let project = app.create_project("owner").await;
    let admin = app.admin();
    let bucket = project.path("/buckets/private");
    let request = json!({ "path": "docs/a.txt", "contentType": "text/plain" });
    let (status, signed) = admin.post(&format!("{bucket}/signed-upload"), request.clone()).await;
    assert_eq!((status, signed["objectKey"].as_str()), (StatusCode::OK, Some("private/docs/a.txt")), "{signed}");
    must_send(&signed, "bytes").await;
    let (status, error) = admin.post(&format!("{bucket}/signed-upload"), request).await;
    assert_eq!((status, code(&error)), (StatusCode::CONFLICT, "object_exists"));
    let upsert = json!({ "path": "docs/a.txt", "contentType": "text/plain", "upsert": true });
    assert_eq!(admin.post(&format!("{bucket}/signed-upload"), upsert).await.0, StatusCode::OK);

    let (status, list) = admin.get(&format!("{bucket}/objects?prefix=docs/")).await;
    assert_eq!((status, list["items"][0]["objectKey"].as_str()), (StatusCode::OK, Some("private/docs/a.txt")));
    let (status, body) = admin.get(&format!("{bucket}/signed-download?objectKey=private/docs/a.txt")).await;
    assert_eq!(status, StatusCode::OK);
    let response = raw().get(body["downloadUrl"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "bytes");

    for path in ["objects?bucket=uploads", "signed-download?objectKey=uploads/a.txt"] {
        assert_eq!(admin.get(&format!("{bucket}/{path}")).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
    let elsewhere = json!({ "bucket": "uploads", "path": "a.txt", "contentType": "text/plain" });
    assert_eq!(admin.post(&format!("{bucket}/signed-upload"), elsewhere).await.0, StatusCode::BAD_REQUEST);

    let (status, _) = admin.delete(&format!("{bucket}/objects?objectKey=private/docs/a.txt")).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = admin.delete(&format!("{bucket}/objects?objectKey=private/docs/a.txt")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

/// Covers listings and deletions of more than one page.
#[tokio::test]
async fn bucket_with_more_than_one_page_is_deleted_completely() {
    use futures_util::{StreamExt, stream};
    let app = TestApp::start().await;
    let project = app.create_project("many").await;
    let store_bucket = format!("proj-{}", project.id);
    let store = app.app.store();
    stream::iter(0..1003)
        .for_each_concurrent(16, |number| {
            let key = format!("private/{number}");
            let store_bucket = &store_bucket;
            async move { store.put_small(store_bucket, &key, "text/plain", "x".into()).await.unwrap() }
        })
        .await;
    let (status, page) = project.secret().get(&path_of("list", &[("bucket", "private"), ("limit", "1000")])).await;
    assert_eq!((status, page["items"].as_array().unwrap().len()), (StatusCode::OK, 1000));
    let cursor = page["nextCursor"].as_str().unwrap();
    let (_, page) = project.secret().get(&path_of("list", &[("bucket", "private"), ("cursor", cursor)])).await;
    assert_eq!((page["items"].as_array().unwrap().len(), &page["nextCursor"]), (3, &Value::Null));
    let (status, _) = app.admin().delete_with(&project.path("/buckets/private"), json!({ "confirm": "private" })).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(store.list_page(&store_bucket, "", 10, None).await.unwrap().objects, []);
}

#[tokio::test]
async fn deleting_a_project_deletes_its_storage() {
    let app = TestApp::start().await;
    let project = app.create_project("leaves nothing").await;
    let other = app.create_project("stays").await;
    project.secret().upload("x.txt", "bytes").await;
    project.secret().sign("big.bin", json!({ "mode": "multipart", "size": 6 << 20 })).await;
    other.secret().upload("x.txt", "bytes").await;
    let (status, _) = app.admin().delete_with(&project.path(""), json!({ "confirm": project.name })).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let store = app.app.store();
    assert!(!store.bucket_exists(&format!("proj-{}", project.id)).await.unwrap());
    assert_eq!(other.secret().download("x.txt").await, b"bytes");
}
