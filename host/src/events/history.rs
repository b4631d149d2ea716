//! The events that streams can still read, and the number of open streams.

use std::{collections::VecDeque, sync::Arc};

use api_types::{Event, EventKind};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Maximum number of events that are kept, so that a stream can continue after an interruption.
const MAX_EVENTS: usize = 4096;
/// Maximum number of streams that one node serves at once. A browser needs one.
const MAX_STREAMS: usize = 64;

/// An event, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) kind: EventKind,
    /// The event as JSON.
    pub(super) data: Arc<str>,
}

/// The recent events of one process.
pub(super) struct History {
    /// Random string that distinguishes the event numbers of this process from those of other processes.
    process: String,
    inner: Mutex<Inner>,
    /// Wakes the streams, and the task that records changes.
    changed: watch::Sender<()>,
    closing: CancellationToken,
}

#[derive(Default)]
struct Inner {
    streams: usize,
    /// Whether every change is recorded.
    is_recording: bool,
    /// Number of the newest event.
    last: u64,
    /// The newest events, without a gap up to `last`.
    entries: VecDeque<Entry>,
}

/// The events that a stream has not read yet.
#[derive(Debug, PartialEq)]
pub(super) enum Unread {
    /// Changes are not recorded yet.
    NotRecording,
    /// The unread events, possibly none.
    Events(Vec<Entry>),
    /// Events are missing. The stream continues after this number.
    Gap(u64),
}

impl History {
    pub(super) fn new() -> Self {
        let id = Uuid::new_v4().simple().to_string();
        Self {
            process: id[..8].to_owned(),
            inner: Mutex::default(),
            changed: watch::Sender::new(()),
            closing: CancellationToken::new(),
        }
    }

    pub(super) fn process(&self) -> &str {
        &self.process
    }

    pub(super) fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    /// Returns a receiver that is notified of new events and of opened streams.
    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Opens a stream, unless the maximum number is open.
    pub(super) fn open_stream(self: &Arc<Self>) -> Option<OpenStream> {
        let mut inner = self.inner.lock();
        if inner.streams >= MAX_STREAMS {
            return None;
        }
        inner.streams += 1;
        drop(inner);
        self.changed.send_replace(());
        Some(OpenStream(Arc::clone(self)))
    }

    pub(super) fn has_streams(&self) -> bool {
        self.inner.lock().streams > 0
    }

    /// Starts recording. From now on, the caller must pass every change to [`Self::append`].
    pub(super) fn start_recording(&self) {
        self.inner.lock().is_recording = true;
        self.changed.send_replace(());
    }

    /// Stops recording, unless a stream is open. Returns whether recording was stopped.
    pub(super) fn stop_recording(&self) -> bool {
        let mut inner = self.inner.lock();
        if inner.streams > 0 {
            return false;
        }
        inner.is_recording = false;
        inner.forget();
        true
    }

    /// Makes every stream start again, because changes were missed.
    pub(super) fn interrupt(&self) {
        self.inner.lock().forget();
        self.changed.send_replace(());
    }

    pub(super) fn append(&self, events: Vec<(EventKind, Event)>) {
        if events.is_empty() {
            return;
        }
        let mut inner = self.inner.lock();
        for (kind, event) in events {
            inner.last += 1;
            let data = serde_json::to_string(&event).unwrap_or_default();
            let entry = Entry { number: inner.last, kind, data: data.into() };
            inner.entries.push_back(entry);
        }
        let surplus = inner.entries.len().saturating_sub(MAX_EVENTS);
        inner.entries.drain(..surplus);
        drop(inner);
        self.changed.send_replace(());
    }

    /// Returns the events after this number. `None` means that the stream has read no event of this process.
    pub(super) fn unread(&self, after: Option<u64>) -> Unread {
        let inner = self.inner.lock();
        if !inner.is_recording {
            return Unread::NotRecording;
        }
        let first = inner.last + 1 - inner.entries.len() as u64;
        match after {
            Some(after) if after < inner.last + 1 && after + 1 >= first => {
                let read = (after + 1 - first) as usize;
                Unread::Events(inner.entries.iter().skip(read).cloned().collect())
            }
            _ => Unread::Gap(inner.last),
        }
    }
}

impl Inner {
    /// Drops all events, and skips a number, so that no stream can continue.
    fn forget(&mut self) {
        self.entries.clear();
        self.last += 1;
    }
}

/// Counts as an open stream until it is dropped.
pub(super) struct OpenStream(Arc<History>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.inner.lock().streams -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(state: &str) -> (EventKind, Event) {
        (EventKind::Run, Event { id: None, project_id: None, state: state.to_owned() })
    }

    fn numbers(history: &History, after: u64) -> Option<Vec<u64>> {
        match history.unread(Some(after)) {
            Unread::Events(entries) => Some(entries.iter().map(|entry| entry.number).collect()),
            _ => None,
        }
    }

    #[test]
    fn streams_continue_after_the_last_event_that_they_read() {
        let history = History::new();
        assert_eq!(history.unread(None), Unread::NotRecording);
        history.start_recording();
        assert_eq!(history.unread(None), Unread::Gap(0));
        history.append(vec![event("queued"), event("running")]);
        history.append(vec![event("success")]);
        assert_eq!(numbers(&history, 0), Some(vec![1, 2, 3]));
        assert_eq!(numbers(&history, 2), Some(vec![3]));
        assert_eq!(numbers(&history, 3), Some(vec![]));
        assert_eq!(numbers(&history, 4), None, "a number that no event has");
    }

    #[test]
    fn history_is_bounded() {
        let history = History::new();
        history.start_recording();
        history.append((0..=MAX_EVENTS).map(|_| event("queued")).collect());
        assert_eq!(numbers(&history, 0), None);
        assert_eq!(numbers(&history, 1).unwrap().len(), MAX_EVENTS);
    }

    #[test]
    fn streams_do_not_continue_across_a_pause_in_recording() {
        let history = Arc::new(History::new());
        history.start_recording();
        history.append(vec![event("queued")]);
        let stream = history.open_stream().unwrap();
        assert!(!history.stop_recording());
        drop(stream);
        assert!(history.stop_recording());
        assert_eq!(history.unread(Some(1)), Unread::NotRecording);
        history.start_recording();
        assert_eq!(history.unread(Some(1)), Unread::Gap(2));
        history.interrupt();
        assert_eq!(history.unread(Some(2)), Unread::Gap(3));
    }

    #[test]
    fn streams_are_limited() {
        let history = Arc::new(History::new());
        let mut streams: Vec<_> = (0..MAX_STREAMS).map(|_| history.open_stream().unwrap()).collect();
        assert!(history.open_stream().is_none());
        streams.pop();
        assert!(history.open_stream().is_some());
    }
}
