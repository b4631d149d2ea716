//! Signs and removes the uploads of archives that the owner wants to restore.

use std::time::Duration;

use api_types::{ErrorBody, SignRestoreUpload, SignedRestoreUpload};
use axum::{Extension, extract::State};
use serde_json::json;
use uuid::Uuid;

use super::{
    Restores,
    queries::{self, UploadRow},
};
use crate::{
    backups::BackupsState,
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, ApiPath, AuditDetails, NoQuery},
    object_store::{IfExists, PLATFORM_BUCKET, PutConditions, StoreError},
    projects::{Projects, restore_uploads_prefix},
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
    /// Returns 400 for an invalid size or file name, 413 if the size is above [`MAX_BYTES`], and 503 if the object
    /// store or the platform database is unavailable.
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
        let signed = self.sign(&row).await?;
        queries::insert_upload(&self.platform, &row, file_name).await?;
        Ok(signed)
    }

    /// Signs another upload of an archive that is not in storage yet. Also returns the upload's row.
    ///
    /// # Errors
    /// Returns 404 if there is no such upload, 409 if the archive is already uploaded, and 503 if the object store or
    /// the platform database is unavailable.
    async fn sign_upload_again(&self, id: Uuid) -> ApiResult<(UploadRow, SignedRestoreUpload)> {
        let row = queries::upload(&self.platform, id).await?.ok_or_else(|| ApiError::not_found("upload"))?;
        let object = self.store.head(PLATFORM_BUCKET, &row.object_key).await?;
        if object.is_some_and(|object| object.size == row.size_bytes) {
            return Err(ApiError::new(Code::Conflict, "The archive is already uploaded.")
                .with_hint("Plan its restore, or create another upload for another archive."));
        }
        if !queries::renew_upload(&self.platform, id).await? {
            return Err(ApiError::not_found("upload"));
        }
        let signed = self.sign(&row).await?;
        Ok((row, signed))
    }

    async fn sign(&self, row: &UploadRow) -> ApiResult<SignedRestoreUpload> {
        let conditions = PutConditions {
            content_type: CONTENT_TYPE,
            content_length: Some(row.size_bytes),
            if_exists: IfExists::Replace,
        };
        let signed = self.store.presign_put(PLATFORM_BUCKET, &row.object_key, conditions, URL_LIFETIME).await?;
        Ok(SignedRestoreUpload {
            upload_id: row.id.to_string(),
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

/// Create another upload URL for an archive
///
/// For an upload that failed or whose URL expired. The archive must have the size that was sent when the upload was
/// created.
#[utoipa::path(post, path = "/admin/v1/restores/uploads/{upload}/sign", tag = "restores",
    params(("upload" = Uuid, Path)),
    responses((status = 200, body = SignedRestoreUpload), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "The archive is already uploaded")))]
pub(crate) async fn sign_restore_upload_again(
    State(state): State<BackupsState>,
    State(projects): State<Projects>,
    NoQuery: NoQuery,
    ApiPath(id): ApiPath<Uuid>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<SignedRestoreUpload>)> {
    let (row, signed) = state.restores.sign_upload_again(id).await?;
    let project = projects.get(&row.project_id).await?;
    let details = json!({ "project": project.name, "projectId": project.id, "sizeBytes": row.size_bytes });
    Ok((Extension(AuditDetails(details)), ApiJson(signed)))
}

/// The reason why an upload could not be removed. The next sweep tries again.
#[derive(Debug, thiserror::Error)]
pub(super) enum RemoveUploadError {
    #[error("object store: {0}")]
    Store(#[from] StoreError),
    #[error("platform database: {0}")]
    Database(#[from] sqlx::Error),
}
