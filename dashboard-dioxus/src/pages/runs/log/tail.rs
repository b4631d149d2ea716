//! Receives the log of a run while the page is visible.

use std::rc::Rc;

use api_types::{LogLevel, LogLine, Run};
use chrono::{DateTime, Utc};
use dioxus::prelude::*;
use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    lazy,
    remote::{
        self, Failure,
        events::{self, LogUpdate},
        is_visible,
    },
};

/// Interval at which the connection is checked.
const CHECK_MS: u32 = 250;
/// Interval at which the whole log is read while there is no stream.
const POLL_MS: u32 = 2_000;
/// Number of lines that are parsed at once. More would block the page.
const LINES_AT_ONCE: usize = 2_000;

/// A line of a log, with its fields as text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) at: DateTime<Utc>,
    pub(super) level: LogLevel,
    pub(super) message: Rc<str>,
    /// `name=value name=value`.
    pub(super) fields: Rc<str>,
}

impl From<LogLine> for Line {
    fn from(line: LogLine) -> Self {
        Self {
            at: line.at,
            level: line.level,
            message: line.message.into(),
            fields: fields_as_text(&line.fields).into(),
        }
    }
}

impl Line {
    /// Returns the text that is copied for the line: time, level, message and fields.
    pub(super) fn as_text(&self) -> String {
        let at = self.at.format("%Y-%m-%dT%H:%M:%S%.3fZ");
        let space = if self.fields.is_empty() { "" } else { " " };
        format!("{at} {} {}{space}{}\n", self.level.as_str().to_uppercase(), self.message, self.fields)
    }
}

/// The state of receiving the log.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TailState {
    Loading,
    Following,
    /// The stream broke, or a request failed temporarily. The log continues where it stopped.
    Reconnecting,
    /// The run has ended, and all lines have arrived.
    Ended,
    Failed(Failure),
}

/// The lines of a log that have arrived.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tail {
    pub(super) lines: Signal<Vec<Line>>,
    pub(super) state: Signal<TailState>,
    attempt: Signal<u32>,
}

impl Tail {
    /// Reads the log again.
    pub(super) fn retry(self) {
        let (mut state, mut attempt) = (self.state, self.attempt);
        state.set(TailState::Loading);
        attempt += 1;
    }

    fn set_state(self, next: TailState) {
        let mut state = self.state;
        if *state.peek() != next {
            state.set(next);
        }
    }

    /// Appends lines, except the first `known` ones.
    fn append(self, new: Vec<LogLine>, known: usize) {
        let mut lines = self.lines;
        if new.len() > known {
            lines.with_mut(|lines| lines.extend(new.into_iter().skip(known).map(Line::from)));
        }
    }
}

/// Receives the log of a run until it ends. `is_active` is true if the run has not ended yet.
pub(super) fn use_tail(run: &str, is_active: bool) -> Tail {
    let run = use_hook(|| run.to_owned());
    let is_active = use_hook(|| is_active);
    let tail =
        Tail { lines: use_signal(Vec::new), state: use_signal(|| TailState::Loading), attempt: use_signal(|| 0) };
    use_resource(move || {
        let _ = tail.attempt.read();
        let run = run.clone();
        async move {
            if is_active {
                follow(&run, tail).await;
                // The run's state and result have changed.
                remote::forget("/runs");
            } else {
                read_ended(&run, tail).await;
            }
        }
    });
    tail
}

/// Reads the log of an ended run. Repeats the request while its failure is temporary.
async fn read_ended(run: &str, tail: Tail) {
    loop {
        match read_whole(run, tail).await {
            Ok(()) => return tail.set_state(TailState::Ended),
            Err(failure) if failure.is_temporary() => tail.set_state(TailState::Reconnecting),
            Err(failure) => return tail.set_state(TailState::Failed(failure)),
        }
        TimeoutFuture::new(POLL_MS).await;
    }
}

/// Follows the log of a run until it ends. While there is no stream, or while it leaves out this log, reads the whole
/// log every few seconds.
async fn follow(run: &str, tail: Tail) {
    lazy::load_background();
    loop {
        let mut feed = events::follow_log(run);
        // Number of lines that this feed has delivered. Every feed begins with the first line of the log.
        let mut delivered = 0;
        let mut polled_at = js_sys::Date::now();
        loop {
            match select(Box::pin(feed.next()), TimeoutFuture::new(CHECK_MS)).await {
                Either::Left((Some(LogUpdate::Lines(lines)), _)) => {
                    let known = tail.lines.peek().len().saturating_sub(delivered);
                    delivered += lines.len();
                    tail.append(lines, known);
                    tail.set_state(TailState::Following);
                }
                Either::Left((Some(LogUpdate::Ended), _)) => return tail.set_state(TailState::Ended),
                Either::Left((Some(LogUpdate::Refused) | None, _)) => break,
                Either::Right(_) => {}
            }
            let waited = js_sys::Date::now() - polled_at;
            if events::is_streamed(run) || !is_visible() {
                polled_at = js_sys::Date::now();
            } else {
                if *tail.state.peek() != TailState::Loading && !events::is_live() {
                    tail.set_state(TailState::Reconnecting);
                }
                if waited >= f64::from(POLL_MS) {
                    if poll(run, tail).await {
                        return;
                    }
                    polled_at = js_sys::Date::now();
                }
            }
        }
        drop(feed);
        if poll(run, tail).await {
            return;
        }
        TimeoutFuture::new(POLL_MS).await;
    }
}

/// Reads the log of a run that may have ended. Returns whether there is nothing more to read.
async fn poll(run: &str, tail: Tail) -> bool {
    let has_ended = match remote::get::<Run>(&format!("/runs/{run}")).await {
        Ok(run) => run.finished_at.is_some(),
        Err(failure) => return note_failure(failure, tail),
    };
    if let Err(failure) = read_whole(run, tail).await {
        return note_failure(failure, tail);
    }
    tail.set_state(match has_ended {
        true => TailState::Ended,
        // The connection is in order, but the stream leaves out this log.
        false if events::is_live() => TailState::Following,
        false => TailState::Reconnecting,
    });
    has_ended
}

fn note_failure(failure: Failure, tail: Tail) -> bool {
    let is_final = !failure.is_temporary();
    tail.set_state(if is_final { TailState::Failed(failure) } else { TailState::Reconnecting });
    is_final
}

/// A whole log whose lines are not parsed yet.
#[derive(Deserialize)]
struct UnparsedLog {
    items: Vec<Box<RawValue>>,
}

/// Reads a log from its first line and appends the lines that are new.
async fn read_whole(run: &str, tail: Tail) -> Result<(), Failure> {
    let text = remote::get_text(&format!("/runs/{run}/log")).await?;
    let log: UnparsedLog = remote::parse(&text)?;
    let known = tail.lines.peek().len().min(log.items.len());
    for part in log.items.get(known..).unwrap_or_default().chunks(LINES_AT_ONCE) {
        let lines = part.iter().map(|line| remote::parse::<LogLine>(line.get())).collect::<Result<Vec<_>, _>>()?;
        tail.append(lines, 0);
        TimeoutFuture::new(0).await;
    }
    Ok(())
}

fn fields_as_text(fields: &serde_json::Value) -> String {
    let Some(fields) = fields.as_object() else { return String::new() };
    let texts: Vec<String> = fields
        .iter()
        .map(|(name, value)| match value.as_str() {
            Some(text) if !text.contains([' ', '"']) && !text.is_empty() => format!("{name}={text}"),
            _ => format!("{name}={value}"),
        })
        .collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_become_text() {
        let fields = json!({ "bytes": 16, "job": "Nightly backup", "to": "club" });
        assert_eq!(fields_as_text(&fields), r#"bytes=16 job="Nightly backup" to=club"#);
    }
}
