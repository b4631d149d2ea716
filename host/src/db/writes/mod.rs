//! Shares one transaction between writes that wait at the same moment.
//!
//! Each commit waits for the disk, which costs more than most writes themselves. Sixteen inserts in one transaction
//! cost Postgres about as much as two with a transaction each. So writes of the same project and role are sent together
//! when there is a queue anyway. `sharing` describes how. In addition:
//!
//! - The leader sends all writes in one transaction, each as a statement of its own. All wait for the commit. The
//!   transaction runs in a task of its own, which continues if the leader's caller stops waiting.
//! - If a statement of a shared transaction fails, Postgres undoes all of them. Then each write is sent again, alone,
//!   so that an error is always that of the write itself. Statements with the text of the failed one share no
//!   transaction for a while. If several transactions fail within that time, no statement shares a transaction for a
//!   while.
//! - If the connection is lost, it is not known whether Postgres committed. Then each write fails, and none is sent
//!   again.
//! - A shared transaction that waits for a lock is soon undone. Then the write that needs the lock waits on a
//!   connection of its own, so that it holds up no other.
//!
//! Within a shared transaction, a write sees the writes before it, as if these had been committed. `now()` is the same
//! for all.
//!
//! Deliberately absent: the decision which writes may share a transaction (`fetch`, and `data::pipeline`, which passes
//! only plain inserts), and the bytes that make one transaction of several statements (`wire`).

mod fetch;

pub(super) use fetch::WrittenRows;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use metrics::Counter;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::sharing::{Batch, Entry, Pauses, Queue, QueueHandle, Turn, TurnSender, Waited, Waiter};

/// Number of transactions in flight at which further writes wait. While the commit of one waits for the disk, Postgres
/// runs the statements of the other.
const MAX_FLIGHTS: usize = 2;

/// Maximum number of writes in one transaction.
const MAX_BATCH: usize = 32;

/// Number of shared transactions that must fail within [`WriteTimeouts::pause`] before no statement shares a
/// transaction for a while. Pausing only the texts that failed would not be enough: a client can send a new text each
/// time, with other columns, and each failure undoes the writes of others.
const MAX_FAILURES: usize = 3;

/// Timeouts of writes that share transactions.
#[derive(Debug, Clone, Copy)]
pub(super) struct WriteTimeouts {
    /// Time after which a waiting write is sent alone, because the transactions in flight seem to be stuck. Longer than
    /// a commit takes on a slow disk.
    join: Duration,
    /// Time for which statements share no transaction after one with the same text has failed in a shared one.
    pause: Duration,
}

impl Default for WriteTimeouts {
    fn default() -> Self {
        Self { join: Duration::from_millis(100), pause: Duration::from_secs(2) }
    }
}

/// A write that can wait for others.
pub(super) trait Write: Send + 'static {
    /// Text of the statement, without its values.
    fn text(&self) -> &Arc<str>;
}

/// The writes of one project and role. `W` is a write, `R` its result.
pub(super) struct Writes<W, R> {
    state: Mutex<State<W, R>>,
    timeouts: WriteTimeouts,
    counters: Counters,
}

struct State<W, R> {
    queue: Queue<Arc<Writes<W, R>>>,
    /// The texts of statements that share no transaction.
    paused: Pauses<Arc<str>>,
    /// Time until which no statement shares a transaction.
    all_paused_until: Option<Instant>,
    /// Times when the latest shared transactions failed, fewer than [`MAX_FAILURES`].
    failures: Vec<Instant>,
}

impl<W, R> QueueHandle for Arc<Writes<W, R>> {
    const MAX_FLIGHTS: usize = MAX_FLIGHTS;
    const MAX_BATCH: usize = MAX_BATCH;
    type Request = W;
    type Outcome = Outcome<R>;

    fn change<T>(&self, change: impl FnOnce(&mut Queue<Self>) -> T) -> Option<T> {
        Some(change(&mut self.state.lock().queue))
    }
}

/// Metrics: writes that were sent alone, writes in committed shared transactions, and these transactions.
struct Counters {
    alone: Counter,
    shared: Counter,
    transactions: Counter,
}

impl Counters {
    fn new() -> Self {
        Self {
            alone: metrics::counter!("atlashub_inserts_total", "transaction" => "alone"),
            shared: metrics::counter!("atlashub_inserts_total", "transaction" => "shared"),
            transactions: metrics::counter!("atlashub_shared_insert_transactions_total"),
        }
    }
}

/// The outcome of a write in a shared transaction.
pub(super) enum Outcome<R> {
    /// The transaction was committed, with this result of the write.
    Committed(R),
    /// The transaction was undone. Send the write alone.
    Undone(Apart),
    /// It is not known whether the transaction was committed.
    Unknown,
}

/// The way in which a write is sent alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Apart {
    /// Other statements may follow it on its connection, and wait for it.
    No,
    /// On a connection of its own, because it waits for a lock.
    Yes,
}

/// The reason why a shared transaction has no results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoResults {
    /// Nothing was changed. `failed` is the write that failed, or `None` if the reason is another one: the commit, for
    /// example.
    Undone { failed: Option<FailedWrite> },
    /// The connection was lost, so it is not known whether Postgres committed.
    Unknown,
}

/// The write that made a shared transaction fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FailedWrite {
    /// Its position in the transaction.
    pub(super) position: usize,
    pub(super) apart: Apart,
}

/// The error that the outcome of a shared transaction is not known, because the connection was lost.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection was lost while several writes shared a transaction")]
pub(super) struct UnknownOutcome;

impl<W: Write + Clone, R: Send + 'static> Writes<W, R> {
    pub(super) fn new(timeouts: WriteTimeouts) -> Arc<Self> {
        let state = State {
            queue: Queue::new(Instant::now()),
            paused: Pauses::new(),
            all_paused_until: None,
            failures: Vec::new(),
        };
        Arc::new(Self { state: Mutex::new(state), timeouts, counters: Counters::new() })
    }

    /// Runs a write, alone or together with others.
    ///
    /// `alone` sends the write in a transaction of its own. `together` sends several writes in one transaction, and
    /// returns their results in the order of the writes.
    ///
    /// # Errors
    /// Returns the error of `alone`, or [`UnknownOutcome`].
    pub(super) async fn run<E, A, T>(
        self: &Arc<Self>,
        write: &W,
        alone: impl FnOnce(Apart) -> A,
        together: impl FnOnce(Vec<W>) -> T,
    ) -> Result<R, E>
    where
        E: From<UnknownOutcome>,
        A: Future<Output = Result<R, E>>,
        T: Future<Output = Result<Vec<R>, NoResults>> + Send + 'static,
    {
        let (_flight, apart) = match self.enter(write) {
            Entry::Go(flight) => (Some(flight), Apart::No),
            Entry::GoUncounted => (None, Apart::No),
            Entry::Wait(waiter) => match self.wait(waiter).await {
                None => (None, Apart::No),
                Some(Turn::Lead(Batch { followers, flight })) if followers.is_empty() => (Some(flight), Apart::No),
                Some(turn) => {
                    let outcome = match turn {
                        Turn::Lead(batch) => self.lead(batch, write, together).await,
                        Turn::Done(outcome) => outcome,
                    };
                    match outcome {
                        Outcome::Committed(result) => return Ok(result),
                        Outcome::Unknown => return Err(UnknownOutcome.into()),
                        Outcome::Undone(apart) => (None, apart),
                    }
                }
            },
        };
        self.counters.alone.increment(1);
        alone(apart).await
    }

    fn enter(self: &Arc<Self>, write: &W) -> Entry<Arc<Self>> {
        let now = Instant::now();
        let mut state = self.state.lock();
        if state.all_paused_until.is_some_and(|until| until > now) || state.paused.contains(write.text(), now) {
            return Entry::GoUncounted;
        }
        state.queue.enter(now, self.timeouts.join, write, || self.clone())
    }

    /// Waits for the turn of a write. Returns `None` if it must be sent alone.
    async fn wait(self: &Arc<Self>, waiter: Waiter<Arc<Self>>) -> Option<Turn<Arc<Self>>> {
        match waiter.wait(self.timeouts.join, || self.clone()).await {
            Waited::Turn(turn) => Some(turn),
            Waited::Released => None,
            // Only the outcome of the leader's transaction shows whether the write was made.
            Waited::Taken(turn) => turn.await.ok(),
        }
    }

    /// Sends the shared transaction and distributes its results. Returns the leader's outcome.
    ///
    /// Runs in a task of its own, which continues if the leader's caller stops waiting. The others wait for the
    /// outcome.
    async fn lead<T>(
        self: &Arc<Self>,
        batch: Batch<Arc<Self>>,
        write: &W,
        together: impl FnOnce(Vec<W>) -> T,
    ) -> Outcome<R>
    where
        T: Future<Output = Result<Vec<R>, NoResults>> + Send + 'static,
    {
        let (turn, own_turn) = oneshot::channel();
        let (mut writes, mut turns) = (vec![write.clone()], vec![turn]);
        let flight = batch.unpack(&mut writes, &mut turns);
        let texts: Vec<_> = writes.iter().map(|write| write.text().clone()).collect();
        let sent = SentTurns(turns);
        let (this, together) = (self.clone(), together(writes));
        tokio::spawn(async move {
            let results = together.await;
            if let Err(NoResults::Undone { failed }) = &results {
                let at_fault = failed.and_then(|failed| texts.get(failed.position..=failed.position));
                this.pause(at_fault.unwrap_or(&texts));
            }
            // After the pause has begun, so that the next transaction contains no write that pauses.
            drop(flight);
            this.finish(sent, results);
        });
        match own_turn.await {
            Ok(Turn::Done(outcome)) => outcome,
            _ => Outcome::Unknown,
        }
    }

    /// Stops statements with these texts from sharing transactions for a while, after a shared transaction was undone.
    /// If several were undone, stops all statements from sharing. Writes that already wait are sent alone.
    fn pause(&self, texts: &[Arc<str>]) {
        let now = Instant::now();
        let until = now + self.timeouts.pause;
        let mut state = self.state.lock();
        let State { queue, paused, all_paused_until, failures } = &mut *state;
        for text in texts {
            paused.begin(text.clone(), until);
        }
        failures.retain(|failed_at| now.saturating_duration_since(*failed_at) < self.timeouts.pause);
        failures.push(now);
        let pauses_all = failures.len() >= MAX_FAILURES;
        if pauses_all {
            failures.clear();
            *all_paused_until = Some(until);
        }
        let released = queue.take(|write| pauses_all || paused.contains(write.text(), now));
        drop(state);
        drop(released);
    }

    fn finish(&self, mut sent: SentTurns<W, R>, results: Result<Vec<R>, NoResults>) {
        let count = sent.0.len();
        // An error of `send` means that the caller no longer waits.
        match results {
            Ok(results) if results.len() == count => {
                self.counters.transactions.increment(1);
                self.counters.shared.increment(count as u64);
                for (turn, result) in sent.0.drain(..).zip(results) {
                    let _ = turn.send(Turn::Done(Outcome::Committed(result)));
                }
            }
            Err(NoResults::Undone { failed }) => {
                for (position, turn) in sent.0.drain(..).enumerate() {
                    let apart = failed.filter(|failed| failed.position == position).map_or(Apart::No, |f| f.apart);
                    let _ = turn.send(Turn::Done(Outcome::Undone(apart)));
                }
            }
            // Dropping `sent` reports that the outcome is unknown.
            Ok(_) | Err(NoResults::Unknown) => {}
        }
    }
}

/// The turns of writes that were sent. When this value is dropped, the remaining turns get an unknown outcome.
struct SentTurns<W, R>(Vec<TurnSender<Arc<Writes<W, R>>>>);

impl<W, R> Drop for SentTurns<W, R> {
    fn drop(&mut self) {
        for turn in self.0.drain(..) {
            let _ = turn.send(Turn::Done(Outcome::Unknown));
        }
    }
}

#[cfg(test)]
mod tests;
