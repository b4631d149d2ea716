//! Operations on objects.

use aws_sdk_s3::{
    primitives::{ByteStream, DateTime as SdkDateTime},
    types::{Delete, ObjectIdentifier},
};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{IfExists, ObjectStore, StoreError, StoreResult, client::bulk_call_config};

/// Maximum number of keys that one S3 call lists or deletes.
pub(super) const MAX_KEYS_PER_CALL: i32 = 1000;

/// Metadata of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Size in bytes.
    pub size: i64,
    /// As returned by the store, including quotes.
    pub etag: Option<String>,
    pub content_type: Option<String>,
    pub last_modified: Option<DateTime<Utc>>,
}

/// One object of a listing. Stores don't list content types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    pub key: String,
    /// Size in bytes.
    pub size: i64,
    pub etag: Option<String>,
    pub last_modified: Option<DateTime<Utc>>,
}

/// One page of a listing, in the byte order of the keys.
#[derive(Debug, Clone, Default)]
pub struct ObjectPage {
    pub objects: Vec<ListedObject>,
    /// Common prefixes, if the keys were grouped by a delimiter.
    pub prefixes: Vec<String>,
    /// The store's continuation token; `None` on the last page.
    pub next: Option<String>,
}

impl ObjectPage {
    /// Ends the list after the last key that starts with `prefix`. The keys of the list that do not start with it must
    /// follow those that do.
    fn end_after(mut self, prefix: &str) -> Self {
        let count = self.objects.len() + self.prefixes.len();
        self.objects.retain(|object| object.key.starts_with(prefix));
        self.prefixes.retain(|group| group.starts_with(prefix));
        if self.objects.len() + self.prefixes.len() < count {
            self.next = None;
        }
        self
    }
}

impl ObjectStore {
    /// Returns the metadata of an object, or `None` if the object or the bucket does not exist.
    pub async fn head(&self, bucket: &str, key: &str) -> StoreResult<Option<ObjectMeta>> {
        let response = self.client().head_object().bucket(bucket).key(key).send().await;
        match response.map_err(|error| StoreError::from_sdk("HeadObject", error)) {
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

    /// Copies an object within a bucket, with its metadata, and replaces an object at `to`. `source_etag` must be the
    /// ETag of the object that is copied.
    ///
    /// # Errors
    /// Returns `PreconditionFailed` if the source does not have this ETag, `NotFound` if there is no source, and
    /// `Refused` if the store does not copy objects of this size in one request.
    pub async fn copy_replacing(&self, bucket: &str, from: &str, to: &str, source_etag: &str) -> StoreResult<()> {
        self.copy(bucket, from, to, source_etag, IfExists::Replace).await
    }

    /// Copies an object within a bucket, with its metadata, unless `to` exists. `source_etag` must be the ETag of the
    /// object that is copied.
    ///
    /// Not every store supports the condition on `to`; see docs/OPERATIONS.md. Check first that `to` does not exist.
    ///
    /// # Errors
    /// Returns `PreconditionFailed` if `to` exists or the source does not have this ETag, `NotFound` if there is no
    /// source, and `Refused` if the store does not copy objects of this size in one request.
    pub async fn copy_if_absent(&self, bucket: &str, from: &str, to: &str, source_etag: &str) -> StoreResult<()> {
        match self.copy(bucket, from, to, source_etag, IfExists::Fail).await {
            // The store does not support conditional copies.
            Err(StoreError::NotSupported { .. } | StoreError::Refused { status: 400, .. }) => {
                self.copy(bucket, from, to, source_etag, IfExists::Replace).await
            }
            copied => copied,
        }
    }

    async fn copy(
        &self,
        bucket: &str,
        from: &str,
        to: &str,
        source_etag: &str,
        if_exists: IfExists,
    ) -> StoreResult<()> {
        let source = utf8_percent_encode(from, NON_ALPHANUMERIC);
        self.client()
            .copy_object()
            .bucket(bucket)
            .key(to)
            .copy_source(format!("{bucket}/{source}"))
            .copy_source_if_match(source_etag)
            .set_if_none_match((if_exists == IfExists::Fail).then(|| "*".to_owned()))
            .customize()
            .config_override(bulk_call_config())
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("CopyObject", error))?;
        Ok(())
    }

    /// Removes one object. Succeeds if it does not exist.
    pub async fn delete(&self, bucket: &str, key: &str) -> StoreResult<()> {
        let response = self.client().delete_object().bucket(bucket).key(key).send().await;
        match response.map_err(|error| StoreError::from_sdk("DeleteObject", error)) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes one object if it has this ETag; without an ETag, removes it in any case. Succeeds if it does not exist.
    ///
    /// Not every store supports the condition; see docs/OPERATIONS.md. Check the object first.
    ///
    /// # Errors
    /// Returns `PreconditionFailed` if another object has replaced it.
    pub async fn delete_if_match(&self, bucket: &str, key: &str, etag: Option<&str>) -> StoreResult<()> {
        let Some(etag) = etag else { return self.delete(bucket, key).await };
        let response = self.client().delete_object().bucket(bucket).key(key).if_match(etag).send().await;
        match response.map_err(|error| StoreError::from_sdk("DeleteObject", error)) {
            Ok(_) | Err(StoreError::NotFound { .. }) => Ok(()),
            // The store does not support conditional deletions.
            Err(StoreError::NotSupported { .. } | StoreError::Refused { status: 400, .. }) => {
                self.delete(bucket, key).await
            }
            Err(error) => Err(error),
        }
    }

    /// Removes every object whose key starts with `prefix`; an empty prefix matches all. Returns their number, which is
    /// 0 if the bucket does not exist.
    pub async fn delete_prefix(&self, bucket: &str, prefix: &str) -> StoreResult<u64> {
        let mut deleted = 0;
        let mut token = None;
        loop {
            let page = match self.list_page(bucket, prefix, MAX_KEYS_PER_CALL, token.as_deref()).await {
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

    /// Returns a page of the objects whose keys start with `prefix`. `token` is the `next` of the previous page.
    pub async fn list_page(
        &self,
        bucket: &str,
        prefix: &str,
        limit: i32,
        token: Option<&str>,
    ) -> StoreResult<ObjectPage> {
        self.list_grouped(bucket, prefix, None, limit, token).await
    }

    /// Like [`Self::list_page`]. With a delimiter, keys that contain it after `prefix` are not listed; they are grouped
    /// into the page's prefixes, each of which counts toward `limit`.
    pub async fn list_grouped(
        &self,
        bucket: &str,
        prefix: &str,
        delimiter: Option<&str>,
        limit: i32,
        token: Option<&str>,
    ) -> StoreResult<ObjectPage> {
        match self.list_after(bucket, prefix, None, delimiter, limit, token).await {
            // MinIO refuses a prefix whose last segment is `.` or `..`. Lists the keys of its folder that come after
            // the prefix instead. Those that start with the prefix come first.
            Err(error @ StoreError::Refused { status: 400, .. }) => match folder_of_dots(prefix) {
                Some(folder) => {
                    let page = self.list_after(bucket, folder, Some(prefix), delimiter, limit, token).await?;
                    Ok(page.end_after(prefix))
                }
                None => Err(error),
            },
            listed => listed,
        }
    }

    /// Lists keys that start with `prefix`. The first page begins after the key `start_after`, if it is given.
    async fn list_after(
        &self,
        bucket: &str,
        prefix: &str,
        start_after: Option<&str>,
        delimiter: Option<&str>,
        limit: i32,
        token: Option<&str>,
    ) -> StoreResult<ObjectPage> {
        let response = self
            .client()
            .list_objects_v2()
            .bucket(bucket)
            .prefix(prefix)
            .set_start_after(start_after.filter(|_| token.is_none()).map(str::to_owned))
            .set_delimiter(delimiter.map(str::to_owned))
            .max_keys(limit)
            .set_continuation_token(token.map(str::to_owned))
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("ListObjectsV2", error))?;
        let next = response.next_continuation_token.filter(|_| response.is_truncated == Some(true));
        let objects = response
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
        let prefixes = response.common_prefixes.unwrap_or_default();
        let prefixes = prefixes.into_iter().filter_map(|common| common.prefix).collect();
        Ok(ObjectPage { objects, prefixes, next })
    }

    /// Writes an object from memory.
    pub async fn put_small(&self, bucket: &str, key: &str, content_type: &str, body: Bytes) -> StoreResult<()> {
        self.client()
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

    /// Reads an object into memory.
    ///
    /// # Errors
    /// Returns `NotFound` if the object or the bucket does not exist, and `TooLarge` if the object has more than
    /// `max_bytes` bytes.
    pub async fn get_small(&self, bucket: &str, key: &str, max_bytes: usize) -> StoreResult<Bytes> {
        const OPERATION: &str = "GetObject";
        let object = self.get(bucket, key).await?;
        let (meta, mut chunks) = object.ok_or(StoreError::NotFound { operation: OPERATION })?;
        let too_large = || StoreError::TooLarge { operation: OPERATION, max_bytes };
        if usize::try_from(meta.size).is_ok_and(|size| size > max_bytes) {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk?;
            if body.len() + chunk.len() > max_bytes {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    }

    /// Removes up to 1000 objects. Objects that do not exist are not an error.
    pub async fn delete_batch(&self, bucket: &str, keys: &[String]) -> StoreResult<()> {
        const OPERATION: &str = "DeleteObjects";
        if keys.is_empty() {
            return Ok(());
        }
        let invalid =
            |cause: aws_sdk_s3::error::BuildError| StoreError::Other { operation: OPERATION, cause: cause.into() };
        let mut delete = Delete::builder().quiet(true);
        for key in keys {
            delete = delete.objects(ObjectIdentifier::builder().key(key).build().map_err(invalid)?);
        }
        let delete = delete.build().map_err(invalid)?;
        let response = self
            .client()
            .delete_objects()
            .bucket(bucket)
            .delete(delete)
            .customize()
            .config_override(bulk_call_config())
            .send()
            .await;
        match response.map_err(|error| StoreError::from_sdk(OPERATION, error)) {
            Ok(response) => match response.errors.unwrap_or_default().into_iter().next() {
                Some(error) => Err(StoreError::Other {
                    operation: OPERATION,
                    cause: anyhow::anyhow!("could not delete {:?}: {:?} {:?}", error.key, error.code, error.message),
                }),
                None => Ok(()),
            },
            // The store does not support batches, or computes their checksum differently.
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

/// Returns the folder of a prefix whose last segment is `.` or `..`, with or without spaces around it.
fn folder_of_dots(prefix: &str) -> Option<&str> {
    let last = prefix.rsplit('/').next().unwrap_or_default();
    prefix.strip_suffix(last).filter(|_| matches!(last.trim(), "." | ".."))
}

pub(super) fn to_chrono(time: &SdkDateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(time.secs(), time.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_prefix_whose_last_segment_is_dots_has_a_folder_of_dots() {
        for (prefix, folder) in [
            ("a/..", Some("a/")),
            ("a/b/.", Some("a/b/")),
            ("a/.. ", Some("a/")),
            ("..", Some("")),
            ("a/...", None),
            ("a/", None),
            ("a..", None),
            ("", None),
        ] {
            assert_eq!(folder_of_dots(prefix), folder, "{prefix}");
        }
    }
}
