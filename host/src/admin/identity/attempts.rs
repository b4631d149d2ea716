//! Failed sign-ins: how many an address may make, and how they are put on record without filling it.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::{Duration, Instant},
};

use dashmap::DashMap;
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};

/// Failures that an address may make at once, and within each minute after.
const FAILURES: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Failures of one kind and address within this time make one audit entry.
const FOLD: Duration = Duration::from_secs(60);
/// Addresses remembered before those without recent failures are let go.
const REMEMBERED: usize = 1000;

/// Counts failures by address.
pub(super) struct Attempts {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    blocked_until: DashMap<IpAddr, Instant>,
    reported: DashMap<(IpAddr, &'static str), Report>,
}

struct Report {
    at: Option<Instant>,
    since: u32,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            limiter: RateLimiter::keyed(Quota::per_minute(FAILURES)),
            blocked_until: DashMap::new(),
            reported: DashMap::new(),
        }
    }
}

impl Attempts {
    /// How long the address must wait before a token or code of its is looked at, right or wrong.
    pub(super) fn wait(&self, address: IpAddr) -> Option<Duration> {
        let until = *self.blocked_until.get(&network(address))?;
        until.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero())
    }

    /// Counts a failure. Answers how many of this kind are to be put on record now, if any.
    pub(super) fn failed(&self, address: IpAddr, kind: &'static str) -> Option<u32> {
        let address = network(address);
        if let Err(denied) = self.limiter.check_key(&address) {
            let wait = denied.wait_time_from(DefaultClock::default().now());
            self.blocked_until.insert(address, Instant::now() + wait);
        }
        self.forget_old();
        let now = Instant::now();
        let mut report = self.reported.entry((address, kind)).or_insert(Report { at: None, since: 0 });
        report.since += 1;
        if report.at.is_some_and(|at| now.duration_since(at) < FOLD) {
            return None;
        }
        report.at = Some(now);
        Some(std::mem::take(&mut report.since))
    }

    fn forget_old(&self) {
        if self.reported.len() + self.blocked_until.len() > REMEMBERED {
            let now = Instant::now();
            self.blocked_until.retain(|_, until| *until > now);
            self.reported.retain(|_, report| report.at.is_some_and(|at| now.duration_since(at) < FOLD));
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
    }
}

/// An IPv6 customer has a /64 at least, so that is what counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_waits_after_its_failures_and_no_other_does() {
        let attempts = Attempts::default();
        let guesser: IpAddr = "2001:db8::1".parse().unwrap();
        let recorded: Vec<_> = (0..FAILURES.get()).map(|_| attempts.failed(guesser, "token")).collect();
        assert_eq!(recorded[0], Some(1));
        assert!(recorded[1..].iter().all(Option::is_none), "{recorded:?}");
        assert_eq!(attempts.wait(guesser), None);
        assert_eq!(attempts.failed(guesser, "code"), Some(1));
        let wait = attempts.wait(guesser).unwrap();
        assert!(wait <= Duration::from_secs(60) && wait > Duration::from_secs(1), "{wait:?}");
        assert!(attempts.wait("2001:db8::ffff".parse().unwrap()).is_some());
        assert_eq!(attempts.wait("2001:db8:0:1::1".parse().unwrap()), None);
    }

    #[test]
    fn what_is_remembered_stays_bounded() {
        let attempts = Attempts::default();
        let address = |number: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(number));
        for number in 0..5 {
            for _ in 0..12 {
                attempts.failed(address(number), "token");
            }
        }
        assert_eq!(attempts.blocked_until.len(), 5);
        assert_eq!(attempts.reported.len(), 5);
    }
}
