//! The queue of requests that can be sent together, and the flights that empty it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, time::timeout};

/// Refers to a queue. Each flight keeps such a reference, to let the next requests be sent when the flight ends.
pub(in crate::db) trait QueueHandle: Sized {
    /// Number of flights at which further requests wait.
    const MAX_FLIGHTS: usize;

    /// Maximum number of requests in a batch.
    const MAX_BATCH: usize;

    /// The value that a waiting request passes to its leader.
    type Request;

    /// The value that a leader passes to each of its followers.
    type Outcome;

    /// Locks the queue and changes it. Returns `None` if the queue no longer exists. An idle queue may be removed.
    fn change<T>(&self, change: impl FnOnce(&mut Queue<Self>) -> T) -> Option<T>;
}

/// The requests that can be sent together. The struct that contains the queue keeps it behind a lock.
pub(in crate::db) struct Queue<H: QueueHandle> {
    /// Number of flights.
    flights: usize,
    /// Time when a flight last began or ended.
    progress_at: Instant,
    waiting: VecDeque<Waiting<H>>,
    next_id: u64,
}

/// A request that waits. If this is dropped, its caller sends it alone.
pub(in crate::db) struct Waiting<H: QueueHandle> {
    id: u64,
    request: H::Request,
    turn: TurnSender<H>,
}

pub(in crate::db) type TurnSender<H> = oneshot::Sender<Turn<H>>;

/// The next step of a request that waited. If the sender is dropped instead, the caller sends the request alone.
pub(in crate::db) enum Turn<H: QueueHandle> {
    /// Send this request and the others.
    Lead(Batch<H>),
    /// A leader has sent the request, with this outcome.
    Done(H::Outcome),
}

/// The requests that a leader sends with its own, and their flight.
pub(in crate::db) struct Batch<H: QueueHandle> {
    pub(in crate::db) followers: VecDeque<Waiting<H>>,
    pub(in crate::db) flight: Flight<H>,
}

/// A batch, or a request that is sent alone, until its response has arrived. Dropping it lets the next requests be
/// sent.
#[must_use = "the flight ends when it is dropped"]
pub(in crate::db) struct Flight<H: QueueHandle> {
    /// `None` if another `Flight` has taken its place.
    queue: Option<H>,
}

/// The first step of a request.
pub(in crate::db) enum Entry<H: QueueHandle> {
    /// Send the request now, alone.
    Go(Flight<H>),
    /// Send the request now, alone, without counting it as a flight.
    GoUncounted,
    Wait(Waiter<H>),
}

/// Waits for the turn of a request. If this is dropped, the request is not sent, unless a leader has already taken it.
pub(in crate::db) struct Waiter<H: QueueHandle> {
    pub(in crate::db) id: u64,
    pub(in crate::db) turn: oneshot::Receiver<Turn<H>>,
}

/// The result of waiting for a turn.
pub(in crate::db) enum Waited<H: QueueHandle> {
    Turn(Turn<H>),
    /// The caller sends the request alone: it is no longer in the queue, and no leader will report an outcome.
    Released,
    /// A leader has taken the request, but has no outcome yet.
    Taken(oneshot::Receiver<Turn<H>>),
}

impl<H: QueueHandle> Queue<H> {
    pub(in crate::db) fn new(now: Instant) -> Self {
        Self { flights: 0, progress_at: now, waiting: VecDeque::new(), next_id: 0 }
    }

    /// Returns whether there are no flights. Then no request waits.
    pub(in crate::db) fn is_idle(&self) -> bool {
        self.flights == 0
    }

    /// Decides whether a request is sent now or waits. If no flight has begun or ended for longer than `join`, the
    /// flights seem to be stuck. A request that would have to wait for them is then sent now, and not counted as a
    /// flight.
    pub(in crate::db) fn enter(
        &mut self,
        now: Instant,
        join: Duration,
        request: &H::Request,
        handle: impl FnOnce() -> H,
    ) -> Entry<H>
    where
        H::Request: Clone,
    {
        if self.flights < H::MAX_FLIGHTS {
            self.flights += 1;
            self.progress_at = now;
            return Entry::Go(Flight { queue: Some(handle()) });
        }
        if now.saturating_duration_since(self.progress_at) > join {
            return Entry::GoUncounted;
        }
        let (sender, turn) = oneshot::channel();
        let id = self.next_id;
        self.next_id += 1;
        self.waiting.push_back(Waiting { id, request: request.clone(), turn: sender });
        Entry::Wait(Waiter { id, turn })
    }

    /// Takes the waiting requests that satisfy the condition out of the queue. Drop them when the queue is no longer
    /// locked.
    pub(in crate::db) fn take(&mut self, mut condition: impl FnMut(&H::Request) -> bool) -> VecDeque<Waiting<H>> {
        let (taken, others) =
            std::mem::take(&mut self.waiting).into_iter().partition(|waiting| condition(&waiting.request));
        self.waiting = others;
        taken
    }

    /// Removes a waiting request. Returns false if it is no longer in the queue.
    fn leave(&mut self, id: u64) -> bool {
        let Some(position) = self.waiting.iter().position(|waiting| waiting.id == id) else { return false };
        self.waiting.remove(position);
        true
    }

    /// Takes the requests for the next flight. If there are none, the flight ends.
    fn next_group(&mut self) -> VecDeque<Waiting<H>> {
        // Requests whose caller no longer waits are not sent.
        self.waiting.retain(|waiting| !waiting.turn.is_closed());
        let taken = self.waiting.len().min(H::MAX_BATCH);
        let group: VecDeque<_> = self.waiting.drain(..taken).collect();
        self.progress_at = Instant::now();
        if group.is_empty() {
            self.flights -= 1;
        }
        group
    }

    /// Returns the number of waiting requests.
    #[cfg(test)]
    pub(in crate::db) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl<H: QueueHandle> Waiter<H> {
    /// Waits for the turn of the request. After `join`, the request leaves the queue, because the flights seem to be
    /// stuck.
    pub(in crate::db) async fn wait(mut self, join: Duration, handle: impl FnOnce() -> H) -> Waited<H> {
        if let Ok(turn) = timeout(join, &mut self.turn).await {
            return turn.map_or(Waited::Released, Waited::Turn);
        }
        let has_left = handle().change(|queue| queue.leave(self.id)).unwrap_or(false);
        if has_left { Waited::Released } else { Waited::Taken(self.turn) }
    }
}

impl<H: QueueHandle> Batch<H> {
    /// Appends the followers' requests and turns. Returns the flight.
    pub(in crate::db) fn unpack(self, requests: &mut Vec<H::Request>, turns: &mut Vec<TurnSender<H>>) -> Flight<H> {
        requests.reserve(self.followers.len());
        turns.reserve(self.followers.len());
        for follower in self.followers {
            requests.push(follower.request);
            turns.push(follower.turn);
        }
        self.flight
    }
}

impl<H: QueueHandle> Drop for Flight<H> {
    fn drop(&mut self) {
        let Some(mut queue) = self.queue.take() else { return };
        loop {
            let mut group = queue.change(Queue::next_group).unwrap_or_default();
            if group.is_empty() {
                return;
            }
            // The caller of a leader may stop waiting at any moment. Then the next request leads.
            while let Some(leader) = group.pop_front() {
                let batch = Batch { followers: group, flight: Flight { queue: Some(queue) } };
                let Err(Turn::Lead(Batch { followers, mut flight })) = leader.turn.send(Turn::Lead(batch)) else {
                    return;
                };
                let Some(returned) = flight.queue.take() else { return };
                (group, queue) = (followers, returned);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    struct TestQueue(Mutex<Queue<Handle>>);
    type Handle = Arc<TestQueue>;

    impl QueueHandle for Handle {
        const MAX_FLIGHTS: usize = 1;
        const MAX_BATCH: usize = 3;
        type Request = u32;
        type Outcome = u32;

        fn change<T>(&self, change: impl FnOnce(&mut Queue<Self>) -> T) -> Option<T> {
            Some(change(&mut self.0.lock()))
        }
    }

    /// Returns a queue with a flight, in which the requests 0 to `count` wait.
    fn queue(count: u32) -> (Handle, Flight<Handle>, Vec<Waiter<Handle>>) {
        let queue = Arc::new(TestQueue(Mutex::new(Queue::new(Instant::now()))));
        let enter =
            |request| queue.0.lock().enter(Instant::now(), Duration::from_secs(60), &request, || Arc::clone(&queue));
        let Entry::Go(flight) = enter(100) else { panic!("the first request waits") };
        let waiters = (0..count).map(|request| match enter(request) {
            Entry::Wait(waiter) => waiter,
            _ => panic!("{request} does not wait"),
        });
        let waiters = waiters.collect();
        (queue, flight, waiters)
    }

    /// Returns the requests of the followers if it is the request's turn to lead.
    fn followers(waiter: &mut Waiter<Handle>) -> Option<Vec<u32>> {
        let Ok(Turn::Lead(Batch { followers, flight })) = waiter.turn.try_recv() else { return None };
        // The flight continues, because the test only looks at it.
        std::mem::forget(flight);
        Some(followers.into_iter().map(|follower| follower.request).collect())
    }

    /// Checks once, without waiting, whether the request has its turn.
    async fn wait(waiter: Waiter<Handle>, queue: &Handle) -> Waited<Handle> {
        waiter.wait(Duration::ZERO, || queue.clone()).await
    }

    #[test]
    fn first_waiting_request_leads_the_next_ones() {
        let (queue, flight, mut waiters) = queue(5);
        drop(flight);
        assert_eq!(followers(&mut waiters[0]), Some(vec![1, 2]));
        assert_eq!(queue.0.lock().waiting(), 2);
        assert!(!queue.0.lock().is_idle());
    }

    #[test]
    fn requests_whose_callers_are_gone_are_not_sent() {
        let (_queue, flight, mut waiters) = queue(4);
        drop((waiters.remove(2), waiters.remove(0)));
        drop(flight);
        assert_eq!(followers(&mut waiters[0]), Some(vec![3]));
    }

    #[test]
    fn turn_that_nobody_receives_ends_the_flight_and_releases_the_followers() {
        let (queue, flight, mut waiters) = queue(5);
        drop(flight);
        // The leader has its turn, and its caller is gone before it looks.
        drop(waiters.remove(0));
        for waiter in &mut waiters[..2] {
            assert!(matches!(waiter.turn.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        }
        assert_eq!(followers(&mut waiters[2]), Some(vec![4]));
        assert!(!queue.0.lock().is_idle());
    }

    #[test]
    fn queue_is_idle_after_the_last_flight_even_if_all_callers_are_gone() {
        let (queue, flight, waiters) = queue(5);
        drop(waiters);
        drop(flight);
        assert!(queue.0.lock().is_idle());
        assert_eq!(queue.0.lock().waiting(), 0);
    }

    #[tokio::test]
    async fn request_that_waited_for_long_leaves_unless_a_leader_has_taken_it() {
        let (queue, flight, mut waiters) = queue(3);
        assert!(matches!(wait(waiters.remove(1), &queue).await, Waited::Released));
        drop(flight);
        assert!(matches!(wait(waiters.remove(1), &queue).await, Waited::Taken(_)));
        // Its turn has come, so it leads.
        let Waited::Turn(Turn::Lead(batch)) = wait(waiters.remove(0), &queue).await else {
            panic!("it does not lead");
        };
        drop(batch);
        assert!(queue.0.lock().is_idle());
    }

    #[tokio::test]
    async fn taken_requests_are_released() {
        let (queue, flight, mut waiters) = queue(3);
        let taken = queue.0.lock().take(|request| *request == 1);
        drop(taken);
        assert_eq!(queue.0.lock().waiting(), 2);
        let waiter = waiters.remove(1);
        assert!(matches!(wait(waiter, &queue).await, Waited::Released));
        drop(flight);
        assert_eq!(followers(&mut waiters[0]), Some(vec![2]));
    }
}
