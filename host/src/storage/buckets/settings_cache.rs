//! A cache of the settings of buckets.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use dashmap::DashMap;
use sqlx::PgPool;

use super::{queries, settings::BucketSettings};
use crate::error::ApiResult;

/// Maximum age of an entry. A change made on another node takes effect within this time. A change made on this node
/// takes effect at once.
const MAX_AGE: Duration = Duration::from_secs(1);
/// Number of cached projects above which expired entries are dropped.
const MAX_PROJECTS: usize = 1000;

/// Cache of the bucket settings of projects. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SettingsCache {
    platform: PgPool,
    entries: Arc<DashMap<String, Entry>>,
    /// Number of invalidations. Settings that were read before an invalidation are not cached after it.
    invalidations: Arc<AtomicU64>,
}

struct Entry {
    read_at: Instant,
    buckets: Arc<HashMap<String, BucketSettings>>,
}

impl SettingsCache {
    pub(crate) fn new(platform: PgPool) -> Self {
        Self { platform, entries: Arc::default(), invalidations: Arc::default() }
    }

    /// Returns the settings of a bucket, or `None` if the project has no such bucket.
    pub(crate) async fn get(&self, project_id: &str, bucket: &str) -> ApiResult<Option<BucketSettings>> {
        if let Some(entry) = self.entries.get(project_id)
            && entry.read_at.elapsed() < MAX_AGE
        {
            return Ok(entry.buckets.get(bucket).copied());
        }
        // The time is taken before the query, because the result may lack a change that is committed while the query
        // runs.
        let read_at = Instant::now();
        let invalidations = self.invalidations.load(Ordering::SeqCst);
        let buckets = Arc::new(queries::settings_by_bucket(&self.platform, project_id).await?);
        let settings = buckets.get(bucket).copied();
        if self.entries.len() > MAX_PROJECTS {
            self.entries.retain(|_, entry| entry.read_at.elapsed() < MAX_AGE);
        }
        let entry = self.entries.entry(project_id.to_owned());
        // Checked while `entry` holds its lock, because `invalidate` first increments the counter and then takes that
        // lock.
        if self.invalidations.load(Ordering::SeqCst) == invalidations {
            entry.insert(Entry { read_at, buckets });
        }
        Ok(settings)
    }

    pub(crate) fn invalidate(&self, project_id: &str) {
        self.invalidations.fetch_add(1, Ordering::SeqCst);
        self.entries.remove(project_id);
    }
}
