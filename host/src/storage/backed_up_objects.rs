//! The records of objects that are copied into backups, and of restored objects. The caller copies the bytes.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::{
    buckets,
    path::{BucketName, ObjectPath},
    records::{self, FileRecord},
    state::StorageState,
};
use crate::{
    error::{ApiError, ApiResult},
    object_store::ObjectMeta,
};

/// The part of an object's record that a backup keeps.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ObjectRecord {
    pub bucket: String,
    pub path: String,
    pub content_type: String,
    pub uploaded_by: String,
    #[sqlx(flatten)]
    record: FileRecord,
}

impl ObjectRecord {
    /// Returns whether an object at the path is larger than its upload was signed for. Such an object is never served.
    #[must_use]
    pub fn forbids(&self, size: i64, etag: Option<&str>, last_modified: Option<DateTime<Utc>>) -> bool {
        let etag = etag.map(str::to_owned);
        records::is_forbidden(&self.record, &ObjectMeta { size, etag, content_type: None, last_modified })
    }
}

impl StorageState {
    /// Returns the name and the maximum object size, in bytes, of each bucket of a project.
    ///
    /// # Errors
    /// Fails if the platform database is unavailable.
    pub async fn bucket_limits(&self, project_id: &str) -> Result<Vec<(String, i64)>, sqlx::Error> {
        sqlx::query_as("SELECT name, max_object_bytes FROM buckets WHERE project_id = $1 ORDER BY name")
            .bind(project_id)
            .fetch_all(&self.platform)
            .await
    }

    /// Creates a bucket without exposure, unless it exists.
    ///
    /// # Errors
    /// Returns `invalid_request` if the name is invalid or `max_object_bytes` is less than 1, and 503 if the platform
    /// database is unavailable.
    pub async fn ensure_bucket(&self, project_id: &str, name: &str, max_object_bytes: i64) -> ApiResult<()> {
        let name = BucketName::parse(name)?;
        if max_object_bytes < 1 {
            return Err(ApiError::invalid("The maximum size of an object must be at least 1 byte."));
        }
        buckets::insert_bucket(&self.platform, project_id, name.as_str(), max_object_bytes).await?;
        self.bucket_settings.invalidate(project_id);
        Ok(())
    }

    /// Returns the records of the given objects, by object key (`<bucket>/<path>`). Objects without a record are left
    /// out.
    ///
    /// # Errors
    /// Fails if the platform database is unavailable.
    pub async fn object_records(
        &self,
        project_id: &str,
        objects: &[ObjectPath],
    ) -> Result<HashMap<String, ObjectRecord>, sqlx::Error> {
        let (buckets, paths): (Vec<&str>, Vec<&str>) =
            objects.iter().map(|object| (object.bucket(), object.path())).unzip();
        let rows: Vec<ObjectRecord> = sqlx::query_as(
            "SELECT f.bucket, f.path, f.content_type, f.uploaded_by, f.state, f.max_size, f.size, f.etag, f.upload_id,
                    f.expires_at
             FROM unnest($2::text[], $3::text[]) AS wanted (bucket, path)
             JOIN file_metadata f ON f.project_id = $1 AND f.bucket = wanted.bucket AND f.path = wanted.path",
        )
        .bind(project_id)
        .bind(buckets)
        .bind(paths)
        .fetch_all(&self.platform)
        .await?;
        Ok(rows.into_iter().map(|row| (format!("{}/{}", row.bucket, row.path), row)).collect())
    }

    /// Prepares the record of a path for an object of `size` bytes that is about to be stored there. Without this, the
    /// object could be removed for being larger than an earlier upload to the path was signed for.
    ///
    /// # Errors
    /// Fails if the platform database is unavailable.
    pub async fn begin_restored_object(&self, project_id: &str, path: &ObjectPath, size: i64) -> ApiResult<()> {
        records::raise_limit(&self.platform, project_id, path, size).await?;
        Ok(())
    }

    /// Records a restored object, and its original uploader if `uploaded_by` names one.
    ///
    /// # Errors
    /// Fails if the platform database is unavailable.
    pub async fn finish_restored_object(
        &self,
        project_id: &str,
        path: &ObjectPath,
        object: &ObjectMeta,
        uploaded_by: Option<&str>,
    ) -> ApiResult<()> {
        records::record_stored(&self.platform, project_id, path, object).await?;
        if let Some(uploaded_by) = uploaded_by {
            sqlx::query(
                "UPDATE file_metadata SET uploaded_by = $4, upload_id = NULL
                 WHERE project_id = $1 AND bucket = $2 AND path = $3",
            )
            .bind(project_id)
            .bind(path.bucket())
            .bind(path.path())
            .bind(uploaded_by)
            .execute(&self.platform)
            .await?;
        }
        Ok(())
    }
}
