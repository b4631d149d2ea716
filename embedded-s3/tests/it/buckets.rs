//! Creating, listing, configuring and deleting buckets.

use aws_sdk_s3::types::{BucketCannedAcl, CorsConfiguration, CorsRule, CreateBucketConfiguration, Tag};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{TestServer, client_with, code, http, status};

#[tokio::test]
async fn buckets_can_be_created_listed_and_deleted() {
    let server = TestServer::start().await;
    let client = &server.client;
    client.create_bucket().bucket("another.one").send().await.unwrap();
    client.head_bucket().bucket("another.one").send().await.unwrap();
    let error = client.create_bucket().bucket("another.one").send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (409, "BucketAlreadyOwnedByYou"));
    let listed = client.list_buckets().send().await.unwrap();
    let names: Vec<_> = listed.buckets().iter().filter_map(|bucket| bucket.name()).collect();
    assert_eq!(names, ["another.one", "files"]);
    assert!(listed.buckets().iter().all(|bucket| bucket.creation_date().unwrap().secs() > 1_700_000_000));

    client.delete_bucket().bucket("another.one").send().await.unwrap();
    assert_eq!(status(&client.head_bucket().bucket("another.one").send().await.unwrap_err()), 404);
    let error = client.delete_bucket().bucket("another.one").send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (404, "NoSuchBucket"));
    let error = client.put_object().bucket("another.one").key("a").send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (404, "NoSuchBucket"));
}

#[tokio::test]
async fn buckets_are_listed_in_pages() {
    let server = TestServer::start().await;
    let client = &server.client;
    for name in ["logs-a", "logs-b", "logs-c"] {
        client.create_bucket().bucket(name).send().await.unwrap();
    }
    let pages = async |size: i32, prefix: &str| {
        let mut pages = Vec::new();
        let mut paginator = client.list_buckets().max_buckets(size).prefix(prefix).into_paginator().send();
        while let Some(page) = paginator.next().await {
            let page = page.unwrap();
            pages.push(page.buckets().iter().filter_map(|bucket| bucket.name()).collect::<Vec<_>>().join(" "));
        }
        pages
    };
    assert_eq!(pages(3, "").await, ["files logs-a logs-b", "logs-c"]);
    assert_eq!(pages(4, "").await, ["files logs-a logs-b logs-c"]);
    assert_eq!(pages(2, "logs-").await, ["logs-a logs-b", "logs-c"]);
    for size in [0, -1, 10_001] {
        let error = client.list_buckets().max_buckets(size).send().await.unwrap_err();
        assert_eq!((status(&error), code(&error)), (400, "InvalidArgument"), "{size}");
    }
    let error = client.list_buckets().continuation_token("?").send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (400, "InvalidArgument"));
}

#[tokio::test]
async fn bucket_with_acl_grant_or_tags_is_not_created() {
    let server = TestServer::start().await;
    let create = || server.client.create_bucket().bucket("public");
    let tag = Tag::builder().key("team").value("a").build().unwrap();
    let tagged = CreateBucketConfiguration::builder().tags(tag).build();
    for request in [
        create().acl(BucketCannedAcl::PublicRead),
        create().grant_read("id=1"),
        create().grant_full_control("id=1"),
        create().grant_write_acp("id=1"),
        create().create_bucket_configuration(tagged),
        create().object_lock_enabled_for_bucket(true),
    ] {
        let error = request.send().await.unwrap_err();
        assert_eq!((status(&error), code(&error)), (501, "NotImplemented"));
    }
    assert_eq!(status(&server.client.head_bucket().bucket("public").send().await.unwrap_err()), 404);
    let region = CreateBucketConfiguration::builder().location_constraint("eu-west-1".into()).build();
    create().acl(BucketCannedAcl::Private).create_bucket_configuration(region).send().await.unwrap();
}

#[tokio::test]
async fn deleting_a_bucket_with_objects_returns_409() {
    let server = TestServer::start().await;
    server.put("a", "1").await;
    let error = server.client.delete_bucket().bucket("files").send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (409, "BucketNotEmpty"));
    assert_eq!(server.get("a").await.unwrap(), b"1");
    server.client.delete_object().bucket("files").key("a").send().await.unwrap();
    server.client.delete_bucket().bucket("files").send().await.unwrap();
    let server = server.restart().await;
    assert!(server.client.list_buckets().send().await.unwrap().buckets().is_empty());
}

#[tokio::test]
async fn invalid_bucket_names_are_rejected() {
    let server = TestServer::start().await;
    for name in ["..", "a", "UPPER", "a_b", "-ab", "192.168.0.1", "a..b"] {
        if let Err(error) = server.client.create_bucket().bucket(name).send().await {
            assert!([0, 400, 403].contains(&status(&error)), "{name}: {error:?}");
        } else {
            panic!("{name} was accepted");
        }
    }
    // HTTP clients resolve `..` before they send a path, so the test writes the request itself.
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    connection.write_all(b"PUT /%2e%2e HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 400"), "{response}");
    let entries: Vec<_> = std::fs::read_dir(server.folder.path().join("buckets")).unwrap().collect();
    assert_eq!(entries.len(), 1);
}

#[tokio::test]
async fn bucket_settings_are_stored_and_unsupported_ones_return_501() {
    let server = TestServer::start().await;
    let client = &server.client;
    let location = client.get_bucket_location().bucket("files").send().await.unwrap();
    assert!(location.location_constraint().is_none_or(|region| region.as_str().is_empty()));
    assert!(client.get_bucket_versioning().bucket("files").send().await.unwrap().status().is_none());
    let error = client.get_bucket_acl().bucket("files").send().await.unwrap_err();
    assert_eq!(status(&error), 501);

    let error = client.get_bucket_cors().bucket("files").send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (404, "NoSuchCORSConfiguration"));
    let rule = CorsRule::builder().allowed_methods("PUT").allowed_origins("*").allowed_headers("*").build().unwrap();
    let cors = CorsConfiguration::builder().cors_rules(rule.clone()).build().unwrap();
    client.put_bucket_cors().bucket("files").cors_configuration(cors).send().await.unwrap();
    let server = server.restart().await;
    let client = &server.client;
    assert_eq!(client.get_bucket_cors().bucket("files").send().await.unwrap().cors_rules(), [rule]);
    client.delete_bucket_cors().bucket("files").send().await.unwrap();
    assert_eq!(status(&client.get_bucket_cors().bucket("files").send().await.unwrap_err()), 404);
}

#[tokio::test]
async fn requests_without_a_valid_signature_return_403() {
    let server = TestServer::start().await;
    let stranger = client_with(server.address, "wrong-secret", |builder| builder);
    let error = stranger.list_buckets().send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (403, "SignatureDoesNotMatch"));
    let http = http();
    for path in ["/", "/files", "/files/a"] {
        assert_eq!(http.get(server.url(path)).send().await.unwrap().status(), 403, "GET {path}");
    }
    for path in ["/new-bucket", "/files/a"] {
        assert_eq!(http.put(server.url(path)).body("x").send().await.unwrap().status(), 403, "PUT {path}");
    }
    assert_eq!(http.delete(server.url("/files/a")).send().await.unwrap().status(), 403);
}
