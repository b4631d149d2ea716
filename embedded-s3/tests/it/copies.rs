//! Copies of objects, and parts that are copied from objects.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, MetadataDirective};

use crate::multipart::{MIB, create_upload, upload_part};
use crate::support::{BUCKET, TestServer, bytes, code, status};

#[tokio::test]
async fn copy_is_independent_of_its_source() {
    let server = TestServer::start().await;
    let client = &server.client;
    client.create_bucket().bucket("other").send().await.unwrap();
    let put = client.put_object().bucket(BUCKET).key("a b/ü").content_type("text/plain").metadata("kind", "note");
    let etag = put.body(b"content".to_vec().into()).send().await.unwrap().e_tag().unwrap().to_owned();
    let copy = || client.copy_object().bucket("other").key("copy").copy_source("files/a%20b/%C3%BC");
    let copied = copy().send().await.unwrap();
    assert_eq!(copied.copy_object_result().unwrap().e_tag(), Some(etag.as_str()));
    client.delete_object().bucket(BUCKET).key("a b/ü").send().await.unwrap();
    let server = server.restart().await;
    let client = &server.client;
    let got = client.get_object().bucket("other").key("copy").send().await.unwrap();
    assert_eq!(got.content_type(), Some("text/plain"));
    assert_eq!(got.metadata().unwrap()["kind"], "note");
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"content");

    let onto_itself = client.copy_object().bucket("other").key("copy").copy_source("other/copy");
    assert_eq!(code(&onto_itself.clone().send().await.unwrap_err()), "InvalidRequest");
    let replace = onto_itself.metadata_directive(MetadataDirective::Replace).content_type("text/html");
    replace.send().await.unwrap();
    let got = client.get_object().bucket("other").key("copy").send().await.unwrap();
    assert_eq!(
        (got.content_type(), got.metadata().map(|metadata| metadata.len()).unwrap_or(0)),
        (Some("text/html"), 0)
    );
    assert_eq!(got.body.collect().await.unwrap().to_vec(), b"content");
}

#[tokio::test]
async fn copy_fails_if_a_condition_on_the_source_fails() {
    let server = TestServer::start().await;
    server.put("source", "1").await;
    let copy = || server.client.copy_object().bucket(BUCKET).key("target").copy_source("files/source");
    assert_eq!(status(&copy().copy_source_if_match("\"0\"").send().await.unwrap_err()), 412);
    assert_eq!(status(&copy().copy_source_if_none_match("*").send().await.unwrap_err()), 412);
    let missing = server.client.copy_object().bucket(BUCKET).key("target").copy_source("files/missing").send().await;
    assert_eq!(code(&missing.unwrap_err()), "NoSuchKey");
    assert_eq!(server.get("target").await, None);
}

#[tokio::test]
async fn upload_part_copy_copies_a_range_of_an_object() {
    let server = TestServer::start().await;
    let client = &server.client;
    let source = bytes(7, 6 * MIB);
    server.put("source", source.clone()).await;
    let id = create_upload(client, "joined").await;
    let copy = client.upload_part_copy().bucket(BUCKET).key("joined").upload_id(&id).part_number(1);
    let copied = copy.copy_source("files/source").copy_source_range("bytes=10-5242889").send().await.unwrap();
    let etag = copied.copy_part_result().unwrap().e_tag().unwrap();
    let first = CompletedPart::builder().part_number(1).e_tag(etag).build();
    let second = upload_part(client, "joined", &id, 2, b"end".to_vec()).await;
    let parts = CompletedMultipartUpload::builder().parts(first).parts(second).build();
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("joined").upload_id(&id);
    complete.multipart_upload(parts).send().await.unwrap();
    let copy = client.copy_object().bucket(BUCKET).key("again").copy_source("files/joined");
    assert!(copy.send().await.unwrap().copy_object_result().unwrap().e_tag().unwrap().ends_with("-2\""));
    client.delete_object().bucket(BUCKET).key("joined").send().await.unwrap();
    assert!(server.get("again").await.unwrap() == [&source[10..5_242_890], b"end"].concat());
}

#[tokio::test]
async fn upload_part_copy_refuses_a_range_outside_the_source() {
    let server = TestServer::start().await;
    let client = &server.client;
    server.put("source", "0123456789").await;
    let id = create_upload(client, "joined").await;
    for (range, expected) in [
        ("bytes=0-10", "InvalidRange"),
        ("bytes=10-11", "InvalidRange"),
        ("bytes=-5", "InvalidArgument"),
        ("bytes=5-", "InvalidArgument"),
        ("0-2", "InvalidArgument"),
        ("bytes=0-1,3-4", "InvalidArgument"),
    ] {
        let copy = client.upload_part_copy().bucket(BUCKET).key("joined").upload_id(&id).part_number(1);
        let error = copy.copy_source("files/source").copy_source_range(range).send().await.unwrap_err();
        assert_eq!(code(&error), expected, "{range}");
    }
    let copy = client.upload_part_copy().bucket(BUCKET).key("joined").upload_id(&id).part_number(1);
    copy.copy_source("files/source").copy_source_range("bytes=0-9").send().await.unwrap();
}
