//! A cache of the settings of buckets.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::PgPool;

use super::{queries, settings::BucketSettings};
use crate::{error::ApiResult, projects::RowCache};

/// Maximum age of an entry. A change made on another node takes effect within this time. A change made on this node
/// takes effect at once.
const MAX_AGE: Duration = Duration::from_secs(1);
/// Number of cached projects above which expired entries are dropped.
const MAX_PROJECTS: usize = 1000;

/// The buckets of a project by name, and the time at which they were read.
type Cached = (Instant, Arc<HashMap<String, BucketSettings>>);

/// Cache of the bucket settings of projects. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SettingsCache {
    platform: PgPool,
    cached: Arc<RowCache<String, Cached>>,
}

impl SettingsCache {
    pub(crate) fn new(platform: PgPool) -> Self {
        Self { platform, cached: Arc::default() }
    }

    /// Returns the settings of a bucket, or `None` if the project has no such bucket.
    pub(crate) async fn get(&self, project_id: &str, bucket: &str) -> ApiResult<Option<BucketSettings>> {
        let is_fresh = |(read_at, _): &Cached| read_at.elapsed() < MAX_AGE;
        if let Some((_, buckets)) = self.cached.get(project_id).filter(is_fresh) {
            return Ok(buckets.get(bucket).copied());
        }
        // The time is taken before the query, because the result may lack a change that is committed while the query
        // runs.
        let (read_at, reading) = (Instant::now(), self.cached.begin_read());
        let buckets = Arc::new(queries::settings_by_bucket(&self.platform, project_id).await?);
        let settings = buckets.get(bucket).copied();
        self.cached.trim(MAX_PROJECTS, is_fresh);
        self.cached.store(reading, project_id.to_owned(), (read_at, buckets));
        Ok(settings)
    }

    pub(crate) fn invalidate(&self, project_id: &str) {
        self.cached.forget(project_id);
    }
}
