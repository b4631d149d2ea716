//! Multipart uploads.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, ObjectAttributes};
use s3s::crypto::{Checksum as _, Md5};

use crate::support::{BUCKET, TestServer, bytes, code, count_files, http, status};

pub(crate) const MIB: usize = 1024 * 1024;

pub(crate) async fn create_upload(client: &Client, key: &str) -> String {
    let created =
        client.create_multipart_upload().bucket(BUCKET).key(key).content_type("video/mp4").send().await.unwrap();
    created.upload_id().unwrap().to_owned()
}

pub(crate) async fn upload_part(client: &Client, key: &str, id: &str, number: i32, content: Vec<u8>) -> CompletedPart {
    let upload = client.upload_part().bucket(BUCKET).key(key).upload_id(id).part_number(number);
    let uploaded = upload.body(ByteStream::from(content)).send().await.unwrap();
    CompletedPart::builder().part_number(number).set_e_tag(uploaded.e_tag().map(str::to_owned)).build()
}

macro_rules! complete {
    ($client:expr, $key:expr, $id:expr, $parts:expr) => {
        $client
            .complete_multipart_upload()
            .bucket(BUCKET)
            .key($key)
            .upload_id($id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some($parts)).build())
    };
}

#[tokio::test]
async fn completed_upload_becomes_an_object() {
    let server = TestServer::start().await;
    let contents = [bytes(1, 5 * MIB), bytes(2, 5 * MIB + 1), bytes(3, 10)];
    let id = create_upload(&server.client, "film").await;
    // The parts are uploaded out of order. Part 1 is uploaded twice, and part 5 is not used.
    let third = upload_part(&server.client, "film", &id, 9, contents[2].clone()).await;
    upload_part(&server.client, "film", &id, 1, b"replaced".to_vec()).await;
    let first = upload_part(&server.client, "film", &id, 1, contents[0].clone()).await;
    upload_part(&server.client, "film", &id, 5, b"unused".to_vec()).await;
    let server = server.restart().await;
    assert_eq!(server.get("film").await, None);
    let client = &server.client;
    let second = upload_part(client, "film", &id, 2, contents[1].clone()).await;

    let listed = client.list_parts().bucket(BUCKET).key("film").upload_id(&id).max_parts(2).send().await.unwrap();
    let numbers: Vec<_> =
        listed.parts().iter().map(|part| (part.part_number().unwrap(), part.size().unwrap())).collect();
    assert_eq!(numbers, [(1, 5 * MIB as i64), (2, 5 * MIB as i64 + 1)]);
    assert_eq!((listed.is_truncated(), listed.next_part_number_marker()), (Some(true), Some("2")));
    let rest =
        client.list_parts().bucket(BUCKET).key("film").upload_id(&id).part_number_marker("2").send().await.unwrap();
    assert_eq!(rest.parts().iter().filter_map(|part| part.part_number()).collect::<Vec<_>>(), [5, 9]);
    let uploads = client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    assert_eq!(uploads.uploads()[0].upload_id(), Some(id.as_str()));
    assert_eq!(uploads.uploads()[0].key(), Some("film"));
    assert_eq!(uploads.uploads()[0].initiator().unwrap().id(), Some("owner"));
    assert_eq!(listed.initiator().unwrap().id(), Some("owner"));

    let completed = complete!(client, "film", &id, vec![first, second, third]).send().await.unwrap();
    let digests: Vec<u8> = contents.iter().flat_map(|content| Md5::checksum(content)).collect();
    let etag = format!("\"{}-3\"", hex::encode(Md5::checksum(&digests)));
    assert_eq!(completed.e_tag(), Some(etag.as_str()));

    let server = server.restart().await;
    let whole = contents.concat();
    let got = server.client.get_object().bucket(BUCKET).key("film").send().await.unwrap();
    assert_eq!((got.e_tag(), got.content_type()), (Some(etag.as_str()), Some("video/mp4")));
    assert!(got.body.collect().await.unwrap().to_vec() == whole);
    for (range, from, to) in [
        ("bytes=5242870-5242890", 5 * MIB - 10, 5 * MIB + 11),
        ("bytes=10-10485770", 10, 10 * MIB + 11),
        ("bytes=-12", whole.len() - 12, whole.len()),
    ] {
        let got = server.client.get_object().bucket(BUCKET).key("film").range(range).send().await.unwrap();
        assert!(got.body.collect().await.unwrap().to_vec() == whole[from..to], "{range}");
    }
    let got = server.client.get_object().bucket(BUCKET).key("film").part_number(3).send().await.unwrap();
    assert_eq!(got.parts_count(), Some(3));
    assert!(got.body.collect().await.unwrap().to_vec() == contents[2]);
    let attributes = || {
        let attributes = server.client.get_object_attributes().bucket(BUCKET).key("film");
        attributes.object_attributes(ObjectAttributes::ObjectParts).object_attributes(ObjectAttributes::Etag)
    };
    let all = attributes().send().await.unwrap();
    assert_eq!(all.e_tag(), Some(etag.trim_matches('"')));
    let parts = all.object_parts().unwrap();
    let sizes: Vec<_> = parts.parts().iter().map(|part| (part.part_number().unwrap(), part.size().unwrap())).collect();
    assert_eq!(sizes, [(1, 5 * MIB as i64), (2, 5 * MIB as i64 + 1), (3, 10)]);
    assert_eq!((parts.total_parts_count(), parts.is_truncated()), (Some(3), Some(false)));
    let page = attributes().max_parts(1).part_number_marker("1").send().await.unwrap();
    let parts = page.object_parts().unwrap();
    assert_eq!(parts.parts().iter().filter_map(|part| part.part_number()).collect::<Vec<_>>(), [2]);
    assert_eq!((parts.max_parts(), parts.part_number_marker()), (Some(1), Some("1")));
    assert_eq!((parts.is_truncated(), parts.next_part_number_marker()), (Some(true), Some("2")));
    assert!(server.client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap().uploads().is_empty());
    assert_eq!(count_files(&server.folder.path().join("blobs")), 3);
    assert_eq!(count_files(&server.folder.path().join("uploads")), 0);
    server.put("film", "short").await;
    let server = server.restart().await;
    assert_eq!(count_files(&server.folder.path().join("blobs")), 1);
}

#[tokio::test]
async fn invalid_parts_are_rejected() {
    let server = TestServer::start().await;
    server.put("film", "old").await;
    let client = &server.client;
    let id = create_upload(client, "film").await;
    let small = upload_part(client, "film", &id, 1, b"small".to_vec()).await;
    let last = upload_part(client, "film", &id, 2, b"last".to_vec()).await;
    let error = complete!(client, "film", &id, vec![small.clone(), last.clone()]).send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (400, "EntityTooSmall"));
    let error = complete!(client, "film", &id, vec![last.clone(), small.clone()]).send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (400, "InvalidPartOrder"));
    // The order is checked before the ETags.
    let replaced = CompletedPart::builder().part_number(1).e_tag(last.e_tag().unwrap()).build();
    let error = complete!(client, "film", &id, vec![replaced, small.clone()]).send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (400, "InvalidPartOrder"));
    let missing = CompletedPart::builder().part_number(3).e_tag("\"00\"").build();
    let error = complete!(client, "film", &id, vec![missing]).send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (400, "InvalidPart"));
    let other = CompletedPart::builder().part_number(1).e_tag(last.e_tag().unwrap()).build();
    let error = complete!(client, "film", &id, vec![other]).send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (400, "InvalidPart"));
    let error = complete!(client, "film", &id, vec![small.clone()]).if_none_match("*").send().await.unwrap_err();
    assert_eq!(status(&error), 412);
    let error = complete!(client, "other", &id, vec![small.clone()]).send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (404, "NoSuchUpload"));
    for number in [0, 10_001] {
        let upload = client.upload_part().bucket(BUCKET).key("film").upload_id(&id).part_number(number);
        assert_eq!(status(&upload.send().await.unwrap_err()), 400);
    }
    let upload = client.upload_part().bucket(BUCKET).key("film").upload_id(&id).part_number(1);
    let error = upload.body(ByteStream::from_static(b"x")).content_md5("1B2M2Y8AsgTpgAmY7PhCfg==").send().await;
    assert_eq!(code(&error.unwrap_err()), "BadDigest");
    let upload = client.upload_part().bucket(BUCKET).key("film").upload_id("../../x").part_number(1);
    assert_eq!(status(&upload.send().await.unwrap_err()), 404);
    assert_eq!(server.get("film").await.unwrap(), b"old");
    complete!(client, "film", &id, vec![small]).send().await.unwrap();
    assert_eq!(server.get("film").await.unwrap(), b"small");
}

#[tokio::test]
async fn etag_of_part_is_md5_unless_request_permits_crc() {
    let server = TestServer::start().await;
    let client = &server.client;
    let id = create_upload(client, "film").await;
    let content = b"123456789";
    let part = |number: i32| {
        let upload = client.upload_part().bucket(BUCKET).key("film").upload_id(&id).part_number(number);
        upload.body(ByteStream::from_static(content)).customize()
    };
    let permit_crc = |request: &mut aws_sdk_s3::config::http::HttpRequest| {
        request.headers_mut().insert("x-atlashub-crc-etag", "1");
    };
    let md5 = format!("\"{}\"", hex::encode(Md5::checksum(content)));
    assert_eq!(part(1).send().await.unwrap().e_tag(), Some(&*md5));
    // The check value of CRC-64/NVME and the length.
    let crc = "\"ae8b14860a7998880000000000000009\"";
    assert_eq!(part(1).mutate_request(permit_crc).send().await.unwrap().e_tag(), Some(crc));
    // A declared MD5 is verified and used.
    let upload = client.upload_part().bucket(BUCKET).key("film").upload_id(&id).part_number(2);
    let upload = upload.body(ByteStream::from_static(content)).content_md5("1B2M2Y8AsgTpgAmY7PhCfg==");
    let error = upload.customize().mutate_request(permit_crc).send().await.unwrap_err();
    assert_eq!(code(&error), "BadDigest");

    let parts = vec![CompletedPart::builder().part_number(1).e_tag(crc).build()];
    complete!(client, "film", &id, parts).send().await.unwrap();
    assert_eq!(server.get("film").await.unwrap(), content);
}

#[tokio::test]
async fn aborted_upload_is_removed() {
    let server = TestServer::start().await;
    let client = &server.client;
    let id = create_upload(client, "film").await;
    upload_part(client, "film", &id, 1, b"part".to_vec()).await;
    let abort = |key: &str| client.abort_multipart_upload().bucket(BUCKET).key(key).upload_id(&id).send();
    let error = abort("other").await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (404, "NoSuchUpload"));
    client.list_parts().bucket(BUCKET).key("film").upload_id(&id).send().await.unwrap();
    abort("film").await.unwrap();
    assert_eq!(status(&abort("film").await.unwrap_err()), 404);
    let upload = client.upload_part().bucket(BUCKET).key("film").upload_id(&id).part_number(2);
    assert_eq!(code(&upload.send().await.unwrap_err()), "NoSuchUpload");
    // Deleting a bucket aborts its open uploads.
    let id = create_upload(client, "film").await;
    upload_part(client, "film", &id, 1, b"part".to_vec()).await;
    client.delete_bucket().bucket(BUCKET).send().await.unwrap();
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    let parts = client.list_parts().bucket(BUCKET).key("film").upload_id(&id).send().await;
    assert_eq!(status(&parts.unwrap_err()), 404);
    let server = server.restart().await;
    assert_eq!(count_files(&server.folder.path().join("blobs")), 0);
    assert_eq!(count_files(&server.folder.path().join("uploads")), 0);
}

#[tokio::test]
async fn open_uploads_are_listed_in_pages() {
    let server = TestServer::start().await;
    let client = &server.client;
    let mut ids = Vec::new();
    for key in ["a/1", "a/2", "b", "b"] {
        ids.push((key, create_upload(client, key).await));
    }
    ids.sort();
    let mut listed = Vec::new();
    let (mut key, mut id) = (None, None);
    loop {
        let list = client.list_multipart_uploads().bucket(BUCKET).max_uploads(1);
        let page = list.set_key_marker(key).set_upload_id_marker(id).send().await.unwrap();
        listed.extend(
            page.uploads()
                .iter()
                .map(|upload| (upload.key().unwrap().to_owned(), upload.upload_id().unwrap().to_owned())),
        );
        if page.is_truncated() != Some(true) {
            break;
        }
        (key, id) = (page.next_key_marker().map(str::to_owned), page.next_upload_id_marker().map(str::to_owned));
    }
    assert_eq!(listed, ids.into_iter().map(|(key, id)| (key.to_owned(), id)).collect::<Vec<_>>());
    let grouped = client.list_multipart_uploads().bucket(BUCKET).delimiter("/").send().await.unwrap();
    assert_eq!((grouped.uploads().len(), grouped.common_prefixes()[0].prefix()), (2, Some("a/")));
}

/// Browsers upload each part to its own presigned URL.
#[tokio::test]
async fn parts_can_be_uploaded_by_presigned_urls() {
    let server = TestServer::start().await;
    let client = &server.client;
    let http = http();
    let id = create_upload(client, "film").await;
    let contents = [bytes(4, 5 * MIB), bytes(5, 77)];
    let mut parts = Vec::new();
    for (number, content) in (1..).zip(&contents) {
        let upload = client.upload_part().bucket(BUCKET).key("film").upload_id(&id).part_number(number);
        let url = upload.presigned(crate::support::for_one_hour()).await.unwrap();
        let response = http.put(url.uri()).body(content.clone()).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let etag = response.headers()["etag"].to_str().unwrap().to_owned();
        parts.push(CompletedPart::builder().part_number(number).e_tag(etag).build());
    }
    complete!(client, "film", &id, parts).send().await.unwrap();
    assert!(server.get("film").await.unwrap() == contents.concat());
}

#[tokio::test]
async fn completion_can_be_repeated() {
    let server = TestServer::start().await;
    let id = create_upload(&server.client, "film").await;
    let part = upload_part(&server.client, "film", &id, 1, b"part".to_vec()).await;
    let first = complete!(server.client, "film", &id, vec![part.clone()]).if_none_match("*").send().await.unwrap();
    let again = complete!(server.client, "film", &id, vec![part.clone()]).if_none_match("*").send().await.unwrap();
    assert_eq!(again.e_tag(), first.e_tag());
    let server = server.restart().await;
    let again = complete!(server.client, "film", &id, vec![part.clone()]).send().await.unwrap();
    assert_eq!(again.e_tag(), first.e_tag());
    let other = CompletedPart::builder().part_number(1).e_tag("\"00000000000000000000000000000000\"").build();
    let error = complete!(server.client, "film", &id, vec![other]).send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (404, "NoSuchUpload"));
    server.put("film", "newer").await;
    let error = complete!(server.client, "film", &id, vec![part]).send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (404, "NoSuchUpload"));
    assert_eq!(server.get("film").await.unwrap(), b"newer");
}
