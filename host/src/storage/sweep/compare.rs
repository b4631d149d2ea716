//! Compares a record of an object with the store, and corrects the record.

use super::{
    super::{
        path::{BucketName, ObjectPath},
        records::{self, FileState, InspectedObject, ObjectContext, reconcile_object},
        state::StorageState,
    },
    queries::FileToCheck,
};
use crate::{error::ApiResult, object_store::project_bucket};

/// Maximum number of concurrent store requests of a sweep, so that it does not slow down other requests.
pub(super) const MAX_CONCURRENT: usize = 4;

/// Result of comparing one record with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Unchanged,
    /// The upload arrived.
    Confirmed,
    OversizeRemoved {
        /// Size in bytes.
        size: u64,
    },
    RecordRemoved,
    /// The record's bucket or path is invalid. Only a bug can cause this.
    InvalidRecord,
}

/// Compares a record with the store. Updates the record, or removes it, or removes an object that is too large.
pub(super) async fn compare_file(state: &StorageState, file: FileToCheck) -> ApiResult<Outcome> {
    let (platform, project_id) = (&state.platform, file.project_id.as_str());
    let path = match BucketName::parse(&file.bucket).and_then(|bucket| ObjectPath::new(&bucket, &file.path)) {
        Ok(path) => path,
        Err(error) => {
            let FileToCheck { bucket, path, .. } = &file;
            tracing::error!(project = project_id, bucket, path, %error, "a record has an invalid path");
            return Ok(Outcome::InvalidRecord);
        }
    };
    let store_bucket = project_bucket(project_id);
    let Some(object) = state.store.head(&store_bucket, path.key()).await? else {
        // The object was removed from the store, or its upload can no longer arrive.
        if file.upload_over || file.record.state == FileState::Stored {
            let removed = records::delete_unchanged_record(platform, project_id, &path, &file.record).await?;
            return Ok(if removed { Outcome::RecordRemoved } else { Outcome::Unchanged });
        }
        records::mark_checked(platform, project_id, &path).await?;
        return Ok(Outcome::Unchanged);
    };
    let was_confirmed = file.record.size.is_some() && file.record.state == FileState::Stored;
    let context = ObjectContext { state, project_id, store_bucket: &store_bucket, path: &path };
    match reconcile_object(context, Some(&file.record), object).await? {
        InspectedObject::RemovedOversize { size } => Ok(Outcome::OversizeRemoved { size: size.unsigned_abs() }),
        // The object disappeared after it was found above, or it keeps changing.
        InspectedObject::Missing => Ok(Outcome::Unchanged),
        // No upload can arrive any more. If a replacement was signed for but never sent, the existing object stays.
        InspectedObject::Present(object) if file.upload_over => {
            if records::record_stored(platform, project_id, &path, &object).await? {
                return Ok(if was_confirmed { Outcome::Unchanged } else { Outcome::Confirmed });
            }
            // The bucket was deleted, and another program stored the object.
            let removed = records::delete_unchanged_record(platform, project_id, &path, &file.record).await?;
            Ok(if removed { Outcome::RecordRemoved } else { Outcome::Unchanged })
        }
        InspectedObject::Present(object) => {
            records::mark_checked(platform, project_id, &path).await?;
            let changed = file.record.etag != object.etag || file.record.size != Some(object.size);
            Ok(if changed { Outcome::Confirmed } else { Outcome::Unchanged })
        }
    }
}
