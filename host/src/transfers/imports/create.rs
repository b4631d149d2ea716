//! Creates imports, and signs the uploads of their files.

use std::time::Duration;

use api_types::{CreateImport, ImportCreated, ImportFormat, ImportState, ImportUpload};
use chrono::Utc;
use uuid::Uuid;

use super::{
    queries::{self, ImportRow, NewImport},
    target::Target,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    object_store::{IfExists, PLATFORM_BUCKET, PutConditions},
    transfers::{TransfersState, invalid_field},
};

/// Prefix of the keys of uploaded files in the platform's bucket.
pub(in crate::transfers) const PREFIX: &str = "imports/";
/// Time after which an import is removed.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Lifetime of an upload URL. The upload must start within this time; it may end later.
const UPLOAD_URL_LIFETIME: Duration = Duration::from_secs(3600);
const MAX_SIZE_BYTES: i64 = 20 << 30;
const MAX_FILE_NAME_CHARS: usize = 200;

fn content_type(format: ImportFormat) -> &'static str {
    match format {
        ImportFormat::Csv => "text/csv",
        ImportFormat::Json => "application/json",
        ImportFormat::Ndjson => "application/x-ndjson",
    }
}

/// Returns the id of the import to which a key belongs.
pub(in crate::transfers) fn id_of_key(key: &str) -> Option<Uuid> {
    key.strip_prefix(PREFIX)?.parse().ok()
}

impl TransfersState {
    /// Creates an import and signs the upload of its file.
    pub(super) async fn create_import(&self, request: CreateImport) -> ApiResult<ImportCreated> {
        let CreateImport { project_id, table, format, size_bytes, file_name } = request;
        self.projects.get(&project_id).await?;
        if size_bytes == 0 {
            return Err(invalid_field("sizeBytes", "The file is empty, so it has no rows to import."));
        }
        if size_bytes < 1 {
            return Err(invalid_field("sizeBytes", "`sizeBytes` must be the size of the file, at least 1."));
        }
        if size_bytes > MAX_SIZE_BYTES {
            return Err(ApiError::new(Code::ObjectTooLarge, "The file may be at most 20 GiB.")
                .with_hint("Split it into several files."));
        }
        if file_name.as_ref().is_some_and(|name| name.chars().count() > MAX_FILE_NAME_CHARS || name.contains('\0')) {
            let message = format!("`fileName` may have at most {MAX_FILE_NAME_CHARS} characters, without NUL.");
            return Err(invalid_field("fileName", message));
        }
        // Checked now, so that an unknown table is reported before the upload.
        Target::find(&self.editor.pools, &project_id, &table).await?;
        if !self.store.bucket_exists(PLATFORM_BUCKET).await? {
            self.store.ensure_bucket(PLATFORM_BUCKET).await?;
        }
        let id = Uuid::now_v7();
        let object_key = format!("{PREFIX}{id}");
        let signed = self.sign_put(&object_key, format, size_bytes, UPLOAD_URL_LIFETIME).await?;
        let new = NewImport {
            id,
            project_id: &project_id,
            table: &table,
            format,
            file_name: file_name.as_deref(),
            size_bytes,
            object_key: &object_key,
            lifetime_seconds: LIFETIME.as_secs_f64(),
        };
        queries::insert(&self.platform, &new).await?;
        let ImportUpload { upload_url, method, headers, expires_in } = signed;
        Ok(ImportCreated { import: self.import(id).await?.to_wire(), upload_url, method, headers, expires_in })
    }

    /// Signs another upload of an import's file, which is not in storage yet. Also returns the import.
    pub(super) async fn sign_upload(&self, id: Uuid) -> ApiResult<(ImportRow, ImportUpload)> {
        let import = self.import(id).await?;
        if import.state() != ImportState::AwaitingUpload {
            return Err(ApiError::new(Code::Conflict, "The file of this import is already uploaded.")
                .with_hint("Create another import to upload another file."));
        }
        let remaining = (import.expires_at - Utc::now()).to_std().unwrap_or_default();
        let lifetime = UPLOAD_URL_LIFETIME.min(remaining.max(Duration::from_secs(1)));
        let signed = self.sign_put(&import.object_key, import.format, import.size_bytes, lifetime).await?;
        Ok((import, signed))
    }

    async fn sign_put(
        &self,
        object_key: &str,
        format: ImportFormat,
        size_bytes: i64,
        lifetime: Duration,
    ) -> ApiResult<ImportUpload> {
        let conditions = PutConditions {
            content_type: content_type(format),
            content_length: Some(size_bytes),
            if_exists: IfExists::Replace,
        };
        let signed = self.store.presign_put(PLATFORM_BUCKET, object_key, conditions, lifetime).await?;
        Ok(ImportUpload {
            upload_url: signed.url,
            method: "PUT".to_owned(),
            headers: signed.headers,
            expires_in: lifetime.as_secs(),
        })
    }
}
