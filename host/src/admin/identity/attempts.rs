//! Failed sign-ins: limits them per IP address, and combines them into few audit entries.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use dashmap::DashMap;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

use crate::http::client_network;

/// Maximum number of failures per second and IP address. Nobody can guess a token or a code, so the maximum only limits
/// the load. It is high enough that a program with an old token gets a clear error for each of its requests.
const MAX_FAILURES_PER_SECOND: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// Number of failures that an IP address may cause at once, if it caused none lately.
const FAILURE_BURST: NonZeroU32 = NonZeroU32::new(200).unwrap();
/// Minimum time that an IP address must wait after too many failures.
const MIN_WAIT: Duration = Duration::from_secs(1);
/// Time after an audit entry in which failures of the same kind and IP address cause no other entry. The next entry
/// contains their number.
const FOLD_INTERVAL: Duration = Duration::from_secs(60);
/// Number of failures after which entries without recent failures are removed. A removal visits every entry, so it must
/// not happen on each failure.
const REMOVAL_INTERVAL: u32 = 1000;

/// Counts failures: by IP address for the limit, by IP address and kind for the audit log. The addresses of one IPv6
/// network count as one.
pub(super) struct Attempts {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    blocked_until: DashMap<IpAddr, Instant>,
    reports: DashMap<(IpAddr, &'static str), Report>,
    /// Failures since the start. Wraps around.
    failures: AtomicU32,
}

/// The time of the last audit entry of an IP address and kind, and the number of failures since then.
struct Report {
    recorded_at: Option<Instant>,
    failures_since: u32,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            limiter: RateLimiter::keyed(Quota::per_second(MAX_FAILURES_PER_SECOND).allow_burst(FAILURE_BURST)),
            blocked_until: DashMap::new(),
            reports: DashMap::new(),
            failures: AtomicU32::new(0),
        }
    }
}

impl Attempts {
    /// Returns the time that the IP address must wait, or `None` if it need not wait. Meanwhile, codes are refused
    /// without being checked, and wrong tokens are refused without being counted. The right token is accepted.
    pub(super) fn remaining_wait(&self, address: IpAddr) -> Option<Duration> {
        let until = *self.blocked_until.get(&client_network(address))?;
        until.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero())
    }

    /// Counts a failure. Returns the number of failures to record now, or `None` if a recent entry covers this one.
    pub(super) fn count_failure(&self, address: IpAddr, kind: &'static str) -> Option<u32> {
        let address = client_network(address);
        if let Err(denied) = self.limiter.check_key(&address) {
            let wait = denied.wait_time_from(self.limiter.clock().now()).max(MIN_WAIT);
            self.blocked_until.insert(address, Instant::now() + wait);
        }
        self.remove_idle();
        let now = Instant::now();
        let mut report = self.reports.entry((address, kind)).or_insert(Report { recorded_at: None, failures_since: 0 });
        report.failures_since += 1;
        if report.recorded_at.is_some_and(|at| now.duration_since(at) < FOLD_INTERVAL) {
            return None;
        }
        report.recorded_at = Some(now);
        Some(std::mem::take(&mut report.failures_since))
    }

    fn remove_idle(&self) {
        if self.failures.fetch_add(1, Ordering::Relaxed) % REMOVAL_INTERVAL == REMOVAL_INTERVAL - 1 {
            let now = Instant::now();
            self.blocked_until.retain(|_, until| *until > now);
            self.reports
                .retain(|_, report| report.recorded_at.is_some_and(|at| now.duration_since(at) < FOLD_INTERVAL));
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_must_wait_after_too_many_failures() {
        let attempts = Attempts::default();
        let guesser: IpAddr = "2001:db8::1".parse().unwrap();
        let recorded: Vec<_> = (0..FAILURE_BURST.get()).map(|_| attempts.count_failure(guesser, "token")).collect();
        assert_eq!(recorded[0], Some(1));
        assert!(recorded[1..].iter().all(Option::is_none), "{recorded:?}");
        assert_eq!(attempts.remaining_wait(guesser), None);
        // Further failures are allowed as time passes.
        let wait = (0..10_000).find_map(|_| {
            attempts.count_failure(guesser, "code");
            attempts.remaining_wait(guesser)
        });
        let wait = wait.unwrap();
        assert!(wait <= MIN_WAIT && wait > MIN_WAIT / 2, "{wait:?}");
        assert!(attempts.remaining_wait("2001:db8::ffff".parse().unwrap()).is_some());
        assert_eq!(attempts.remaining_wait("2001:db8:0:1::1".parse().unwrap()), None);
    }

    #[test]
    fn repeated_failures_use_one_entry_per_address() {
        let attempts = Attempts::default();
        let address = |number: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(number));
        for number in 0..5 {
            for _ in 0..FAILURE_BURST.get() + 200 {
                attempts.count_failure(address(number), "token");
            }
        }
        assert_eq!(attempts.blocked_until.len(), 5);
        assert_eq!(attempts.reports.len(), 5);
    }
}
