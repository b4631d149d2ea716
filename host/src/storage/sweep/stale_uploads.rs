//! Aborts abandoned multipart uploads, so that their parts don't fill the store.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};

use super::{
    super::{
        open_uploads::{self, UploadEnd},
        state::StorageState,
        upload::MULTIPART_LIFETIME,
    },
    queries,
};
use crate::{
    error::ApiResult,
    object_store::{PLATFORM_BUCKET, StoreError, UnfinishedUpload, project_bucket},
};

/// Time without a new part after which an upload counts as abandoned, if a publishable key or a signed-in user signed
/// it, or if it is in the platform's bucket and no running run can have started it. The next sweep aborts it, less than
/// an hour after its last part. A part of the default size arrives in time if it is sent at 10 kB/s or more.
const IDLE_LIMIT: Duration = Duration::minutes(30);
/// Maximum expected difference between the clocks of the database and the store.
const MAX_CLOCK_DIFFERENCE: Duration = Duration::minutes(5);

/// Aborts abandoned multipart uploads in the bucket of every ready project. In the platform's own bucket, aborts
/// uploads that no running run can have started, for example those of backups whose process was killed. Returns the
/// number of aborted uploads. `now` is a parameter because tests can't wait.
///
/// # Errors
/// Fails if the store or the platform database is unavailable.
pub async fn abort_stale_uploads(state: &StorageState, now: DateTime<Utc>) -> ApiResult<u64> {
    let mut aborted = abort_stale_in(state, PLATFORM_BUCKET, None, now).await?;
    for project_id in queries::ready_project_ids(&state.platform).await? {
        aborted += abort_stale_in(state, &project_bucket(&project_id), Some(&project_id), now).await?;
    }
    Ok(aborted)
}

async fn abort_stale_in(
    state: &StorageState,
    bucket: &str,
    project_id: Option<&str>,
    now: DateTime<Utc>,
) -> ApiResult<u64> {
    let mut aborted = 0;
    let mut position = None;
    loop {
        let page = match state.store.list_uploads(bucket, position).await {
            Err(StoreError::NotSupported { .. } | StoreError::NotFound { .. }) => return Ok(aborted),
            page => page?,
        };
        let stale = match project_id {
            Some(project_id) => stale_project_uploads(state, bucket, project_id, page.uploads, now).await?,
            None => stale_platform_uploads(state, page.uploads, now).await?,
        };
        for upload in &stale {
            state.store.abort_multipart(bucket, &upload.key, &upload.upload_id).await?;
            aborted += 1;
        }
        if let Some(project_id) = project_id {
            let ids: Vec<String> = stale.into_iter().map(|upload| upload.upload_id).collect();
            open_uploads::end_multipart(&state.platform, project_id, &ids).await?;
        }
        position = page.next;
        if position.is_none() {
            return Ok(aborted);
        }
    }
}

/// Selects the abandoned uploads of a project: idle uploads that a publishable key or a signed-in user signed, and all
/// uploads whose URLs expired more than an hour ago.
async fn stale_project_uploads(
    state: &StorageState,
    bucket: &str,
    project_id: &str,
    uploads: Vec<UnfinishedUpload>,
    now: DateTime<Utc>,
) -> ApiResult<Vec<UnfinishedUpload>> {
    let ids: Vec<String> = uploads.iter().map(|upload| upload.upload_id.clone()).collect();
    let ends = open_uploads::ends_of_uploads(&state.platform, project_id, &ids).await?;
    let ends: HashMap<String, UploadEnd> = ends.into_iter().map(|end| (end.upload_id.clone(), end)).collect();
    let mut stale = Vec::new();
    for upload in uploads {
        let is_stale = match ends.get(&upload.upload_id) {
            Some(end) if now > end.expires_at + Duration::hours(1) => true,
            Some(end) if end.has_quota => is_idle(state, bucket, &upload, now).await?,
            Some(_) => false,
            // Another program or an older version of AtlasHub created the upload.
            None => upload.created_at.is_some_and(|created_at| created_at < unrecorded_limit(now)),
        };
        if is_stale {
            stale.push(upload);
        }
    }
    Ok(stale)
}

/// Selects idle uploads that began before every running run.
async fn stale_platform_uploads(
    state: &StorageState,
    uploads: Vec<UnfinishedUpload>,
    now: DateTime<Utc>,
) -> ApiResult<Vec<UnfinishedUpload>> {
    let mut stale = Vec::new();
    if uploads.is_empty() {
        return Ok(stale);
    }
    // Read after the uploads were listed, so that the run of each upload has started.
    let oldest_run = open_uploads::oldest_running_run(&state.platform).await?;
    for upload in uploads {
        if is_orphaned(upload.created_at, oldest_run) && is_idle(state, PLATFORM_BUCKET, &upload, now).await? {
            stale.push(upload);
        }
    }
    Ok(stale)
}

/// Returns whether no running run can have started an upload that was created at this time.
fn is_orphaned(created_at: Option<DateTime<Utc>>, oldest_run: Option<DateTime<Utc>>) -> bool {
    match (created_at, oldest_run) {
        (_, None) => true,
        (Some(created_at), Some(started_at)) => created_at + MAX_CLOCK_DIFFERENCE < started_at,
        (None, Some(_)) => false,
    }
}

/// Returns whether the upload was created, and its last part arrived, longer ago than [`IDLE_LIMIT`].
async fn is_idle(state: &StorageState, bucket: &str, upload: &UnfinishedUpload, now: DateTime<Utc>) -> ApiResult<bool> {
    let limit = now - IDLE_LIMIT;
    if upload.created_at.is_none_or(|created_at| created_at > limit) {
        return Ok(false);
    }
    match state.store.last_part_at(bucket, &upload.key, &upload.upload_id).await {
        Ok(last_part_at) => Ok(last_part_at.is_none_or(|at| at <= limit)),
        // Completed or aborted in the meantime.
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Returns the time before which an upload without a record must have been created to count as abandoned.
fn unrecorded_limit(now: DateTime<Utc>) -> DateTime<Utc> {
    now - Duration::seconds(MULTIPART_LIFETIME.as_secs() as i64) - Duration::hours(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upload_is_orphaned_if_every_run_started_later() {
        let at = |minutes| Some(DateTime::UNIX_EPOCH + Duration::minutes(minutes));
        for (created_at, oldest_run, expected) in [
            (at(0), None, true),
            (None, None, true),
            (at(0), at(10), true),
            // The store's clock may be ahead.
            (at(0), at(4), false),
            (at(10), at(0), false),
            (None, at(0), false),
        ] {
            assert_eq!(is_orphaned(created_at, oldest_run), expected, "{created_at:?} {oldest_run:?}");
        }
    }
}
