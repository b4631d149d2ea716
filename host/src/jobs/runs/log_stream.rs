//! Follows a log as server-sent events (WHATWG HTML, section 9.2): existing lines, new lines, then the event `end`.
//!
//! The run may be on another node, so the stream polls the run's row. A poll is cheap and needs no dedicated
//! connection.

use std::{convert::Infallible, fmt::Write as _, time::Duration};

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use uuid::Uuid;

use super::{
    log::{LogPart, read_log},
    queries::{self, RunRow},
};
use crate::{
    error::{ApiError, ApiResult, Code},
    jobs::Runs,
};

const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// A comment is sent after this time without an event, because proxies close idle connections.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

struct LogStream {
    runs: Runs,
    run: Uuid,
    offset: usize,
    sent_at: Instant,
    first: Option<LogPart>,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

/// Streams the lines after an offset. Each line is an event without a name whose id is the offset of the line's end;
/// the last event is `end` with the run.
pub(super) async fn follow_log(runs: &Runs, run: Uuid, offset: usize) -> ApiResult<Response> {
    let permit = runs.log_stream_permits.clone().try_acquire_owned().map_err(|_| {
        ApiError::new(Code::Overloaded, "Too many logs are being followed.")
            .with_hint("Close one, or read the log without `follow`.")
            .with_retry_after(HEARTBEAT_INTERVAL)
    })?;
    let first = read_log(runs, run, offset).await?.ok_or_else(|| ApiError::not_found("run"))?;
    let log_stream = LogStream {
        runs: runs.clone(),
        run,
        offset,
        sent_at: Instant::now(),
        first: Some(first),
        ended: false,
        _permit: permit,
    };
    let events = stream::unfold(log_stream, |mut log_stream| async move {
        let events = log_stream.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(events)), log_stream))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        // Asks proxies not to buffer.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(events)).into_response())
}

impl LogStream {
    /// Waits for the next events. Returns `None` after the end.
    async fn next(&mut self) -> Option<String> {
        if self.ended {
            return None;
        }
        loop {
            let part = match self.first.take() {
                Some(first) => Ok(Some(first)),
                None => {
                    tokio::select! {
                        () = self.runs.closing.cancelled() => return None,
                        () = tokio::time::sleep(POLL_INTERVAL) => {}
                    }
                    read_log(&self.runs, self.run, self.offset).await
                }
            };
            let events = match part {
                Ok(Some(part)) => self.events(&part).await,
                // The run was deleted with its job.
                Ok(None) => {
                    self.ended = true;
                    "event: end\ndata: null\n\n".to_owned()
                }
                // Postgres or the object store may recover.
                Err(error) => {
                    tracing::debug!(%error, "failed to read a followed log; retrying");
                    String::new()
                }
            };
            if !events.is_empty() {
                self.sent_at = Instant::now();
                return Some(events);
            }
            if self.sent_at.elapsed() > HEARTBEAT_INTERVAL {
                self.sent_at = Instant::now();
                return Some(": still here\n\n".to_owned());
            }
        }
    }

    async fn events(&mut self, part: &LogPart) -> String {
        let mut events = String::new();
        for line in &part.lines {
            self.offset += line.len() + 1;
            // A line is JSON without line breaks. Writing to a `String` can't fail.
            let _ = write!(events, "id: {}\ndata: {line}\n\n", self.offset);
        }
        self.offset = part.end;
        if part.is_last() {
            self.ended = true;
            let run = match queries::get_run(&self.runs.platform, self.run).await {
                Ok(run) => serde_json::to_string(&run.map(RunRow::into_wire)).unwrap_or_default(),
                Err(_) => "null".to_owned(),
            };
            let _ = write!(events, "event: end\ndata: {run}\n\n");
        }
        events
    }
}
