//! Records of objects that plugins store in projects' buckets. They are recorded like uploads to signed URLs, so they
//! count towards the size of their bucket, and the bucket's maximum object size applies. The caller stores the bytes.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{
    path::ObjectPath,
    records::{self, NewUpload, ObjectContext, inspect_object},
    state::StorageState,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    object_store::project_bucket,
};

/// Time within which the object must be stored. If it never arrives, a sweep removes its record a day after this time.
const RECORD_LIFETIME: Duration = Duration::from_secs(3600);

/// An object that a plugin is about to store.
#[derive(Debug, Clone)]
pub struct PluginObject {
    pub project_id: String,
    pub path: ObjectPath,
    pub content_type: String,
    pub plugin: String,
    /// The bucket's maximum object size, in bytes.
    pub max_bytes: u64,
}

/// The state of the record of an object that a plugin is storing.
#[derive(Debug, Clone, Copy)]
pub struct BegunPluginObject {
    /// Time when the last signed URL of the path expires; in the past if none was signed.
    before: DateTime<Utc>,
    /// The record's expiry time while the object is being stored.
    begun: DateTime<Utc>,
}

impl StorageState {
    /// Returns a bucket's maximum object size, in bytes.
    ///
    /// # Errors
    /// Returns 404 if the project has no such bucket.
    pub async fn max_object_bytes(&self, project_id: &str, bucket: &str) -> ApiResult<u64> {
        match self.bucket_settings.get(project_id, bucket).await? {
            Some(settings) => Ok(settings.max_object_bytes.unsigned_abs()),
            None => Err(no_bucket(bucket)),
        }
    }

    /// Records an object right before it is stored, so that a sweep finds it if the caller is interrupted.
    ///
    /// # Errors
    /// Returns 404 if the bucket was deleted.
    pub async fn begin_plugin_object(&self, object: &PluginObject) -> ApiResult<BegunPluginObject> {
        let before = records::find_record(&self.platform, &object.project_id, &object.path).await?;
        let uploaded_by = format!("plugin:{}", object.plugin);
        let upload = NewUpload {
            content_type: &object.content_type,
            max_size: i64::try_from(object.max_bytes).unwrap_or(i64::MAX),
            upload_id: None,
            uploaded_by: &uploaded_by,
            is_trusted: true,
            lifetime: RECORD_LIFETIME,
        };
        if records::record_upload(&self.platform, &object.project_id, &object.path, upload).await? {
            let begun = records::find_record(&self.platform, &object.project_id, &object.path).await?;
            return Ok(BegunPluginObject {
                before: before.map_or(DateTime::UNIX_EPOCH, |record| record.expires_at),
                begun: begun.map_or(DateTime::UNIX_EPOCH, |record| record.expires_at),
            });
        }
        self.bucket_settings.invalidate(&object.project_id);
        Err(no_bucket(object.path.bucket()))
    }

    /// Records the size of an object that was stored, or removes the object if it is too large. Then sets the record's
    /// expiry back to the time before [`Self::begin_plugin_object`]: no URL was signed for the object, so its limit
    /// must not apply when another program replaces it.
    ///
    /// # Errors
    /// Fails if the store or the platform database is unavailable. A sweep then records the size later.
    pub async fn finish_plugin_object(&self, object: &PluginObject, begun: BegunPluginObject) -> ApiResult<()> {
        let store_bucket = project_bucket(&object.project_id);
        let context = ObjectContext {
            state: self,
            project_id: &object.project_id,
            store_bucket: &store_bucket,
            path: &object.path,
        };
        inspect_object(context).await?;
        let BegunPluginObject { before, begun } = begun;
        Ok(records::restore_expiry(&self.platform, &object.project_id, &object.path, begun, before).await?)
    }

    /// Removes the record of an object that was deleted.
    ///
    /// # Errors
    /// Fails if the platform database is unavailable.
    pub async fn forget_object(&self, project_id: &str, path: &ObjectPath) -> ApiResult<()> {
        Ok(records::delete_record(&self.platform, project_id, path).await?)
    }
}

fn no_bucket(bucket: &str) -> ApiError {
    ApiError::new(Code::NotFound, format!("The project has no bucket `{bucket}`. Create it first."))
}
