use aws_sdk_s3::{
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::{
    ObjectStore, StoreError, StoreResult,
    client::{bulk_call, part_call},
    objects::{BATCH, to_chrono},
};

/// A part that was uploaded.
#[derive(Debug, Clone)]
pub struct PartEtag {
    /// From 1.
    pub number: i32,
    pub etag: String,
}

impl ObjectStore {
    /// Begins an upload in parts and answers its id.
    pub async fn create_multipart(&self, bucket: &str, key: &str, content_type: &str) -> StoreResult<String> {
        const OPERATION: &str = "CreateMultipartUpload";
        let answer = self
            .calls()
            .create_multipart_upload()
            .bucket(bucket)
            .key(key)
            .content_type(content_type)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk(OPERATION, error))?;
        answer.upload_id.ok_or(StoreError::Other {
            operation: OPERATION,
            cause: anyhow::anyhow!("the store answered without an upload id"),
        })
    }

    /// Sends one part and answers its tag. Tried again over some seconds in which the store is not there.
    pub(super) async fn upload_part(
        &self,
        bucket: &str,
        key: &str,
        upload_id: &str,
        number: i32,
        body: Bytes,
    ) -> StoreResult<String> {
        const OPERATION: &str = "UploadPart";
        let answer = self
            .calls()
            .upload_part()
            .bucket(bucket)
            .key(key)
            .upload_id(upload_id)
            .part_number(number)
            .body(ByteStream::from(body))
            .customize()
            .config_override(part_call())
            .send()
            .await
            .map_err(|error| StoreError::from_sdk(OPERATION, error))?;
        answer.e_tag.ok_or(StoreError::Other {
            operation: OPERATION,
            cause: anyhow::anyhow!("the store answered without an etag"),
        })
    }

    /// Puts the parts together; the object appears at once and whole.
    pub async fn complete_multipart(
        &self,
        bucket: &str,
        key: &str,
        upload_id: &str,
        parts: &[PartEtag],
    ) -> StoreResult<()> {
        const OPERATION: &str = "CompleteMultipartUpload";
        let parts = parts
            .iter()
            .map(|part| CompletedPart::builder().part_number(part.number).e_tag(&part.etag).build())
            .collect();
        self.calls()
            .complete_multipart_upload()
            .bucket(bucket)
            .key(key)
            .upload_id(upload_id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .customize()
            .config_override(bulk_call())
            .send()
            .await
            .map_err(|error| StoreError::from_sdk(OPERATION, error))?;
        Ok(())
    }

    /// Drops an upload and its parts; one that is gone is done already.
    pub async fn abort_multipart(&self, bucket: &str, key: &str, upload_id: &str) -> StoreResult<()> {
        let answer = self.calls().abort_multipart_upload().bucket(bucket).key(key).upload_id(upload_id).send().await;
        match answer.map_err(|error| StoreError::from_sdk("AbortMultipartUpload", error)) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Aborts every upload of the bucket, or those begun before `begun_before`. Answers how many.
    pub async fn abort_uploads(&self, bucket: &str, begun_before: Option<DateTime<Utc>>) -> StoreResult<u64> {
        let mut aborted = 0;
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let page = self
                .calls()
                .list_multipart_uploads()
                .bucket(bucket)
                .max_uploads(BATCH)
                .set_key_marker(key_marker)
                .set_upload_id_marker(id_marker)
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("ListMultipartUploads", error))?;
            for upload in page.uploads.unwrap_or_default() {
                let (Some(key), Some(upload_id)) = (upload.key, upload.upload_id) else { continue };
                let initiated = upload.initiated.as_ref().and_then(to_chrono);
                let stale = begun_before.is_none_or(|limit| initiated.is_some_and(|initiated| initiated < limit));
                if stale {
                    self.abort_multipart(bucket, &key, &upload_id).await?;
                    aborted += 1;
                }
            }
            (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
            if page.is_truncated != Some(true) || key_marker.is_none() {
                return Ok(aborted);
            }
        }
    }
}
