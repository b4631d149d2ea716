//! What a run tells while it runs: its log and its progress. Nothing here waits; a scheduler writes it on now and then.

use std::sync::{Mutex, MutexGuard, PoisonError};

use api_types::{LogLevel, LogLine, RunProgress};
use bytes::Bytes;
use chrono::Utc;
use serde_json::{Value, json};

use crate::jobs::{LineLevel, RunOutput, queries::OutputPart, redact::Redactor};

/// Bytes of a log that are kept in the row; the whole goes to the object store where it is longer.
const ROW_BYTES: usize = 64 << 10;
/// Bytes that are kept at all; lines beyond are counted.
pub(in crate::jobs) const MAX_LOG_BYTES: usize = 4 << 20;
const MAX_MESSAGE_BYTES: usize = 16 << 10;
const MAX_FIELDS_BYTES: usize = 16 << 10;
const MAX_PROGRESS_BYTES: usize = 500;

/// A run's log, as lines of JSON, and its progress.
pub(in crate::jobs) struct RunLog {
    redactor: Redactor,
    /// Where the whole goes once the row can't hold it.
    object_key: String,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    whole: String,
    /// Bytes of `whole` that are for the row: lines are never cut.
    row_end: usize,
    outgrown: bool,
    /// Bytes of `whole` that are in the object store.
    uploaded: usize,
    left_out: u64,
    progress: Option<RunProgress>,
    /// Counts what came, so that only news are written.
    version: u64,
    written: u64,
}

impl RunLog {
    pub(in crate::jobs) fn new(redactor: Redactor, object_key: String) -> Self {
        Self { redactor, object_key, inner: Mutex::default() }
    }

    pub(in crate::jobs) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    pub(in crate::jobs) fn object_key(&self) -> &str {
        &self.object_key
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is new for the row, and the version that it brings it to; none where there are no news.
    pub(in crate::jobs) fn news(&self, run: uuid::Uuid, lease: uuid::Uuid) -> Option<(OutputPart, u64)> {
        let inner = self.lock();
        (inner.version > inner.written).then(|| (self.part(&inner, run, lease), inner.version))
    }

    /// All of it, after the last line.
    pub(in crate::jobs) fn last_part(&self, run: uuid::Uuid, lease: uuid::Uuid) -> OutputPart {
        self.part(&self.lock(), run, lease)
    }

    fn part(&self, inner: &Inner, id: uuid::Uuid, lease: uuid::Uuid) -> OutputPart {
        let in_store = inner.uploaded > 0;
        OutputPart {
            id,
            lease,
            log_text: inner.whole[..inner.row_end].to_owned(),
            log_bytes: if in_store { inner.uploaded } else { inner.row_end } as i64,
            log_object_key: in_store.then(|| self.object_key.clone()),
            progress: inner.progress.clone(),
        }
    }

    pub(in crate::jobs) fn written(&self, version: u64) {
        let mut inner = self.lock();
        inner.written = inner.written.max(version);
    }

    /// The whole log, where the row can't hold it and the object store has not all of it.
    pub(in crate::jobs) fn for_store(&self) -> Option<Bytes> {
        let inner = self.lock();
        (inner.outgrown && inner.uploaded < inner.whole.len()).then(|| Bytes::copy_from_slice(inner.whole.as_bytes()))
    }

    pub(in crate::jobs) fn stored(&self, bytes: usize) {
        let mut inner = self.lock();
        inner.uploaded = inner.uploaded.max(bytes);
        inner.version += 1;
    }

    /// No line comes any more: says how many there was no room for.
    pub(in crate::jobs) fn close(&self) {
        let mut inner = self.lock();
        if inner.left_out > 0 {
            let message = format!("{} more lines were left out: the log is full", inner.left_out);
            inner.left_out = 0;
            let line = encode(&LogLine { at: Utc::now(), level: LogLevel::Warn, message, fields: json!({}) });
            inner.append(&line);
        }
    }
}

impl Inner {
    fn append(&mut self, line: &str) {
        self.whole.push_str(line);
        self.outgrown |= self.whole.len() > ROW_BYTES;
        if !self.outgrown {
            self.row_end = self.whole.len();
        }
        self.version += 1;
    }
}

impl RunOutput for RunLog {
    fn log(&self, level: LineLevel, message: &str, fields: Value) {
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
        // Redacted before it is cut: half a secret would not be recognised.
        let message = shortened(self.redactor.text(message), MAX_MESSAGE_BYTES);
        let line = encode(&LogLine { at: Utc::now(), level, message, fields });
        let mut inner = self.lock();
        if inner.whole.len() + line.len() > MAX_LOG_BYTES {
            inner.left_out += 1;
        } else {
            inner.append(&line);
        }
    }

    fn progress(&self, done: u64, total: Option<u64>, message: &str) {
        let message = shortened(self.redactor.text(message), MAX_PROGRESS_BYTES);
        let mut inner = self.lock();
        inner.progress = Some(RunProgress { done, total, message });
        inner.version += 1;
    }
}

fn encode(line: &LogLine) -> String {
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    text
}

/// The text's beginning, of at most so many bytes, whole characters.
pub(in crate::jobs) fn shortened(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn log() -> RunLog {
        RunLog::new(Redactor::default(), "logs/none/x.ndjson".to_owned())
    }

    #[test]
    fn the_row_has_whole_lines_and_the_store_has_all() {
        let log = log();
        log.log(LineLevel::Info, "first", Value::Null);
        assert!(log.for_store().is_none());
        for _ in 0..100 {
            log.log(LineLevel::Info, &"x".repeat(1000), Value::Null);
        }
        let (part, version) = log.news(Uuid::nil(), Uuid::nil()).unwrap();
        assert!(part.log_text.len() <= ROW_BYTES && part.log_text.ends_with('\n'), "{}", part.log_text.len());
        assert_eq!((part.log_bytes, part.log_object_key), (part.log_text.len() as i64, None));
        log.written(version);
        assert!(log.news(Uuid::nil(), Uuid::nil()).is_none());
        let whole = log.for_store().unwrap();
        assert!(whole.starts_with(part.log_text.as_bytes()) && whole.len() > 100_000);
        log.stored(whole.len());
        let (part, _) = log.news(Uuid::nil(), Uuid::nil()).unwrap();
        assert_eq!((part.log_bytes, part.log_object_key.as_deref()), (whole.len() as i64, Some("logs/none/x.ndjson")));
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let log = log();
        for _ in 0..400 {
            log.log(LineLevel::Info, &"x".repeat(20_000), Value::Null);
        }
        log.close();
        let whole = String::from_utf8(log.for_store().unwrap().to_vec()).unwrap();
        assert!(whole.len() <= MAX_LOG_BYTES + 200);
        assert!(whole.lines().last().unwrap().contains("more lines were left out"));
    }
}
