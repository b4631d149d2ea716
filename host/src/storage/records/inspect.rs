//! Compares a stored object with its record. Every lookup of a single object does this, because a store does not
//! enforce a maximum size on a plain `PUT`.

use chrono::{DateTime, Duration, Utc};

use super::{
    super::{open_uploads, path::ObjectPath, state::StorageState},
    queries,
    record::FileRecord,
    removal,
};
use crate::{
    error::ApiResult,
    object_store::{ObjectMeta, StoreError},
};

/// Time after the expiry of a URL within which an upload that began before the expiry may still end. The trigger
/// `keep_limits` of the platform database has the same time.
pub(crate) const UPLOAD_GRACE: Duration = Duration::hours(24);
/// Maximum number of attempts to judge an object whose record changes at the same time.
const MAX_ATTEMPTS: usize = 5;

/// One object of a project, and the state needed to look it up.
#[derive(Clone, Copy)]
pub(crate) struct ObjectContext<'a> {
    pub state: &'a StorageState,
    pub project_id: &'a str,
    /// Name of the project's bucket in the object store.
    pub store_bucket: &'a str,
    pub path: &'a ObjectPath,
}

/// Result of comparing an object with its record.
#[derive(Debug)]
pub(crate) enum InspectedObject {
    Missing,
    Present(ObjectMeta),
    /// The object was larger than its URL allowed and was removed.
    RemovedOversize {
        /// Size in bytes.
        size: i64,
    },
}

impl InspectedObject {
    pub(crate) fn into_object(self) -> Option<ObjectMeta> {
        match self {
            Self::Present(object) => Some(object),
            Self::Missing | Self::RemovedOversize { .. } => None,
        }
    }
}

/// Decision about a stored object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The record is up to date.
    Unchanged,
    /// The object is new or was replaced, and no limit forbids it: update the record.
    Record,
    /// The object exceeds the limit that its upload was signed for: remove it.
    Remove,
}

/// Decides whether a stored object is recorded or removed.
///
/// A smaller limit signed for a replacement does not apply to the object that already existed: the record contains that
/// object's size and ETag. An object modified later than [`UPLOAD_GRACE`] after the last URL expired was not uploaded
/// with a signed URL, so no limit applies. Until then, the limit also applies to an object that is stored after the
/// recorded one was removed.
fn judge(record: Option<&FileRecord>, object: &ObjectMeta) -> Verdict {
    let Some(record) = record else { return Verdict::Record };
    if record.size == Some(object.size) && record.etag == object.etag {
        return Verdict::Unchanged;
    }
    let uploaded_by_url =
        object.last_modified.is_none_or(|modified: DateTime<Utc>| modified <= record.expires_at + UPLOAD_GRACE);
    if object.size > record.max_size && uploaded_by_url { Verdict::Remove } else { Verdict::Record }
}

/// Returns whether an object is larger than the upload of its record was signed for, so that it is removed when it is
/// looked up.
pub(crate) fn is_forbidden(record: &FileRecord, object: &ObjectMeta) -> bool {
    judge(Some(record), object) == Verdict::Remove
}

/// Looks up an object and its record, and reconciles them like [`reconcile_object`]. If no object is at the path, first
/// moves an object there that was uploaded without the secret key.
pub(crate) async fn inspect_object(context: ObjectContext<'_>) -> ApiResult<InspectedObject> {
    let ObjectContext { state, project_id, path, .. } = context;
    let (found, has_staged) =
        tokio::join!(find_object(context), open_uploads::has_staged(&state.platform, project_id, path));
    let (mut object, mut record) = found?;
    if object.is_none() && has_staged? {
        open_uploads::settle_path(state, project_id, path).await?;
        (object, record) = find_object(context).await?;
    }
    match object {
        Some(object) => reconcile_object(context, record.as_ref(), object).await,
        None => Ok(InspectedObject::Missing),
    }
}

async fn find_object(context: ObjectContext<'_>) -> ApiResult<(Option<ObjectMeta>, Option<FileRecord>)> {
    let ObjectContext { state, project_id, store_bucket, path } = context;
    let (object, record) = tokio::join!(
        state.store.head(store_bucket, path.key()),
        queries::find_record(&state.platform, project_id, path)
    );
    Ok((object?, record?))
}

/// Removes an object that is larger than its upload was signed for. Updates the record of any other object. `record`
/// may be older than the object: it is read again before the object is removed.
pub(crate) async fn reconcile_object(
    context: ObjectContext<'_>,
    record: Option<&FileRecord>,
    object: ObjectMeta,
) -> ApiResult<InspectedObject> {
    match judge(record, &object) {
        Verdict::Unchanged => Ok(InspectedObject::Present(object)),
        Verdict::Record => record_object(context, object).await,
        Verdict::Remove => remove_oversize(context, object).await,
    }
}

async fn record_object(context: ObjectContext<'_>, object: ObjectMeta) -> ApiResult<InspectedObject> {
    let ObjectContext { state, project_id, path, .. } = context;
    queries::record_stored(&state.platform, project_id, path, &object).await?;
    Ok(InspectedObject::Present(object))
}

/// Removes an object if the current record forbids it. Reads the record again, because its limit may have been raised
/// since the caller read it. Claims the record before the removal, which fails if the record has changed once more. A
/// limit that is raised after the claim is for an object that is stored later.
async fn remove_oversize(context: ObjectContext<'_>, mut object: ObjectMeta) -> ApiResult<InspectedObject> {
    let ObjectContext { state, project_id, store_bucket, path } = context;
    for _ in 0..MAX_ATTEMPTS {
        let record = queries::find_record(&state.platform, project_id, path).await?;
        match (judge(record.as_ref(), &object), record) {
            (Verdict::Unchanged, _) => return Ok(InspectedObject::Present(object)),
            (Verdict::Record, _) | (Verdict::Remove, None) => return record_object(context, object).await,
            (Verdict::Remove, Some(record)) => {
                let is_claimed = removal::claim_oversize(&state.platform, project_id, path, &record).await?;
                let current = state.store.head(store_bucket, path.key()).await?;
                let is_same = current.as_ref().is_none_or(|current| {
                    (current.size, &current.etag, current.last_modified)
                        == (object.size, &object.etag, object.last_modified)
                });
                if is_claimed && is_same {
                    match state.store.delete_if_match(store_bucket, path.key(), object.etag.as_deref()).await {
                        // Another upload has just replaced the object.
                        Err(StoreError::PreconditionFailed { .. }) => {
                            let current = state.store.head(store_bucket, path.key()).await?;
                            let Some(current) = current else { return Ok(InspectedObject::Missing) };
                            object = current;
                            continue;
                        }
                        deleted => deleted?,
                    }
                    removal::delete_expired_claim(&state.platform, project_id, path).await?;
                    tracing::warn!(
                        project = project_id,
                        object_key = path.key(),
                        size_bytes = object.size,
                        max_size_bytes = record.max_size,
                        "removed an object that is larger than its upload was signed for"
                    );
                    return Ok(InspectedObject::RemovedOversize { size: object.size });
                }
                let Some(current) = current else { return Ok(InspectedObject::Missing) };
                object = current;
            }
        }
    }
    // The next lookup judges it again. An object that may be too large is not served.
    Ok(InspectedObject::Missing)
}

#[cfg(test)]
mod tests {
    use super::{super::record::FileState, *};

    #[test]
    fn limit_applies_only_to_objects_uploaded_with_its_url() {
        let now = Utc::now();
        let record = |max_size, size, etag: &str| FileRecord {
            state: FileState::Pending,
            max_size,
            size,
            etag: size.map(|_: i64| etag.to_owned()),
            upload_id: None,
            expires_at: now,
        };
        let object = |size, etag: &str, hours| ObjectMeta {
            size,
            etag: Some(etag.to_owned()),
            content_type: None,
            last_modified: Some(now + Duration::hours(hours)),
        };
        for (case, record, object, verdict) in [
            ("no record", None, object(99, "a", 0), Verdict::Record),
            ("uploaded, within the limit", Some(record(10, None, "")), object(10, "a", 0), Verdict::Record),
            ("uploaded, too large", Some(record(10, None, "")), object(11, "a", 0), Verdict::Remove),
            ("recorded", Some(record(10, Some(10), "a")), object(10, "a", 0), Verdict::Unchanged),
            (
                "recorded, then a smaller limit was signed",
                Some(record(10, Some(99), "a")),
                object(99, "a", 0),
                Verdict::Unchanged,
            ),
            ("replaced, too large", Some(record(10, Some(5), "a")), object(11, "b", 0), Verdict::Remove),
            (
                "replaced by one of the same size, too large",
                Some(record(10, Some(99), "a")),
                object(99, "b", 0),
                Verdict::Remove,
            ),
            ("replaced, within the limit", Some(record(10, Some(5), "a")), object(6, "b", 0), Verdict::Record),
            ("bucket deleted, empty object", Some(record(-1, None, "")), object(0, "a", 0), Verdict::Remove),
            ("slow upload, too large", Some(record(10, None, "")), object(11, "a", 23), Verdict::Remove),
            ("replaced after the grace period", Some(record(10, Some(5), "a")), object(11, "b", 25), Verdict::Record),
        ] {
            assert_eq!(judge(record.as_ref(), &object), verdict, "{case}");
        }
    }
}
