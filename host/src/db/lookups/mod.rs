//! Shares one statement between lookups that wait at the same moment.
//!
//! A *lookup* reads at most one row by a unique key. Lookups have the same *shape* if their statements differ only in
//! the values of the parameters, and run with the claims of the same user, or without claims. Sixteen lookups in one
//! statement cost Postgres about as much as three single lookups, so lookups of the same shape are sent together when
//! there is a queue anyway:
//!
//! - While fewer than [`MAX_FLIGHTS`] statements of a shape are in flight, a lookup is sent at once, alone. It never
//!   waits for others.
//! - Further lookups wait. When a statement of the shape ends, the first waiting lookup becomes the *leader*: it sends
//!   the keys of all that wait, up to [`MAX_BATCH`], in one statement, and distributes the rows to the others, its
//!   *followers*.
//! - If a shared statement fails, each of its lookups is sent again, alone, so that an error is always that of the
//!   lookup itself. Lookups of this shape then share no statement for a while.
//! - If a shared statement takes too long, each follower stops waiting and is sent again, alone. The leader continues
//!   to wait for the shared statement.
//!
//! Deliberately absent: the decision which lookups may share a statement (`data::plan`), and the SQL of the shared
//! statement (`data::render`). The caller also supplies the statement of a lookup that is sent alone.

mod fetch;
mod results;

use results::SharedResults;

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use lru::LruCache;
use metrics::Counter;
use parking_lot::Mutex;
use tokio::{sync::oneshot, time::timeout};

/// Number of statements of one shape in flight at which further lookups wait. Two keep the processors of Postgres and
/// of this process busy; more would only make the batches smaller.
const MAX_FLIGHTS: usize = 2;

/// Maximum number of lookups in one statement.
const MAX_BATCH: usize = 64;

/// Maximum number of paused shapes. If more shapes fail, the shape that was paused first shares statements again.
const MAX_PAUSED: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Timeouts of lookups that share statements.
#[derive(Debug, Clone, Copy)]
pub(super) struct LookupTimeouts {
    /// Time after which a waiting lookup is sent alone, because the statements in flight seem to be stuck.
    join: Duration,
    /// Time for which a follower waits, after `join` has passed, until it is sent again, alone.
    shared: Duration,
    /// Time for which lookups of a shape share no statement after a shared statement has failed.
    pause: Duration,
}

impl Default for LookupTimeouts {
    fn default() -> Self {
        Self { join: Duration::from_millis(20), shared: Duration::from_millis(250), pause: Duration::from_secs(2) }
    }
}

/// The lookups of one project and role, by shape. `K` is the key of a lookup, `R` its result.
pub(super) struct Lookups<K, R> {
    state: Mutex<State<K, R>>,
    timeouts: LookupTimeouts,
    counters: Counters,
}

struct State<K, R> {
    /// The shapes that have statements in flight.
    shapes: HashMap<ShapeName, Shape<K, R>>,
    /// The shapes whose lookups share no statement, and the end of this pause.
    paused: LruCache<ShapeName, Instant>,
}

/// What lookups of the same shape have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ShapeName {
    /// Text of the statement.
    pub text: Arc<str>,
    /// Claims of the signed-in user as JSON.
    pub claims: Option<Arc<str>>,
}

/// Metrics: lookups that were sent alone, lookups in successful shared statements, and these statements.
struct Counters {
    alone: Counter,
    shared: Counter,
    statements: Counter,
}

impl Counters {
    fn new() -> Self {
        Self {
            alone: metrics::counter!("atlashub_lookups_total", "statement" => "alone"),
            shared: metrics::counter!("atlashub_lookups_total", "statement" => "shared"),
            statements: metrics::counter!("atlashub_shared_lookup_statements_total"),
        }
    }
}

/// The state of the lookups of one shape, which differ only in their keys.
struct Shape<K, R> {
    /// Number of statements in flight.
    flights: usize,
    /// Time when a statement was last sent or ended.
    progress_at: Instant,
    waiting: VecDeque<Waiting<K, R>>,
    next_id: u64,
}

struct Waiting<K, R> {
    id: u64,
    key: K,
    turn: oneshot::Sender<Turn<K, R>>,
}

/// The next step of a lookup that waited.
enum Turn<K, R> {
    /// Send a statement for this lookup and for the others.
    Lead(Batch<K, R>),
    /// Return this result of the shared statement.
    Done(R),
}

/// The lookups whose keys the leader sends with its own. Dropping `flight` ends the statement's time in flight.
struct Batch<K, R> {
    followers: VecDeque<Waiting<K, R>>,
    flight: Flight<K, R>,
}

/// A statement in flight. Dropping it lets the next lookups be sent.
struct Flight<K, R> {
    lookups: Arc<Lookups<K, R>>,
    shape: ShapeName,
    /// False if another `Flight` represents the statement.
    armed: bool,
}

/// The first step of a lookup.
enum Entry<K, R> {
    /// Send a statement now, alone.
    Go(Flight<K, R>),
    /// Send a statement now, alone, without counting it as in flight, because the statements in flight seem to be stuck
    /// or the shape is paused.
    GoUncounted,
    Wait {
        id: u64,
        turn: oneshot::Receiver<Turn<K, R>>,
    },
}

impl<K: Clone, R> Lookups<K, R> {
    pub(super) fn new(timeouts: LookupTimeouts) -> Arc<Self> {
        let state = State { shapes: HashMap::new(), paused: LruCache::new(MAX_PAUSED) };
        Arc::new(Self { state: Mutex::new(state), timeouts, counters: Counters::new() })
    }

    /// Runs a lookup, alone or together with others of the same shape.
    ///
    /// `alone` sends the statement of this lookup. `together` sends one statement for several keys, and returns their
    /// results in the order of the keys.
    ///
    /// # Errors
    /// Returns the error of `alone`. An error of `together` is discarded, because the lookups are then sent alone.
    pub(super) async fn run<E, A, T>(
        self: &Arc<Self>,
        shape: &ShapeName,
        key: K,
        alone: impl Fn() -> A,
        together: impl FnOnce(Vec<K>) -> T,
    ) -> Result<R, E>
    where
        A: Future<Output = Result<R, E>>,
        T: Future<Output = Result<Vec<R>, E>>,
    {
        let _flight = match self.enter(shape, &key) {
            Entry::Go(flight) => Some(flight),
            Entry::GoUncounted => None,
            Entry::Wait { id, turn } => match self.wait(shape, id, turn).await {
                Some(Turn::Done(result)) => return Ok(result),
                Some(Turn::Lead(Batch { followers, flight })) if followers.is_empty() => Some(flight),
                Some(Turn::Lead(batch)) => match self.lead(batch, key, together).await {
                    Some(result) => return Ok(result),
                    None => {
                        self.pause(shape);
                        None
                    }
                },
                None => None,
            },
        };
        self.counters.alone.increment(1);
        alone().await
    }

    fn enter(self: &Arc<Self>, name: &ShapeName, key: &K) -> Entry<K, R> {
        let now = Instant::now();
        let mut state = self.state.lock();
        if !state.paused.is_empty() {
            match state.paused.peek(name) {
                Some(until) if *until > now => return Entry::GoUncounted,
                Some(_) => _ = state.paused.pop(name),
                None => {}
            }
        }
        let Some(shape) = state.shapes.get_mut(name) else {
            let shape = Shape { flights: 1, progress_at: now, waiting: VecDeque::new(), next_id: 0 };
            state.shapes.insert(name.clone(), shape);
            return Entry::Go(self.flight(name));
        };
        if shape.flights < MAX_FLIGHTS {
            shape.flights += 1;
            shape.progress_at = now;
            return Entry::Go(self.flight(name));
        }
        if now.saturating_duration_since(shape.progress_at) > self.timeouts.join {
            return Entry::GoUncounted;
        }
        let (sender, turn) = oneshot::channel();
        let id = shape.next_id;
        shape.next_id += 1;
        shape.waiting.push_back(Waiting { id, key: key.clone(), turn: sender });
        Entry::Wait { id, turn }
    }

    /// Waits for the turn of a lookup. Returns `None` if it must be sent alone.
    async fn wait(&self, shape: &ShapeName, id: u64, mut turn: oneshot::Receiver<Turn<K, R>>) -> Option<Turn<K, R>> {
        if let Ok(turn) = timeout(self.timeouts.join, &mut turn).await {
            return turn.ok();
        }
        if self.leave(shape, id) {
            return None;
        }
        timeout(self.timeouts.shared, turn).await.ok()?.ok()
    }

    /// Removes a waiting lookup. Returns false if a leader has already taken it.
    fn leave(&self, shape: &ShapeName, id: u64) -> bool {
        let mut state = self.state.lock();
        let Some(shape) = state.shapes.get_mut(shape) else { return false };
        let Some(position) = shape.waiting.iter().position(|waiting| waiting.id == id) else { return false };
        shape.waiting.remove(position);
        true
    }

    /// Stops lookups of a shape from sharing statements for a while.
    fn pause(&self, shape: &ShapeName) {
        let until = Instant::now() + self.timeouts.pause;
        self.state.lock().paused.put(shape.clone(), until);
    }

    /// Sends the shared statement and distributes its results. Returns the leader's, or `None` if the statement failed.
    async fn lead<E, T>(&self, batch: Batch<K, R>, key: K, together: impl FnOnce(Vec<K>) -> T) -> Option<R>
    where
        T: Future<Output = Result<Vec<R>, E>>,
    {
        let Batch { followers, flight } = batch;
        let (mut keys, mut turns) = (vec![key], Vec::with_capacity(followers.len()));
        for follower in followers {
            keys.push(follower.key);
            turns.push(follower.turn);
        }
        let count = keys.len();
        let results = together(keys).await;
        drop(flight);
        // If there are no results, dropping `turns` lets the followers be sent alone.
        let mut results = results.ok().filter(|results| results.len() == count)?.into_iter();
        self.counters.statements.increment(1);
        self.counters.shared.increment(count as u64);
        let own = results.next();
        for (turn, result) in turns.into_iter().zip(results) {
            // An error means that the caller no longer waits.
            let _ = turn.send(Turn::Done(result));
        }
        own
    }
}

impl<K, R> Lookups<K, R> {
    fn flight(self: &Arc<Self>, shape: &ShapeName) -> Flight<K, R> {
        Flight { lookups: self.clone(), shape: shape.clone(), armed: true }
    }

    /// Takes the lookups for the next statement. If there are none, the flight ends.
    fn next_group(&self, name: &ShapeName) -> VecDeque<Waiting<K, R>> {
        let mut state = self.state.lock();
        let Some(shape) = state.shapes.get_mut(name) else { return VecDeque::new() };
        // Lookups whose caller no longer waits need no statement.
        shape.waiting.retain(|waiting| !waiting.turn.is_closed());
        let taken = shape.waiting.len().min(MAX_BATCH);
        let group: VecDeque<_> = shape.waiting.drain(..taken).collect();
        shape.progress_at = Instant::now();
        if group.is_empty() {
            shape.flights -= 1;
            if shape.flights == 0 {
                state.shapes.remove(name);
            }
        }
        group
    }
}

impl<K, R> Drop for Flight<K, R> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        loop {
            let mut group = self.lookups.next_group(&self.shape);
            if group.is_empty() {
                return;
            }
            // The caller of a leader may stop waiting at any moment. Then the next lookup leads.
            while let Some(leader) = group.pop_front() {
                let batch = Batch { followers: group, flight: self.lookups.flight(&self.shape) };
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
