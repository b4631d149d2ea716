//! Sends a followed log as server-sent events: the existing lines, new lines as they are written, then the event `end`.

use axum::response::Response;
use futures_util::stream;
use tokio::time::Instant;

use super::follow::LogFollower;
use crate::{
    http::{HEARTBEAT, HEARTBEAT_INTERVAL, event_stream, write_event},
    jobs::Runs,
};

struct LogStream {
    runs: Runs,
    log: LogFollower,
    is_first: bool,
    sent_at: Instant,
    ended: bool,
}

/// Streams a log. Each line is an unnamed event, whose id is the offset of the line's end in bytes. The last event is
/// `end`, with the run, or with `null` if the run can't be read. If the process shuts down, the stream ends without the
/// event `end`.
pub(super) fn stream_log(runs: Runs, log: LogFollower) -> Response {
    let log_stream = LogStream { runs, log, is_first: true, sent_at: Instant::now(), ended: false };
    event_stream(stream::unfold(log_stream, |mut log_stream| async move {
        let events = log_stream.next().await?;
        Some((events, log_stream))
    }))
}

impl LogStream {
    /// Waits for the next events. Returns `None` after the end.
    async fn next(&mut self) -> Option<String> {
        while !self.ended {
            if !std::mem::take(&mut self.is_first) {
                tokio::select! {
                    () = self.runs.closing.cancelled() => return None,
                    () = tokio::time::sleep(LogFollower::POLL_INTERVAL) => {}
                }
            }
            let events = self.read().await;
            if !events.is_empty() {
                self.sent_at = Instant::now();
                return Some(events);
            }
            if self.sent_at.elapsed() > HEARTBEAT_INTERVAL {
                self.sent_at = Instant::now();
                return Some(HEARTBEAT.to_owned());
            }
        }
        None
    }

    async fn read(&mut self) -> String {
        let mut events = String::new();
        match self.log.read().await {
            Ok(news) => {
                for (end, line) in &news.lines {
                    write_event(&mut events, "", &end.to_string(), line);
                }
                if news.ended {
                    self.ended = true;
                    let run = serde_json::to_string(&news.run).unwrap_or_default();
                    write_event(&mut events, "end", "", &run);
                }
            }
            // Postgres or the object store may recover.
            Err(error) => tracing::debug!(%error, "failed to read a followed log; retrying"),
        }
        events
    }
}
