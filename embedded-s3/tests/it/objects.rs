//! Storing, reading and deleting objects.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, Delete, ObjectIdentifier, ServerSideEncryption};
use futures::{StreamExt as _, stream};
use s3s::crypto::{Checksum as _, Md5};

use crate::support::{BUCKET, TestServer, bytes, client_with, code, count_files, http, read_until, send_head, status};

#[tokio::test]
async fn object_round_trips_with_its_headers() {
    let server = TestServer::start().await;
    let client = &server.client;
    let content = bytes(1, 700_001);
    let put = client
        .put_object()
        .bucket(BUCKET)
        .key("notes/ä.txt")
        .content_type("text/plain; charset=utf-8")
        .cache_control("max-age=60")
        .content_disposition("attachment; filename=\"x.txt\"")
        .content_encoding("br")
        .content_language("de")
        .expires(aws_sdk_s3::primitives::DateTime::from_secs(2_000_000_000))
        .metadata("colour", "grün")
        .body(content.clone().into())
        .send()
        .await
        .unwrap();
    let etag = format!("\"{}\"", hex::encode(Md5::checksum(&content)));
    assert_eq!(put.e_tag(), Some(etag.as_str()));
    let server = server.restart().await;
    let got = server.client.get_object().bucket(BUCKET).key("notes/ä.txt").send().await.unwrap();
    assert_eq!(got.e_tag(), Some(etag.as_str()));
    assert_eq!(got.content_type(), Some("text/plain; charset=utf-8"));
    assert_eq!(got.cache_control(), Some("max-age=60"));
    assert_eq!(got.content_disposition(), Some("attachment; filename=\"x.txt\""));
    assert_eq!(got.content_encoding(), Some("br"));
    assert_eq!(got.content_language(), Some("de"));
    assert_eq!(got.expires_string(), Some("Wed, 18 May 2033 03:33:20 GMT"));
    assert_eq!(got.accept_ranges(), Some("bytes"));
    assert_eq!(got.content_length(), Some(700_001));
    assert_eq!(got.metadata().unwrap()["colour"], "=?UTF-8?B?Z3LDvG4=?=");
    assert!(got.last_modified().is_some());
    assert!(got.body.collect().await.unwrap().to_vec() == content);
    let head = server.client.head_object().bucket(BUCKET).key("notes/ä.txt").send().await.unwrap();
    assert_eq!((head.content_length(), head.e_tag()), (Some(700_001), Some(etag.as_str())));
    assert_eq!(head.content_type(), Some("text/plain; charset=utf-8"));
}

#[tokio::test]
async fn empty_object_can_be_stored() {
    let server = TestServer::start().await;
    server.put("empty", "").await;
    let server = server.restart().await;
    assert_eq!(server.get("empty").await.unwrap(), b"");
    let head = server.client.head_object().bucket(BUCKET).key("empty").send().await.unwrap();
    assert_eq!(head.content_length(), Some(0));
    let error = server.client.get_object().bucket(BUCKET).key("empty").range("bytes=-5").send().await.unwrap_err();
    assert_eq!(status(&error), 416);
}

#[tokio::test]
async fn range_requests_return_the_requested_bytes() {
    let server = TestServer::start().await;
    let content = bytes(2, 600_000);
    server.put("range", content.clone()).await;
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=0-599999", 0, 600_000),
        ("bytes=262143-262145", 262_143, 262_146),
        ("bytes=599999-", 599_999, 600_000),
        ("bytes=100-9999999", 100, 600_000),
        ("bytes=-10", 599_990, 600_000),
        ("bytes=-9999999", 0, 600_000),
    ] {
        let got = server.client.get_object().bucket(BUCKET).key("range").range(range).send().await.unwrap();
        assert_eq!(got.content_range(), Some(format!("bytes {from}-{}/600000", to - 1).as_str()), "{range}");
        assert_eq!(got.content_length(), Some((to - from) as i64), "{range}");
        assert!(got.body.collect().await.unwrap().to_vec() == content[from..to], "{range}");
    }
    for range in ["bytes=600000-", "bytes=-0"] {
        let error = server.client.get_object().bucket(BUCKET).key("range").range(range).send().await.unwrap_err();
        assert_eq!((status(&error), code(&error)), (416, "InvalidRange"), "{range}");
        let headers = error.raw_response().unwrap().headers();
        assert_eq!(headers.get("content-range"), Some("bytes */600000"));
    }
    for number in [0, 2] {
        let part = server.client.get_object().bucket(BUCKET).key("range").part_number(number);
        let error = part.send().await.unwrap_err();
        assert_eq!((status(&error), code(&error)), (416, "InvalidPartNumber"), "{number}");
    }
    let head = server.client.head_object().bucket(BUCKET).key("range").range("bytes=5-9").send().await.unwrap();
    assert_eq!((head.content_length(), head.content_range()), (Some(5), Some("bytes 5-9/600000")));
    let url = server.sign_get("range").await;
    let response = http().get(url.uri()).header("range", "bytes=1-2").send().await.unwrap();
    assert_eq!(response.status(), 206);
    assert_eq!(response.bytes().await.unwrap(), content[1..3]);
}

#[tokio::test]
async fn deleted_objects_are_gone_after_restart() {
    let server = TestServer::start().await;
    for key in ["a", "b", "c", "d"] {
        server.put(key, key).await;
    }
    let delete = |key: &str| server.client.delete_object().bucket(BUCKET).key(key).send();
    delete("a").await.unwrap();
    delete("a").await.unwrap();
    assert_eq!(server.get("a").await, None);
    let identify = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
    let wrong_version = ObjectIdentifier::builder().key("d").version_id("1").build().unwrap();
    let objects = ["b", "c", "never"].map(identify).into_iter().chain([wrong_version]);
    let request = Delete::builder().set_objects(Some(objects.collect())).build().unwrap();
    let deleted = server.client.delete_objects().bucket(BUCKET).delete(request).send().await.unwrap();
    let keys: Vec<_> = deleted.deleted().iter().filter_map(|object| object.key()).collect();
    assert_eq!(keys, ["b", "c", "never"]);
    assert_eq!(deleted.errors()[0].key(), Some("d"));
    assert_eq!(server.get("d").await.unwrap(), b"d");
    let server = server.restart().await;
    assert_eq!(server.get("b").await, None);
    assert_eq!(server.get("d").await.unwrap(), b"d");
    assert_eq!(count_files(&server.folder.path().join("blobs")), 1);
}

#[tokio::test]
async fn upload_with_wrong_digest_changes_nothing() {
    let server = TestServer::start().await;
    server.put("kept", "good").await;
    let put = || server.client.put_object().bucket(BUCKET).key("kept").body(ByteStream::from_static(b"bad"));
    let error = put().content_md5("1B2M2Y8AsgTpgAmY7PhCfg==").send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (400, "BadDigest"));
    let error = put().content_md5("nonsense").send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (400, "InvalidDigest"));
    let error = put().checksum_sha256("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=").send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (400, "BadDigest"));
    let error = put().checksum_crc32_c("AAAAAA==").send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (400, "BadDigest"));
    assert_eq!(server.get("kept").await.unwrap(), b"good");
    let put = server.client.put_object().bucket(BUCKET).key("kept").body(ByteStream::from_static(b"good"));
    let response = put.checksum_sha256("dw3v3ez9ZXPRwSuiG+hAN0HhMvmFj9eODwHv/39QrfU=").send().await;
    assert_eq!(status(&response.unwrap_err()), 400);
    let good = hex::decode("770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c").unwrap();
    let good = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, good);
    let put = server.client.put_object().bucket(BUCKET).key("kept").body(ByteStream::from_static(b"good"));
    assert_eq!(put.checksum_sha256(&good).send().await.unwrap().checksum_sha256(), Some(good.as_str()));
    let server = server.restart().await;
    assert_eq!(count_files(&server.folder.path().join("blobs")), 1);
}

#[tokio::test]
async fn object_above_the_maximum_size_is_refused_before_its_body() {
    let server = TestServer::start().await;
    let url = server.sign_put("x", |put| put).await;
    let mut upload = send_head(&server, &url, (5 << 30) + 1).await;
    let response = read_until(&mut upload, "</Error>").await;
    assert!(response.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{response}");
    assert!(response.contains("<Code>EntityTooLarge</Code>"), "{response}");
}

#[tokio::test]
async fn object_above_the_maximum_size_is_accepted_if_its_length_is_signed() {
    let server = TestServer::start().await;
    let size: i64 = (5 << 30) + 1;
    let url = server.sign_put("x", |put| put.content_length(size)).await;
    let mut upload = send_head(&server, &url, size.unsigned_abs()).await;
    let response = read_until(&mut upload, "\r\n\r\n").await;
    assert!(response.starts_with("HTTP/1.1 100 Continue\r\n"), "{response}");
    let mut other = send_head(&server, &url, 5 << 40).await;
    let response = read_until(&mut other, "</Error>").await;
    assert!(response.contains("<Code>SignatureDoesNotMatch</Code>"), "{response}");
}

#[tokio::test]
async fn empty_content_md5_is_rejected() {
    let server = TestServer::start().await;
    let url = server.sign_put("x", |put| put).await;
    let response = http().put(url.uri()).header("content-md5", "").body("content").send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert!(response.text().await.unwrap().contains("<Code>InvalidDigest</Code>"));
    assert_eq!(server.get("x").await, None);
}

#[tokio::test]
async fn aws_chunked_is_removed_from_content_encoding() {
    let server = TestServer::start().await;
    for (sent, kept) in [
        ("gzip", Some("gzip")),
        ("deflate, gzip", Some("deflate, gzip")),
        ("deflate,gzip", Some("deflate,gzip")),
        ("aws-chunked, deflate,gzip", Some("deflate, gzip")),
        ("gzip, aws-chunked", Some("gzip")),
        ("aws-chunked, aws-chunked", None),
    ] {
        server.client.put_object().bucket(BUCKET).key("x").content_encoding(sent).send().await.unwrap();
        let head = server.client.head_object().bucket(BUCKET).key("x").send().await.unwrap();
        assert_eq!(head.content_encoding(), kept, "{sent}");
    }
}

/// SDKs use chunked framing with a checksum after the body by default.
#[tokio::test]
async fn checksums_in_trailers_are_verified() {
    let server = TestServer::start().await;
    let content = bytes(3, 300_000);
    for algorithm in
        [ChecksumAlgorithm::Crc32, ChecksumAlgorithm::Crc32C, ChecksumAlgorithm::Sha256, ChecksumAlgorithm::Crc64Nvme]
    {
        let put = server.client.put_object().bucket(BUCKET).key("trailer").checksum_algorithm(algorithm.clone());
        // The SDK streams a body from a file, so the checksum follows the body.
        let path = server.folder.path().join("upload");
        std::fs::write(&path, &content).unwrap();
        put.body(ByteStream::from_path(&path).await.unwrap()).send().await.unwrap();
        std::fs::remove_file(&path).unwrap();
        let got = server.client.get_object().bucket(BUCKET).key("trailer").send().await.unwrap();
        assert_eq!(got.content_encoding(), None, "{algorithm}");
        assert!(got.body.collect().await.unwrap().to_vec() == content, "{algorithm}");
    }
    let default = client_with(server.address, crate::support::SECRET_KEY, |builder| {
        builder.request_checksum_calculation(aws_sdk_s3::config::RequestChecksumCalculation::WhenSupported)
    });
    crate::support::put(&default, "trailer", b"small".to_vec()).await.unwrap();
    assert_eq!(server.get("trailer").await.unwrap(), b"small");
}

#[tokio::test]
async fn unsupported_features_are_rejected() {
    let server = TestServer::start().await;
    let put = || server.client.put_object().bucket(BUCKET).key("a");
    let encrypted = put().server_side_encryption(ServerSideEncryption::Aes256).send().await.unwrap_err();
    assert_eq!(status(&encrypted), 501);
    assert_eq!(status(&put().tagging("a=b").send().await.unwrap_err()), 501);
    let public = put().acl(aws_sdk_s3::types::ObjectCannedAcl::PublicRead).send().await.unwrap_err();
    assert_eq!(status(&public), 501);
    assert_eq!(server.get("a").await, None);
    let metadata = HashMap::from([("long".to_owned(), "x".repeat(3000))]);
    let error = put().set_metadata(Some(metadata)).send().await.unwrap_err();
    assert_eq!((status(&error), code(&error)), (400, "MetadataTooLarge"));
}

/// Readers always get one of the written objects completely, and never an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_complete_objects_during_overwrites() {
    let server = Arc::new(TestServer::start().await);
    let version = |seed: u64| bytes(seed, 900_000 + usize::try_from(seed).unwrap());
    server.put("busy", version(0)).await;
    let writers = (0..3_u64).map(|writer| {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            for round in 0..8 {
                server.put("busy", version(writer * 8 + round)).await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let reads = stream::iter(0..60).map(|_| async {
        let got = server.client.get_object().bucket(BUCKET).key("busy").send().await.unwrap();
        let etag = got.e_tag().unwrap().trim_matches('"').to_owned();
        let content = got.body.collect().await.unwrap().to_vec();
        assert_eq!(hex::encode(Md5::checksum(&content)), etag);
    });
    reads.buffer_unordered(4).collect::<Vec<_>>().await;
    for writer in writers {
        writer.await.unwrap();
    }
    let server = Arc::into_inner(server).unwrap().restart().await;
    assert!(server.get("busy").await.unwrap().len() >= 900_000);
    assert_eq!(count_files(&server.folder.path().join("blobs")), 1);
}

#[tokio::test]
async fn large_object_is_streamed() {
    const CHUNKS: usize = 256;
    let server = TestServer::start().await;
    let chunk = bytes::Bytes::from(bytes(9, 256 * 1024));
    let mut md5 = Md5::new();
    (0..CHUNKS).for_each(|_| md5.update(&chunk));
    let body = stream::iter(vec![chunk.clone(); CHUNKS]).map(Ok::<_, std::io::Error>);
    let url = server.sign_put("large", |put| put).await;
    let http = http();
    let put = http.put(url.uri()).header("content-length", CHUNKS * chunk.len()).body(reqwest::Body::wrap_stream(body));
    let response = put.send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["etag"], format!("\"{}\"", hex::encode(md5.finalize())));
    let mut got = http.get(server.sign_get("large").await.uri()).send().await.unwrap();
    let mut position = 0;
    while let Some(piece) = got.chunk().await.unwrap() {
        assert!(piece.iter().enumerate().all(|(at, byte)| *byte == chunk[(position + at) % chunk.len()]));
        position += piece.len();
    }
    assert_eq!(position, CHUNKS * chunk.len());
}

#[tokio::test]
async fn malformed_and_multiple_ranges_are_ignored() {
    let server = TestServer::start().await;
    server.put("x", "0123456789").await;
    let url = server.sign_get("x").await;
    for range in ["bytes=0-1,4-5", "bytes=5-2", "lines=1-2", "bytes=a-b", "nonsense", ""] {
        let response = http().get(url.uri()).header("range", range).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{range}");
        assert_eq!(response.text().await.unwrap(), "0123456789", "{range}");
        let signed = server.client.get_object().bucket(BUCKET).key("x").range(range).send().await.unwrap();
        assert_eq!(signed.body.collect().await.unwrap().to_vec(), b"0123456789", "{range}");
    }
}

#[tokio::test]
async fn responses_have_a_request_id() {
    let server = TestServer::start().await;
    server.put("x", "1").await;
    let url = server.sign_get("x").await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let response = http().get(url.uri()).send().await.unwrap();
        ids.push(response.headers()["x-amz-request-id"].to_str().unwrap().to_owned());
    }
    assert_ne!(ids[0], ids[1]);
    let missing = server.sign_get("a & b").await;
    for (address, expected) in [(missing.uri().to_owned(), 404), (server.url("/files/x"), 403)] {
        let response = http().get(&address).send().await.unwrap();
        assert_eq!(response.status().as_u16(), expected);
        let id = response.headers()["x-amz-request-id"].to_str().unwrap().to_owned();
        let body = response.text().await.unwrap();
        assert!(body.contains(&format!("<RequestId>{id}</RequestId>")) && body.contains("<Resource>/files/"), "{body}");
    }
}
