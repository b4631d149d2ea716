//! Reads the logs of runs, and puts long logs into the object store.

use api_types::{LogLine, Page, RunStatus};
use bytes::Bytes;
use uuid::Uuid;

use super::{
    output::{MAX_LOG_BYTES, RunLog},
    queries,
};
use crate::{
    error::{ApiError, ApiResult},
    http::PageRequest,
    jobs::{PLATFORM_BUCKET, Runs},
    object_store::{StoreError, StoreResult},
};

const CONTENT_TYPE: &str = "application/x-ndjson";

/// The part of a log after an offset.
pub(super) struct LogPart {
    /// One JSON object each.
    pub(super) lines: Vec<String>,
    /// Offset in bytes of the end of this part.
    pub(super) end: usize,
    pub(super) status: RunStatus,
}

impl LogPart {
    /// Returns whether the run has ended, so that no line follows.
    pub(super) fn is_last(&self) -> bool {
        !matches!(self.status, RunStatus::Queued | RunStatus::Running)
    }
}

/// Returns the lines after an offset in bytes, or none if the run does not exist.
pub(super) async fn read_log(runs: &Runs, run: Uuid, offset: usize) -> ApiResult<Option<LogPart>> {
    let Some(stored) = queries::read_log(&runs.platform, run, offset as i64).await? else { return Ok(None) };
    let status = stored.status;
    let Some(text) = stored.log_text else { return Ok(Some(LogPart { lines: Vec::new(), end: offset, status })) };
    let whole = match &stored.log_object_key {
        Some(key) if stored.log_bytes as usize > text.len() => {
            match runs.store.get_small(PLATFORM_BUCKET, key, MAX_LOG_BYTES + (64 << 10)).await {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                // The object is missing; the beginning of the log is still in the row.
                Err(error) if error.is_not_found() => text,
                Err(error) => return Err(error.into()),
            }
        }
        _ => text,
    };
    let rest = whole.get(offset..).unwrap_or_default();
    let lines = rest.lines().map(str::to_owned).collect();
    Ok(Some(LogPart { lines, end: offset.max(whole.len()), status }))
}

/// Returns the whole log of a run.
pub(super) async fn read_all_lines(runs: &Runs, run: Uuid) -> ApiResult<Vec<LogLine>> {
    let part = read_log(runs, run, 0).await?.ok_or_else(|| ApiError::not_found("run"))?;
    Ok(part.lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Returns a page of a run's log. The cursor is the offset of a line's end.
pub(super) async fn read_page(runs: &Runs, run: Uuid, request: &PageRequest<u32>) -> ApiResult<Page<LogLine>> {
    let mut end = request.after.unwrap_or(0) as usize;
    let part = read_log(runs, run, end).await?.ok_or_else(|| ApiError::not_found("run"))?;
    let lines = part.lines.iter().filter_map(|line| {
        end += line.len() + 1;
        Some((u32::try_from(end).ok()?, serde_json::from_str::<LogLine>(line).ok()?))
    });
    let page = request.page(lines.take(request.limit as usize + 1).collect(), |(end, _)| *end);
    Ok(Page { items: page.items.into_iter().map(|(_, line)| line).collect(), next_cursor: page.next_cursor })
}

/// Puts a log that exceeds its row into the object store, if it has grown since the last time.
pub(in crate::jobs) async fn store_log(runs: &Runs, log: &RunLog) {
    let Some(whole) = log.unstored() else { return };
    let bytes = whole.len();
    match put_log(runs, log.object_key(), whole).await {
        Ok(()) => log.mark_stored(bytes),
        Err(error) => {
            let key = log.object_key();
            tracing::warn!(key, %error, "failed to store a run's complete log; its beginning is in the database");
        }
    }
}

async fn put_log(runs: &Runs, key: &str, whole: Bytes) -> StoreResult<()> {
    match runs.store.put_small(PLATFORM_BUCKET, key, CONTENT_TYPE, whole.clone()).await {
        Err(StoreError::NotFound { .. }) => {
            runs.store.ensure_bucket(PLATFORM_BUCKET).await?;
            runs.store.put_small(PLATFORM_BUCKET, key, CONTENT_TYPE, whole).await
        }
        result => result,
    }
}
