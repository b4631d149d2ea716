//! Following a log, as server-sent events (WHATWG HTML, section 9.2): what there is, then what comes, then `end`.
//!
//! The run may be on another node: its row is asked again and again, which is cheap, and needs no connection of its own.

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

use super::log::LogRead;
use crate::error::{ApiError, ApiResult, Code};
use crate::jobs::JobsState;

/// Followed at once on one node.
pub(in crate::jobs) const MOST_TAILS: usize = 64;
const INTERVAL: Duration = Duration::from_millis(250);
/// So often something is sent even where nothing happens: proxies close what is silent.
const HEARTBEAT: Duration = Duration::from_secs(15);

struct Tail {
    jobs: JobsState,
    run: Uuid,
    offset: usize,
    sent_at: Instant,
    first: Option<LogRead>,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl JobsState {
    /// Lines as events without a name, each with the offset behind it as its id; `event: end` with the run at its end.
    pub(in crate::jobs) async fn follow_log(&self, run: Uuid, offset: usize) -> ApiResult<Response> {
        let permit = self.tails.clone().try_acquire_owned().map_err(|_| {
            ApiError::new(Code::Overloaded, "Too many logs are being followed.")
                .with_hint("Close one, or read the log without `follow`.")
                .with_retry_after(HEARTBEAT)
        })?;
        let first = self.read_log(run, offset).await?.ok_or_else(|| ApiError::not_found("run"))?;
        let tail = Tail {
            jobs: self.clone(),
            run,
            offset,
            sent_at: Instant::now(),
            first: Some(first),
            ended: false,
            _permit: permit,
        };
        let events = stream::unfold(tail, |mut tail| async move {
            let events = tail.next().await?;
            Some((Ok::<_, Infallible>(Bytes::from(events)), tail))
        });
        let headers = [
            (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            // Asks proxies to pass on what comes when it comes.
            (header::HeaderName::from_static("x-accel-buffering"), "no"),
        ];
        Ok((headers, Body::from_stream(events)).into_response())
    }
}

impl Tail {
    /// The next events; none after the end.
    async fn next(&mut self) -> Option<String> {
        if self.ended {
            return None;
        }
        loop {
            let read = match self.first.take() {
                Some(first) => Ok(Some(first)),
                None => {
                    tokio::select! {
                        () = self.jobs.closing.cancelled() => return None,
                        () = tokio::time::sleep(INTERVAL) => {}
                    }
                    self.jobs.read_log(self.run, self.offset).await
                }
            };
            let events = match read {
                Ok(Some(read)) => self.events(&read).await,
                // Removed with its job.
                Ok(None) => {
                    self.ended = true;
                    "event: end\ndata: null\n\n".to_owned()
                }
                // Postgres or the store may come back.
                Err(error) => {
                    tracing::debug!(%error, "a log that is followed could not be read");
                    String::new()
                }
            };
            if !events.is_empty() {
                self.sent_at = Instant::now();
                return Some(events);
            }
            if self.sent_at.elapsed() > HEARTBEAT {
                self.sent_at = Instant::now();
                return Some(": still here\n\n".to_owned());
            }
        }
    }

    async fn events(&mut self, read: &LogRead) -> String {
        let mut events = String::new();
        for line in &read.lines {
            self.offset += line.len() + 1;
            // A line is JSON, without line breaks.
            let _ = write!(events, "id: {}\ndata: {line}\n\n", self.offset);
        }
        self.offset = read.offset;
        if read.ended() {
            self.ended = true;
            let run = match self.jobs.run(self.run).await {
                Ok(run) => serde_json::to_string(&run).unwrap_or_default(),
                Err(_) => "null".to_owned(),
            };
            let _ = write!(events, "event: end\ndata: {run}\n\n");
        }
        events
    }
}
