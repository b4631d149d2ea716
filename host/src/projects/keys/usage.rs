//! Counts the requests with each key. Each node adds its counts to the platform database every 15 seconds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use sqlx::PgPool;
use uuid::Uuid;

use super::queries;

const STORE_INTERVAL: Duration = Duration::from_secs(15);
/// Old counts are removed once in this number of intervals.
const INTERVALS_PER_REMOVAL: u32 = 240;

/// The numbers of requests that this node has not stored yet, by key.
#[derive(Debug, Clone, Default)]
pub(super) struct KeyUsage(Arc<DashMap<Uuid, Arc<AtomicU64>>>);

impl KeyUsage {
    /// Returns the counter of a key.
    pub(super) fn counter(&self, key: Uuid) -> Arc<AtomicU64> {
        self.0.entry(key).or_default().clone()
    }

    /// Stores the counts for as long as the process runs.
    pub(super) async fn store_regularly(&self, platform: &PgPool) {
        let mut ticks = tokio::time::interval(STORE_INTERVAL);
        for interval in 0_u32.. {
            ticks.tick().await;
            self.store(platform).await;
            if interval % INTERVALS_PER_REMOVAL == 1
                && let Err(error) = queries::remove_old_usage(platform).await
            {
                tracing::warn!(%error, "could not remove old numbers of requests of API keys");
            }
        }
    }

    /// Stores the counts. If that fails, the next call tries again.
    pub(super) async fn store(&self, platform: &PgPool) {
        // Counters that nobody else holds belong to keys that are no longer cached.
        self.0.retain(|_, counter| Arc::strong_count(counter) > 1 || counter.load(Ordering::Relaxed) > 0);
        let counts: Vec<(Uuid, Arc<AtomicU64>, u64)> = self
            .0
            .iter()
            .map(|entry| (*entry.key(), entry.value().clone(), entry.value().swap(0, Ordering::Relaxed)))
            .filter(|(.., count)| *count > 0)
            .collect();
        if counts.is_empty() {
            return;
        }
        let ids: Vec<Uuid> = counts.iter().map(|(id, ..)| *id).collect();
        let numbers: Vec<i64> = counts.iter().map(|(.., count)| i64::try_from(*count).unwrap_or(i64::MAX)).collect();
        if let Err(error) = queries::add_usage(platform, &ids, &numbers).await {
            tracing::warn!(%error, "could not store the numbers of requests of API keys; the next try adds them");
            for (_, counter, count) in counts {
                counter.fetch_add(count, Ordering::Relaxed);
            }
        }
    }
}
