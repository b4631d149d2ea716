//! Streaming uploads: all bytes become an object, or nothing is stored.

use atlashub::object_store::ObjectStore;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use sha2::{Digest as _, Sha256};

use crate::support::{Store, eventually};

/// Creates a new bucket.
pub(super) async fn create_bucket() -> (ObjectStore, String) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let store = ObjectStore::new(&Store::shared().config());
    let bucket = format!("uploads-{}", uuid::Uuid::now_v7().simple());
    store.ensure_bucket(&bucket).await.unwrap();
    (store, bucket)
}

/// Returns `size` pseudo-random bytes.
fn body(size: usize) -> Vec<u8> {
    let mut next = 88_172_645_463_325_252_u64;
    (0..size)
        .map(|_| {
            next ^= next << 13;
            next ^= next >> 7;
            next ^= next << 17;
            next as u8
        })
        .collect()
}

async fn count_unfinished_uploads(bucket: &str) -> usize {
    let response = Store::shared().client().list_multipart_uploads().bucket(bucket).send().await.unwrap();
    response.uploads.unwrap_or_default().len()
}

async fn wait_until_no_upload_is_unfinished(bucket: &str) {
    eventually("no upload is unfinished", async || count_unfinished_uploads(bucket).await == 0).await;
}

#[tokio::test]
async fn streams_of_different_lengths_round_trip() {
    let (store, bucket) = create_bucket().await;
    for (size, chunk) in
        [(0, 1), (10, 3), (1 << 20, 65_536), ((1 << 20) + 1, 100_000), (8 << 20, 1 << 20), (20 << 20, 777_777)]
    {
        let body = body(size);
        let mut upload = store.begin_upload(&bucket, "key", "application/x-test");
        for chunk in body.chunks(chunk) {
            upload.write(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        let stored = upload.end().await.unwrap();
        assert_eq!(store.head(&bucket, "key").await.unwrap(), None, "{size}: visible before the commit");
        assert_eq!(stored.size, size as u64);
        assert_eq!(stored.sha256, <[u8; 32]>::from(Sha256::digest(&body)));
        stored.commit().await.unwrap();
        let (meta, bytes) = store.get(&bucket, "key").await.unwrap().unwrap();
        assert_eq!(meta.size, size as i64);
        assert_eq!(meta.content_type.as_deref(), Some("application/x-test"));
        let read: Vec<Bytes> = bytes.try_collect().await.unwrap();
        assert!(read.concat() == body, "{size}: the bytes differ");
        assert_eq!(count_unfinished_uploads(&bucket).await, 0);
        store.delete(&bucket, "key").await.unwrap();
    }
}

#[tokio::test]
async fn dropped_upload_leaves_no_object_and_no_parts() {
    let (store, bucket) = create_bucket().await;
    // An upload that is dropped in the middle of the stream.
    let mut upload = store.begin_upload(&bucket, "key", "a/b");
    for chunk in body(20 << 20).chunks(1 << 20) {
        upload.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    drop(upload);
    wait_until_no_upload_is_unfinished(&bucket).await;
    // A large and a small upload that are dropped between the end of the stream and the commit.
    for size in [20 << 20, 10] {
        let mut upload = store.begin_upload(&bucket, "key", "a/b");
        upload.write(Bytes::from(body(size))).await.unwrap();
        let stored = upload.end().await.unwrap();
        drop(stored);
        wait_until_no_upload_is_unfinished(&bucket).await;
    }
    assert_eq!(store.head(&bucket, "key").await.unwrap(), None);
}

#[tokio::test]
async fn store_error_is_returned_to_the_writer() {
    let (store, _) = create_bucket().await;
    let mut upload = store.begin_upload("no-such-bucket", "key", "a/b");
    let body = Bytes::from(body(1 << 20));
    let mut written = 0;
    let error = loop {
        match upload.write(body.clone()).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 64, "no write reported the error");
    };
    assert!(error.is_not_found(), "{error:?}");
    assert!(upload.write(body).await.is_err());
    // A small upload is sent with the commit.
    let upload = store.begin_upload("no-such-bucket", "key", "a/b");
    let stored = upload.end().await.unwrap();
    assert!(stored.commit().await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn reading_a_missing_object_returns_none() {
    let (store, bucket) = create_bucket().await;
    assert!(store.get(&bucket, "nothing").await.unwrap().is_none());
    assert!(store.get("no-such-bucket", "nothing").await.unwrap().is_none());
    store.put_small(&bucket, "small", "text/plain", Bytes::from_static(b"abc")).await.unwrap();
    let (_, mut bytes) = store.get(&bucket, "small").await.unwrap().unwrap();
    assert_eq!(bytes.next().await.unwrap().unwrap(), Bytes::from_static(b"abc"));
    assert!(bytes.next().await.is_none());
}
