//! Shares of a surface's limits: each project has one, the owner has one, and all unauthenticated requests together
//! have one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use dashmap::DashMap;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::error::{ApiError, ApiResult, Code};

/// Maximum time that a request waits for its turn before it fails with 503.
const TURN_TIMEOUT: Duration = Duration::from_secs(1);

/// An authenticated caller, whose share a request uses.
pub trait ShareHolder: Send + Sync + 'static {
    fn holder(&self) -> Holder<'_>;
}

/// The holder of the share that a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder<'a> {
    Owner,
    /// The project with this id.
    Project(&'a str),
    /// All callers that are not authenticated.
    Anonymous,
}

/// The limits of a surface that are divided into shares.
#[derive(Debug, Clone, Copy)]
pub(super) struct SurfaceLimits {
    /// Maximum number of requests that handlers execute at the same time.
    pub(super) turns: usize,
    /// Maximum number of these requests for one project.
    pub(super) turns_per_project: usize,
    /// Maximum number of open connections.
    pub(super) connections: usize,
    /// Maximum number of bytes of bodies in memory.
    pub(super) body_bytes: usize,
    /// Maximum size of a body.
    pub(super) max_body_bytes: usize,
}

/// Limits of one share.
#[derive(Debug, Clone, Copy)]
struct ShareLimits {
    turns: usize,
    /// Maximum number of requests whose connections are in use: from authentication until the response is written.
    requests: usize,
    /// Maximum number of these requests whose body is arriving.
    arriving: usize,
    body_bytes: usize,
}

impl SurfaceLimits {
    fn share(&self, holder: Holder<'_>) -> ShareLimits {
        let part = |whole: usize, numerator: usize, denominator: usize| (whole * numerator / denominator).max(1);
        let (turns, requests, body_bytes) = match holder {
            Holder::Owner => (self.turns, part(self.connections, 3, 4), self.body_bytes),
            Holder::Project(_) => (self.turns_per_project, part(self.connections, 1, 2), part(self.body_bytes, 1, 2)),
            Holder::Anonymous => (part(self.turns, 1, 8), part(self.connections, 1, 8), part(self.body_bytes, 1, 8)),
        };
        ShareLimits {
            turns: turns.min(self.turns),
            requests,
            arriving: part(requests, 1, 2),
            // A share must be able to hold one body.
            body_bytes: body_bytes.max(self.max_body_bytes),
        }
    }
}

/// The shares of a surface.
pub(super) struct Shares {
    limits: SurfaceLimits,
    turns: Arc<Semaphore>,
    body_bytes: Arc<Counter>,
    owner: Arc<Share>,
    anonymous: Arc<Share>,
    /// Shares by the project's id. A share is created at the first request with a valid key.
    projects: DashMap<String, Arc<Share>>,
}

/// Current use by one holder.
pub(super) struct Share {
    limits: ShareLimits,
    /// Subject of messages about limits.
    name: &'static str,
    turns: Arc<Semaphore>,
    requests: Counter,
    arriving: Counter,
    body_bytes: Counter,
}

#[derive(Default)]
struct Counter(AtomicUsize);

impl Counter {
    /// Adds an amount, unless the sum would exceed the limit.
    fn add(&self, amount: usize, limit: usize) -> bool {
        let added = |used: usize| used.checked_add(amount).filter(|sum| *sum <= limit);
        self.0.fetch_update(Relaxed, Relaxed, added).is_ok()
    }

    fn subtract(&self, amount: usize) {
        self.0.fetch_sub(amount, Relaxed);
    }
}

impl Share {
    fn new(limits: ShareLimits, name: &'static str) -> Arc<Self> {
        Arc::new(Self {
            limits,
            name,
            turns: Arc::new(Semaphore::new(limits.turns)),
            requests: Counter::default(),
            arriving: Counter::default(),
            body_bytes: Counter::default(),
        })
    }

    /// Counts a request until the returned value is dropped.
    ///
    /// # Errors
    /// Returns 503 if the holder has too many requests.
    pub(super) fn begin_request(self: &Arc<Self>) -> ApiResult<RequestPermit> {
        if self.requests.add(1, self.limits.requests) {
            return Ok(RequestPermit(self.clone()));
        }
        Err(overloaded(format!("{} use their share of connections ({}).", self.name, self.limits.requests)))
    }

    /// Counts a request as one whose body is arriving until the returned value is dropped.
    ///
    /// # Errors
    /// Returns 503 if the holder has too many such requests.
    pub(super) fn begin_arriving(self: &Arc<Self>) -> ApiResult<ArrivingBody> {
        if self.arriving.add(1, self.limits.arriving) {
            return Ok(ArrivingBody(self.clone()));
        }
        let message = format!("{} use their share of bodies in transfer ({}).", self.name, self.limits.arriving);
        Err(overloaded(message))
    }
}

impl Shares {
    pub(super) fn new(limits: SurfaceLimits) -> Self {
        Self {
            limits,
            turns: Arc::new(Semaphore::new(limits.turns)),
            body_bytes: Arc::default(),
            owner: Share::new(limits.share(Holder::Owner), "The owner's requests"),
            anonymous: Share::new(limits.share(Holder::Anonymous), "Unauthenticated requests"),
            projects: DashMap::new(),
        }
    }

    pub(super) fn of(&self, holder: Holder<'_>) -> Arc<Share> {
        match holder {
            Holder::Owner => self.owner.clone(),
            Holder::Anonymous => self.anonymous.clone(),
            Holder::Project(id) => match self.projects.get(id) {
                Some(share) => share.clone(),
                None => {
                    let new = || Share::new(self.limits.share(holder), "The project's requests");
                    self.projects.entry(id.to_owned()).or_insert_with(new).clone()
                }
            },
        }
    }

    /// Waits for a turn of the holder, then for one of the surface.
    ///
    /// # Errors
    /// Returns 503 if either wait takes longer than [`TURN_TIMEOUT`].
    pub(super) async fn take_turn(&self, share: &Share) -> ApiResult<Turn> {
        let own = match share.turns.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => wait_for_turn(&share.turns).await.ok_or_else(|| {
                overloaded(format!("{} use their share of concurrent requests ({}).", share.name, share.limits.turns))
            })?,
        };
        let shared = match self.turns.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => wait_for_turn(&self.turns).await.ok_or_else(|| {
                overloaded(format!("The server is busy: {} requests are in progress.", self.limits.turns))
            })?,
        };
        Ok(Turn { _own: own, _shared: shared })
    }

    /// Starts to count the bytes of a body.
    pub(super) fn new_body(&self, share: &Arc<Share>) -> BodyBytes {
        BodyBytes { share: share.clone(), total: self.body_bytes.clone(), max: self.limits.body_bytes, counted: 0 }
    }
}

/// The bytes of one body. They count until this value is dropped.
pub(super) struct BodyBytes {
    share: Arc<Share>,
    total: Arc<Counter>,
    max: usize,
    counted: usize,
}

impl BodyBytes {
    /// Counts bytes that arrived.
    ///
    /// # Errors
    /// Returns 503 if the holder or the surface has too many bytes.
    pub(super) fn add(&mut self, bytes: usize) -> ApiResult<()> {
        let share = &self.share;
        if !share.body_bytes.add(bytes, share.limits.body_bytes) {
            let message =
                format!("{} use their share of memory for bodies ({} bytes).", share.name, share.limits.body_bytes);
            return Err(overloaded(message));
        }
        if !self.total.add(bytes, self.max) {
            share.body_bytes.subtract(bytes);
            return Err(overloaded("The server is busy: too many request bodies are in memory."));
        }
        self.counted += bytes;
        Ok(())
    }
}

impl Drop for BodyBytes {
    fn drop(&mut self) {
        self.share.body_bytes.subtract(self.counted);
        self.total.subtract(self.counted);
    }
}

async fn wait_for_turn(turns: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    timeout(TURN_TIMEOUT, turns.clone().acquire_owned()).await.ok()?.ok()
}

fn overloaded(message: impl Into<std::borrow::Cow<'static, str>>) -> ApiError {
    ApiError::new(Code::Overloaded, message).with_hint("Try again in a moment, with fewer requests at once.")
}

/// The right to run a handler.
pub(super) struct Turn {
    _own: OwnedSemaphorePermit,
    _shared: OwnedSemaphorePermit,
}

/// A request that counts in its holder's share.
pub(super) struct RequestPermit(Arc<Share>);

impl Drop for RequestPermit {
    fn drop(&mut self) {
        self.0.requests.subtract(1);
    }
}

/// A request whose body is arriving.
pub(super) struct ArrivingBody(Arc<Share>);

impl Drop for ArrivingBody {
    fn drop(&mut self) {
        self.0.arriving.subtract(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SurfaceLimits =
        SurfaceLimits { turns: 8, turns_per_project: 4, connections: 32, body_bytes: 1000, max_body_bytes: 100 };

    #[tokio::test]
    async fn project_takes_at_most_its_share_of_turns() {
        let shares = Shares::new(LIMITS);
        let (a, b) = (shares.of(Holder::Project("a")), shares.of(Holder::Project("b")));
        let mut turns = Vec::new();
        for _ in 0..4 {
            turns.push(shares.take_turn(&a).await.unwrap());
        }
        let error = shares.take_turn(&a).await.err().unwrap();
        assert!(error.message().contains("The project's requests") && error.status() == 503, "{error}");
        assert_eq!(error.retry_after_seconds(), Some(1));
        turns.push(shares.take_turn(&b).await.unwrap());
        turns.remove(0);
        shares.take_turn(&a).await.unwrap();
    }

    #[test]
    fn share_bounds_requests_and_arriving_bodies() {
        let shares = Shares::new(LIMITS);
        let share = shares.of(Holder::Project("a"));
        let requests: Vec<_> = (0..16).map(|_| share.begin_request().unwrap()).collect();
        assert!(share.begin_request().is_err());
        let bodies: Vec<_> = (0..8).map(|_| share.begin_arriving().unwrap()).collect();
        assert!(share.begin_arriving().is_err());
        assert!(shares.of(Holder::Project("b")).begin_request().is_ok());
        drop((requests, bodies));
        assert!(share.begin_request().is_ok() && share.begin_arriving().is_ok());
    }

    #[test]
    fn body_bytes_are_bounded_per_holder_and_in_total() {
        let shares = Shares::new(LIMITS);
        let projects = ["a", "b", "c"].map(|id| shares.of(Holder::Project(id)));
        let mut bodies = projects.each_ref().map(|share| shares.new_body(share));
        bodies[0].add(500).unwrap();
        assert!(bodies[0].add(1).unwrap_err().message().contains("The project's requests"));
        bodies[1].add(400).unwrap();
        bodies[2].add(100).unwrap();
        assert!(bodies[2].add(1).unwrap_err().message().contains("The server"));
        drop(bodies);
        shares.new_body(&projects[2]).add(500).unwrap();
    }
}
