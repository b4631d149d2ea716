//! A cache of valid keys. An entry is used for at most a second before the platform database is queried again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use api_types::{KeyType, ProjectState};
use chrono::{DateTime, Utc};
use dashmap::DashMap;
use sqlx::{PgPool, postgres::PgListener};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{api_keys, queries, usage::KeyUsage};
use crate::{
    db::Availability,
    error::{ApiError, ApiResult, Code},
    projects::{ProjectRef, row_cache::RowCache},
    secrets,
};

/// Maximum age of an entry. An older entry is read again before it is used.
const MAX_AGE: Duration = Duration::from_millis(1000);
/// Age from which an entry is read again in the background, so that no request waits for it.
const REFRESH_AGE: Duration = Duration::from_millis(500);
/// Precision of `last_used_at`.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);
/// Time limit for looking up a key. A request whose lookup takes longer is refused with 503.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum number of lookups that requests wait for at the same time, so that unknown keys don't fill the queue for the
/// platform database.
const MAX_LOOKUPS: usize = 32;
/// Maximum time that a lookup waits for other lookups before it fails with 503.
const LOOKUP_PERMIT_TIMEOUT: Duration = Duration::from_secs(1);
const LISTEN_RETRY_DELAY: Duration = Duration::from_secs(1);

/// A valid key.
#[derive(Debug)]
pub(in crate::projects) struct CachedKey {
    pub key_id: Uuid,
    pub key_type: KeyType,
    pub project: Arc<ProjectRef>,
    hash: [u8; 32],
    expires_at: Option<DateTime<Utc>>,
    checked_at: Instant,
    touched_at: Option<Instant>,
    refreshing: AtomicBool,
    /// Number of requests that this node has not stored yet.
    requests: Arc<AtomicU64>,
}

/// Valid keys that were used recently, by their hash.
#[derive(Clone)]
pub struct KeyCache {
    platform: PgPool,
    availability: Availability,
    keys: Arc<RowCache<[u8; 32], Arc<CachedKey>>>,
    /// Lets one request at a time look up a key; the others wait for its result.
    lookups: Arc<Lookups>,
    lookup_permits: Arc<Semaphore>,
    usage: KeyUsage,
}

/// The lookups that requests wait for, by the hash of the key.
type Lookups = DashMap<[u8; 32], Arc<tokio::sync::Mutex<Lookup>>>;

/// State shared by the requests that wait for a lookup.
#[derive(Default)]
struct Lookup {
    /// The error of the last lookup if it did not determine whether the key is valid, and the time of the error.
    failure: Option<(Instant, ApiError)>,
}

/// Dropping this value removes the lookup if no request waits for it.
struct UnusedLookupRemoval<'a> {
    lookups: &'a Lookups,
    hash: [u8; 32],
}

impl Drop for UnusedLookupRemoval<'_> {
    fn drop(&mut self) {
        self.lookups.remove_if(&self.hash, |_, lock| Arc::strong_count(lock) == 1);
    }
}

impl KeyCache {
    pub fn new(platform: PgPool, availability: Availability) -> Self {
        let lookup_permits = Arc::new(Semaphore::new(MAX_LOOKUPS));
        Self {
            platform,
            availability,
            keys: Arc::default(),
            lookups: Arc::default(),
            lookup_permits,
            usage: KeyUsage::default(),
        }
    }

    /// Returns a valid key, and counts the request.
    ///
    /// # Errors
    /// Returns 401 if the key is not valid, and 503 if that can't be determined.
    pub(in crate::projects) async fn check(&self, key: &str) -> ApiResult<Arc<CachedKey>> {
        let cached = self.find(key).await?;
        cached.requests.fetch_add(1, Ordering::Relaxed);
        Ok(cached)
    }

    async fn find(&self, key: &str) -> ApiResult<Arc<CachedKey>> {
        if !api_keys::is_well_formed(key) {
            return Err(invalid_key());
        }
        let hash = secrets::sha256(key.as_bytes());
        if let Some(cached) = self.fresh_entry(&hash) {
            if cached.checked_at.elapsed() > REFRESH_AGE && !cached.refreshing.swap(true, Ordering::Relaxed) {
                let this = self.clone();
                tokio::spawn(async move {
                    // If this fails, the next request that finds no fresh entry reports the error.
                    let _ = this.look_up(hash).await;
                });
            }
            return Ok(cached);
        }
        // Dropped after `lock`, because variables are dropped in reverse order, also if the request is cancelled.
        let _removal = UnusedLookupRemoval { lookups: &self.lookups, hash };
        let lock = self.lookups.entry(hash).or_default().clone();
        // Boxed, because most keys are cached, and their requests don't need the future's space.
        Box::pin(self.look_up_once(hash, &lock)).await
    }

    /// Looks up the key, unless a lookup of another request has found it, or has failed, while this request waited.
    async fn look_up_once(&self, hash: [u8; 32], lookup: &tokio::sync::Mutex<Lookup>) -> ApiResult<Arc<CachedKey>> {
        let arrived_at = Instant::now();
        let mut lookup = lookup.lock().await;
        if let Some(cached) = self.fresh_entry(&hash) {
            return Ok(cached);
        }
        if let Some((failed_at, failure)) = &lookup.failure
            && *failed_at >= arrived_at
        {
            return Err(failure.clone());
        }
        let result = match tokio::time::timeout(LOOKUP_PERMIT_TIMEOUT, self.lookup_permits.acquire()).await {
            Ok(_permit) => self.look_up(hash).await,
            Err(_) => Err(ApiError::new(Code::Overloaded, "Too many API keys are being checked.")
                .with_hint("Try again in a moment.")),
        };
        lookup.failure = match &result {
            Err(failure) if failure.status().is_server_error() => Some((Instant::now(), failure.clone())),
            _ => None,
        };
        result
    }

    fn fresh_entry(&self, hash: &[u8; 32]) -> Option<Arc<CachedKey>> {
        let cached = self.keys.get(hash)?;
        let fresh = cached.checked_at.elapsed() < MAX_AGE
            && cached.expires_at.is_none_or(|at| at > Utc::now())
            && secrets::constant_time_eq(&cached.hash, hash);
        fresh.then_some(cached)
    }

    async fn look_up(&self, hash: [u8; 32]) -> ApiResult<Arc<CachedKey>> {
        let (checked_at, reading) = (Instant::now(), self.keys.begin_read());
        let valid_key = tokio::time::timeout(LOOKUP_TIMEOUT, queries::valid_key(&self.platform, &hash));
        let row = match self.availability.guard(valid_key).await? {
            Ok(Ok(row)) => row,
            Ok(Err(error)) => return Err(error.into()),
            Err(elapsed) => return Err(ApiError::unavailable("The platform database", elapsed)),
        };
        let Some(row) = row.filter(|row| secrets::constant_time_eq(&row.hash, &hash)) else {
            self.keys.remove(&hash);
            return Err(invalid_key());
        };
        let previous = self.keys.get(&hash);
        let touched_at = previous.as_ref().and_then(|cached| cached.touched_at);
        let touch = touched_at.is_none_or(|at| at.elapsed() > TOUCH_INTERVAL)
            && row.last_used_at.is_none_or(|at| (Utc::now() - at).num_seconds() >= TOUCH_INTERVAL.as_secs() as i64);
        if touch {
            self.touch(row.key_id);
        }
        // Requests of the public surface don't need the last four fields.
        let project = ProjectRef {
            id: row.project_id,
            name: row.project_name,
            state: ProjectState::Ready,
            cors_origins: row.cors_origins,
            created_at: row.project_created_at,
            updated_at: row.project_updated_at,
            delete_after_run: None,
            delete_problem: None,
            protected: false,
            note: String::new(),
        };
        let cached = Arc::new(CachedKey {
            key_id: row.key_id,
            key_type: row.key_type,
            project: previous
                .map(|cached| cached.project.clone())
                .filter(|previous| **previous == project)
                .unwrap_or_else(|| project.into()),
            hash,
            expires_at: row.expires_at,
            checked_at,
            touched_at: if touch { Some(checked_at) } else { touched_at },
            refreshing: AtomicBool::new(false),
            requests: self.usage.counter(row.key_id),
        });
        self.keys.store(reading, hash, cached.clone());
        Ok(cached)
    }

    /// Updates `last_used_at` in the background.
    fn touch(&self, id: Uuid) {
        let platform = self.platform.clone();
        tokio::spawn(async move {
            if let Err(error) = queries::touch_key(&platform, id).await
                && !platform.is_closed()
            {
                tracing::warn!(key = %id, %error, "could not update the last use of an API key");
            }
        });
    }

    /// Stores the counts of requests for as long as the process runs.
    pub async fn store_usage_regularly(self) {
        self.usage.store_regularly(&self.platform).await;
    }

    /// Stores the counts of requests that are not stored yet.
    pub async fn store_usage(&self) {
        self.usage.store(&self.platform).await;
    }

    /// Removes a key from the cache.
    pub(super) fn forget(&self, hash: &[u8]) {
        if let Ok(hash) = <[u8; 32]>::try_from(hash) {
            self.keys.forget(&hash);
        }
    }

    /// Removes every key of a project from the cache.
    pub fn forget_project(&self, project: &str) {
        self.keys.forget_if(|cached| cached.project.id == project);
    }

    /// Removes keys from the cache when other nodes change them, for as long as the process runs. Reconnects when the
    /// connection is lost. In the meantime, entries are used for at most [`MAX_AGE`].
    pub async fn listen(self) {
        loop {
            let error = match self.listen_once().await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            tracing::debug!(%error, "lost the connection that listens for changed API keys; reconnecting");
            self.keys.forget_if(|_| true);
            tokio::time::sleep(LISTEN_RETRY_DELAY).await;
        }
    }

    async fn listen_once(&self) -> Result<std::convert::Infallible, sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.platform).await?;
        listener.listen(queries::CHANNEL).await?;
        self.keys.forget_if(|_| true);
        loop {
            let notification = listener.recv().await?;
            let payload = notification.payload();
            match payload.strip_prefix("project:") {
                Some(project) => self.forget_project(project),
                None => {
                    if let Ok(hash) = hex::decode(payload) {
                        self.forget(&hash);
                    }
                }
            }
        }
    }
}

fn invalid_key() -> ApiError {
    ApiError::new(Code::Unauthorized, "The API key is not valid.")
        .with_hint("Send a key of the project that is neither revoked nor expired in the header `x-api-key`.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[tokio::test]
    async fn cancelled_request_leaves_no_lookup_behind() {
        // This server accepts connections, but never responds.
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("postgres://hub@{}/platform", server.local_addr().unwrap());
        let availability = Availability::watch(&Secret::new(url.as_str())).unwrap();
        let cache = KeyCache::new(PgPool::connect_lazy(&url).unwrap(), availability);
        let key = api_keys::generate_key(KeyType::Secret);
        assert!(tokio::time::timeout(Duration::ZERO, cache.find(&key)).await.is_err());
        assert!(cache.lookups.is_empty());
    }
}
