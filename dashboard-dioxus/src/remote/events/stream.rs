//! The stream of events that the leader reads for all tabs.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use api_types::{Event, EventKind, LogEndEvent, LogEvent, Session};
use futures_channel::mpsc::{self, UnboundedReceiver, UnboundedSender};
use futures_util::{
    StreamExt as _,
    future::{Either, select},
};
use gloo_timers::future::TimeoutFuture;
use wasm_bindgen::{JsCast as _, closure::Closure};
use web_sys::{EventSource, MessageEvent};

use super::{
    CHECK_MS, can_lead, changes,
    logs::{self, LogBatch, Plan},
    note_connected, note_disconnected,
    tabs::{self, TabMessage},
};
use crate::remote::client;

const PATH: &str = "/admin/v1/events";
/// Time over which lines of a log are collected before they are delivered.
const COLLECT_MS: u32 = 60;
/// Delay before a broken stream is requested again, or before the sign-in is checked again.
const RECONNECT_MS: u32 = 2_000;

thread_local! {
    /// Wakes the stream of this tab. `None` while the tab does not read the stream.
    static WAKE: RefCell<Option<UnboundedSender<Message>>> = const { RefCell::new(None) };
}

enum Message {
    Opened,
    Event(EventKind, Event),
    /// Lines of logs have arrived.
    Lines,
    /// The connection broke. The browser reconnects unless the server refused.
    Broke,
    /// The logs that tabs show have changed.
    SubscriptionsChanged,
}

/// Requests that the stream of this tab checks which logs it needs. Does nothing unless this tab leads.
pub(super) fn check_subscriptions() {
    WAKE.with_borrow(|wake| {
        if let Some(wake) = wake {
            let _ = wake.unbounded_send(Message::SubscriptionsChanged);
        }
    });
}

/// The reason why a stream ended.
enum Outcome {
    /// This tab may no longer lead.
    Released,
    Refused,
    /// The connection broke, and the session has ended or the server does not respond.
    Broken,
    /// Another set of logs is needed.
    PlanChanged,
}

/// Reads the stream while this tab may lead. Returns true if the stream was refused or could not be opened, and false
/// if the tab may no longer lead.
pub(super) async fn follow() -> bool {
    let mut position = String::new();
    loop {
        if !is_signed_in().await {
            TimeoutFuture::new(RECONNECT_MS).await;
            if can_lead() {
                continue;
            }
            return false;
        }
        let plan = Plan::current();
        let Some(mut stream) = Stream::open(plan, &position) else { return true };
        let outcome = stream.read().await;
        WAKE.set(None);
        position = stream.position();
        match outcome {
            Outcome::Released => return false,
            Outcome::PlanChanged => {}
            Outcome::Broken => {
                drop(stream);
                TimeoutFuture::new(RECONNECT_MS).await;
            }
            // The server refuses the whole stream if it can't stream one of the logs.
            Outcome::Refused if !stream.plan.logs.is_empty() => stream.refuse_logs(),
            Outcome::Refused => return true,
        }
    }
}

/// Returns whether the browser is signed in and the server responds. When a session of Cloudflare Access has ended,
/// Access redirects to another origin. An `EventSource` follows the redirect, and the content security policy blocks
/// it; a request does not follow the redirect, and so detects it.
async fn is_signed_in() -> bool {
    client::get::<Session>("/session").await.is_ok()
}

type Listener = Closure<dyn FnMut(MessageEvent)>;

/// Messages that the listeners have received and the stream has not processed.
#[derive(Default)]
struct Received {
    /// Id of the last event.
    last_id: String,
    lines: Vec<LogMessage>,
}

enum LogMessage {
    Line { id: String, event: LogEvent },
    End { run_id: String },
}

struct Stream {
    source: EventSource,
    plan: Plan,
    messages: UnboundedReceiver<Message>,
    received: Rc<RefCell<Received>>,
    /// Offset in bytes at which the next line of each log begins, by run.
    offsets: BTreeMap<String, u32>,
    ended: BTreeSet<String>,
    /// When the other tabs were last sent [`TabMessage::Connected`], in milliseconds since 1970.
    reported_at: f64,
    _listeners: Vec<Listener>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.source.close();
    }
}

impl Stream {
    fn open(plan: Plan, position: &str) -> Option<Self> {
        let source = EventSource::new(&address(&plan, position)).ok()?;
        let (sender, messages) = mpsc::unbounded();
        let received = Rc::new(RefCell::new(Received { last_id: position.to_owned(), lines: Vec::new() }));
        let listeners = listen(&source, &sender, &received);
        WAKE.set(Some(sender));
        let offsets = plan.logs.clone();
        Some(Self {
            source,
            plan,
            messages,
            received,
            offsets,
            ended: BTreeSet::new(),
            reported_at: 0.0,
            _listeners: listeners,
        })
    }

    /// Returns the id of the last event without the offsets of logs: `<process>-<number>`.
    fn position(&self) -> String {
        self.received.borrow().last_id.split('-').take(2).collect::<Vec<_>>().join("-")
    }

    async fn read(&mut self) -> Outcome {
        loop {
            let next = match select(self.messages.next(), TimeoutFuture::new(CHECK_MS)).await {
                Either::Left((next, _)) => next,
                Either::Right(_) => None,
            };
            match next {
                Some(Message::Opened) => self.report_start(),
                Some(Message::Event(kind, event)) => {
                    changes::apply(kind, &event);
                    tabs::send(&TabMessage::Event(kind, event));
                }
                Some(Message::Lines) => {
                    TimeoutFuture::new(COLLECT_MS).await;
                    self.deliver_lines();
                }
                Some(Message::Broke) if self.source.ready_state() == EventSource::CLOSED => return Outcome::Refused,
                Some(Message::Broke) => {
                    note_disconnected();
                    tabs::send(&TabMessage::Disconnected);
                    if !is_signed_in().await {
                        return Outcome::Broken;
                    }
                }
                Some(Message::SubscriptionsChanged) | None => {}
            }
            if self.source.ready_state() == EventSource::OPEN {
                self.report_connected();
            }
            if !can_lead() {
                return Outcome::Released;
            }
            let wanted = Plan::current();
            if self.plan.must_change_for(&wanted, &self.ended) {
                return Outcome::PlanChanged;
            }
            self.plan.forget_missing(&wanted);
        }
    }

    fn report_connected(&mut self) {
        note_connected();
        let logs = self.plan.runs();
        logs::note_streamed(logs.clone());
        let now = js_sys::Date::now();
        if now - self.reported_at >= f64::from(CHECK_MS) {
            self.reported_at = now;
            tabs::send(&TabMessage::Connected { logs });
        }
    }

    /// Reports that the logs are being followed, before any of their lines.
    fn report_start(&self) {
        for (run, offset) in &self.offsets {
            deliver(LogBatch::new(run, *offset));
        }
    }

    fn deliver_lines(&mut self) {
        let messages = std::mem::take(&mut self.received.borrow_mut().lines);
        let mut batches: BTreeMap<String, LogBatch> = BTreeMap::new();
        for message in messages {
            let run = message.run().to_owned();
            let Some((index, offset)) = self
                .offsets
                .iter_mut()
                .enumerate()
                .find_map(|(index, (known, offset))| (*known == run).then_some((index, offset)))
            else {
                continue;
            };
            let batch = batches.entry(run.clone()).or_insert_with(|| LogBatch::new(&run, *offset));
            match message {
                LogMessage::Line { id, event } => {
                    *offset = offset_in(&id, index).unwrap_or(*offset);
                    batch.push(*offset, event.line);
                }
                LogMessage::End { .. } => {
                    batch.set_ended();
                    self.ended.insert(run);
                }
            }
        }
        batches.into_values().for_each(deliver);
    }

    fn refuse_logs(&self) {
        for run in self.plan.logs.keys() {
            deliver(LogBatch::refused(run));
        }
    }
}

/// Passes lines to every tab that shows the log.
fn deliver(batch: LogBatch) {
    logs::deliver(&batch);
    if logs::has_other_tabs() {
        tabs::send(&TabMessage::Log(batch));
    }
}

impl LogMessage {
    fn run(&self) -> &str {
        match self {
            Self::Line { event, .. } => &event.run_id,
            Self::End { run_id } => run_id,
        }
    }
}

/// Returns the address of a stream with these logs that continues after the event at `position`.
fn address(plan: &Plan, position: &str) -> String {
    let logs = plan.logs.keys().map(String::as_str).collect::<Vec<_>>().join(",");
    let mut last_id = position.to_owned();
    if plan.logs.values().any(|offset| *offset > 0) && position.is_empty() {
        // No event of the server has this id, so only the offsets count.
        last_id.push_str("0-0");
    }
    if !last_id.is_empty() {
        last_id.extend(plan.logs.values().map(|offset| format!("-{offset}")));
    }
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let (logs, last_id) = (given(&logs), given(&last_id));
    crate::address::with_parameters(PATH, &[("log", logs.as_deref()), ("lastEventId", last_id.as_deref())])
}

/// Returns the offset of a log in the id of an event: `<process>-<number>-<offset>-<offset>`.
fn offset_in(id: &str, index: usize) -> Option<u32> {
    id.split('-').nth(index + 2)?.parse().ok()
}

fn listen(source: &EventSource, sender: &UnboundedSender<Message>, received: &Rc<RefCell<Received>>) -> Vec<Listener> {
    let mut listeners = Vec::new();
    let mut listen_to = |name: &str, listener: Listener| {
        let _ = source.add_event_listener_with_callback(name, listener.as_ref().unchecked_ref());
        listeners.push(listener);
    };
    for kind in EventKind::ALL.iter().copied() {
        let (sender, received) = (sender.clone(), received.clone());
        listen_to(
            kind.as_str(),
            Listener::new(move |message: MessageEvent| {
                received.borrow_mut().last_id = message.last_event_id();
                if let Some(event) = parse(&message) {
                    let _ = sender.unbounded_send(Message::Event(kind, event));
                }
            }),
        );
    }
    let (line_sender, line_received) = (sender.clone(), received.clone());
    listen_to(
        "log",
        Listener::new(move |message: MessageEvent| {
            if let Some(event) = parse(&message) {
                receive_line(&line_sender, &line_received, LogMessage::Line { id: message.last_event_id(), event });
            }
        }),
    );
    let (end_sender, end_received) = (sender.clone(), received.clone());
    listen_to(
        "logEnd",
        Listener::new(move |message: MessageEvent| {
            if let Some(event) = parse::<LogEndEvent>(&message) {
                receive_line(&end_sender, &end_received, LogMessage::End { run_id: event.run_id });
            }
        }),
    );
    let opened = sender.clone();
    listen_to("open", Listener::new(move |_| drop(opened.unbounded_send(Message::Opened))));
    let broke = sender.clone();
    listen_to("error", Listener::new(move |_| drop(broke.unbounded_send(Message::Broke))));
    listeners
}

/// Collects messages about logs. Several lines wake the stream only once.
fn receive_line(sender: &UnboundedSender<Message>, received: &RefCell<Received>, message: LogMessage) {
    let mut received = received.borrow_mut();
    received.lines.push(message);
    if received.lines.len() == 1 {
        let _ = sender.unbounded_send(Message::Lines);
    }
}

fn parse<T: serde::de::DeserializeOwned>(message: &MessageEvent) -> Option<T> {
    serde_json::from_str(&message.data().as_string()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offset_of_a_log_is_read_by_its_index() {
        assert_eq!(offset_in("0a1b2c3d-17-0-4096", 0), Some(0));
        assert_eq!(offset_in("0a1b2c3d-17-0-4096", 1), Some(4096));
        assert_eq!(offset_in("0a1b2c3d-17", 0), None);
    }
}
