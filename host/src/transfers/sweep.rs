//! Removes expired and unknown files of exports and imports.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{TransfersState, exports, imports};
use crate::{
    error::ApiResult,
    object_store::{PLATFORM_BUCKET, StoreError, UnfinishedUpload},
};

const BATCH_ROWS: i64 = 100;
const PAGE_SIZE: i32 = 1000;
/// Minimum age of files and uploads that are removed because their export or import is unknown. Younger ones may belong
/// to an export or upload in progress. Some stores count the age of a large object from the start of its upload.
const MIN_AGE: TimeDelta = TimeDelta::days(2);

/// The kind of files to sweep.
#[derive(Debug, Clone, Copy)]
enum Files {
    Exports,
    Imports,
}

/// Removes expired exports and imports, and files whose export or import does not exist. Returns the number of removed
/// exports, imports and files. Also calls [`clean_up`]. Safe to call at any time, and on several nodes at once.
///
/// # Errors
/// Returns the errors of the platform database and of the object store.
pub async fn sweep(state: &TransfersState) -> ApiResult<u64> {
    clean_up(state).await?;
    let mut removed = 0;
    for files in [Files::Exports, Files::Imports] {
        removed += files.remove_expired(state).await? + files.remove_unknown(state).await?;
    }
    Ok(removed)
}

/// Cleans up after runs that failed, were cancelled or were killed. Finds out whether an import was committed, and if
/// so, removes its file. Removes the file and the unfinished upload of an export.
///
/// Files are removed again for an hour after the run's end, because a request to the store may take effect after the
/// run.
///
/// # Errors
/// Returns the errors of the platform database and of the object store.
pub async fn clean_up(state: &TransfersState) -> ApiResult<()> {
    imports::settle_commits(state).await?;
    for key in imports::queries::imported_keys(&state.platform).await? {
        state.store.delete(PLATFORM_BUCKET, &key).await?;
    }
    for key in exports::queries::failed_keys(&state.platform).await? {
        state.store.delete(PLATFORM_BUCKET, &key).await?;
    }
    abort_uploads(state, Utc::now() - MIN_AGE).await
}

/// Aborts unfinished uploads of exports that are not in progress. Those of unknown exports must have begun before
/// `before`.
async fn abort_uploads(state: &TransfersState, before: DateTime<Utc>) -> ApiResult<()> {
    let mut position = None;
    loop {
        let page = match state.store.list_uploads(PLATFORM_BUCKET, position).await {
            // The bucket is created with its first object. Some stores don't list uploads.
            Err(StoreError::NotSupported { .. } | StoreError::NotFound { .. }) => return Ok(()),
            page => page?,
        };
        let uploads: Vec<(Uuid, UnfinishedUpload)> =
            page.uploads.into_iter().filter_map(|upload| Some((exports::id_of_key(&upload.key)?, upload))).collect();
        let ids: Vec<Uuid> = uploads.iter().map(|(id, _)| *id).collect();
        let known = exports::queries::existing(&state.platform, &ids).await?;
        let in_progress = exports::queries::in_progress(&state.platform, &ids).await?;
        for (id, upload) in uploads {
            let is_old = upload.created_at.is_some_and(|at| at < before);
            if !in_progress.contains(&id) && (known.contains(&id) || is_old) {
                state.store.abort_multipart(PLATFORM_BUCKET, &upload.key, &upload.upload_id).await?;
            }
        }
        position = page.next;
        if position.is_none() {
            return Ok(());
        }
    }
}

impl Files {
    async fn remove_expired(self, state: &TransfersState) -> ApiResult<u64> {
        let mut removed = 0;
        loop {
            let expired = match self {
                Self::Exports => exports::queries::expired(&state.platform, BATCH_ROWS).await?,
                Self::Imports => imports::queries::expired(&state.platform, BATCH_ROWS).await?,
            };
            for (id, key) in &expired {
                // The row is deleted last. If it were deleted first and deleting the file failed, the file would stay
                // until it is found to be unknown.
                state.store.delete(PLATFORM_BUCKET, key).await?;
                match self {
                    Self::Exports => exports::queries::delete(&state.platform, *id).await?,
                    Self::Imports => imports::queries::delete(&state.platform, *id).await?,
                }
                removed += 1;
            }
            if (expired.len() as i64) < BATCH_ROWS {
                return Ok(removed);
            }
        }
    }

    /// Removes the files whose export or import does not exist, for example because its project was deleted.
    async fn remove_unknown(self, state: &TransfersState) -> ApiResult<u64> {
        let before = Utc::now() - MIN_AGE;
        let (mut removed, mut token) = (0, None::<String>);
        loop {
            let page = match state.store.list_page(PLATFORM_BUCKET, self.prefix(), PAGE_SIZE, token.as_deref()).await {
                // The bucket is created with its first object.
                Err(error) if error.is_not_found() => return Ok(removed),
                page => page?,
            };
            let old: Vec<(Uuid, String)> = page
                .objects
                .into_iter()
                .filter(|object| object.last_modified.is_some_and(|at| at < before))
                .filter_map(|object| Some((self.id_of_key(&object.key)?, object.key)))
                .collect();
            let ids: Vec<Uuid> = old.iter().map(|(id, _)| *id).collect();
            let known = match self {
                Self::Exports => exports::queries::existing(&state.platform, &ids).await?,
                Self::Imports => imports::queries::existing(&state.platform, &ids).await?,
            };
            for (id, key) in old {
                if !known.contains(&id) {
                    state.store.delete(PLATFORM_BUCKET, &key).await?;
                    removed += 1;
                }
            }
            token = page.next;
            if token.is_none() {
                return Ok(removed);
            }
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Self::Exports => exports::PREFIX,
            Self::Imports => imports::PREFIX,
        }
    }

    fn id_of_key(self, key: &str) -> Option<Uuid> {
        match self {
            Self::Exports => exports::id_of_key(key),
            Self::Imports => imports::id_of_key(key),
        }
    }
}
