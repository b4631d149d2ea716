//! Token buckets.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use dashmap::DashMap;

use super::{
    Key, Quota,
    turns::{Client, Turns},
};

/// Number of charges between two removals of the buckets that are full again.
const REMOVAL_INTERVAL: u32 = 10_000;

/// How an attempt was paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payment {
    /// The bucket was charged.
    Charge,
    /// The bucket was empty, and the client used its turn.
    Turn,
}

/// Token buckets, kept as the time at which each is full again (the generic cell rate algorithm).
pub(super) struct Buckets {
    quota: Quota,
    buckets: DashMap<Key, Bucket>,
    /// Charges since the start. Wraps around.
    charges: AtomicU32,
}

struct Bucket {
    full_at: Instant,
    /// Exists once the bucket was empty for a client.
    turns: Option<Box<Turns>>,
}

impl Buckets {
    pub(super) fn new(quota: Quota) -> Self {
        Self { quota, buckets: DashMap::new(), charges: AtomicU32::new(0) }
    }

    pub(super) fn quota(&self) -> Quota {
        self.quota
    }

    /// Charges a bucket, or returns how long to wait. If the bucket is empty and a client is given, the client can use
    /// its turn instead.
    pub(super) fn charge(
        &self,
        key: &Key,
        cost: Duration,
        client: Option<Client>,
        now: Instant,
    ) -> Result<Payment, Duration> {
        if self.charges.fetch_add(1, Ordering::Relaxed) % REMOVAL_INTERVAL == REMOVAL_INTERVAL - 1 {
            self.buckets.retain(|_, bucket| bucket.full_at > now);
        }
        let mut bucket = self.buckets.entry(*key).or_insert_with(|| Bucket { full_at: now, turns: None });
        let full_at = bucket.full_at.max(now) + cost;
        let excess = (full_at - now).saturating_sub(self.quota.interval * self.quota.burst);
        if excess.is_zero() {
            bucket.full_at = full_at;
            return Ok(Payment::Charge);
        }
        let Some(client) = client else { return Err(excess) };
        let turns = bucket.turns.get_or_insert_with(|| Box::new(Turns::new(now)));
        turns.take(client, now).map(|()| Payment::Turn).map_err(|wait| wait.min(excess))
    }

    /// Takes a charge back.
    pub(super) fn refund(&self, key: &Key, cost: Duration) {
        if let Some(mut bucket) = self.buckets.get_mut(key) {
            bucket.full_at = bucket.full_at.checked_sub(cost).unwrap_or(bucket.full_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Attempt, quota},
        *,
    };

    const KEY: Key = [1; 32];

    #[test]
    fn burst_is_allowed_and_the_next_attempt_must_wait() {
        let buckets = Buckets::new(quota(3, 10_000));
        let (cost, now) = (buckets.quota.interval, Instant::now());
        for _ in 0..3 {
            assert_eq!(buckets.charge(&KEY, cost, None, now), Ok(Payment::Charge));
        }
        assert_eq!(buckets.charge(&KEY, cost, None, now), Err(cost));
        assert_eq!(buckets.charge(&[2; 32], cost, None, now), Ok(Payment::Charge));
        buckets.refund(&KEY, cost);
        assert_eq!(buckets.charge(&KEY, cost, None, now), Ok(Payment::Charge));
    }

    #[test]
    fn client_uses_its_turn_only_while_the_bucket_is_empty() {
        let buckets = Buckets::new(Attempt::LogIn.per_account());
        let (cost, now) = (buckets.quota.interval, Instant::now());
        let client = Some(Client { address: [192, 0, 2, 1].into(), is_known: false });
        for _ in 0..buckets.quota.burst {
            assert_eq!(buckets.charge(&KEY, cost, client, now), Ok(Payment::Charge));
        }
        let wait = buckets.charge(&KEY, cost, client, now).unwrap_err();
        assert!(wait < cost, "{wait:?}");
        assert_eq!(buckets.charge(&KEY, cost, client, now + wait), Ok(Payment::Turn));
        // A turn allows one attempt.
        assert!(buckets.charge(&KEY, cost, client, now + wait).is_err());
        assert_eq!(buckets.charge(&KEY, cost, client, now + cost), Ok(Payment::Charge));
    }
}
