//! The state of the store after crashes, failures and damage to its files.

use std::fs;
use std::path::{Path, PathBuf};

use embedded_s3::{OpenError, Store};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::{BUCKET, TestServer, bytes, count_files};

#[tokio::test]
async fn interrupted_upload_changes_nothing() {
    let server = TestServer::start().await;
    server.put("kept", "good").await;
    let url = server.sign_put("kept", |put| put).await;
    let (_, target) = url.uri().split_at(format!("http://{}", server.address).len());
    for sent in [0, 1000, 700_000] {
        let mut connection = TcpStream::connect(server.address).await.unwrap();
        let head = format!("PUT {target} HTTP/1.1\r\nhost: {}\r\ncontent-length: 1000000\r\n\r\n", server.address);
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(&bytes(1, sent)).await.unwrap();
        connection.shutdown().await.unwrap();
        // The server responds or closes the connection once it notices that the body is incomplete. Wait for that.
        let mut response = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut connection, &mut response).await.unwrap();
        assert!(!response.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&response));
    }
    assert_eq!(server.get("kept").await.unwrap(), b"good");
    let server = server.restart().await;
    assert_eq!(server.get("kept").await.unwrap(), b"good");
    assert_eq!(count_files(&server.folder.path().join("tmp")), 0);
    assert_eq!(count_files(&server.folder.path().join("blobs")), 1);
}

#[tokio::test]
async fn folder_in_use_cannot_be_opened_again() {
    let server = TestServer::start().await;
    let error = Store::open(server.folder.path()).await.unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("in use by another server"));
    let folder = server.stop().await;
    Store::open(folder.path()).await.unwrap();
}

#[tokio::test]
async fn newer_layout_is_not_opened() {
    let folder = TestServer::start().await.stop().await;
    fs::write(folder.path().join("format"), "2\n").unwrap();
    let error = Store::open(folder.path()).await.unwrap_err();
    assert!(matches!(&error, OpenError::Format { version, .. } if version == "2"), "{error}");
}

fn metadata_files(root: &Path) -> Vec<PathBuf> {
    let shards = fs::read_dir(root.join("buckets").join(BUCKET)).unwrap().map(|entry| entry.unwrap().path());
    let files = shards.filter(|path| path.is_dir()).flat_map(|shard| fs::read_dir(shard).unwrap());
    files.map(|entry| entry.unwrap().path()).collect()
}

pub(crate) fn metadata_of(root: &Path, key: &str) -> PathBuf {
    let of_key = |path: &PathBuf| fs::read_to_string(path).unwrap().contains(&format!("\"key\":\"{key}\""));
    metadata_files(root).into_iter().find(of_key).unwrap()
}

#[tokio::test]
async fn leftover_files_are_removed_on_open() {
    let server = TestServer::start().await;
    server.put("a", "1").await;
    let folder = server.stop().await;
    let blob = folder.path().join("blobs/ab/ab000000000000000000000000000000");
    fs::write(&blob, "nobody's").unwrap();
    fs::create_dir(folder.path().join("tmp/half")).unwrap();
    fs::write(folder.path().join("tmp/half/file"), "x").unwrap();
    fs::write(folder.path().join("tmp/file"), "x").unwrap();
    let server = TestServer::start_on(folder).await;
    assert!(!blob.exists());
    assert_eq!(fs::read_dir(server.folder.path().join("tmp")).unwrap().count(), 0);
    assert_eq!(server.get("a").await.unwrap(), b"1");
}

/// File managers store files such as `.DS_Store` in the folders that they show.
#[tokio::test]
async fn foreign_files_do_not_prevent_the_start() {
    let server = TestServer::start().await;
    server.put("a", "1").await;
    let folder = server.stop().await;
    for parent in ["blobs", "blobs/00", "buckets", "uploads"] {
        // A bucket could have the name `desktop.ini`.
        for name in [".DS_Store", "desktop.ini"] {
            fs::write(folder.path().join(parent).join(name), "x").unwrap();
        }
    }
    let server = TestServer::start_on(folder).await;
    assert_eq!(server.get("a").await.unwrap(), b"1");
}

/// An unusable file affects only its own object, and the bytes of that object are kept.
#[tokio::test]
async fn unusable_metadata_is_moved_to_quarantine() {
    let server = TestServer::start().await;
    for key in ["good", "garbled", "moved"] {
        server.put(key, key).await;
    }
    let folder = server.stop().await;
    let garbled = metadata_of(folder.path(), "garbled");
    fs::write(&garbled, "{\"key\":\"garb").unwrap();
    let moved = metadata_of(folder.path(), "moved");
    fs::rename(&moved, moved.with_file_name(format!("{}.json", "0".repeat(64)))).unwrap();
    let server = TestServer::start_on(folder).await;
    assert_eq!(server.get("good").await.unwrap(), b"good");
    assert_eq!(server.get("garbled").await, None);
    assert_eq!(server.get("moved").await, None);
    assert_eq!(count_files(&server.folder.path().join("quarantine")), 2);
    assert_eq!(count_files(&server.folder.path().join("blobs")), 3);
    server.put("garbled", "again").await;
    let folder = server.stop().await;
    fs::remove_dir_all(folder.path().join("quarantine")).unwrap();
    let server = TestServer::start_on(folder).await;
    assert_eq!(server.get("garbled").await.unwrap(), b"again");
    assert_eq!(count_files(&server.folder.path().join("blobs")), 2);
}

/// Simulates a crash between the commit of a completed upload and the removal of its folder.
#[tokio::test]
async fn completed_upload_stays_completed_after_a_crash() {
    let server = TestServer::start().await;
    let id = crate::multipart::create_upload(&server.client, "film").await;
    let part = crate::multipart::upload_part(&server.client, "film", &id, 1, b"content".to_vec()).await;
    let uploads = server.folder.path().join("uploads");
    let saved: Vec<_> = fs::read_dir(uploads.join(&id))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    let parts = aws_sdk_s3::types::CompletedMultipartUpload::builder().parts(part).build();
    let complete = server.client.complete_multipart_upload().bucket(BUCKET).key("film").upload_id(&id);
    complete.multipart_upload(parts).send().await.unwrap();
    let folder = server.stop().await;
    fs::create_dir(uploads.join(&id)).unwrap();
    for (path, content) in saved {
        fs::write(path, content).unwrap();
    }
    let server = TestServer::start_on(folder).await;
    let abort = server.client.abort_multipart_upload().bucket(BUCKET).key("film").upload_id(&id).send().await;
    assert!(abort.is_err());
    let server = server.restart().await;
    assert_eq!(server.get("film").await.unwrap(), b"content");
}

#[tokio::test]
async fn shutdown_waits_for_open_requests() {
    let server = TestServer::start().await;
    let content = bytes(5, 3_000_000);
    server.put("long", content.clone()).await;
    let got = server.client.get_object().bucket(BUCKET).key("long").send().await.unwrap();
    let body = tokio::spawn(async move { got.body.collect().await.map(|body| body.to_vec()) });
    server.stop().await;
    assert!(body.await.unwrap().unwrap() == content);
}

#[cfg(unix)]
#[tokio::test]
async fn folder_is_readable_only_by_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("a/b");
    Store::open(&root).await.unwrap();
    assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
}
