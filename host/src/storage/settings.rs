use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use api_types::BucketAccess;
use dashmap::DashMap;
use sqlx::PgPool;

use super::queries;
use crate::error::ApiResult;

/// A change on another node is seen after at most this long; one on this node at once.
const MAX_AGE: Duration = Duration::from_secs(1);
/// Projects that nobody asked for in a while are dropped once there are so many.
const MANY_PROJECTS: usize = 1000;

/// What signing needs to know of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BucketSettings {
    pub publishable: BucketAccess,
    pub signed_in: BucketAccess,
    pub max_object_bytes: i64,
}

pub(super) type ProjectBuckets = HashMap<String, BucketSettings>;

/// Buckets' settings, read again when they are a second old.
#[derive(Clone)]
pub(super) struct SettingsCache {
    platform: PgPool,
    projects: Arc<DashMap<String, Entry>>,
    /// Counts changes, so that an answer read before one is not kept after it.
    changes: Arc<AtomicU64>,
}

struct Entry {
    read_at: Instant,
    buckets: Arc<ProjectBuckets>,
}

impl SettingsCache {
    pub(super) fn new(platform: PgPool) -> Self {
        Self { platform, projects: Arc::default(), changes: Arc::default() }
    }

    /// Settings of one bucket; none where the project has no such bucket.
    pub(super) async fn bucket(&self, project: &str, bucket: &str) -> ApiResult<Option<BucketSettings>> {
        if let Some(entry) = self.projects.get(project)
            && entry.read_at.elapsed() < MAX_AGE
        {
            return Ok(entry.buckets.get(bucket).copied());
        }
        // From before the query: what changes while it runs may or may not be in its answer.
        let read_at = Instant::now();
        let changes = self.changes.load(Ordering::SeqCst);
        let buckets = Arc::new(queries::bucket_settings(&self.platform, project).await?);
        let settings = buckets.get(bucket).copied();
        if self.projects.len() > MANY_PROJECTS {
            self.projects.retain(|_, entry| entry.read_at.elapsed() < MAX_AGE);
        }
        let entry = self.projects.entry(project.to_owned());
        // Under the entry's lock, which `forget` takes after counting.
        if self.changes.load(Ordering::SeqCst) == changes {
            entry.insert(Entry { read_at, buckets });
        }
        Ok(settings)
    }

    pub(super) fn forget(&self, project: &str) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.projects.remove(project);
    }
}
