//! Multipart uploads: creates them, sends and lists their parts, completes, aborts and lists them.

use aws_sdk_s3::{
    primitives::ByteStream,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::{
    IfExists, ObjectStore, StoreError, StoreResult,
    client::{bulk_call_config, part_call_config},
    objects::{MAX_KEYS_PER_CALL, to_chrono},
};

/// Number and ETag of an uploaded part.
#[derive(Debug, Clone)]
pub struct PartEtag {
    /// Number of the part, from 1.
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

    /// Sends one part and returns its ETag. Retries a few times if the store is unreachable.
    pub(super) async fn upload_part(
        &self,
        bucket: &str,
        key: &str,
        upload_id: &str,
        number: i32,
        body: Bytes,
    ) -> StoreResult<String> {
        const OPERATION: &str = "UploadPart";
        let request = self
            .client()
            .upload_part()
            .bucket(bucket)
            .key(key)
            .upload_id(upload_id)
            .part_number(number)
            .body(ByteStream::from(body))
            .customize()
            .config_override(part_call_config());
        // Signing a body means to hash it twice more, here and in the store. The signature protects the bytes on a
        // network, so it is not needed if the store is on this machine. The header saves the embedded store an MD5;
        // other stores ignore it.
        let request = if self.is_on_this_machine() {
            request.disable_payload_signing().mutate_request(|request| {
                request.headers_mut().insert("x-atlashub-crc-etag", "1");
            })
        } else {
            request
        };
        let response = request.send().await.map_err(|error| StoreError::from_sdk(OPERATION, error))?;
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
        self.send_completion(bucket, key, upload_id, parts, IfExists::Replace).await
    }

    /// Like [`Self::complete_multipart`], but does not replace an object, if the store supports that.
    ///
    /// # Errors
    /// Returns `PreconditionFailed` if the object exists.
    pub async fn complete_multipart_if_absent(
        &self,
        bucket: &str,
        key: &str,
        upload_id: &str,
        parts: &[PartEtag],
    ) -> StoreResult<()> {
        match self.send_completion(bucket, key, upload_id, parts, IfExists::Fail).await {
            Err(StoreError::NotSupported { .. }) => {
                self.send_completion(bucket, key, upload_id, parts, IfExists::Replace).await
            }
            completed => completed,
        }
    }

    async fn send_completion(
        &self,
        bucket: &str,
        key: &str,
        upload_id: &str,
        parts: &[PartEtag],
        if_exists: IfExists,
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
            .set_if_none_match((if_exists == IfExists::Fail).then(|| "*".to_owned()))
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
        self.abort_selected(bucket, |upload| {
            created_before.is_none_or(|limit| upload.created_at.is_some_and(|created_at| created_at < limit))
        })
        .await
    }

    /// Aborts the bucket's unfinished uploads to keys that start with `prefix`. Returns their number.
    pub async fn abort_uploads_below(&self, bucket: &str, prefix: &str) -> StoreResult<u64> {
        self.abort_selected(bucket, |upload| upload.key.starts_with(prefix)).await
    }

    async fn abort_selected(
        &self,
        bucket: &str,
        is_selected: impl Fn(&UnfinishedUpload) -> bool + Send,
    ) -> StoreResult<u64> {
        let mut aborted = 0;
        let mut position = None;
        loop {
            let page = self.list_uploads(bucket, position).await?;
            for upload in page.uploads {
                if is_selected(&upload) {
                    self.abort_multipart(bucket, &upload.key, &upload.upload_id).await?;
                    aborted += 1;
                }
            }
            position = page.next;
            if position.is_none() {
                return Ok(aborted);
            }
        }
    }

    /// Returns a page of the bucket's unfinished uploads. `position` is the `next` of the previous page.
    pub async fn list_uploads(&self, bucket: &str, position: Option<UploadPosition>) -> StoreResult<UploadPage> {
        let (key, upload_id) = position.map_or((None, None), |position| (Some(position.key), position.upload_id));
        let page = self
            .client()
            .list_multipart_uploads()
            .bucket(bucket)
            .max_uploads(MAX_KEYS_PER_CALL)
            .set_key_marker(key)
            .set_upload_id_marker(upload_id)
            .send()
            .await
            .map_err(|error| StoreError::from_sdk("ListMultipartUploads", error))?;
        let uploads = page
            .uploads
            .unwrap_or_default()
            .into_iter()
            .filter_map(|upload| {
                let created_at = upload.initiated.as_ref().and_then(to_chrono);
                Some(UnfinishedUpload { key: upload.key?, upload_id: upload.upload_id?, created_at })
            })
            .collect();
        let upload_id = page.next_upload_id_marker;
        let next = page.next_key_marker.filter(|_| page.is_truncated == Some(true));
        Ok(UploadPage { uploads, next: next.map(|key| UploadPosition { key, upload_id }) })
    }

    /// Returns the time at which the newest part of an upload arrived, or `None` if it has no parts.
    ///
    /// # Errors
    /// Returns `NotFound` if the upload does not exist.
    pub async fn last_part_at(&self, bucket: &str, key: &str, upload_id: &str) -> StoreResult<Option<DateTime<Utc>>> {
        let mut newest = None;
        let mut marker = None;
        loop {
            let page = self
                .client()
                .list_parts()
                .bucket(bucket)
                .key(key)
                .upload_id(upload_id)
                .set_part_number_marker(marker)
                .send()
                .await
                .map_err(|error| StoreError::from_sdk("ListParts", error))?;
            for part in page.parts.unwrap_or_default() {
                newest = newest.max(part.last_modified.as_ref().and_then(to_chrono));
            }
            marker = page.next_part_number_marker.filter(|_| page.is_truncated == Some(true));
            if marker.is_none() {
                return Ok(newest);
            }
        }
    }
}

/// A multipart upload that was neither completed nor aborted.
#[derive(Debug, Clone)]
pub struct UnfinishedUpload {
    pub key: String,
    pub upload_id: String,
    /// By the store's clock.
    pub created_at: Option<DateTime<Utc>>,
}

/// One page of unfinished uploads.
#[derive(Debug, Clone)]
pub struct UploadPage {
    pub uploads: Vec<UnfinishedUpload>,
    /// `None` on the last page.
    pub next: Option<UploadPosition>,
}

/// The last upload of a page.
#[derive(Debug, Clone)]
pub struct UploadPosition {
    key: String,
    upload_id: Option<String>,
}
