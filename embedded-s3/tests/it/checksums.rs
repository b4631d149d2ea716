//! Checksums of objects and of parts.

use aws_sdk_s3::config::RequestChecksumCalculation;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart, ObjectAttributes,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use s3s::crypto::{Checksum as _, Crc64Nvme, Sha256};

use crate::multipart::MIB;
use crate::support::{BUCKET, SECRET_KEY, TestServer, bytes, client_with, code, status};

#[tokio::test]
async fn declared_checksum_is_kept_and_returned() {
    let server = TestServer::start().await;
    let declaring = client_with(server.address, SECRET_KEY, |builder| {
        builder.request_checksum_calculation(RequestChecksumCalculation::WhenSupported)
    });
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ] {
        let key = algorithm.as_str().to_owned();
        let put = declaring.put_object().bucket(BUCKET).key(&key).checksum_algorithm(algorithm.clone());
        let put = put.body(ByteStream::from_static(b"content")).send().await.unwrap();
        assert_eq!(put.checksum_type(), Some(&ChecksumType::FullObject), "{key}");
        let head = server.client.head_object().bucket(BUCKET).key(&key).checksum_mode(ChecksumMode::Enabled);
        let head = head.send().await.unwrap();
        let values = |crc32: Option<&str>,
                      crc32c: Option<&str>,
                      crc64: Option<&str>,
                      sha1: Option<&str>,
                      sha256: Option<&str>| {
            [crc32, crc32c, crc64, sha1, sha256].map(|value| value.map(str::to_owned))
        };
        let returned = values(
            head.checksum_crc32(),
            head.checksum_crc32_c(),
            head.checksum_crc64_nvme(),
            head.checksum_sha1(),
            head.checksum_sha256(),
        );
        let stored = values(
            put.checksum_crc32(),
            put.checksum_crc32_c(),
            put.checksum_crc64_nvme(),
            put.checksum_sha1(),
            put.checksum_sha256(),
        );
        assert_eq!((&returned, returned.iter().flatten().count()), (&stored, 1), "{key}");
    }
    let server = server.restart().await;
    let get = || server.client.get_object().bucket(BUCKET).key("SHA256");
    let got = get().checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    let expected = BASE64_STANDARD.encode(Sha256::checksum(b"content"));
    assert_eq!(
        (got.checksum_sha256(), got.checksum_type()),
        (Some(expected.as_str()), Some(&ChecksumType::FullObject))
    );
    // A range has no checksum. Without a request for it, the checksum is not returned.
    let part = get().checksum_mode(ChecksumMode::Enabled).range("bytes=0-1").send().await.unwrap();
    assert_eq!(part.checksum_sha256(), None);
    assert_eq!(get().send().await.unwrap().checksum_sha256(), None);

    let copy = server.client.copy_object().bucket(BUCKET).key("copy").copy_source("files/SHA256");
    let copied = copy.clone().send().await.unwrap();
    assert_eq!(copied.copy_object_result().unwrap().checksum_sha256(), Some(expected.as_str()));
    let other = copy.checksum_algorithm(ChecksumAlgorithm::Crc32).send().await.unwrap_err();
    assert_eq!((status(&other), code(&other)), (501, "NotImplemented"));
    let listed = server.client.list_objects_v2().bucket(BUCKET).prefix("copy").send().await.unwrap();
    assert_eq!(listed.contents()[0].checksum_algorithm(), [ChecksumAlgorithm::Sha256]);
    let attributes = server.client.get_object_attributes().bucket(BUCKET).key("copy");
    let attributes = attributes
        .object_attributes(ObjectAttributes::Checksum)
        .object_attributes(ObjectAttributes::ObjectSize)
        .send()
        .await
        .unwrap();
    assert_eq!(attributes.checksum().unwrap().checksum_sha256(), Some(expected.as_str()));
    assert_eq!((attributes.object_size(), attributes.e_tag()), (Some(7), None));
}

/// Uploads an object of two parts with SHA256 checksums. Returns the checksums of the parts.
async fn upload_parts(server: &TestServer, key: &str) -> [String; 2] {
    let client = &server.client;
    let create = client.create_multipart_upload().bucket(BUCKET).key(key);
    let created = create.checksum_algorithm(ChecksumAlgorithm::Sha256).send().await.unwrap();
    let id = created.upload_id().unwrap();
    let contents = [bytes(1, 5 * MIB), b"end".to_vec()];
    let mut parts = CompletedMultipartUpload::builder();
    for (number, content) in (1..).zip(&contents) {
        let upload = client.upload_part().bucket(BUCKET).key(key).upload_id(id).part_number(number);
        let uploaded = upload.body(ByteStream::from(content.clone())).send().await.unwrap();
        let etag = uploaded.e_tag().unwrap();
        let part = CompletedPart::builder().part_number(number).e_tag(etag);
        parts = parts.parts(part.set_checksum_sha256(uploaded.checksum_sha256().map(str::to_owned)).build());
    }
    let complete = client.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(id);
    complete.multipart_upload(parts.build()).send().await.unwrap();
    contents.map(|content| BASE64_STANDARD.encode(Sha256::checksum(&content)))
}

/// Returns the checksums of the two parts of an object: as reads of the parts return them, and as in the attributes.
async fn part_checksums(server: &TestServer, key: &str) -> [Vec<Option<String>>; 2] {
    let mut read = Vec::new();
    for number in [1, 2] {
        let get = server.client.get_object().bucket(BUCKET).key(key).part_number(number);
        let got = get.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
        let head = server.client.head_object().bucket(BUCKET).key(key).part_number(number);
        let head = head.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
        assert_eq!(head.checksum_sha256(), got.checksum_sha256());
        assert_eq!(got.checksum_type().is_some(), got.checksum_sha256().is_some());
        assert!(got.checksum_type().is_none_or(|kind| *kind == ChecksumType::Composite));
        read.push(got.checksum_sha256().map(str::to_owned));
    }
    let attributes = server.client.get_object_attributes().bucket(BUCKET).key(key);
    let attributes = attributes.object_attributes(ObjectAttributes::ObjectParts).send().await.unwrap();
    let parts = attributes.object_parts().unwrap().parts();
    [read, parts.iter().map(|part| part.checksum_sha256().map(str::to_owned)).collect()]
}

#[tokio::test]
async fn checksum_of_a_part_is_returned_with_the_part() {
    let server = TestServer::start().await;
    let expected = upload_parts(&server, "film").await.map(Some).to_vec();
    server.client.copy_object().bucket(BUCKET).key("copy").copy_source("files/film").send().await.unwrap();
    let server = server.restart().await;
    for key in ["film", "copy"] {
        assert_eq!(part_checksums(&server, key).await, [expected.clone(), expected.clone()], "{key}");
    }
    let get = server.client.get_object().bucket(BUCKET).key("film").part_number(1);
    assert_eq!(get.send().await.unwrap().checksum_sha256(), None);
    // An object that was not uploaded in parts counts as one part.
    let put = server.client.put_object().bucket(BUCKET).key("small").checksum_algorithm(ChecksumAlgorithm::Sha256);
    let put = put.body(ByteStream::from_static(b"content")).send().await.unwrap();
    let get = server.client.get_object().bucket(BUCKET).key("small").part_number(1);
    let got = get.checksum_mode(ChecksumMode::Enabled).send().await.unwrap();
    assert_eq!((got.checksum_sha256(), got.parts_count()), (put.checksum_sha256(), None));
}

/// Earlier versions did not keep the checksums of parts.
#[tokio::test]
async fn object_of_an_earlier_version_has_no_checksums_of_parts() {
    let server = TestServer::start().await;
    upload_parts(&server, "film").await;
    let folder = server.stop().await;
    let path = crate::durability::metadata_of(folder.path(), "film");
    let mut record: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    record["checksum"].as_object_mut().unwrap().remove("parts").unwrap();
    std::fs::write(&path, record.to_string()).unwrap();
    let server = TestServer::start_on(folder).await;
    assert_eq!(part_checksums(&server, "film").await, [vec![None, None], vec![None, None]]);
    let head = server.client.head_object().bucket(BUCKET).key("film").checksum_mode(ChecksumMode::Enabled);
    assert!(head.send().await.unwrap().checksum_sha256().unwrap().ends_with("-2"));
}

#[tokio::test]
async fn checksum_of_parts_is_checked_and_kept() {
    let server = TestServer::start().await;
    let contents = [bytes(1, 5 * MIB), b"end".to_vec()];
    for (algorithm, kind) in
        [(ChecksumAlgorithm::Crc64Nvme, ChecksumType::FullObject), (ChecksumAlgorithm::Sha256, ChecksumType::Composite)]
    {
        let client = &server.client;
        let create = client.create_multipart_upload().bucket(BUCKET).key("film").checksum_algorithm(algorithm.clone());
        let created = create.send().await.unwrap();
        assert_eq!(created.checksum_type(), Some(&kind));
        let id = created.upload_id().unwrap();
        let mut parts = Vec::new();
        for (number, content) in (1..).zip(&contents) {
            let upload = client.upload_part().bucket(BUCKET).key("film").upload_id(id).part_number(number);
            // The second part declares no checksum: the server computes it.
            let upload = if number == 1 { upload.checksum_algorithm(algorithm.clone()) } else { upload };
            let uploaded = upload.body(ByteStream::from(content.clone())).send().await.unwrap();
            assert!(uploaded.checksum_crc64_nvme().is_some() || uploaded.checksum_sha256().is_some());
            parts.push(
                CompletedPart::builder()
                    .part_number(number)
                    .set_e_tag(uploaded.e_tag().map(str::to_owned))
                    .set_checksum_sha256(uploaded.checksum_sha256().map(str::to_owned))
                    .set_checksum_crc64_nvme(uploaded.checksum_crc64_nvme().map(str::to_owned))
                    .build(),
            );
        }
        let listed = client.list_parts().bucket(BUCKET).key("film").upload_id(id).send().await.unwrap();
        assert_eq!((listed.checksum_algorithm(), listed.checksum_type()), (Some(&algorithm), Some(&kind)));
        let complete = |parts: Vec<CompletedPart>| {
            let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
            client.complete_multipart_upload().bucket(BUCKET).key("film").upload_id(id).multipart_upload(parts)
        };
        let wrong = CompletedPart::builder()
            .part_number(1)
            .set_e_tag(parts[0].e_tag().map(str::to_owned))
            .checksum_sha256("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
            .checksum_crc64_nvme("AAAAAAAAAAA=")
            .build();
        let error = complete(vec![wrong, parts[1].clone()]).send().await.unwrap_err();
        assert_eq!(code(&error), "InvalidPart");
        let error = complete(parts.clone())
            .checksum_sha256("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=-2")
            .checksum_crc64_nvme("AAAAAAAAAAA=")
            .send()
            .await
            .unwrap_err();
        assert_eq!(code(&error), "BadDigest");
        let completed = complete(parts).send().await.unwrap();
        assert_eq!(completed.checksum_type(), Some(&kind));
        let expected = match kind {
            ChecksumType::FullObject => BASE64_STANDARD.encode(Crc64Nvme::checksum(&contents.concat())),
            _ => {
                let digests: Vec<u8> =
                    contents.iter().flat_map(|content| Sha256::checksum(content).as_ref().to_vec()).collect();
                format!("{}-2", BASE64_STANDARD.encode(Sha256::checksum(&digests)))
            }
        };
        let head = client.head_object().bucket(BUCKET).key("film").checksum_mode(ChecksumMode::Enabled);
        let head = head.send().await.unwrap();
        let returned = head.checksum_crc64_nvme().or(head.checksum_sha256());
        assert_eq!(returned, Some(expected.as_str()));
        assert_eq!(completed.checksum_crc64_nvme().or(completed.checksum_sha256()), Some(expected.as_str()));
    }
    for (algorithm, kind) in
        [(ChecksumAlgorithm::Sha256, ChecksumType::FullObject), (ChecksumAlgorithm::Crc64Nvme, ChecksumType::Composite)]
    {
        let create = server.client.create_multipart_upload().bucket(BUCKET).key("x").checksum_algorithm(algorithm);
        let error = create.checksum_type(kind).send().await.unwrap_err();
        assert_eq!((status(&error), code(&error)), (400, "InvalidRequest"));
    }
}
