//! Logs of runs, from the stream that all tabs share.
//!
//! A page subscribes to the log of a run with [`follow_log`]. Every tab sends the others the list of logs that it
//! shows, and the leader requests these logs. A [`LogBatch`] contains the offset at which its lines begin, so that a
//! subscription delivers only the lines after those that it has received. No line is lost or duplicated when the leader
//! changes or the stream reconnects.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use api_types::LogLine;
use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};

use super::{
    is_visible, stream,
    tabs::{self, TabMessage},
};

/// Maximum number of logs that the server accepts in one stream.
const MAX_LOGS: usize = 4;
/// Time after which the subscriptions of another tab end unless that tab sends them again.
const EXPIRY_MS: f64 = 3_000.0;

/// A log that a tab shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Subscription {
    id: String,
    run: String,
    /// Offset in bytes of the end of the last line that the tab has received.
    offset: u32,
}

/// Consecutive lines of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LogBatch {
    run: String,
    /// Offset in bytes at which the first line begins.
    start: u32,
    /// Lines, each with the offset of its end.
    lines: Vec<(u32, LogLine)>,
    end: LogEnd,
}

/// The state of a log after the lines of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum LogEnd {
    /// More lines may follow.
    Open,
    /// The run has ended.
    Ended,
    /// The server refused to stream the log.
    Refused,
}

/// An update of a log.
#[derive(Debug, Clone, PartialEq)]
pub enum LogUpdate {
    /// New lines. The first update can be empty: it reports that the log is being followed.
    Lines(Vec<LogLine>),
    /// The run has ended, and all lines have been delivered.
    Ended,
    /// The server refused to stream the log.
    Refused,
}

/// A subscription to a log, from its first line. Dropping it ends the subscription.
pub struct LogFeed {
    id: String,
    updates: UnboundedReceiver<LogUpdate>,
}

impl LogFeed {
    pub async fn next(&mut self) -> Option<LogUpdate> {
        self.updates.next().await
    }
}

impl Drop for LogFeed {
    fn drop(&mut self) {
        LOGS.with_borrow_mut(|logs| logs.own.retain(|own| own.subscription.id != self.id));
        publish();
    }
}

struct OwnSubscription {
    subscription: Subscription,
    updates: UnboundedSender<LogUpdate>,
}

struct OtherTab {
    subscriptions: Vec<Subscription>,
    /// When the tab last sent its subscriptions, in milliseconds since 1970.
    received_at: f64,
}

#[derive(Default)]
struct Logs {
    /// Name of this tab, once it has a subscription.
    tab: Option<String>,
    created: u32,
    own: Vec<OwnSubscription>,
    /// The other tabs by name. The order decides which logs are left out if there are too many.
    others: BTreeMap<String, OtherTab>,
}

thread_local! {
    static LOGS: RefCell<Logs> = RefCell::default();
    /// The runs whose logs the leader's stream contains.
    static STREAMED: RefCell<BTreeSet<String>> = RefCell::default();
}

/// Remembers the runs whose logs the leader's stream contains.
pub(super) fn note_streamed(runs: BTreeSet<String>) {
    STREAMED.set(runs);
}

/// Returns whether the lines of a log arrive without polling. The stream leaves out logs if tabs show more than
/// [`MAX_LOGS`].
pub fn is_streamed(run: &str) -> bool {
    super::is_live() && STREAMED.with_borrow(|runs| runs.contains(run))
}

/// Subscribes to the log of a run.
pub fn follow_log(run: &str) -> LogFeed {
    let (sender, updates) = unbounded();
    let id = LOGS.with_borrow_mut(|logs| {
        let tab = logs.tab.get_or_insert_with(|| format!("{:x}", (js_sys::Math::random() * 1e15) as u64)).clone();
        logs.created += 1;
        let id = format!("{tab}-{}", logs.created);
        let subscription = Subscription { id: id.clone(), run: run.to_owned(), offset: 0 };
        logs.own.push(OwnSubscription { subscription, updates: sender });
        id
    });
    publish();
    LogFeed { id, updates }
}

/// Sends the changed subscriptions to the leader, which is this tab or another.
fn publish() {
    announce_subscriptions();
    stream::check_subscriptions();
}

/// Returns whether this tab shows a log.
pub(super) fn has_subscriptions() -> bool {
    LOGS.with_borrow(|logs| !logs.own.is_empty())
}

/// Sends the other tabs the list of logs that this tab shows. Does nothing before this tab listens to the leader: it
/// would miss the first lines, which the leader sends only once.
pub(super) fn announce_subscriptions() {
    if !tabs::is_listening() {
        return;
    }
    let message = LOGS.with_borrow(|logs| {
        let tab = logs.tab.clone()?;
        let list = logs.own.iter().map(|own| own.subscription.clone()).filter(|_| is_visible()).collect();
        Some(TabMessage::Subscriptions { tab, list })
    });
    if let Some(message) = message {
        tabs::send(&message);
    }
}

pub(super) fn note_other_tab(tab: String, subscriptions: Vec<Subscription>) {
    let received_at = js_sys::Date::now();
    LOGS.with_borrow_mut(|logs| match subscriptions.is_empty() {
        true => drop(logs.others.remove(&tab)),
        false => drop(logs.others.insert(tab, OtherTab { subscriptions, received_at })),
    });
    stream::check_subscriptions();
}

/// The logs of one stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Plan {
    /// Runs and the offsets at which their logs begin.
    pub(super) logs: BTreeMap<String, u32>,
    subscriptions: BTreeSet<String>,
}

impl Plan {
    /// Returns the logs that visible tabs show, at most [`MAX_LOGS`]. The logs of this tab come first.
    pub(super) fn current() -> Self {
        let expired = js_sys::Date::now() - EXPIRY_MS;
        LOGS.with_borrow_mut(|logs| {
            logs.others.retain(|_, other| other.received_at > expired);
            let own = logs.own.iter().map(|own| &own.subscription);
            Self::of(own.chain(logs.others.values().flat_map(|other| &other.subscriptions)))
        })
    }

    fn of<'a>(subscriptions: impl Iterator<Item = &'a Subscription>) -> Self {
        let mut plan = Self::default();
        for subscription in subscriptions {
            if plan.logs.len() == MAX_LOGS && !plan.logs.contains_key(&subscription.run) {
                continue;
            }
            let offset = plan.logs.entry(subscription.run.clone()).or_insert(subscription.offset);
            *offset = subscription.offset.min(*offset);
            plan.subscriptions.insert(subscription.id.clone());
        }
        plan
    }

    /// Returns the runs whose logs the stream contains.
    pub(super) fn runs(&self) -> BTreeSet<String> {
        self.logs.keys().cloned().collect()
    }

    /// Forgets the subscriptions that are not in `wanted`. The lines of the stream may not reach their tabs any more,
    /// so a subscription that comes back counts as new: it needs a stream that begins at its offset.
    pub(super) fn forget_missing(&mut self, wanted: &Self) {
        self.subscriptions.retain(|id| wanted.subscriptions.contains(id));
    }

    /// Returns whether a stream with the logs of `self` must be replaced to serve `wanted`: because a subscription
    /// began or came back after the stream began, or because no tab shows the log of one of its running runs any more.
    pub(super) fn must_change_for(&self, wanted: &Self, ended: &BTreeSet<String>) -> bool {
        !wanted.subscriptions.is_subset(&self.subscriptions)
            || self.logs.keys().any(|run| !wanted.logs.contains_key(run) && !ended.contains(run))
    }
}

impl LogBatch {
    pub(super) fn new(run: &str, start: u32) -> Self {
        Self { run: run.to_owned(), start, lines: Vec::new(), end: LogEnd::Open }
    }

    pub(super) fn refused(run: &str) -> Self {
        Self { end: LogEnd::Refused, ..Self::new(run, 0) }
    }

    pub(super) fn push(&mut self, end: u32, line: LogLine) {
        self.lines.push((end, line));
    }

    pub(super) fn set_ended(&mut self) {
        self.end = LogEnd::Ended;
    }

    /// Returns the offset at which the next batch begins.
    pub(super) fn end_offset(&self) -> u32 {
        self.lines.last().map_or(self.start, |(end, _)| *end)
    }

    /// Returns the updates for a subscription that has received the log up to `offset`, and moves `offset` to the end
    /// of the batch.
    fn updates_after(&self, offset: &mut u32) -> Vec<LogUpdate> {
        if self.end == LogEnd::Refused {
            return vec![LogUpdate::Refused];
        }
        if self.start > *offset {
            // Lines before the batch are missing. The leader will request them.
            return Vec::new();
        }
        let new = self.lines.iter().filter(|(end, _)| *end > *offset);
        let lines = new.map(|(_, line)| line.clone()).collect();
        *offset = self.end_offset().max(*offset);
        let mut updates = vec![LogUpdate::Lines(lines)];
        if self.end == LogEnd::Ended {
            updates.push(LogUpdate::Ended);
        }
        updates
    }
}

/// Passes lines to the subscriptions of this tab.
pub(super) fn deliver(batch: &LogBatch) {
    LOGS.with_borrow_mut(|logs| {
        for own in logs.own.iter_mut().filter(|own| own.subscription.run == batch.run) {
            for update in batch.updates_after(&mut own.subscription.offset) {
                let _ = own.updates.unbounded_send(update);
            }
        }
    });
}

/// Returns whether another tab shows a log.
pub(super) fn has_other_tabs() -> bool {
    LOGS.with_borrow(|logs| !logs.others.is_empty())
}

#[cfg(test)]
mod tests {
    use api_types::LogLevel;
    use chrono::DateTime;

    use super::*;

    fn subscription(id: &str, run: &str, offset: u32) -> Subscription {
        Subscription { id: id.to_owned(), run: run.to_owned(), offset }
    }

    fn batch(start: u32, ends: &[u32]) -> LogBatch {
        let mut batch = LogBatch::new("run", start);
        for end in ends {
            let at = DateTime::UNIX_EPOCH;
            let fields = serde_json::Value::Null;
            batch.push(*end, LogLine { at, level: LogLevel::Info, message: end.to_string(), fields });
        }
        batch
    }

    fn messages(updates: &[LogUpdate]) -> Vec<&str> {
        let lines = updates.iter().filter_map(|update| match update {
            LogUpdate::Lines(lines) => Some(lines),
            _ => None,
        });
        lines.flatten().map(|line| line.message.as_str()).collect()
    }

    #[test]
    fn batch_with_known_lines_delivers_only_new_lines() {
        let mut offset = 20;
        let updates = batch(0, &[10, 20, 30]).updates_after(&mut offset);
        assert_eq!((messages(&updates), offset), (vec!["30"], 30));
    }

    #[test]
    fn batch_after_a_gap_delivers_nothing() {
        let mut offset = 20;
        assert_eq!(batch(30, &[40]).updates_after(&mut offset), []);
        assert_eq!(offset, 20);
    }

    #[test]
    fn plan_of_several_subscriptions_begins_at_the_lowest_offset() {
        let list = [subscription("1", "a", 50), subscription("2", "a", 10), subscription("3", "b", 0)];
        let plan = Plan::of(list.iter());
        assert_eq!(plan.logs, BTreeMap::from([("a".to_owned(), 10), ("b".to_owned(), 0)]));
    }

    #[test]
    fn stream_changes_for_new_subscriptions_and_growing_logs_that_nobody_shows() {
        let plan = |list: &[Subscription]| Plan::of(list.iter());
        let open = plan(&[subscription("1", "a", 0)]);
        let none = BTreeSet::new();
        assert!(!open.must_change_for(&plan(&[subscription("1", "a", 90)]), &none));
        assert!(open.must_change_for(&plan(&[subscription("1", "a", 90), subscription("2", "a", 0)]), &none));
        assert!(open.must_change_for(&Plan::default(), &none));
        assert!(!open.must_change_for(&Plan::default(), &BTreeSet::from(["a".to_owned()])));
    }

    #[test]
    fn stream_changes_for_a_subscription_that_comes_back() {
        let plan = |list: &[Subscription]| Plan::of(list.iter());
        let mut open = plan(&[subscription("1", "a", 0), subscription("2", "a", 0)]);
        let none = BTreeSet::new();
        let alone = plan(&[subscription("1", "a", 90)]);
        assert!(!open.must_change_for(&alone, &none));
        open.forget_missing(&alone);
        let back = plan(&[subscription("1", "a", 120), subscription("2", "a", 40)]);
        assert!(open.must_change_for(&back, &none));
        assert_eq!(back.logs, BTreeMap::from([("a".to_owned(), 40)]));
    }

    #[test]
    fn plan_of_too_many_logs_is_cut() {
        let list: Vec<_> = (0..6).map(|number| subscription(&number.to_string(), &number.to_string(), 0)).collect();
        assert_eq!(Plan::of(list.iter()).logs.len(), MAX_LOGS);
    }
}
