//! Reads objects as streams.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, stream};

use super::{ObjectMeta, ObjectStore, StoreError, StoreResult, objects::to_chrono};

/// Maximum time between two chunks.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(60);
const OPERATION: &str = "GetObject";

/// A stream of an object's bytes. The last item is an error if the object was not read completely.
pub type ObjectBytes = Pin<Box<dyn Stream<Item = StoreResult<Bytes>> + Send + 'static>>;

impl ObjectStore {
    /// Opens an object of any size for reading. Returns `None` if the object or the bucket does not exist.
    pub async fn get(&self, bucket: &str, key: &str) -> StoreResult<Option<(ObjectMeta, ObjectBytes)>> {
        let response = self.client().get_object().bucket(bucket).key(key).send().await;
        let object = match response.map_err(|error| StoreError::from_sdk(OPERATION, error)) {
            Ok(object) => object,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let meta = ObjectMeta {
            size: object.content_length.unwrap_or(0),
            etag: object.e_tag,
            content_type: object.content_type,
            last_modified: object.last_modified.as_ref().and_then(to_chrono),
        };
        let size = meta.size;
        let state = Some((object.body, 0_i64));
        let bytes = stream::unfold(state, move |state| async move {
            let (mut body, mut read) = state?;
            let failed = |cause: anyhow::Error| StoreError::Unavailable { operation: OPERATION, cause };
            match tokio::time::timeout(CHUNK_TIMEOUT, body.next()).await {
                Ok(Some(Ok(bytes))) => {
                    read += bytes.len() as i64;
                    Some((Ok(bytes), Some((body, read))))
                }
                Ok(Some(Err(error))) => Some((Err(failed(error.into())), None)),
                Ok(None) if read == size => None,
                Ok(None) => Some((Err(failed(anyhow::anyhow!("received only {read} of {size} bytes"))), None)),
                Err(_) => {
                    Some((Err(failed(anyhow::anyhow!("received nothing for {} s", CHUNK_TIMEOUT.as_secs()))), None))
                }
            }
        });
        Ok(Some((meta, Box::pin(bytes))))
    }
}
