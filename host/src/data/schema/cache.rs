use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use dashmap::DashMap;
use tokio::sync::{Mutex, MutexGuard};

use crate::db::{DbRole, ProjectPools};

use super::{
    Schema,
    load::{LoadError, fingerprint, load},
};

/// How old a schema may be before a request looks whether it changed.
const FRESH: Duration = Duration::from_secs(1);
/// How old it may be for requests that meet another one looking.
const USABLE_DURING_CHECK: Duration = Duration::from_secs(2);
/// Requests that name unknown things look at most this often.
const EARLIEST_RECHECK: Duration = Duration::from_millis(100);
/// Projects kept; beyond it, idle ones go.
const MAX_PROJECTS: usize = 256;
const IDLE: Duration = Duration::from_secs(600);

/// The schemas in use, each checked against the catalogue at most once a second and only while requests come.
///
/// A stale schema is never unsafe: Postgres checks names, types and privileges itself at every statement.
pub struct SchemaCache {
    pools: ProjectPools,
    projects: DashMap<Box<str>, Arc<Entry>>,
    /// Times are milliseconds since then.
    epoch: Instant,
}

#[derive(Default)]
struct Entry {
    /// By `DbRole as usize`.
    schemas: [ArcSwapOption<Schema>; DbRole::ALL.len()],
    /// The newest fingerprint known.
    version: ArcSwap<String>,
    checked_at: AtomicU64,
    used_at: AtomicU64,
    /// Held by the one request that asks the catalogue.
    check: Mutex<()>,
}

/// Why a request wants a newer schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// A client named something unknown; it may simply not exist.
    UnknownName,
    /// Postgres refused a statement that fitted the schema.
    Refused,
}

impl SchemaCache {
    pub fn new(pools: ProjectPools) -> Self {
        Self { pools, projects: DashMap::new(), epoch: Instant::now() }
    }

    /// The schema as the role sees it, at most about a second old.
    pub async fn get(&self, project: &str, role: DbRole) -> Result<Arc<Schema>, LoadError> {
        let entry = self.entry(project);
        if let Some(schema) = entry.current(role) {
            let age = self.age(&entry);
            if age < FRESH {
                return Ok(schema);
            }
            if age < USABLE_DURING_CHECK {
                return match entry.check.try_lock() {
                    Ok(guard) => self.check(&entry, project, role, FRESH, guard).await,
                    Err(_) => Ok(schema),
                };
            }
        }
        let guard = entry.check.lock().await;
        self.check(&entry, project, role, FRESH, guard).await
    }

    /// A schema newer than `seen`, if there is one.
    pub async fn newer(
        &self,
        project: &str,
        role: DbRole,
        seen: &Schema,
        evidence: Evidence,
    ) -> Result<Option<Arc<Schema>>, LoadError> {
        let entry = self.entry(project);
        let arrived = self.now();
        let guard = entry.check.lock().await;
        let max_age = match evidence {
            // Somebody looked since: what they found is new enough for this request, too.
            Evidence::UnknownName if entry.checked_at.load(Ordering::Relaxed) > arrived => EARLIEST_RECHECK,
            // Too soon to look again: the name may be new all the same, so the request waits for its turn.
            Evidence::UnknownName => {
                tokio::time::sleep(EARLIEST_RECHECK.saturating_sub(self.age(&entry))).await;
                Duration::ZERO
            }
            Evidence::Refused => Duration::ZERO,
        };
        let schema = self.check(&entry, project, role, max_age, guard).await?;
        Ok((schema.version != seen.version).then_some(schema))
    }

    /// Drops what is known of a project that was deleted or replaced.
    pub fn forget(&self, project: &str) {
        self.projects.remove(project);
    }

    async fn check(
        &self,
        entry: &Entry,
        project: &str,
        role: DbRole,
        max_age: Duration,
        _guard: MutexGuard<'_, ()>,
    ) -> Result<Arc<Schema>, LoadError> {
        let started = self.now();
        if let Some(schema) = entry.current(role) {
            if self.age(entry) < max_age {
                return Ok(schema);
            }
            let found = fingerprint(&self.pools, project).await;
            // Also after a failure, so that not every request of an outage waits for a check of its own.
            entry.checked_at.store(started, Ordering::Relaxed);
            match found {
                Ok(version) if version == schema.version => return Ok(schema),
                Ok(version) => entry.version.store(Arc::new(version)),
                Err(error) => {
                    tracing::warn!(project, %error, "schema not checked; going on with the last one");
                    return Ok(schema);
                }
            }
        }
        let schema = Arc::new(load(&self.pools, project, role).await?);
        entry.version.store(Arc::new(schema.version.clone()));
        entry.schemas[role as usize].store(Some(schema.clone()));
        entry.checked_at.store(started, Ordering::Relaxed);
        Ok(schema)
    }

    fn entry(&self, project: &str) -> Arc<Entry> {
        let found = self.projects.get(project).map(|entry| entry.value().clone());
        let entry = found.unwrap_or_else(|| {
            self.make_room();
            self.projects.entry(project.into()).or_default().value().clone()
        });
        entry.used_at.store(self.now(), Ordering::Relaxed);
        entry
    }

    fn make_room(&self) {
        if self.projects.len() < MAX_PROJECTS {
            return;
        }
        let idle_before = self.now().saturating_sub(IDLE.as_millis() as u64);
        self.projects.retain(|_, entry| entry.used_at.load(Ordering::Relaxed) >= idle_before);
        if self.projects.len() < MAX_PROJECTS {
            return;
        }
        let longest_unused = self
            .projects
            .iter()
            .min_by_key(|entry| entry.used_at.load(Ordering::Relaxed))
            .map(|entry| entry.key().clone());
        if let Some(project) = longest_unused {
            self.projects.remove(&project);
        }
    }

    fn now(&self) -> u64 {
        self.epoch.elapsed().as_millis() as u64
    }

    fn age(&self, entry: &Entry) -> Duration {
        Duration::from_millis(self.now().saturating_sub(entry.checked_at.load(Ordering::Relaxed)))
    }
}

impl Entry {
    /// The role's schema unless something is known to have changed since.
    fn current(&self, role: DbRole) -> Option<Arc<Schema>> {
        self.schemas[role as usize].load_full().filter(|schema| schema.version == **self.version.load())
    }
}
