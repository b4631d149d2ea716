//! Conditional operations on objects.

use atlashub::object_store::StoreError;

use super::uploads::create_bucket;
use crate::support::Store;

#[tokio::test]
async fn deletion_with_a_condition_keeps_an_object_that_was_replaced() {
    let (store, bucket) = create_bucket().await;
    let put = async |text: &'static str| store.put_small(&bucket, "key", "text/plain", text.into()).await.unwrap();
    let etag = async || store.head(&bucket, "key").await.unwrap().unwrap().etag;
    put("too large").await;
    let first = etag().await;
    // Other stores may ignore the condition.
    if Store::shared().is_embedded() {
        put("small").await;
        let deleted = store.delete_if_match(&bucket, "key", first.as_deref()).await;
        assert!(matches!(deleted, Err(StoreError::PreconditionFailed { .. })), "{deleted:?}");
        assert!(store.head(&bucket, "key").await.unwrap().is_some());
    }
    let current = etag().await;
    store.delete_if_match(&bucket, "key", current.as_deref()).await.unwrap();
    assert_eq!(store.head(&bucket, "key").await.unwrap(), None);
    store.delete_if_match(&bucket, "key", current.as_deref()).await.unwrap();
}
