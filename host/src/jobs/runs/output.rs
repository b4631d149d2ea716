//! The log and progress of a running run, in memory. Nothing here waits; the scheduler writes snapshots to the run's
//! row periodically.

use api_types::{LogLevel, LogLine, RunProgress};
use bytes::Bytes;
use chrono::Utc;
use parking_lot::Mutex;
use plugin_manifest::Limits;
use serde_json::{Value, json};

use crate::{
    error::count,
    jobs::{LineLevel, Redactor},
};

/// Maximum number of bytes of a log that are stored in the row. A longer log is stored in the object store as a whole.
const MAX_ROW_BYTES: usize = 64 << 10;
/// Maximum number of bytes of a log: the highest limit that a plugin can have. Later lines are dropped and counted.
pub(super) const MAX_LOG_BYTES: usize = (Limits::MAX.log_kib as usize) << 10;
const MAX_MESSAGE_BYTES: usize = 16 << 10;
const MAX_FIELDS_BYTES: usize = 16 << 10;
const MAX_PROGRESS_BYTES: usize = 500;

/// A run's log, as lines of JSON, and its progress.
pub(in crate::jobs) struct RunLog {
    redactor: Redactor,
    /// Key of the whole log in the object store, used if the log exceeds the row.
    object_key: String,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    whole: String,
    /// End of the part of `whole` that belongs in the row. Lines are never cut.
    row_end: usize,
    exceeds_row: bool,
    /// Bytes of `whole` that are in the object store.
    stored: usize,
    /// Number of lines that were dropped since the log became full, here or by the runner. The log ends before the
    /// first of them.
    dropped_lines: u64,
    progress: Option<RunProgress>,
    /// Length of the message of `progress` without the note.
    message_end: usize,
    /// Incremented with each change.
    version: u64,
    /// Version that is in the row.
    written: u64,
}

/// The columns of a run's row that its output determines.
#[derive(Debug)]
pub(in crate::jobs) struct OutputSnapshot {
    /// All lines of the row, so that writing a snapshot twice does no harm.
    pub(in crate::jobs) log_text: String,
    /// Size of the readable log, whether in the row or in the object store.
    pub(in crate::jobs) log_bytes: i64,
    pub(in crate::jobs) log_object_key: Option<String>,
    pub(in crate::jobs) progress: Option<RunProgress>,
}

impl RunLog {
    pub(in crate::jobs) fn new(redactor: Redactor, object_key: String) -> Self {
        Self { redactor, object_key, inner: Mutex::default() }
    }

    pub(in crate::jobs) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    pub(super) fn object_key(&self) -> &str {
        &self.object_key
    }

    /// Returns a snapshot and its version if something changed since the last [`mark_written`](Self::mark_written).
    pub(in crate::jobs) fn unwritten(&self) -> Option<(OutputSnapshot, u64)> {
        let inner = self.inner.lock();
        (inner.version > inner.written).then(|| (self.snapshot_of(&inner), inner.version))
    }

    pub(in crate::jobs) fn snapshot(&self) -> OutputSnapshot {
        self.snapshot_of(&self.inner.lock())
    }

    fn snapshot_of(&self, inner: &Inner) -> OutputSnapshot {
        let is_stored = inner.stored > 0;
        OutputSnapshot {
            log_text: inner.whole[..inner.row_end].to_owned(),
            log_bytes: if is_stored { inner.stored } else { inner.row_end } as i64,
            log_object_key: is_stored.then(|| self.object_key.clone()),
            progress: inner.progress.clone(),
        }
    }

    /// Records that a version is in the row.
    pub(in crate::jobs) fn mark_written(&self, version: u64) {
        let mut inner = self.inner.lock();
        inner.written = inner.written.max(version);
    }

    /// Returns the whole log if it exceeds the row and has grown since the last [`mark_stored`](Self::mark_stored).
    pub(super) fn unstored(&self) -> Option<Bytes> {
        let inner = self.inner.lock();
        (inner.exceeds_row && inner.stored < inner.whole.len()).then(|| Bytes::copy_from_slice(inner.whole.as_bytes()))
    }

    /// Records the number of bytes that are in the object store.
    pub(super) fn mark_stored(&self, bytes: usize) {
        let mut inner = self.inner.lock();
        inner.stored = inner.stored.max(bytes);
        inner.version += 1;
    }

    /// Records at the end of the log that the runner dropped `lines` further lines. `reason` completes the sentence "…,
    /// because".
    pub(in crate::jobs) fn drop_lines(&self, lines: u64, reason: &str) {
        let mut inner = self.inner.lock();
        if inner.dropped_lines > 0 {
            // The log has ended before these lines. `close` reports all dropped lines.
            inner.dropped_lines += lines;
        } else {
            inner.append(&cut_line(lines, reason));
        }
    }

    /// Appends the number of dropped lines, if any. Called after the last line.
    pub(in crate::jobs) fn close(&self) {
        let mut inner = self.inner.lock();
        if inner.dropped_lines > 0 {
            let reason = format!("a log has at most {} KiB", MAX_LOG_BYTES >> 10);
            let line = cut_line(std::mem::take(&mut inner.dropped_lines), &reason);
            inner.append(&line);
        }
    }

    pub(in crate::jobs) fn log(&self, level: LineLevel, message: &str, fields: Value) {
        let fields = match fields {
            fields @ Value::Object(_) if fields.to_string().len() <= MAX_FIELDS_BYTES => self.redactor.json(fields),
            Value::Null => json!({}),
            _ => json!({ "truncated": true }),
        };
        let level = match level {
            LineLevel::Debug => LogLevel::Debug,
            LineLevel::Info => LogLevel::Info,
            LineLevel::Warn => LogLevel::Warn,
            LineLevel::Error => LogLevel::Error,
        };
        // Redact before truncating: half a secret would not be recognized.
        let message = truncate(self.redactor.text(message), MAX_MESSAGE_BYTES);
        let line = encode(&LogLine { at: Utc::now(), level, message, fields });
        let mut inner = self.inner.lock();
        // Shorter lines that follow a dropped one are dropped too, because a log with gaps is misleading.
        if inner.dropped_lines > 0 || inner.whole.len() + line.len() > MAX_LOG_BYTES {
            inner.dropped_lines += 1;
        } else {
            inner.append(&line);
        }
    }

    /// Appends the reason why the run failed, unless the last line is an error already.
    pub(in crate::jobs) fn log_failure(&self, reason: &str) {
        let last = self.inner.lock().whole.lines().next_back().map(serde_json::from_str::<LogLine>);
        if !last.is_some_and(|line| line.is_ok_and(|line| line.level == LogLevel::Error)) {
            self.log(LineLevel::Error, reason, Value::Null);
        }
    }

    pub(in crate::jobs) fn set_progress(&self, done: u64, total: Option<u64>, message: &str) {
        let message = truncate(self.redactor.text(message), MAX_PROGRESS_BYTES);
        let mut inner = self.inner.lock();
        inner.message_end = message.len();
        inner.progress = Some(RunProgress { done, total, message });
        inner.version += 1;
    }

    /// Appends a note to the message of the progress. The note replaces an earlier one.
    pub(in crate::jobs) fn set_progress_note(&self, note: &str) {
        let note = self.redactor.text(note);
        let mut inner = self.inner.lock();
        let end = inner.message_end;
        let progress = inner.progress.get_or_insert(RunProgress { done: 0, total: None, message: String::new() });
        progress.message.truncate(end);
        if end > 0 {
            progress.message.push_str(": ");
        }
        progress.message.push_str(&truncate(note, MAX_PROGRESS_BYTES));
        inner.version += 1;
    }
}

impl Inner {
    fn append(&mut self, line: &str) {
        self.whole.push_str(line);
        self.exceeds_row |= self.whole.len() > MAX_ROW_BYTES;
        if !self.exceeds_row {
            self.row_end = self.whole.len();
        }
        self.version += 1;
    }
}

fn encode(line: &LogLine) -> String {
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    text
}

/// Returns the line that marks where a log was cut. The dashboard looks for `droppedLines`.
fn cut_line(dropped: u64, reason: &str) -> String {
    let lines = count(dropped, "more line was", "more lines were");
    let message = format!("The log was cut here: {lines} dropped, because {reason}.");
    let fields = json!({ "droppedLines": dropped });
    encode(&LogLine { at: Utc::now(), level: LogLevel::Warn, message, fields })
}

/// Truncates a string that is longer than `max_bytes`, at a character boundary, and appends `…`.
pub(in crate::jobs) fn truncate(mut text: String, max_bytes: usize) -> String {
    if text.len() > max_bytes {
        text.truncate(text.floor_char_boundary(max_bytes));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_log() -> RunLog {
        RunLog::new(Redactor::default(), "logs/none/x.ndjson".to_owned())
    }

    #[test]
    fn long_log_is_cut_at_a_line_in_the_row_and_stored_whole() {
        let log = new_log();
        log.log(LineLevel::Info, "first", Value::Null);
        assert!(log.unstored().is_none());
        for _ in 0..100 {
            log.log(LineLevel::Info, &"x".repeat(1000), Value::Null);
        }
        let (row, version) = log.unwritten().unwrap();
        assert!(row.log_text.len() <= MAX_ROW_BYTES && row.log_text.ends_with('\n'), "{}", row.log_text.len());
        assert_eq!((row.log_bytes, row.log_object_key), (row.log_text.len() as i64, None));
        log.mark_written(version);
        assert!(log.unwritten().is_none());
        let whole = log.unstored().unwrap();
        assert!(whole.starts_with(row.log_text.as_bytes()) && whole.len() > 100_000);
        log.mark_stored(whole.len());
        let (row, _) = log.unwritten().unwrap();
        assert_eq!((row.log_bytes, row.log_object_key.as_deref()), (whole.len() as i64, Some("logs/none/x.ndjson")));
    }

    #[test]
    fn note_follows_the_message_of_the_progress_until_the_next_message() {
        let log = new_log();
        let message = || log.snapshot().progress.unwrap().message;
        log.set_progress_note("1.0 MB");
        assert_eq!(message(), "1.0 MB");
        log.set_progress(1, Some(2), "Backing up shop");
        log.set_progress_note("1.0 MB");
        log.set_progress_note("2.5 MB");
        let progress = log.snapshot().progress.unwrap();
        assert_eq!((progress.done, progress.total, progress.message.as_str()), (1, Some(2), "Backing up shop: 2.5 MB"));
        log.set_progress(2, Some(2), "Done");
        assert_eq!(message(), "Done");
    }

    #[test]
    fn lines_beyond_the_limit_are_dropped_and_counted() {
        let log = new_log();
        for _ in 0..400 {
            log.log(LineLevel::Info, &"x".repeat(20_000), Value::Null);
        }
        // This line would fit, but there must be no gap before it.
        log.log(LineLevel::Info, "short", Value::Null);
        log.drop_lines(5, "the run exceeded its own limit");
        log.close();
        let whole = String::from_utf8(log.unstored().unwrap().to_vec()).unwrap();
        assert!(whole.len() > MAX_LOG_BYTES - 20_000 && whole.len() <= MAX_LOG_BYTES + 300, "{}", whole.len());
        let lines: Vec<LogLine> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (last, kept) = lines.split_last().unwrap();
        let dropped = 400 - kept.len() + 1 + 5;
        let cut = "The log was cut here";
        assert_eq!(
            last.message,
            format!("{cut}: {dropped} more lines were dropped, because a log has at most 4096 KiB.")
        );
        assert_eq!(last.fields, json!({ "droppedLines": dropped }));
        assert!(kept.iter().all(|line| line.message.starts_with("xxx")));
    }

    #[test]
    fn log_ends_with_the_reason_of_a_failure() {
        for (last, expected) in [
            (LineLevel::Info, vec!["last", "disk full"]),
            // The job has logged why it fails.
            (LineLevel::Error, vec!["last"]),
        ] {
            let log = new_log();
            log.log(last, "last", Value::Null);
            log.log_failure("disk full");
            let text = log.snapshot().log_text;
            let lines: Vec<LogLine> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines.iter().map(|line| line.message.as_str()).collect::<Vec<_>>(), expected);
            assert_eq!(lines.last().map(|line| line.level), Some(LogLevel::Error));
        }
        let empty = new_log();
        empty.log_failure("disk full");
        assert!(empty.snapshot().log_text.contains("disk full"));
    }

    #[test]
    fn lines_that_the_runner_dropped_are_reported_where_they_would_be() {
        let log = new_log();
        log.log(LineLevel::Info, "first", Value::Null);
        log.drop_lines(1, "the run exceeded its limit");
        log.close();
        let lines: Vec<LogLine> =
            log.snapshot().log_text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let messages: Vec<&str> = lines.iter().map(|line| line.message.as_str()).collect();
        let cut = "The log was cut here: 1 more line was dropped, because the run exceeded its limit.";
        assert_eq!(messages, ["first", cut]);
    }
}
