use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, stream};

use super::{ObjectMeta, ObjectStore, StoreError, StoreResult, objects::to_chrono};

/// A store that sends nothing for so long is not coming back.
const STALLED: Duration = Duration::from_secs(60);
const OPERATION: &str = "GetObject";

/// An object's bytes as they come. The last item is an error where the object was not read to its end.
pub type ObjectBytes = Pin<Box<dyn Stream<Item = StoreResult<Bytes>> + Send + 'static>>;

impl ObjectStore {
    /// Reads an object of any size; none where there is none.
    pub async fn get(&self, bucket: &str, key: &str) -> StoreResult<Option<(ObjectMeta, ObjectBytes)>> {
        let answer = self.calls().get_object().bucket(bucket).key(key).send().await;
        let object = match answer.map_err(|error| StoreError::from_sdk(OPERATION, error)) {
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
        let wanted = meta.size;
        let reading = Some((object.body, 0_i64));
        let bytes = stream::unfold(reading, move |reading| async move {
            let (mut body, mut read) = reading?;
            let lost = |cause: anyhow::Error| StoreError::Unavailable { operation: OPERATION, cause };
            match tokio::time::timeout(STALLED, body.next()).await {
                Ok(Some(Ok(bytes))) => {
                    read += bytes.len() as i64;
                    Some((Ok(bytes), Some((body, read))))
                }
                Ok(Some(Err(error))) => Some((Err(lost(error.into())), None)),
                Ok(None) if read == wanted => None,
                Ok(None) => Some((Err(lost(anyhow::anyhow!("{read} of {wanted} bytes came"))), None)),
                Err(_) => Some((Err(lost(anyhow::anyhow!("nothing came for {} s", STALLED.as_secs()))), None)),
            }
        });
        Ok(Some((meta, Box::pin(bytes))))
    }
}
