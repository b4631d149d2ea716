//! Shares one statement, or one transaction, between lookups that wait at the same moment.
//!
//! A *lookup* reads at most one row by a unique key. Lookups have the same *shape* if their statements differ only in
//! the values of the parameters. Sixteen lookups in one statement cost Postgres about as much as three single lookups,
//! so lookups of the same shape are sent together when there is a queue anyway. `sharing` describes how. Each shape has
//! a queue of its own. In addition:
//!
//! - The leader sends the keys of all lookups in one statement, and distributes the rows.
//! - Lookups of different users need different claims. The leader sends one statement per user, each after the claims
//!   of the user, and many of them as one transaction in one round trip.
//! - If a statement of a batch fails, each lookup of the batch is sent again, alone, so that an error is always that of
//!   the lookup itself. Lookups of this shape then share nothing for a while.
//! - If a batch takes too long, each follower stops waiting and is sent again, alone. The leader waits longer: until
//!   the statement ends, or up to a limit if the batch has several users.
//!
//! Deliberately absent: the decision which lookups may share a statement (`data::plan`), and the SQL of the shared
//! statement (`data::render`). The caller also supplies the statement of a lookup that is sent alone.

mod fetch;
mod results;

pub(super) use fetch::Lookup;
use results::{Budget, SharedResults};

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use metrics::Counter;
use parking_lot::Mutex;
use tokio::time::timeout;

use super::sharing::{Batch, Entry, Pauses, Queue, QueueHandle, Turn, Waited, Waiter};

/// Number of flights (see `sharing`) of one shape at which further lookups wait. Two keep the processors of Postgres
/// and of this process busy; more would only make the batches smaller.
const MAX_FLIGHTS: usize = 2;

/// Maximum number of lookups in a batch.
const MAX_BATCH: usize = 64;

/// Timeouts of lookups that are sent together.
#[derive(Debug, Clone, Copy)]
pub(super) struct LookupTimeouts {
    /// Time after which a waiting lookup is sent alone, because the flights seem to be stuck.
    join: Duration,
    /// Time for which a follower waits, after `join` has passed, until it is sent again, alone.
    shared: Duration,
    /// Time for which lookups of a shape share nothing after a batch has failed.
    pause: Duration,
}

impl Default for LookupTimeouts {
    fn default() -> Self {
        Self { join: Duration::from_millis(20), shared: Duration::from_millis(250), pause: Duration::from_secs(2) }
    }
}

/// The lookups of one project and role, by shape. `K` are the values that the statement of a lookup needs, `R` is its
/// result.
pub(super) struct Lookups<K, R> {
    state: Mutex<State<K, R>>,
    timeouts: LookupTimeouts,
    counters: Counters,
}

struct State<K, R> {
    /// The queues of the shapes that have flights.
    shapes: HashMap<ShapeName, Queue<ShapeQueue<K, R>>>,
    /// The shapes whose lookups share nothing.
    paused: Pauses<ShapeName>,
}

/// The properties that lookups of the same shape have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ShapeName {
    /// Text of the statement.
    pub text: Arc<str>,
    /// Whether each statement needs the claims of a user.
    pub has_claims: bool,
}

/// Refers to the queue of a shape.
struct ShapeQueue<K, R> {
    lookups: Arc<Lookups<K, R>>,
    shape: ShapeName,
}

impl<K, R> QueueHandle for ShapeQueue<K, R> {
    const MAX_FLIGHTS: usize = MAX_FLIGHTS;
    const MAX_BATCH: usize = MAX_BATCH;
    type Request = K;
    type Outcome = R;

    fn change<T>(&self, change: impl FnOnce(&mut Queue<Self>) -> T) -> Option<T> {
        let mut state = self.lookups.state.lock();
        let queue = state.shapes.get_mut(&self.shape)?;
        let result = change(queue);
        if queue.is_idle() {
            state.shapes.remove(&self.shape);
        }
        Some(result)
    }
}

/// Metrics: lookups that were sent alone, lookups in successful batches, and these batches.
struct Counters {
    alone: Counter,
    shared: Counter,
    batches: Counter,
}

impl Counters {
    fn new() -> Self {
        Self {
            alone: metrics::counter!("atlashub_lookups_total", "statement" => "alone"),
            shared: metrics::counter!("atlashub_lookups_total", "statement" => "shared"),
            batches: metrics::counter!("atlashub_shared_lookup_statements_total"),
        }
    }
}

impl<K: Clone, R> Lookups<K, R> {
    pub(super) fn new(timeouts: LookupTimeouts) -> Arc<Self> {
        let state = State { shapes: HashMap::new(), paused: Pauses::new() };
        Arc::new(Self { state: Mutex::new(state), timeouts, counters: Counters::new() })
    }

    /// Runs a lookup, alone or together with others of the same shape.
    ///
    /// `alone` sends the statement of this lookup. `together` sends a batch, and returns its results in the same order.
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
            Entry::Wait(waiter) => match self.wait(shape, waiter).await {
                Some(Turn::Done(result)) => return Ok(result),
                Some(Turn::Lead(Batch { followers, flight })) if followers.is_empty() => Some(flight),
                Some(Turn::Lead(batch)) => match self.lead(shape, batch, key, together).await {
                    Some(result) => return Ok(result),
                    None => None,
                },
                None => None,
            },
        };
        self.counters.alone.increment(1);
        alone().await
    }

    fn enter(self: &Arc<Self>, shape: &ShapeName, key: &K) -> Entry<ShapeQueue<K, R>> {
        let now = Instant::now();
        let mut state = self.state.lock();
        if state.paused.contains(shape, now) {
            return Entry::GoUncounted;
        }
        let join = self.timeouts.join;
        if let Some(queue) = state.shapes.get_mut(shape) {
            return queue.enter(now, join, key, || self.queue(shape));
        }
        let mut queue: Queue<ShapeQueue<K, R>> = Queue::new(now);
        let entry = queue.enter(now, join, key, || self.queue(shape));
        state.shapes.insert(shape.clone(), queue);
        entry
    }

    fn queue(self: &Arc<Self>, shape: &ShapeName) -> ShapeQueue<K, R> {
        ShapeQueue { lookups: self.clone(), shape: shape.clone() }
    }

    /// Waits for the turn of a lookup. Returns `None` if it must be sent alone.
    async fn wait(
        self: &Arc<Self>,
        shape: &ShapeName,
        waiter: Waiter<ShapeQueue<K, R>>,
    ) -> Option<Turn<ShapeQueue<K, R>>> {
        match waiter.wait(self.timeouts.join, || self.queue(shape)).await {
            Waited::Turn(turn) => Some(turn),
            Waited::Released => None,
            // The lookup changes nothing, so it can be sent again.
            Waited::Taken(turn) => match timeout(self.timeouts.shared, turn).await {
                Ok(turn) => turn.ok(),
                Err(_) => {
                    // A batch of several users saves round trips, but no work of Postgres. So when Postgres is slow,
                    // it would only make lookups wait for each other.
                    if shape.has_claims {
                        self.pause(shape);
                    }
                    None
                }
            },
        }
    }

    /// Stops lookups of a shape from sharing anything for a while. Lookups that already wait are sent alone.
    fn pause(&self, shape: &ShapeName) {
        let until = Instant::now() + self.timeouts.pause;
        let mut state = self.state.lock();
        state.paused.begin(shape.clone(), until);
        let released = state.shapes.get_mut(shape).map(|queue| queue.take(|_| true));
        drop(state);
        drop(released);
    }

    /// Sends a batch and distributes its results. Returns the leader's result. If the batch failed, lookups of its
    /// shape pause, and the result is `None`.
    async fn lead<E, T>(
        &self,
        shape: &ShapeName,
        batch: Batch<ShapeQueue<K, R>>,
        key: K,
        together: impl FnOnce(Vec<K>) -> T,
    ) -> Option<R>
    where
        T: Future<Output = Result<Vec<R>, E>>,
    {
        let (mut keys, mut turns) = (vec![key], Vec::new());
        let flight = batch.unpack(&mut keys, &mut turns);
        let count = keys.len();
        let results = together(keys).await.ok().filter(|results| results.len() == count);
        if results.is_none() {
            // Before the flight ends, so that the next one contains no lookup that pauses.
            self.pause(shape);
        }
        drop(flight);
        // If there are no results, dropping `turns` lets the followers be sent alone.
        let mut results = results?.into_iter();
        self.counters.batches.increment(1);
        self.counters.shared.increment(count as u64);
        let own = results.next();
        for (turn, result) in turns.into_iter().zip(results) {
            // An error means that the caller no longer waits.
            let _ = turn.send(Turn::Done(result));
        }
        own
    }
}

#[cfg(test)]
mod tests;
