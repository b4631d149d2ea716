use aws_sdk_s3::{
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::{
    ObjectStore, StoreError, StoreResult,
    client::{bulk_call_config, part_call_config},
    objects::{MAX_KEYS_PER_CALL, to_chrono},
};

/// Number and ETag of an uploaded part.
#[derive(Debug, Clone)]
pub struct PartEtag {
    /// From 1.
    pub number: i32,
    pub etag: String,
}

impl ObjectStore {
    /// Creates a multipart upload and returns its id.
    pub async fn create_multipart(&self, bucket: &str, key: &str, content_type: &str) -> StoreResult<String> {
        const OPERATION: &str = "CreateMultipartUpload";
        let response = self
            .client()
            .create_multipart_upload()
            .bucket(bucket)
            .key(key)
            .content_type(content_type)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk(OPERATION, error))?;
        response
            .upload_id
            .ok_or(StoreError::Other { operation: OPERATION, cause: anyhow::anyhow!("the response has no upload id") })
    }

    /// Sends one part and returns its ETag. Retries for some seconds if the store is unreachable.
    pub(super) async fn upload_part(
        &self,
        bucket: &str,
        key: &str,
        upload_id: &str,
        number: i32,
        body: Bytes,
    ) -> StoreResult<String> {
        const OPERATION: &str = "UploadPart";
        let response = self
            .client()
            .upload_part()
            .bucket(bucket)
            .key(key)
            .upload_id(upload_id)
            .part_number(number)
            .body(ByteStream::from(body))
            .customize()
            .config_override(part_call_config())
            .send()
            .await
            .map_err(|error| StoreError::from_sdk(OPERATION, error))?;
        response
            .e_tag
            .ok_or(StoreError::Other { operation: OPERATION, cause: anyhow::anyhow!("the response has no ETag") })
    }

    /// Assembles the parts into the object. The object becomes visible atomically.
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
        self.client()
            .complete_multipart_upload()
            .bucket(bucket)
            .key(key)
            .upload_id(upload_id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .customize()
            .config_override(bulk_call_config())
            .send()
            .await
            .map_err(|error| StoreError::from_sdk(OPERATION, error))?;
        Ok(())
    }

    /// Aborts an upload and removes its parts. Succeeds if the upload does not exist.
    pub async fn abort_multipart(&self, bucket: &str, key: &str, upload_id: &str) -> StoreResult<()> {
        let response = self.client().abort_multipart_upload().bucket(bucket).key(key).upload_id(upload_id).send().await;
        match response.map_err(|error| StoreError::from_sdk("AbortMultipartUpload", error)) {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Aborts the bucket's unfinished uploads, or only those created before `created_before`. Returns their number.
    pub async fn abort_uploads(&self, bucket: &str, created_before: Option<DateTime<Utc>>) -> StoreResult<u64> {
        let mut aborted = 0;
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let page = self
                .client()
                .list_multipart_uploads()
                .bucket(bucket)
                .max_uploads(MAX_KEYS_PER_CALL)
                .set_key_marker(key_marker)
                .set_upload_id_marker(id_marker)
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("ListMultipartUploads", error))?;
            for upload in page.uploads.unwrap_or_default() {
                let (Some(key), Some(upload_id)) = (upload.key, upload.upload_id) else { continue };
                let created_at = upload.initiated.as_ref().and_then(to_chrono);
                let is_selected =
                    created_before.is_none_or(|limit| created_at.is_some_and(|created_at| created_at < limit));
                if is_selected {
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
