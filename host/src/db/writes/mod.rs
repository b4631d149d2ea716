//! Shares one transaction between writes that wait at the same moment.
//!
//! Each commit waits for the disk, which costs more than most writes themselves. Sixteen inserts in one transaction
//! cost Postgres about as much as two with a transaction each. So writes of the same project and role are sent together
//! when there is a queue anyway:
//!
//! - While fewer than [`MAX_FLIGHTS`] transactions are in flight, a write is sent at once, alone. It never waits for
//!   others.
//! - Further writes wait. When a transaction ends, the first waiting write becomes the *leader*: it sends all that
//!   wait, up to [`MAX_BATCH`], in one transaction, each as a statement of its own. All wait for the commit.
//! - If a statement of a shared transaction fails, Postgres undoes all of them. Then each write is sent again, alone,
//!   so that an error is always that of the write itself. Statements with the text of the failed one share no
//!   transaction for a while.
//! - If the connection is lost, it is not known whether Postgres committed. Then each write fails, and none is sent
//!   again.
//! - A shared transaction does not wait for locks for long. It is undone. Then the write that needs the lock waits on a
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
    collections::VecDeque,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use lru::LruCache;
use metrics::Counter;
use parking_lot::Mutex;
use tokio::{sync::oneshot, time::timeout};

/// Number of transactions in flight at which further writes wait. While the commit of one waits for the disk, Postgres
/// runs the statements of the other.
const MAX_FLIGHTS: usize = 2;

/// Maximum number of writes in one transaction.
const MAX_BATCH: usize = 32;

/// Maximum number of paused statements. If more fail, the statement that was paused first shares transactions again.
const MAX_PAUSED: NonZeroUsize = NonZeroUsize::new(256).unwrap();

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
    /// Number of transactions in flight.
    flights: usize,
    /// Time when a transaction was last sent or ended.
    progress_at: Instant,
    waiting: VecDeque<Waiting<W, R>>,
    next_id: u64,
    /// The texts of statements that share no transaction, and the end of this pause.
    paused: LruCache<Arc<str>, Instant>,
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

struct Waiting<W, R> {
    id: u64,
    write: W,
    turn: oneshot::Sender<Turn<W, R>>,
}

/// The next step of a write that waited. If the sender is dropped instead, the write was not sent.
enum Turn<W, R> {
    /// Send a transaction with this write and the others.
    Lead(Batch<W, R>),
    /// Send the write alone, because the shared transaction was undone.
    Alone(Apart),
    /// Return this result of the committed transaction.
    Done(R),
    /// Fail, because it is not known whether the shared transaction was committed.
    Unknown,
}

/// How to send a write alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Apart {
    /// Other statements may follow it on its connection, and wait for it.
    No,
    /// On a connection of its own, because it failed in a shared transaction and may wait for a lock.
    Yes,
}

/// The writes that the leader sends with its own. Dropping `flight` ends the transaction's time in flight.
struct Batch<W, R> {
    followers: VecDeque<Waiting<W, R>>,
    flight: Flight<W, R>,
}

/// A transaction in flight. Dropping it lets the next writes be sent.
struct Flight<W, R> {
    writes: Arc<Writes<W, R>>,
    /// False if another `Flight` represents the transaction.
    armed: bool,
}

/// The first step of a write.
enum Entry<W, R> {
    /// Send the write now, alone.
    Go(Flight<W, R>),
    /// Send the write now, alone, without counting it as in flight, because the transactions in flight seem to be stuck
    /// or the statement is paused.
    GoUncounted,
    Wait {
        id: u64,
        turn: oneshot::Receiver<Turn<W, R>>,
    },
}

/// Why a shared transaction has no results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoResults {
    /// Nothing was changed. `failed` is the position of the write that failed; `None` if it was none of them.
    Undone { failed: Option<usize> },
    /// The connection was lost, so it is not known whether Postgres committed.
    Unknown,
}

/// The outcome of a shared transaction is not known, because the connection was lost.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection was lost while several writes shared a transaction")]
pub(super) struct UnknownOutcome;

impl<W: Write + Clone, R: Send + 'static> Writes<W, R> {
    pub(super) fn new(timeouts: WriteTimeouts) -> Arc<Self> {
        let state = State {
            flights: 0,
            progress_at: Instant::now(),
            waiting: VecDeque::new(),
            next_id: 0,
            paused: LruCache::new(MAX_PAUSED),
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
            Entry::Wait { id, turn } => match self.wait(id, turn).await {
                Turn::Done(result) => return Ok(result),
                Turn::Unknown => return Err(UnknownOutcome.into()),
                Turn::Lead(Batch { followers, flight }) if followers.is_empty() => (Some(flight), Apart::No),
                Turn::Lead(batch) => match self.lead(batch, write, together).await {
                    Turn::Done(result) => return Ok(result),
                    Turn::Unknown => return Err(UnknownOutcome.into()),
                    Turn::Alone(apart) => (None, apart),
                    Turn::Lead(_) => (None, Apart::No),
                },
                Turn::Alone(apart) => (None, apart),
            },
        };
        self.counters.alone.increment(1);
        alone(apart).await
    }

    fn enter(self: &Arc<Self>, write: &W) -> Entry<W, R> {
        let now = Instant::now();
        let mut state = self.state.lock();
        if !state.paused.is_empty() {
            match state.paused.peek(write.text()) {
                Some(until) if *until > now => return Entry::GoUncounted,
                Some(_) => _ = state.paused.pop(write.text()),
                None => {}
            }
        }
        if state.flights < MAX_FLIGHTS {
            state.flights += 1;
            state.progress_at = now;
            return Entry::Go(self.flight());
        }
        if now.saturating_duration_since(state.progress_at) > self.timeouts.join {
            return Entry::GoUncounted;
        }
        let (sender, turn) = oneshot::channel();
        let id = state.next_id;
        state.next_id += 1;
        state.waiting.push_back(Waiting { id, write: write.clone(), turn: sender });
        Entry::Wait { id, turn }
    }

    /// Waits for the turn of a write.
    async fn wait(&self, id: u64, mut turn: oneshot::Receiver<Turn<W, R>>) -> Turn<W, R> {
        match timeout(self.timeouts.join, &mut turn).await {
            Ok(turn) => turn.unwrap_or(Turn::Alone(Apart::No)),
            Err(_) if self.leave(id) => Turn::Alone(Apart::No),
            // A leader has taken the write, so only the outcome of its transaction tells whether it was made.
            Err(_) => turn.await.unwrap_or(Turn::Alone(Apart::No)),
        }
    }

    /// Removes a waiting write. Returns false if a leader has already taken it.
    fn leave(&self, id: u64) -> bool {
        let waiting = &mut self.state.lock().waiting;
        let Some(position) = waiting.iter().position(|waiting| waiting.id == id) else { return false };
        waiting.remove(position);
        true
    }

    /// Sends the shared transaction and distributes its results. Returns the leader's turn.
    ///
    /// Runs in a task of its own, which continues if the leader's caller stops waiting. The others wait for the
    /// outcome.
    async fn lead<T>(self: &Arc<Self>, batch: Batch<W, R>, write: &W, together: impl FnOnce(Vec<W>) -> T) -> Turn<W, R>
    where
        T: Future<Output = Result<Vec<R>, NoResults>> + Send + 'static,
    {
        let Batch { followers, flight } = batch;
        let (turn, own_turn) = oneshot::channel();
        let (mut writes, mut turns) = (vec![write.clone()], vec![turn]);
        for follower in followers {
            writes.push(follower.write);
            turns.push(follower.turn);
        }
        let texts: Vec<_> = writes.iter().map(|write| write.text().clone()).collect();
        let sent = SentTurns(turns);
        let (this, together) = (self.clone(), together(writes));
        tokio::spawn(async move {
            let results = together.await;
            drop(flight);
            this.finish(sent, &texts, results);
        });
        own_turn.await.unwrap_or(Turn::Unknown)
    }

    fn finish(&self, mut sent: SentTurns<W, R>, texts: &[Arc<str>], results: Result<Vec<R>, NoResults>) {
        let count = texts.len();
        // An error of `send` means that the caller no longer waits.
        match results {
            Ok(results) if results.len() == count => {
                self.counters.transactions.increment(1);
                self.counters.shared.increment(count as u64);
                for (turn, result) in sent.0.drain(..).zip(results) {
                    let _ = turn.send(Turn::Done(result));
                }
            }
            Err(NoResults::Undone { failed }) => {
                let until = Instant::now() + self.timeouts.pause;
                let paused = failed.and_then(|position| texts.get(position..=position)).unwrap_or(texts);
                let mut state = self.state.lock();
                for text in paused {
                    state.paused.put(text.clone(), until);
                }
                drop(state);
                for (position, turn) in sent.0.drain(..).enumerate() {
                    let apart = if failed == Some(position) { Apart::Yes } else { Apart::No };
                    let _ = turn.send(Turn::Alone(apart));
                }
            }
            // Dropping `sent` reports that the outcome is unknown.
            Ok(_) | Err(NoResults::Unknown) => {}
        }
    }
}

/// The turns of writes that were sent. Those that remain when it is dropped learn that the outcome is unknown.
struct SentTurns<W, R>(Vec<oneshot::Sender<Turn<W, R>>>);

impl<W, R> Drop for SentTurns<W, R> {
    fn drop(&mut self) {
        for turn in self.0.drain(..) {
            let _ = turn.send(Turn::Unknown);
        }
    }
}

impl<W, R> Writes<W, R> {
    fn flight(self: &Arc<Self>) -> Flight<W, R> {
        Flight { writes: self.clone(), armed: true }
    }

    /// Takes the writes for the next transaction. If there are none, the flight ends.
    fn next_group(&self) -> VecDeque<Waiting<W, R>> {
        let mut state = self.state.lock();
        // Writes whose caller no longer waits are not made.
        state.waiting.retain(|waiting| !waiting.turn.is_closed());
        let taken = state.waiting.len().min(MAX_BATCH);
        let group: VecDeque<_> = state.waiting.drain(..taken).collect();
        state.progress_at = Instant::now();
        if group.is_empty() {
            state.flights -= 1;
        }
        group
    }
}

impl<W, R> Drop for Flight<W, R> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        loop {
            let mut group = self.writes.next_group();
            if group.is_empty() {
                return;
            }
            // The caller of a leader may stop waiting at any moment. Then the next write leads.
            while let Some(leader) = group.pop_front() {
                let batch = Batch { followers: group, flight: self.writes.flight() };
                match leader.turn.send(Turn::Lead(batch)) {
                    Err(Turn::Lead(Batch { followers, mut flight })) => {
                        flight.armed = false;
                        group = followers;
                    }
                    _ => return,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
