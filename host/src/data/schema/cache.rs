//! Caches the schemas in use.

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

use crate::{
    db::{DbRole, ProjectPools},
    error::describe_cause,
};

use super::{
    Schema,
    load::{LoadError, fingerprint, load},
    privileges, usage,
};

/// Age at which a request checks whether the schema changed.
const CHECK_AGE: Duration = Duration::from_millis(500);
/// Maximum age of a schema that is used while another request checks it.
const MAX_AGE_DURING_CHECK: Duration = Duration::from_secs(1);
/// The time of the cache's creation. A schema checked at the time [`EXPIRED`] is always too old to be used.
const FIRST_TIME: Duration = MAX_AGE_DURING_CHECK;
const EXPIRED: u64 = 0;
/// Minimum interval between checks due to unknown names.
const MIN_RECHECK_INTERVAL: Duration = Duration::from_millis(100);
/// Maximum number of cached projects. When it is reached, idle projects are evicted; if there are none, the least
/// recently used one.
const MAX_PROJECTS: usize = 256;
/// Time without a request after which a project is idle.
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);

/// The schemas in use. Each is checked against the catalogue about twice a second, and only while there are requests.
/// Requests that may have failed because of an old schema cause further checks.
///
/// A stale schema is safe: Postgres checks names, types and privileges for every statement.
pub struct SchemaCache {
    pools: ProjectPools,
    projects: DashMap<Box<str>, Arc<Entry>>,
    /// Times are in milliseconds. Their zero is [`FIRST_TIME`] before this instant.
    epoch: Instant,
}

#[derive(Default)]
struct Entry {
    /// Indexed by `DbRole as usize`.
    schemas: [ArcSwapOption<Schema>; DbRole::ALL.len()],
    /// The newest fingerprint known.
    version: ArcSwap<String>,
    /// Set by [`Self::set_checked`] and [`Self::expire`].
    checked_at: AtomicU64,
    /// Number of times that the schemas expired.
    expirations: AtomicU64,
    used_at: AtomicU64,
    /// Held by the request that queries the catalogue.
    check: Mutex<()>,
}

/// The reason why a request asks for a newer schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshReason {
    /// The request uses an unknown name or lacks a privilege. A newer schema may not change that, so checks for this
    /// reason are rate-limited.
    UnknownName,
    /// Postgres rejected a statement that was valid for the schema.
    StatementRejected,
}

impl SchemaCache {
    pub fn new(pools: ProjectPools) -> Self {
        Self { pools, projects: DashMap::new(), epoch: Instant::now() }
    }

    /// Returns the schema as the role sees it. It is at most half a second old, or a second while another request
    /// checks it. If the check fails, the cached schema is returned, however old it is.
    ///
    /// # Errors
    /// Fails if the schema, or a newer version of it, can't be loaded.
    pub async fn get(&self, project: &str, role: DbRole) -> Result<Arc<Schema>, LoadError> {
        let entry = self.entry(project);
        if let Some(schema) = entry.current(role) {
            let age = self.age(&entry);
            if age < CHECK_AGE {
                return Ok(schema);
            }
            if age < MAX_AGE_DURING_CHECK {
                return match entry.check.try_lock() {
                    Ok(guard) => Box::pin(self.check(&entry, project, role, CHECK_AGE, guard)).await,
                    Err(_) => Ok(schema),
                };
            }
        }
        let guard = entry.check.lock().await;
        Box::pin(self.check(&entry, project, role, CHECK_AGE, guard)).await
    }

    /// Returns a schema newer than `seen`, if there is one.
    ///
    /// # Errors
    /// Fails if the newer schema can't be loaded.
    pub async fn newer(
        &self,
        project: &str,
        role: DbRole,
        seen: &Schema,
        reason: RefreshReason,
    ) -> Result<Option<Arc<Schema>>, LoadError> {
        let entry = self.entry(project);
        let arrived = self.now();
        let guard = entry.check.lock().await;
        let max_age = match reason {
            // Another request checked in the meantime; its result is new enough.
            RefreshReason::UnknownName if entry.checked_at.load(Ordering::Relaxed) > arrived => MIN_RECHECK_INTERVAL,
            // The last check may have run before the name was created: wait until the next one is allowed.
            RefreshReason::UnknownName => {
                tokio::time::sleep(MIN_RECHECK_INTERVAL.saturating_sub(self.age(&entry))).await;
                Duration::ZERO
            }
            RefreshReason::StatementRejected => Duration::ZERO,
        };
        let schema = Box::pin(self.check(&entry, project, role, max_age, guard)).await?;
        Ok((schema.version != seen.version).then_some(schema))
    }

    /// Lets the next request check the project's schemas, because SQL may have changed them. Unlike [`Self::forget`],
    /// this function keeps the schemas for the comparison with the new ones.
    pub fn expire(&self, project: &str) {
        if let Some(entry) = self.projects.get(project) {
            entry.expire();
        }
    }

    /// Drops the schemas of a project that was deleted, or whose database was replaced.
    pub fn forget(&self, project: &str) {
        self.projects.remove(project);
    }

    /// Returns the cached schema if it was checked less than `max_age` ago, has not changed, or can't be checked.
    /// Otherwise loads the schema.
    ///
    /// The callers box the future, because few requests check the schema and need its space.
    async fn check(
        &self,
        entry: &Entry,
        project: &str,
        role: DbRole,
        max_age: Duration,
        _guard: MutexGuard<'_, ()>,
    ) -> Result<Arc<Schema>, LoadError> {
        let (started, expirations) = (self.now(), entry.expirations.load(Ordering::SeqCst));
        if let Some(schema) = entry.current(role) {
            if self.age(entry) < max_age {
                return Ok(schema);
            }
            let version = fingerprint(&self.pools, project).await;
            // The time is set after a failure too, so that not every request waits for a check during an outage.
            entry.set_checked(started, expirations);
            match version {
                Ok(version) if version == schema.version => return Ok(schema),
                Ok(version) => entry.version.store(Arc::new(version)),
                Err(error) => {
                    let cause = describe_cause(&error);
                    tracing::warn!(project, cause, "could not check the schema; using the cached one");
                    return Ok(schema);
                }
            }
        }
        let mut schema = load(&self.pools, project, role).await?;
        if schema.lacks_privileges && privileges::grant(&self.pools, project).await? {
            schema = load(&self.pools, project, role).await?;
        }
        if !schema.unusable_schemas.is_empty()
            && usage::grant(&self.pools, project, role, &schema.unusable_schemas).await?
        {
            schema = load(&self.pools, project, role).await?;
        }
        let schema = Arc::new(schema);
        let previous = entry.schemas[role as usize].swap(Some(schema.clone()));
        entry.version.store(Arc::new(schema.version.clone()));
        // With the previous schema, statements that run the additional code shared connections, whose sessions it may
        // have changed. The new schema is stored first, so no such statement shares one of the new connections.
        if previous.is_some_and(|previous| schema.runs_more_code_than(&previous)) {
            self.pools.renew(project, role);
        }
        entry.set_checked(started, expirations);
        Ok(schema)
    }

    fn entry(&self, project: &str) -> Arc<Entry> {
        let existing = self.projects.get(project).map(|entry| entry.value().clone());
        let entry = existing.unwrap_or_else(|| {
            self.evict_if_full();
            self.projects.entry(project.into()).or_default().value().clone()
        });
        entry.used_at.store(self.now(), Ordering::Relaxed);
        entry
    }

    fn evict_if_full(&self) {
        if self.projects.len() < MAX_PROJECTS {
            return;
        }
        let idle_before = self.now().saturating_sub(IDLE_TIMEOUT.as_millis() as u64);
        self.projects.retain(|_, entry| entry.used_at.load(Ordering::Relaxed) >= idle_before);
        if self.projects.len() < MAX_PROJECTS {
            return;
        }
        let least_recently_used = self
            .projects
            .iter()
            .min_by_key(|entry| entry.used_at.load(Ordering::Relaxed))
            .map(|entry| entry.key().clone());
        if let Some(project) = least_recently_used {
            self.projects.remove(&project);
        }
    }

    fn now(&self) -> u64 {
        (self.epoch.elapsed() + FIRST_TIME).as_millis() as u64
    }

    fn age(&self, entry: &Entry) -> Duration {
        Duration::from_millis(self.now().saturating_sub(entry.checked_at.load(Ordering::Relaxed)))
    }
}

impl Entry {
    /// Returns the role's schema, unless a newer version is known.
    fn current(&self, role: DbRole) -> Option<Arc<Schema>> {
        self.schemas[role as usize].load_full().filter(|schema| schema.version == **self.version.load())
    }

    /// Makes the schemas too old to be used without a check.
    fn expire(&self) {
        self.expirations.fetch_add(1, Ordering::SeqCst);
        self.checked_at.store(EXPIRED, Ordering::SeqCst);
    }

    /// Stores the time of a check. `expirations` is the number of expirations at the start of the check. If the schemas
    /// expired during the check, the check may not have seen the change, so they stay expired.
    fn set_checked(&self, started: u64, expirations: u64) {
        self.checked_at.store(started, Ordering::SeqCst);
        if self.expirations.load(Ordering::SeqCst) != expirations {
            self.checked_at.store(EXPIRED, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_that_expire_during_a_check_stay_expired() {
        let entry = Entry::default();
        let expirations = entry.expirations.load(Ordering::SeqCst);
        entry.set_checked(2000, expirations);
        assert_eq!(entry.checked_at.load(Ordering::SeqCst), 2000);
        entry.expire();
        entry.set_checked(3000, expirations);
        assert_eq!(entry.checked_at.load(Ordering::SeqCst), EXPIRED);
        entry.set_checked(4000, expirations + 1);
        assert_eq!(entry.checked_at.load(Ordering::SeqCst), 4000);
    }
}
