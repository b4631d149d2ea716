//! Rate limits: requests per project and kind of key (`ATLASHUB_RATE_LIMIT_*`, with their defaults in
//! `config/variables.rs`, read in `config/limits.rs`), and wrong keys per client network
//! ([`MAX_WRONG_KEYS_PER_SECOND`]).

use std::{
    hash::Hash,
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use api_types::KeyType;
use dashmap::DashMap;
use governor::{
    DefaultKeyedRateLimiter, NotUntil, Quota, RateLimiter,
    clock::{Clock, DefaultClock, QuantaInstant},
};

use crate::{
    config::LimitsConfig,
    error::{ApiError, ApiResult, Code},
    http::{ClientAddress, client_network},
};

/// Maximum number of wrong API keys per second and client network. Bursts of twice this number are allowed.
const MAX_WRONG_KEYS_PER_SECOND: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// Number of wrong keys between two removals of networks without recent wrong keys. A removal visits every network, so
/// it must not happen for each wrong key.
const REMOVAL_INTERVAL: u32 = 10_000;

/// Limits the requests per second of each project and kind of key. Bursts of twice this number are allowed.
#[derive(Clone)]
pub struct RateLimits {
    publishable: Option<Arc<DefaultKeyedRateLimiter<String>>>,
    secret: Option<Arc<DefaultKeyedRateLimiter<String>>>,
}

impl RateLimits {
    pub fn new(limits: &LimitsConfig) -> Self {
        let limiter = |per_second| NonZeroU32::new(per_second).map(|per_second| Arc::new(limiter(per_second)));
        Self { publishable: limiter(limits.publishable_per_second), secret: limiter(limits.secret_per_second) }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// Returns 429 if the project is above its limit.
    pub(super) fn check(&self, project: &String, key_type: KeyType) -> ApiResult<()> {
        let limiter = match key_type {
            KeyType::Publishable => &self.publishable,
            KeyType::Secret => &self.secret,
        };
        match limiter {
            Some(limiter) => {
                limiter.check_key(project).map_err(|not_until| too_many_requests(&not_until, limiter.clock()))
            }
            None => Ok(()),
        }
    }
}

/// Limits the number of wrong keys, and of ids of unknown projects, that one network may try, so that guessing does not
/// load the database. A network is an IPv4 address or the first 64 bits of an IPv6 address.
#[derive(Clone)]
pub struct WrongKeyLimit(Arc<WrongKeys>);

struct WrongKeys {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    /// Networks that were above their limit, and the time until which they are refused.
    refused: DashMap<IpAddr, Instant>,
    /// Number of wrong keys since the start. Wraps around.
    count: AtomicU32,
}

impl Default for WrongKeyLimit {
    fn default() -> Self {
        Self(Arc::new(WrongKeys {
            limiter: limiter(MAX_WRONG_KEYS_PER_SECOND),
            refused: DashMap::new(),
            count: AtomicU32::new(0),
        }))
    }
}

impl WrongKeyLimit {
    /// Counts a wrong key, or the id of an unknown project.
    ///
    /// # Errors
    /// Returns 429 if the address's network is above its limit.
    pub(super) fn check(&self, address: ClientAddress) -> ApiResult<()> {
        let WrongKeys { limiter, refused, count } = &*self.0;
        if count.fetch_add(1, Ordering::Relaxed) % REMOVAL_INTERVAL == REMOVAL_INTERVAL - 1 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
            let now = Instant::now();
            refused.retain(|_, until| *until > now);
        }
        let network = client_network(address.0);
        limiter.check_key(&network).map_err(|not_until| {
            refused.insert(network, Instant::now() + not_until.wait_time_from(limiter.clock().now()));
            too_many_requests(&not_until, limiter.clock())
        })
    }

    /// Checks, without counting, that the address's network is not above its limit.
    ///
    /// # Errors
    /// Returns 429 if the address's network is above its limit.
    pub(super) fn check_refused(&self, address: ClientAddress) -> ApiResult<()> {
        let until = self.0.refused.get(&client_network(address.0)).map(|until| *until);
        match until.and_then(|until| until.checked_duration_since(Instant::now())) {
            Some(wait) if !wait.is_zero() => Err(too_many(wait)),
            _ => Ok(()),
        }
    }
}

fn limiter<K: Hash + Eq + Clone>(per_second: NonZeroU32) -> DefaultKeyedRateLimiter<K> {
    let burst = per_second.saturating_add(per_second.get());
    RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst))
}

/// Returns the error for a caller above its limit. `clock` is the limiter's clock: creating another one queries the
/// processor's features, which in a virtual machine takes longer than the rest of the request.
fn too_many_requests(not_until: &NotUntil<QuantaInstant>, clock: &DefaultClock) -> ApiError {
    too_many(not_until.wait_time_from(clock.now()))
}

fn too_many(wait: Duration) -> ApiError {
    ApiError::new(Code::RateLimited, "Too many requests.")
        .with_hint("Wait for the number of seconds in `Retry-After`, then try again.")
        .with_retry_after(wait)
}
