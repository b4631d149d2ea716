//! Reads objects as streams.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, stream};

use super::{ObjectMeta, ObjectStore, StoreError, StoreResult, objects::to_chrono};

/// Maximum time to wait for the next chunk. It is shorter in unit tests, which can't wait for a minute.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });
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

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
    };

    use super::*;
    use crate::config::{ExternalStorageConfig, Secret};

    #[tokio::test]
    async fn small_object_whose_bytes_stop_arriving_is_an_error() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        // This store sends one of ten bytes, and keeps the connection open.
        let serving = std::thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            assert!(connection.read(&mut [0; 4096]).unwrap() > 0);
            connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nx").unwrap();
            connection
        });
        let store = ObjectStore::new(&ExternalStorageConfig {
            public_endpoint: endpoint.clone(),
            endpoint,
            region: "us-east-1".to_owned(),
            access_key_id: Secret::new("AK"),
            secret_access_key: Secret::new("SK"),
            max_object_bytes: 1,
        });
        let read = store.get_small("bucket", "key", 100).await;
        assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
        drop(serving.join().unwrap());
    }
}
