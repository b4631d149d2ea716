//! Archives that the owner uploads for a restore.

use std::time::Duration;

use api_types::{SignRestoreUpload, SignedRestoreUpload};
use uuid::Uuid;

use super::{
    Restores,
    queries::{self, UploadRow},
};
use crate::{
    error::{ApiError, ApiResult, Code},
    object_store::{IfExists, PLATFORM_BUCKET, PutConditions, StoreError},
    projects::restore_uploads_prefix,
};

/// Lifetime of an upload URL. The upload must start within this time, and may end later.
const URL_LIFETIME: Duration = Duration::from_secs(3600);
/// S3's maximum size of an object that is sent in one `PUT`.
const MAX_BYTES: i64 = 5 << 30;
const MAX_FILE_NAME_CHARS: usize = 255;
const CONTENT_TYPE: &str = "application/octet-stream";

impl Restores {
    /// Signs the upload of an archive, and records the upload.
    ///
    /// # Errors
    /// 400 for an invalid size or file name, 413 above [`MAX_BYTES`], 503 if the object store or the platform database
    /// is unavailable.
    pub(super) async fn sign_upload(&self, request: &SignRestoreUpload) -> ApiResult<SignedRestoreUpload> {
        let SignRestoreUpload { project_id, file_name, size_bytes } = request;
        if *size_bytes < 1 {
            return Err(ApiError::invalid("`sizeBytes` must be the exact size of the file, at least 1."));
        }
        if *size_bytes > MAX_BYTES {
            return Err(ApiError::new(Code::ObjectTooLarge, "An uploaded archive can have at most 5 GiB.").with_hint(
                "Dump with stronger compression, or load the archive with `pg_restore` as the project's owner.",
            ));
        }
        if file_name.is_empty() || file_name.contains('\0') || file_name.chars().count() > MAX_FILE_NAME_CHARS {
            return Err(ApiError::invalid(format!(
                "`fileName` must have 1 to {MAX_FILE_NAME_CHARS} characters, without NUL."
            )));
        }
        let id = Uuid::now_v7();
        let row = UploadRow {
            id,
            project_id: project_id.clone(),
            size_bytes: *size_bytes,
            object_key: format!("{}{id}.dump", restore_uploads_prefix(project_id)),
        };
        self.store.ensure_bucket(PLATFORM_BUCKET).await?;
        let conditions = PutConditions {
            content_type: CONTENT_TYPE,
            content_length: Some(*size_bytes),
            if_exists: IfExists::Replace,
        };
        let signed = self.store.presign_put(PLATFORM_BUCKET, &row.object_key, conditions, URL_LIFETIME).await?;
        queries::insert_upload(&self.platform, &row, file_name).await?;
        Ok(SignedRestoreUpload {
            upload_id: id.to_string(),
            upload_url: signed.url,
            method: "PUT".to_owned(),
            headers: signed.headers,
            expires_in: URL_LIFETIME.as_secs(),
        })
    }

    /// Removes an uploaded archive and its row.
    pub(super) async fn remove_upload(&self, id: Uuid, object_key: &str) -> Result<(), RemoveUploadError> {
        self.store.delete(PLATFORM_BUCKET, object_key).await?;
        let mut transaction = self.platform.begin().await?;
        queries::delete_upload(&mut transaction, id).await?;
        Ok(transaction.commit().await?)
    }
}

/// The reason why an upload could not be removed. The next sweep tries again.
#[derive(Debug, thiserror::Error)]
pub(super) enum RemoveUploadError {
    #[error("object store: {0}")]
    Store(#[from] StoreError),
    #[error("platform database: {0}")]
    Database(#[from] sqlx::Error),
}
