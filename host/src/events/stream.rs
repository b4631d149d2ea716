//! One stream of events.
//!
//! The id of an event is `<process>-<number>`, followed by `-<offset>` for each followed log, in the order of the
//! request. So one id contains the position in every part of the stream.

use std::{fmt::Write as _, time::Duration};

use api_types::{Event, EventKind, LogEndEvent, LogEvent, LogLine, SystemState};
use axum::response::Response;
use futures_util::stream;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    EventsState,
    history::{OpenStream, Unread},
};
use crate::{
    http::{HEARTBEAT, HEARTBEAT_INTERVAL, event_stream, write_event},
    jobs::{LogFollower, LogNews},
};

/// Time after which a stream ends. Browsers then connect again, and are authenticated again.
const MAX_AGE: Duration = Duration::from_secs(600);
/// Time that browsers should wait before they connect again, in milliseconds.
const RETRY_MS: u32 = 1000;

/// The point at which a stream continues.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Position {
    /// Number of the last event, if this process sent it.
    pub(super) number: Option<u64>,
    /// Offsets in the followed logs, in the order of the request.
    pub(super) offsets: Vec<usize>,
}

impl Position {
    /// Parses the id of an event. Any other string is the position before all events.
    pub(super) fn parse(id: &str, process: &str) -> Self {
        let mut parts = id.trim().split('-');
        let is_own = parts.next() == Some(process);
        let Some(number) = parts.next().and_then(|number| number.parse().ok()) else { return Self::default() };
        let offsets = parts.map_while(|offset| offset.parse::<u32>().ok()).map(|offset| offset as usize).collect();
        Self { number: is_own.then_some(number), offsets }
    }
}

struct EventStream {
    state: EventsState,
    number: Option<u64>,
    has_started: bool,
    logs: Vec<FollowedLog>,
    changed: watch::Receiver<()>,
    opened_at: Instant,
    sent_at: Instant,
    logs_read_at: Option<Instant>,
    ended: bool,
    _open: OpenStream,
}

struct FollowedLog {
    log: LogFollower,
    ended: bool,
}

pub(super) fn stream_events(
    state: EventsState,
    open: OpenStream,
    number: Option<u64>,
    logs: Vec<LogFollower>,
) -> Response {
    let now = Instant::now();
    let events = EventStream {
        changed: state.history.subscribe(),
        state,
        number,
        has_started: false,
        logs: logs.into_iter().map(|log| FollowedLog { log, ended: false }).collect(),
        opened_at: now,
        sent_at: now,
        logs_read_at: None,
        ended: false,
        _open: open,
    };
    event_stream(stream::unfold(events, |mut events| async move {
        let text = events.next().await?;
        Some((text, events))
    }))
}

impl EventStream {
    /// Waits for the next events. Returns `None` at the end.
    async fn next(&mut self) -> Option<String> {
        while !self.ended {
            let mut text = String::new();
            self.write_unread(&mut text);
            if self.has_started && self.logs_read_at.is_none_or(|at| at.elapsed() >= LogFollower::POLL_INTERVAL) {
                self.write_logs(&mut text).await;
            }
            if !text.is_empty() {
                self.sent_at = Instant::now();
                return Some(text);
            }
            if self.opened_at.elapsed() > MAX_AGE {
                return None;
            }
            let follows_logs = self.logs.iter().any(|log| !log.ended);
            tokio::select! {
                biased;
                () = self.state.history.closing().cancelled() => {
                    self.ended = true;
                    self.write_system(&mut text, SystemState::Stopping);
                    return Some(text);
                }
                // Waiting can't fail, because the state owns the sender.
                _ = self.changed.changed() => {}
                () = sleep(LogFollower::POLL_INTERVAL), if follows_logs => {}
                () = sleep_until(self.sent_at + HEARTBEAT_INTERVAL) => {
                    self.sent_at = Instant::now();
                    return Some(HEARTBEAT.to_owned());
                }
            }
        }
        None
    }

    /// Appends the events that this stream has not sent.
    fn write_unread(&mut self, text: &mut String) {
        match self.state.history.unread(self.number) {
            Unread::NotRecording => {}
            Unread::Gap(last) => {
                self.number = Some(last);
                self.write_start(text, SystemState::Started);
            }
            Unread::Events(entries) => {
                if !self.has_started {
                    self.write_start(text, SystemState::Resumed);
                }
                for entry in entries {
                    self.number = Some(entry.number);
                    write_event(text, entry.kind.as_str(), &self.id(), &entry.data);
                }
            }
        }
    }

    fn write_start(&mut self, text: &mut String, state: SystemState) {
        if !self.has_started {
            // Writing to a `String` can't fail.
            let _ = writeln!(text, "retry: {RETRY_MS}");
            self.has_started = true;
        }
        self.write_system(text, state);
    }

    fn write_system(&self, text: &mut String, state: SystemState) {
        let event = Event { id: None, project_id: None, state: state.as_str().to_owned() };
        let data = serde_json::to_string(&event).unwrap_or_default();
        write_event(text, EventKind::System.as_str(), &self.id(), &data);
    }

    /// Appends the new lines of the logs.
    async fn write_logs(&mut self, text: &mut String) {
        for index in 0..self.logs.len() {
            let followed = &mut self.logs[index];
            if followed.ended {
                continue;
            }
            let run_id = followed.log.run_id().to_string();
            let before = followed.log.offset();
            match followed.log.read().await {
                Ok(news) => {
                    followed.ended = news.ended;
                    self.write_log(text, index, &run_id, news, before);
                }
                // Postgres or the object store may recover.
                Err(error) => tracing::debug!(%error, "failed to read a followed log; retrying"),
            }
        }
        self.logs_read_at = Some(Instant::now());
    }

    fn write_log(&self, text: &mut String, index: usize, run_id: &str, news: LogNews, before: usize) {
        let mut offsets: Vec<usize> = self.logs.iter().map(|followed| followed.log.offset()).collect();
        let after = std::mem::replace(&mut offsets[index], before);
        for (end, line) in news.lines {
            offsets[index] = end;
            let Ok(line) = serde_json::from_str::<LogLine>(&line) else { continue };
            let event = LogEvent { run_id: run_id.to_owned(), line };
            let data = serde_json::to_string(&event).unwrap_or_default();
            write_event(text, "log", &self.id_at(&offsets), &data);
        }
        if news.ended {
            offsets[index] = after;
            let event = LogEndEvent { run_id: run_id.to_owned(), run: news.run };
            let data = serde_json::to_string(&event).unwrap_or_default();
            write_event(text, "logEnd", &self.id_at(&offsets), &data);
        }
    }

    fn id(&self) -> String {
        let offsets: Vec<usize> = self.logs.iter().map(|followed| followed.log.offset()).collect();
        self.id_at(&offsets)
    }

    fn id_at(&self, offsets: &[usize]) -> String {
        let mut id = format!("{}-{}", self.state.history.process(), self.number.unwrap_or_default());
        for offset in offsets {
            let _ = write!(id, "-{offset}");
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_is_parsed_from_the_id_of_an_event() {
        let check = |id: &str, number: Option<u64>, offsets: &[usize]| {
            let expected = Position { number, offsets: offsets.to_vec() };
            assert_eq!(Position::parse(id, "0a1b2c3d"), expected, "{id}");
        };
        check("0a1b2c3d-17", Some(17), &[]);
        check("0a1b2c3d-17-0-4096", Some(17), &[0, 4096]);
        check("ffffffff-17-4096", None, &[4096]);
        for other in ["", "0a1b2c3d", "0a1b2c3d-x", "12345", "0a1b2c3d--1"] {
            check(other, None, &[]);
        }
    }
}
