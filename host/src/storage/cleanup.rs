//! The sweep that compares the records with the store, so that nothing stays that shouldn't even where nobody
//! asks for it: objects larger than was signed for, records of uploads that never came, forgotten uploads in parts.

use chrono::{DateTime, Duration, Utc};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    StorageState,
    path::{BucketName, ObjectPath},
    queries::{self, SuspectFile},
    settle::{self, UPLOAD_GRACE},
    upload::MULTIPART_LIFE,
};
use crate::{error::ApiResult, object_store::StoreError};

/// Rows read at once.
const BATCH: i64 = 500;
/// Questions to the store at once: a sweep must not be felt.
pub(super) const PARALLEL: usize = 4;

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CleanupReport {
    /// Records compared with the store.
    pub checked: u64,
    /// Uploads that were seen to have arrived.
    pub confirmed: u64,
    /// Objects removed for their size.
    pub oversize_removed: u64,
    /// Records removed since their object isn't there, and can't come any more.
    pub records_removed: u64,
    /// Uploads in parts that nobody completed in time.
    pub uploads_aborted: u64,
}

/// One sweep over all projects. Safe to run at any time and on several nodes at once; stops at the first error,
/// and the next sweep goes on.
pub async fn cleanup(state: &StorageState) -> ApiResult<CleanupReport> {
    let mut report = CleanupReport::default();
    let mut after = (String::new(), String::new(), String::new());
    loop {
        let cursor = (after.0.as_str(), after.1.as_str(), after.2.as_str());
        let batch = queries::suspect_files(&state.platform, cursor, UPLOAD_GRACE.num_seconds(), BATCH).await?;
        let Some(last) = batch.last() else { break };
        after = (last.project_id.clone(), last.bucket.clone(), last.path.clone());
        let outcomes: Vec<Outcome> =
            stream::iter(batch).map(|file| compare(state, file)).buffer_unordered(PARALLEL).try_collect().await?;
        for outcome in outcomes {
            report.checked += 1;
            match outcome {
                Outcome::Unchanged | Outcome::Impossible => {}
                Outcome::Confirmed => report.confirmed += 1,
                Outcome::OversizeRemoved { .. } => report.oversize_removed += 1,
                Outcome::RecordRemoved => report.records_removed += 1,
            }
        }
    }
    report.uploads_aborted = abort_stale_uploads(state).await?;
    if report != (CleanupReport { checked: report.checked, ..CleanupReport::default() }) {
        tracing::info!(?report, "storage was cleaned up");
    }
    Ok(report)
}

/// Aborts uploads in parts that nobody can complete any more, in every project's bucket; answers how many.
pub(super) async fn abort_stale_uploads(state: &StorageState) -> ApiResult<u64> {
    let mut aborted = 0;
    for project in queries::ready_projects(&state.platform).await? {
        match state.store.abort_uploads(&store_bucket(&project), Some(multipart_limit())).await {
            Ok(some) => aborted += some,
            Err(StoreError::NotSupported { .. } | StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(aborted)
}

/// What was begun before then is abandoned.
pub(super) fn multipart_limit() -> DateTime<Utc> {
    Utc::now() - Duration::seconds(MULTIPART_LIFE.as_secs() as i64) - Duration::hours(1)
}

/// What comparing one record with the store led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Unchanged,
    Confirmed,
    OversizeRemoved {
        bytes: u64,
    },
    RecordRemoved,
    /// The record itself is wrong, which only a fault of ours explains.
    Impossible,
}

pub(super) async fn compare(state: &StorageState, file: SuspectFile) -> ApiResult<Outcome> {
    let (platform, store, project) = (&state.platform, &state.store, file.project_id.as_str());
    let path = match BucketName::parse(&file.bucket).and_then(|bucket| ObjectPath::new(&bucket, &file.path)) {
        Ok(path) => path,
        Err(error) => {
            tracing::error!(project, bucket = file.bucket, path = file.path, %error, "a record has an impossible path");
            return Ok(Outcome::Impossible);
        }
    };
    let bucket = store_bucket(project);
    let object = store.head(&bucket, path.key()).await?;
    if object.is_none() {
        // A record of what was there, or the last chance of what was to come.
        if file.over || file.row.state == "stored" {
            let removed = queries::delete_vanished(platform, project, &path, file.row.expires_at).await?;
            return Ok(if removed { Outcome::RecordRemoved } else { Outcome::Unchanged });
        }
        queries::touch_file(platform, project, &path).await?;
        return Ok(Outcome::Unchanged);
    }
    let known_before = file.row.size.is_some() && file.row.state == "stored";
    let seen = settle::settle(platform, store, project, &bucket, &path, Some(&file.row), object).await?;
    match seen.object {
        None => {
            Ok(Outcome::OversizeRemoved { bytes: seen.removed_oversize.map(i64::unsigned_abs).unwrap_or_default() })
        }
        // The replacement that was signed for never came: what is there stays.
        Some(object) if file.over => {
            queries::record_stored(platform, project, &path, &object).await?;
            Ok(if known_before { Outcome::Unchanged } else { Outcome::Confirmed })
        }
        Some(object) => {
            queries::touch_file(platform, project, &path).await?;
            let news = file.row.etag != object.etag || file.row.size != Some(object.size);
            Ok(if news { Outcome::Confirmed } else { Outcome::Unchanged })
        }
    }
}

/// Name of a project's bucket in the store.
fn store_bucket(project: &str) -> String {
    format!("proj-{project}")
}
