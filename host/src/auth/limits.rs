//! Limits the attempts per client address and per account.
//!
//! An attempt is charged when it begins. The charge is refunded if the password of a login, a mailed token, or the code
//! at the second step of a login is correct, so that only wrong ones count. Other attempts, such as sign-ups and
//! changes of a password, are not refunded.
//!
//! Nobody can keep another user from logging in: while an account's limit is exceeded, each of up to 1000 addresses has
//! a turn within half a minute, whatever other addresses do. Other limits, such as that on mails to an account, have no
//! turns. Each process counts on its own.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use api_types::KeyType;
use dashmap::DashMap;

use crate::{
    error::{ApiError, ApiResult, Code},
    http::client_network,
    projects::Caller,
    secrets::sha256,
};

/// Number of charges between two removals of the buckets that are full again.
const REMOVAL_INTERVAL: u32 = 10_000;
/// Factor by which the secret key raises the limit of an address. The address is then that of a server, which acts for
/// many users.
const SERVER_FACTOR: u32 = 10;
/// Maximum time until an address has its turn at an account whose limit is exceeded.
const MAX_ACCOUNT_WAIT: Duration = Duration::from_secs(30);
/// Maximum number of addresses that wait for their turn at one account.
const MAX_WAITING: usize = 1000;

/// A kind of attempt. Each kind has limits of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    SignUp,
    LogIn,
    Refresh,
    /// Asking for a mailed link.
    Recover,
    /// Using the token of a mailed link.
    MailedToken,
    /// Giving a code at the second step of a login, or removing the factor with the password or a recovery code. All
    /// codes of authenticator apps are also counted, in the project's database.
    SecondFactor,
}

/// A limit: `burst` attempts at once, then one per `interval`.
#[derive(Debug, Clone, Copy)]
struct Quota {
    burst: u32,
    interval: Duration,
}

const fn quota(burst: u32, interval_ms: u64) -> Quota {
    Quota { burst, interval: Duration::from_millis(interval_ms) }
}

impl Attempt {
    const ALL: [Self; 6] =
        [Self::SignUp, Self::LogIn, Self::Refresh, Self::Recover, Self::MailedToken, Self::SecondFactor];

    const fn per_address(self) -> Quota {
        match self {
            Self::SignUp => quota(60, 5000),
            Self::LogIn => quota(60, 1000),
            Self::Refresh => quota(300, 100),
            Self::Recover => quota(20, 15_000),
            Self::MailedToken => quota(30, 2000),
            Self::SecondFactor => quota(60, 1000),
        }
    }

    const fn per_account(self) -> Quota {
        match self {
            Self::SignUp => quota(10, 20_000),
            Self::LogIn => quota(20, 20_000),
            Self::Refresh => quota(120, 1000),
            Self::Recover => quota(5, 300_000),
            Self::MailedToken => quota(30, 2000),
            Self::SecondFactor => quota(10, 30_000),
        }
    }
}

type Key = [u8; 32];

/// Counts attempts.
#[derive(Clone)]
pub(super) struct AttemptLimits(Arc<[Counters; Attempt::ALL.len()]>);

struct Counters {
    addresses: Buckets,
    accounts: Buckets,
}

impl Default for AttemptLimits {
    fn default() -> Self {
        Self(Arc::new(Attempt::ALL.map(|attempt| Counters {
            addresses: Buckets::new(attempt.per_address()),
            accounts: Buckets::new(attempt.per_account()),
        })))
    }
}

/// An attempt that was charged.
#[must_use = "an attempt with the correct secret must be refunded"]
pub(super) struct Charged {
    limits: AttemptLimits,
    attempt: Attempt,
    address: Key,
    cost: Duration,
    account: Option<Key>,
}

impl Charged {
    /// Refunds the charge, because the secret was correct.
    pub(super) fn refund(self) {
        let counters = self.limits.of(self.attempt);
        counters.addresses.refund(&self.address, self.cost);
        if let Some(account) = &self.account {
            counters.accounts.refund(account, counters.accounts.quota.interval);
        }
    }
}

impl AttemptLimits {
    fn of(&self, attempt: Attempt) -> &Counters {
        &self.0[attempt as usize]
    }

    /// Charges an attempt to an address, and to an account if one is given.
    ///
    /// # Errors
    /// Returns 429 if the address or the account is above its limit.
    pub(super) fn begin(
        &self,
        attempt: Attempt,
        caller: &Caller,
        address: IpAddr,
        account: Option<&str>,
    ) -> ApiResult<Charged> {
        let counters = self.of(attempt);
        let address = client_network(address);
        let mut cost = counters.addresses.quota.interval;
        if caller.key_type == KeyType::Secret {
            cost /= SERVER_FACTOR;
        }
        let address_key = sha256(format!("{} {address}", caller.project.id).as_bytes());
        counters.addresses.charge(&address_key, cost, None).map_err(too_many)?;
        let account = account.map(|account| sha256(format!("{} {account}", caller.project.id).as_bytes()));
        if let Some(account) = &account
            && let Err(wait) = counters.accounts.charge(account, counters.accounts.quota.interval, Some(address))
        {
            counters.addresses.refund(&address_key, cost);
            return Err(too_many(wait));
        }
        Ok(Charged { limits: self.clone(), attempt, address: address_key, cost, account })
    }

    /// Charges an account that became known during the attempt.
    ///
    /// # Errors
    /// Returns 429 if the account is above its limit.
    pub(super) fn charge_account(&self, attempt: Attempt, project: &str, account: &str) -> ApiResult<()> {
        let accounts = &self.of(attempt).accounts;
        let key = sha256(format!("{project} {account}").as_bytes());
        accounts.charge(&key, accounts.quota.interval, None).map_err(too_many)
    }
}

fn too_many(wait: Duration) -> ApiError {
    ApiError::new(Code::RateLimited, "Too many attempts.")
        .with_hint("Wait for the number of seconds in `Retry-After`, then try again.")
        .with_retry_after(wait)
}

/// Token buckets, kept as the time at which each is full again (the generic cell rate algorithm).
struct Buckets {
    quota: Quota,
    buckets: DashMap<Key, Bucket>,
    /// Charges since the start. Wraps around.
    charges: AtomicU32,
}

struct Bucket {
    full_at: Instant,
    /// Addresses that were refused, and when each has its turn.
    waiting: Vec<(IpAddr, Instant)>,
}

impl Buckets {
    fn new(quota: Quota) -> Self {
        Self { quota, buckets: DashMap::new(), charges: AtomicU32::new(0) }
    }

    /// Charges a bucket, or returns how long to wait. With an address, the wait is at most [`MAX_ACCOUNT_WAIT`], after
    /// which the address has a turn even if the bucket is empty.
    fn charge(&self, key: &Key, cost: Duration, address: Option<IpAddr>) -> Result<(), Duration> {
        let now = Instant::now();
        if self.charges.fetch_add(1, Ordering::Relaxed) % REMOVAL_INTERVAL == REMOVAL_INTERVAL - 1 {
            self.buckets.retain(|_, bucket| bucket.full_at > now);
        }
        let mut bucket = self.buckets.entry(*key).or_insert_with(|| Bucket { full_at: now, waiting: Vec::new() });
        let full_at = bucket.full_at.max(now) + cost;
        let excess = (full_at - now).saturating_sub(self.quota.interval * self.quota.burst);
        if excess.is_zero() {
            bucket.full_at = full_at;
            return Ok(());
        }
        let Some(address) = address else { return Err(excess) };
        bucket.waiting.retain(|(_, turn)| now.saturating_duration_since(*turn) < 2 * MAX_ACCOUNT_WAIT);
        match bucket.waiting.iter().position(|(waiting, _)| *waiting == address) {
            Some(index) if bucket.waiting[index].1 <= now => {
                bucket.waiting.swap_remove(index);
                Ok(())
            }
            Some(index) => Err((bucket.waiting[index].1 - now).min(excess)),
            None => {
                let wait = excess.min(MAX_ACCOUNT_WAIT);
                if bucket.waiting.len() < MAX_WAITING {
                    bucket.waiting.push((address, now + wait));
                }
                Err(wait)
            }
        }
    }

    fn refund(&self, key: &Key, cost: Duration) {
        if let Some(mut bucket) = self.buckets.get_mut(key) {
            bucket.full_at = bucket.full_at.checked_sub(cost).unwrap_or(bucket.full_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = [1; 32];

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn burst_is_allowed_and_the_next_attempt_must_wait() {
        let buckets = Buckets::new(quota(3, 10_000));
        let cost = buckets.quota.interval;
        for _ in 0..3 {
            buckets.charge(&KEY, cost, None).unwrap();
        }
        let wait = buckets.charge(&KEY, cost, None).unwrap_err();
        assert!(wait > Duration::from_secs(9) && wait <= Duration::from_secs(10), "{wait:?}");
        buckets.charge(&[2; 32], cost, None).unwrap();
        buckets.refund(&KEY, cost);
        buckets.charge(&KEY, cost, None).unwrap();
    }

    #[test]
    fn account_gives_each_waiting_address_a_turn() {
        let buckets = Buckets::new(quota(2, 3_600_000));
        let cost = buckets.quota.interval;
        for _ in 0..2 {
            buckets.charge(&KEY, cost, address(1)).unwrap();
        }
        assert_eq!(buckets.charge(&KEY, cost, address(1)).unwrap_err(), MAX_ACCOUNT_WAIT);
        assert_eq!(buckets.charge(&KEY, cost, address(2)).unwrap_err(), MAX_ACCOUNT_WAIT);
        // Asking again does not move the turn.
        assert!(buckets.charge(&KEY, cost, address(2)).unwrap_err() <= MAX_ACCOUNT_WAIT);
        let now = Instant::now();
        for (_, turn) in &mut buckets.buckets.get_mut(&KEY).unwrap().waiting {
            *turn = now;
        }
        buckets.charge(&KEY, cost, address(2)).unwrap();
        // A turn allows one attempt.
        assert_eq!(buckets.charge(&KEY, cost, address(2)).unwrap_err(), MAX_ACCOUNT_WAIT);
    }
}
