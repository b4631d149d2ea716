//! Receives the log of a run while the page is visible.

use std::{cell::RefCell, rc::Rc};

use api_types::{LogLevel, LogLine, Page as ApiPage};
use chrono::{DateTime, Utc};
use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;
use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::{EventSource, MessageEvent};

use crate::remote::{self, Failure, is_visible};

/// How often received lines are shown.
const SHOW_MS: u32 = 60;
/// Wait before a refused stream is asked for again.
const RETRY_MS: u32 = 3_000;

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
    /// Returns the line as it is copied: time, level, message and fields.
    pub(super) fn as_text(&self) -> String {
        let at = self.at.format("%Y-%m-%dT%H:%M:%S%.3fZ");
        let space = if self.fields.is_empty() { "" } else { " " };
        format!("{at} {} {}{space}{}\n", self.level.as_str().to_uppercase(), self.message, self.fields)
    }
}

/// What is known of a log's stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TailState {
    Loading,
    Following,
    /// The stream broke. It goes on where it stopped.
    Reconnecting,
    /// The run has ended, and all lines are there.
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
    /// Asks for the log again.
    pub(super) fn retry(self) {
        let mut attempt = self.attempt;
        attempt += 1;
    }
}

/// Receives the log of a run to its end.
pub(super) fn use_tail(run: &str) -> Tail {
    let run = use_hook(|| run.to_owned());
    let tail =
        Tail { lines: use_signal(Vec::new), state: use_signal(|| TailState::Loading), attempt: use_signal(|| 0) };
    use_resource(move || {
        let _ = tail.attempt.read();
        let run = run.clone();
        async move {
            let state = tail.state;
            while !matches!(*state.peek(), TailState::Ended | TailState::Failed(_)) {
                while !is_visible() {
                    TimeoutFuture::new(500).await;
                }
                if !follow(&run, tail).await {
                    read_whole(&run, tail).await;
                    TimeoutFuture::new(RETRY_MS).await;
                }
            }
            // The state and the result of the run are new.
            remote::forget("/runs");
        }
    });
    tail
}

/// What the stream has delivered and is not shown yet.
#[derive(Default)]
struct Received {
    lines: Vec<Line>,
    ended: bool,
}

/// Follows the stream until the log ends or the tab is hidden. Returns false if the server refused it.
async fn follow(run: &str, tail: Tail) -> bool {
    let (mut lines, mut state) = (tail.lines, tail.state);
    let Ok(source) = EventSource::new(&format!("/admin/v1/runs/{run}/log?follow=true")) else { return false };
    let source = Source(source);
    let received = Rc::new(RefCell::new(Received::default()));
    // A new stream begins with lines that are known.
    let mut known = lines.peek().len();
    let to = received.clone();
    let _line = source.listen("message", move |message| {
        let line = message.data().as_string().and_then(|text| serde_json::from_str::<LogLine>(&text).ok());
        if let Some(line) = line {
            to.borrow_mut().lines.push(line.into());
        }
    });
    let to = received.clone();
    let _end = source.listen("end", move |_| to.borrow_mut().ended = true);
    loop {
        TimeoutFuture::new(SHOW_MS).await;
        let Received { lines: new, ended } = received.take();
        let skipped = known.min(new.len());
        known -= skipped;
        if new.len() > skipped {
            lines.with_mut(|lines| lines.extend(new.into_iter().skip(skipped)));
        }
        let next = match source.0.ready_state() {
            _ if ended => TailState::Ended,
            EventSource::OPEN => TailState::Following,
            EventSource::CLOSED => return false,
            _ if *state.peek() == TailState::Loading => TailState::Loading,
            _ => TailState::Reconnecting,
        };
        if *state.peek() != next {
            state.set(next);
        }
        if ended || !is_visible() {
            return true;
        }
    }
}

/// Reads the whole log at once, if it can't be followed.
async fn read_whole(run: &str, tail: Tail) {
    let (mut lines, mut state) = (tail.lines, tail.state);
    match remote::get::<ApiPage<LogLine>>(&format!("/runs/{run}/log")).await {
        Ok(page) => {
            lines.set(page.items.into_iter().map(Line::from).collect());
            state.set(TailState::Reconnecting);
        }
        Err(failure) if failure.is_temporary() => state.set(TailState::Reconnecting),
        Err(failure) => state.set(TailState::Failed(failure)),
    }
}

/// A stream that ends when it is dropped.
struct Source(EventSource);

impl Source {
    fn listen(&self, name: &str, listener: impl FnMut(MessageEvent) + 'static) -> Closure<dyn FnMut(MessageEvent)> {
        let listener = Closure::<dyn FnMut(MessageEvent)>::new(listener);
        let _ = self.0.add_event_listener_with_callback(name, listener.as_ref().unchecked_ref());
        listener
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.0.close();
    }
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
