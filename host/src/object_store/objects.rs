use aws_sdk_s3::{
    primitives::{ByteStream, DateTime as SdkDateTime},
    types::{Delete, ObjectIdentifier},
};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};

use super::{ObjectStore, StoreError, StoreResult, client::bulk_call};

/// Most keys that one S3 call lists or deletes.
pub(super) const BATCH: i32 = 1000;

/// What the store says of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Bytes.
    pub size: i64,
    /// As the store gives it, quotes and all.
    pub etag: Option<String>,
    pub content_type: Option<String>,
    pub last_modified: Option<DateTime<Utc>>,
}

/// One line of a listing; stores don't tell content types there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    pub key: String,
    /// Bytes.
    pub size: i64,
    pub etag: Option<String>,
    pub last_modified: Option<DateTime<Utc>>,
}

/// Part of a listing, in the order of the keys' bytes.
#[derive(Debug, Clone, Default)]
pub struct ObjectPage {
    pub objects: Vec<ListedObject>,
    /// The store's token for what follows; none at the end.
    pub next: Option<String>,
}

impl ObjectStore {
    /// What the store knows of an object; none where there is no such object or bucket.
    pub async fn head(&self, bucket: &str, key: &str) -> StoreResult<Option<ObjectMeta>> {
        let answer = self.calls().head_object().bucket(bucket).key(key).send().await;
        match answer.map_err(|error| StoreError::from_sdk("HeadObject", error)) {
            Ok(head) => Ok(Some(ObjectMeta {
                size: head.content_length.unwrap_or(0),
                etag: head.e_tag,
                content_type: head.content_type,
                last_modified: head.last_modified.as_ref().and_then(to_chrono),
            })),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes one object; succeeds as well where there is none.
    pub async fn delete(&self, bucket: &str, key: &str) -> StoreResult<()> {
        let answer = self.calls().delete_object().bucket(bucket).key(key).send().await;
        match answer.map_err(|error| StoreError::from_sdk("DeleteObject", error)) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes every object whose key starts with `prefix` (all, where it is empty), a page at a time.
    /// Answers how many there were. A missing bucket has none.
    pub async fn delete_prefix(&self, bucket: &str, prefix: &str) -> StoreResult<u64> {
        let mut deleted = 0;
        let mut token = None;
        loop {
            let page = match self.list_page(bucket, prefix, BATCH, token.as_deref()).await {
                Err(error) if error.is_not_found() => return Ok(deleted),
                page => page?,
            };
            let keys: Vec<String> = page.objects.into_iter().map(|object| object.key).collect();
            self.delete_batch(bucket, &keys).await?;
            deleted += keys.len() as u64;
            token = page.next;
            if token.is_none() {
                return Ok(deleted);
            }
        }
    }

    /// One page of a listing: keys that start with `prefix`, after the page that gave `token`.
    pub async fn list_page(
        &self,
        bucket: &str,
        prefix: &str,
        limit: i32,
        token: Option<&str>,
    ) -> StoreResult<ObjectPage> {
        let answer = self
            .calls()
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .max_keys(limit)
            .set_continuation_token(token.map(str::to_owned))
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("ListObjectsV2", error))?;
        let next = answer.next_continuation_token.filter(|_| answer.is_truncated == Some(true));
        let objects = answer
            .contents
            .unwrap_or_default()
            .into_iter()
            .filter_map(|object| {
                Some(ListedObject {
                    key: object.key?,
                    size: object.size.unwrap_or(0),
                    etag: object.e_tag,
                    last_modified: object.last_modified.as_ref().and_then(to_chrono),
                })
            })
            .collect();
        Ok(ObjectPage { objects, next })
    }

    /// Writes an object that is held in memory.
    pub async fn put_small(&self, bucket: &str, key: &str, content_type: &str, body: Bytes) -> StoreResult<()> {
        self.calls()
            .put_object()
            .bucket(bucket)
            .key(key)
            .content_type(content_type)
            .body(ByteStream::from(body))
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("PutObject", error))?;
        Ok(())
    }

    /// Reads an object of at most `max_bytes` into memory; a larger one is an error.
    pub async fn get_small(&self, bucket: &str, key: &str, max_bytes: usize) -> StoreResult<Bytes> {
        const OPERATION: &str = "GetObject";
        let answer = self
            .calls()
            .get_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk(OPERATION, error))?;
        let mut stream = answer.body;
        let mut body = BytesMut::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| StoreError::Unavailable { operation: OPERATION, cause: error.into() })?;
            if body.len() + chunk.len() > max_bytes {
                return Err(StoreError::Other {
                    operation: OPERATION,
                    cause: anyhow::anyhow!("the object is larger than {max_bytes} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    async fn delete_batch(&self, bucket: &str, keys: &[String]) -> StoreResult<()> {
        const OPERATION: &str = "DeleteObjects";
        if keys.is_empty() {
            return Ok(());
        }
        let unbuilt =
            |cause: aws_sdk_s3::error::BuildError| StoreError::Other { operation: OPERATION, cause: cause.into() };
        let mut delete = Delete::builder().quiet(true);
        for key in keys {
            delete = delete.objects(ObjectIdentifier::builder().key(key).build().map_err(unbuilt)?);
        }
        let delete = delete.build().map_err(unbuilt)?;
        let answer = self
            .calls()
            .delete_objects()
            .bucket(bucket)
            .delete(delete)
            .customize()
            .config_override(bulk_call())
            .send()
            .await;
        match answer.map_err(|error| StoreError::from_sdk(OPERATION, error)) {
            Ok(answer) => match answer.errors.unwrap_or_default().into_iter().next() {
                Some(error) => Err(StoreError::Other {
                    operation: OPERATION,
                    cause: anyhow::anyhow!("{:?} was not deleted: {:?} {:?}", error.key, error.code, error.message),
                }),
                None => Ok(()),
            },
            // A store without batches, or with another opinion on their checksum: one at a time.
            Err(StoreError::NotSupported { .. } | StoreError::Refused { .. }) => {
                for key in keys {
                    self.delete(bucket, key).await?;
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

pub(super) fn to_chrono(time: &SdkDateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.secs(), time.subsec_nanos())
}
