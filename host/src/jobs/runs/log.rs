//! Reading logs of runs, and putting long ones into storage.

use api_types::{LogLine, Page, RunStatus};
use bytes::Bytes;
use uuid::Uuid;

use super::output::{MAX_LOG_BYTES, RunLog};
use crate::jobs::{JobsState, PLATFORM_BUCKET, names::parse_status, queries};
use crate::{
    error::{ApiError, ApiResult},
    http::PageRequest,
    object_store::{StoreError, StoreResult},
};

const CONTENT_TYPE: &str = "application/x-ndjson";

/// What of a log follows an offset.
pub(in crate::jobs) struct LogRead {
    /// JSON, one an item.
    pub(in crate::jobs) lines: Vec<String>,
    /// Where to go on.
    pub(in crate::jobs) offset: usize,
    pub(in crate::jobs) status: RunStatus,
}

impl LogRead {
    /// Nothing comes after this.
    pub(in crate::jobs) fn ended(&self) -> bool {
        !matches!(self.status, RunStatus::Queued | RunStatus::Running)
    }
}

impl JobsState {
    /// Lines after an offset in bytes; none where there is no such run.
    pub(in crate::jobs) async fn read_log(&self, run: Uuid, offset: usize) -> ApiResult<Option<LogRead>> {
        let Some(part) = queries::log_part(&self.platform, run, offset as i64).await? else { return Ok(None) };
        let status = parse_status(&part.status);
        let Some(text) = part.log_text else { return Ok(Some(LogRead { lines: Vec::new(), offset, status })) };
        let whole = match &part.log_object_key {
            Some(key) if part.log_bytes as usize > text.len() => {
                match self.store.get_small(PLATFORM_BUCKET, key, MAX_LOG_BYTES + (64 << 10)).await {
                    Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                    // Its beginning is better than nothing.
                    Err(error) if error.is_not_found() => text,
                    Err(error) => return Err(error.into()),
                }
            }
            _ => text,
        };
        let rest = whole.get(offset..).unwrap_or_default();
        let lines = rest.lines().map(str::to_owned).collect();
        Ok(Some(LogRead { lines, offset: offset.max(whole.len()), status }))
    }

    /// The whole log of a run.
    pub(in crate::jobs) async fn log_lines(&self, run: Uuid) -> ApiResult<Vec<LogLine>> {
        let read = self.read_log(run, 0).await?.ok_or_else(|| ApiError::not_found("run"))?;
        Ok(read.lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// A page of a run's log; lines are told apart by the offset behind them.
    pub(in crate::jobs) async fn log_page(&self, run: Uuid, request: &PageRequest<u32>) -> ApiResult<Page<LogLine>> {
        let mut end = request.after.unwrap_or(0) as usize;
        let read = self.read_log(run, end).await?.ok_or_else(|| ApiError::not_found("run"))?;
        let lines = read.lines.iter().filter_map(|line| {
            end += line.len() + 1;
            Some((u32::try_from(end).ok()?, serde_json::from_str::<LogLine>(line).ok()?))
        });
        let page = request.page(lines.take(request.limit as usize + 1).collect(), |(end, _)| *end);
        Ok(Page { items: page.items.into_iter().map(|(_, line)| line).collect(), next_cursor: page.next_cursor })
    }

    /// Puts a log that outgrew its row into storage, where there is more of it than there was.
    pub(in crate::jobs) async fn store_log(&self, log: &RunLog) {
        let Some(whole) = log.for_store() else { return };
        let bytes = whole.len();
        match self.put_log(log.object_key(), whole).await {
            Ok(()) => log.stored(bytes),
            Err(error) => {
                tracing::warn!(key = log.object_key(), %error, "a run's whole log could not be stored; its beginning is kept");
            }
        }
    }

    async fn put_log(&self, key: &str, whole: Bytes) -> StoreResult<()> {
        match self.store.put_small(PLATFORM_BUCKET, key, CONTENT_TYPE, whole.clone()).await {
            Err(StoreError::NotFound { .. }) => {
                self.store.ensure_bucket(PLATFORM_BUCKET).await?;
                self.store.put_small(PLATFORM_BUCKET, key, CONTENT_TYPE, whole).await
            }
            put => put,
        }
    }
}
