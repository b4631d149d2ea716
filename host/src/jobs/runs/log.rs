//! Reads the logs of runs, and puts long logs into the object store.

use std::fmt::Write as _;

use api_types::{LogLevel, LogLine, Page, RunStatus};
use bytes::Bytes;
use chrono::SecondsFormat;
use serde::Deserialize;
use uuid::Uuid;

use super::{
    follow::last,
    output::{MAX_LOG_BYTES, RunLog},
    queries,
};
use crate::{
    error::{ApiError, ApiResult},
    http::PageRequest,
    jobs::Runs,
    object_store::{PLATFORM_BUCKET, StoreError, StoreResult},
};

const CONTENT_TYPE: &str = "application/x-ndjson";

/// The part of a log after an offset.
pub(super) struct LogPart {
    /// Each line is a JSON object.
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

/// Returns the lines after an offset in bytes, or `None` if the run does not exist.
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

/// The selection of the lines of a log.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogFilter {
    /// Only lines of this level or of a more important one.
    pub level: Option<LogLevel>,
    /// Only the last lines that `level` includes, up to this number.
    pub tail: Option<u32>,
}

impl LogFilter {
    /// Returns whether the filter's level includes a line, which is a JSON object.
    pub(super) fn includes(self, line: &str) -> bool {
        #[derive(Deserialize)]
        struct Level {
            level: LogLevel,
        }
        let Some(least) = self.level else { return true };
        serde_json::from_str::<Level>(line).is_ok_and(|line| importance(line.level) >= importance(least))
    }
}

fn importance(level: LogLevel) -> u8 {
    match level {
        LogLevel::Debug => 0,
        LogLevel::Info => 1,
        LogLevel::Warn => 2,
        LogLevel::Error => 3,
    }
}

/// Returns the lines of a run's log that the filter selects.
pub(super) async fn read_lines(runs: &Runs, run: Uuid, filter: LogFilter) -> ApiResult<Vec<LogLine>> {
    let part = read_log(runs, run, 0).await?.ok_or_else(|| ApiError::not_found("run"))?;
    let lines = part.lines.iter().filter(|line| filter.includes(line));
    let lines: Vec<&String> = match filter.tail {
        Some(tail) => last(lines, tail as usize),
        None => lines.collect(),
    };
    Ok(lines.into_iter().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Returns lines as text for people: time, level, message, and the fields as JSON.
pub(super) fn to_text(lines: &[LogLine]) -> String {
    let mut text = String::new();
    for line in lines {
        let at = line.at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let level = line.level.as_str().to_ascii_uppercase();
        // Writing to a `String` can't fail.
        let _ = write!(text, "{at} {level:<5} {}", line.message);
        if line.fields.as_object().is_some_and(|fields| !fields.is_empty()) {
            let _ = write!(text, " {}", line.fields);
        }
        text.push('\n');
    }
    text
}

/// Returns a page of the lines of a run's log that the filter's level includes. The cursor is the offset of a line's
/// end.
pub(super) async fn read_page(
    runs: &Runs,
    run: Uuid,
    filter: LogFilter,
    request: &PageRequest<u32>,
) -> ApiResult<Page<LogLine>> {
    let mut end = request.after.unwrap_or(0) as usize;
    let part = read_log(runs, run, end).await?.ok_or_else(|| ApiError::not_found("run"))?;
    let lines = part.lines.iter().filter_map(|line| {
        end += line.len() + 1;
        if !filter.includes(line) {
            return None;
        }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_has_time_level_message_and_fields() {
        let line = |level, message: &str, fields| LogLine {
            at: "2026-02-03T02:00:00.1234Z".parse().unwrap(),
            level,
            message: message.to_owned(),
            fields,
        };
        let lines = [line(LogLevel::Info, "first", json!({})), line(LogLevel::Error, "second", json!({ "n": 1 }))];
        let expected = "2026-02-03T02:00:00.123Z INFO  first\n2026-02-03T02:00:00.123Z ERROR second {\"n\":1}\n";
        assert_eq!(to_text(&lines), expected);
    }

    #[test]
    fn level_includes_more_important_lines() {
        let filter = LogFilter { level: Some(LogLevel::Warn), tail: None };
        let included = |level: &str| filter.includes(&format!(r#"{{"at":"","level":"{level}","message":"error"}}"#));
        assert_eq!(["debug", "info", "warn", "error"].map(included), [false, false, true, true]);
    }
}
