//! Moves staged objects that have arrived to their paths, or deletes them.

use std::{
    cmp::Reverse,
    collections::HashMap,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use uuid::Uuid;

use super::{
    super::{
        path::{BucketName, ObjectPath},
        records::{self, ObjectContext, reconcile_object},
        state::StorageState,
    },
    queries,
    record::{OpenUpload, UploadState},
    staged_key::{self, STAGED_PREFIX},
};
use crate::{
    error::{ApiError, ApiResult},
    object_store::{ListedObject, ObjectMeta, StoreError, project_bucket},
};

/// Staged objects per page.
const PAGE_SIZE: i32 = 1000;
/// Staged objects per page before a bucket is listed. The page is small, because time is checked after each page.
const PAGE_SIZE_BEFORE_LIST: i32 = 200;
/// Time after which no further page is settled before a bucket is listed, so that the list does not wait long.
const MAX_TIME_BEFORE_LIST: Duration = Duration::from_secs(5);
/// Maximum number of paths that are settled at the same time.
const MAX_CONCURRENT: usize = 8;
/// Maximum number of attempts to settle a path while another node moves an object there.
const MAX_ATTEMPTS: usize = 20;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(250);

/// Numbers of staged objects by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct SettleReport {
    /// Uploads that ended: moved to their path, or dropped because the path was taken.
    pub ended: u64,
    /// Objects moved to their path.
    pub moved: u64,
    /// Objects removed because they were larger than their upload was signed for.
    pub oversize: u64,
    /// Staged objects deleted for any of these reasons, or because their upload was over or unknown.
    pub deleted: u64,
    /// Uploads to try again: another upload of the path is being moved, or the staged object changed.
    contended: u64,
    /// Whether more staged objects remain to be settled.
    pub has_more: bool,
}

impl SettleReport {
    pub(in super::super) fn plus(self, other: Self) -> Self {
        Self {
            ended: self.ended + other.ended,
            moved: self.moved + other.moved,
            oversize: self.oversize + other.oversize,
            deleted: self.deleted + other.deleted,
            contended: self.contended + other.contended,
            has_more: self.has_more || other.has_more,
        }
    }
}

/// Moves the staged object that arrived first to its path, if the path is free, and deletes the others. Completes
/// even if the caller is cancelled, because a store may take minutes to copy a large object. Also succeeds if another
/// node still moves an object to the path after [`MAX_ATTEMPTS`].
pub(in super::super) async fn settle_path(state: &StorageState, project_id: &str, path: &ObjectPath) -> ApiResult<()> {
    let guard = state.settle_locks.lock(project_id, path).await;
    let (state, project_id, path) = (state.clone(), project_id.to_owned(), path.clone());
    let settling = tokio::spawn(async move {
        let _guard = guard;
        let prefix = staged_key::path_prefix(&path);
        for _ in 0..MAX_ATTEMPTS {
            let report = settle_prefix(&state, &project_id, &prefix, PAGE_SIZE).await?;
            if report.contended == 0 {
                break;
            }
            tokio::time::sleep(ATTEMPT_PAUSE).await;
        }
        Ok(())
    });
    settling.await.unwrap_or_else(|error| Err(ApiError::internal(error)))
}

/// Settles the staged objects of a bucket before it is listed, page by page. Stops once every staged upload to a path
/// with this prefix is over, and otherwise after the last page or after a page of which no object was deleted. Returns
/// false if it stops earlier, because [`MAX_TIME_BEFORE_LIST`] is over.
pub(in super::super) async fn settle_bucket(
    state: &StorageState,
    project_id: &str,
    bucket: &str,
    prefix: &str,
) -> ApiResult<bool> {
    let started = Instant::now();
    while queries::has_staged_in(&state.platform, project_id, bucket, prefix).await? {
        let staged = staged_key::bucket_prefix(bucket);
        let report = settle_prefix(state, project_id, &staged, PAGE_SIZE_BEFORE_LIST).await?;
        // Without a deletion, the next page would contain the same objects.
        if !report.has_more || report.deleted == 0 {
            break;
        }
        if started.elapsed() > MAX_TIME_BEFORE_LIST {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Settles up to a thousand staged objects of a project.
pub(in super::super) async fn settle_project(state: &StorageState, project_id: &str) -> ApiResult<SettleReport> {
    settle_prefix(state, project_id, STAGED_PREFIX, PAGE_SIZE).await
}

/// Ends the uploads of a path whose staged objects have arrived, and removes these objects. Must be called before the
/// object at the path is deleted, because the next access would otherwise move a staged object to the path.
pub(in super::super) async fn discard_arrived(
    state: &StorageState,
    project_id: &str,
    path: &ObjectPath,
) -> ApiResult<()> {
    if !queries::has_staged(&state.platform, project_id, path).await? {
        return Ok(());
    }
    let bucket = project_bucket(project_id);
    let page = state.store.list_page(&bucket, &staged_key::path_prefix(path), PAGE_SIZE, None).await?;
    let ids: Vec<Uuid> = page.objects.iter().filter_map(|object| staged_key::upload_id(&object.key)).collect();
    queries::mark_over(&state.platform, &ids).await?;
    for object in page.objects {
        state.store.delete(&bucket, &object.key).await?;
    }
    Ok(())
}

async fn settle_prefix(state: &StorageState, project_id: &str, prefix: &str, limit: i32) -> ApiResult<SettleReport> {
    let page = match state.store.list_page(&project_bucket(project_id), prefix, limit, None).await {
        // The project is being deleted.
        Err(error) if error.is_not_found() => return Ok(SettleReport::default()),
        page => page?,
    };
    if page.objects.is_empty() {
        return Ok(SettleReport::default());
    }
    let ids: Vec<Uuid> = page.objects.iter().filter_map(|object| staged_key::upload_id(&object.key)).collect();
    let uploads = queries::find_uploads(&state.platform, project_id, &ids).await?;
    let mut uploads: HashMap<Uuid, OpenUpload> = uploads.into_iter().map(|upload| (upload.id, upload)).collect();
    let mut report = SettleReport { has_more: page.next.is_some(), ..SettleReport::default() };
    let mut by_path: HashMap<(String, String), Vec<(OpenUpload, ListedObject)>> = HashMap::new();
    for object in page.objects {
        match staged_key::upload_id(&object.key).and_then(|id| uploads.remove(&id)) {
            Some(upload) => {
                by_path.entry((upload.bucket.clone(), upload.path.clone())).or_default().push((upload, object));
            }
            // The bucket was deleted, or the URL expired long ago.
            None => {
                state.store.delete(&project_bucket(project_id), &object.key).await?;
                report.deleted += 1;
            }
        }
    }
    stream::iter(by_path.into_values())
        .map(|arrived| settle_arrived(state, project_id, arrived))
        .buffer_unordered(MAX_CONCURRENT)
        .try_fold(report, |sum, report| async move { Ok(sum.plus(report)) })
        .await
}

/// Settles the staged objects of one path in the order of their arrival. An object whose move was already started comes
/// first.
async fn settle_arrived(
    state: &StorageState,
    project_id: &str,
    mut arrived: Vec<(OpenUpload, ListedObject)>,
) -> ApiResult<SettleReport> {
    arrived.sort_by_key(|(upload, object)| {
        (Reverse(upload.state == UploadState::Moving), object.last_modified, upload.id)
    });
    let mut report = SettleReport::default();
    for (upload, object) in arrived {
        report = report.plus(settle_upload(state, project_id, &upload, &object).await?);
    }
    Ok(report)
}

async fn settle_upload(
    state: &StorageState,
    project_id: &str,
    upload: &OpenUpload,
    staged: &ListedObject,
) -> ApiResult<SettleReport> {
    let bucket = project_bucket(project_id);
    let none = SettleReport::default();
    if upload.state == UploadState::Over {
        // The URL was used again after the upload ended.
        state.store.delete(&bucket, &staged.key).await?;
        return Ok(SettleReport { deleted: 1, ..none });
    }
    if staged.size > upload.max_size {
        // The upload stays open: its URL can be used again, with an object within the limit.
        match state.store.delete_if_match(&bucket, &staged.key, staged.etag.as_deref()).await {
            // The URL was used again just now.
            Err(StoreError::PreconditionFailed { .. }) => return Ok(SettleReport { contended: 1, ..none }),
            deleted => deleted?,
        }
        tracing::warn!(
            project = project_id,
            object_key = format!("{}/{}", upload.bucket, upload.path),
            size_bytes = staged.size,
            max_size_bytes = upload.max_size,
            "removed an object that is larger than its upload was signed for"
        );
        return Ok(SettleReport { oversize: 1, deleted: 1, ..none });
    }
    let path = BucketName::parse(&upload.bucket).and_then(|bucket| ObjectPath::new(&bucket, &upload.path))?;
    let mut target = state.store.head(&bucket, path.key()).await?;
    if let Some(other) = target.take_if(|target| !is_copy(target, staged)) {
        // An object that is larger than its own upload was signed for is removed, and does not take the path.
        let record = records::find_record(&state.platform, project_id, &path).await?;
        let context = ObjectContext { state, project_id, store_bucket: &bucket, path: &path };
        target = reconcile_object(context, record.as_ref(), other).await?.into_object();
    }
    if target.is_none() {
        if !queries::begin_move(&state.platform, upload.id, staged).await? {
            return Ok(SettleReport { contended: 1, ..none });
        }
        let etag = staged.etag.as_deref().unwrap_or_default();
        match state.store.copy_if_absent(&bucket, &staged.key, path.key(), etag).await {
            Ok(()) | Err(StoreError::PreconditionFailed { .. } | StoreError::NotFound { .. }) => {}
            // The next access repeats the copy.
            Err(error) => return Err(error.into()),
        }
        target = state.store.head(&bucket, path.key()).await?;
        if target.is_none() {
            // The staged object was uploaded again in the meantime, or another node moved it and the object at the path
            // was then deleted.
            queries::cancel_move(&state.platform, upload.id, staged).await?;
            return Ok(SettleReport { contended: 1, ..none });
        }
    }
    let moved = target.filter(|target| is_copy(target, staged));
    match &moved {
        Some(object) => queries::finish_move(&state.platform, upload.id, object).await?,
        None => queries::mark_over(&state.platform, &[upload.id]).await?,
    }
    state.store.delete(&bucket, &staged.key).await?;
    Ok(SettleReport { ended: 1, moved: u64::from(moved.is_some()), deleted: 1, ..none })
}

/// Returns whether the object at the path has the content of the staged object. In that case, the upload has succeeded,
/// even if another request moved it.
fn is_copy(target: &ObjectMeta, staged: &ListedObject) -> bool {
    let etag = |etag: &Option<String>| etag.as_deref().map(|etag| etag.trim_matches('"').to_owned());
    target.size == staged.size && target.etag.is_some() && etag(&target.etag) == etag(&staged.etag)
}
