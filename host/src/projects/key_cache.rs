//! Which keys work: the platform database's word, at most a second old.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use api_types::{KeyType, ProjectState};
use chrono::{DateTime, Utc};
use dashmap::DashMap;
use sqlx::{PgPool, postgres::PgListener};
use uuid::Uuid;

use super::{ProjectRef, RateLimits, keys, queries, rate_limit::Limiter};
use crate::{
    error::{ApiError, ApiResult, Code},
    secrets,
};

/// What was read so long ago is read again before it is believed.
const MAX_AGE: Duration = Duration::from_millis(1000);
/// What was read so long ago is read again in the background, so that no request has to wait.
const REFRESH_AGE: Duration = Duration::from_millis(500);
/// `last_used_at` is exact to this.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60);
/// A lookup waits no longer: a key that can't be checked gives 503, not access.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);

/// A key that works.
#[derive(Debug)]
pub(super) struct KnownKey {
    pub key_id: Uuid,
    pub key_type: KeyType,
    pub project: Arc<ProjectRef>,
    pub limiter: Option<Arc<Limiter>>,
    hash: [u8; 32],
    expires_at: Option<DateTime<Utc>>,
    checked_at: Instant,
    touched_at: Option<Instant>,
    refreshing: AtomicBool,
}

/// Keys seen lately.
#[derive(Clone)]
pub struct KeyCache {
    platform: PgPool,
    limits: RateLimits,
    known: Arc<DashMap<[u8; 32], Arc<KnownKey>>>,
    looking_up: Arc<DashMap<[u8; 32], Arc<tokio::sync::Mutex<()>>>>,
}

impl KeyCache {
    pub fn new(platform: PgPool, limits: RateLimits) -> Self {
        Self { platform, limits, known: Arc::default(), looking_up: Arc::default() }
    }

    /// The key, if it works; else 401. 503 where that can't be found out.
    pub(super) async fn check(&self, key: &str) -> ApiResult<Arc<KnownKey>> {
        if !keys::is_well_formed(key) {
            return Err(refused());
        }
        let hash = secrets::sha256(key.as_bytes());
        if let Some(known) = self.fresh(&hash) {
            if known.checked_at.elapsed() > REFRESH_AGE && !known.refreshing.swap(true, Ordering::Relaxed) {
                let this = self.clone();
                tokio::spawn(async move {
                    // A failure shows itself at the next request that needs a fresh answer.
                    let _ = this.look_up(hash).await;
                });
            }
            return Ok(known);
        }
        let turn = self.looking_up.entry(hash).or_default().clone();
        let result = {
            let _turn = turn.lock().await;
            match self.fresh(&hash) {
                Some(known) => Ok(known),
                None => self.look_up(hash).await,
            }
        };
        self.looking_up.remove_if(&hash, |_, turn| Arc::strong_count(turn) <= 2);
        result
    }

    fn fresh(&self, hash: &[u8; 32]) -> Option<Arc<KnownKey>> {
        let known = self.known.get(hash)?;
        let fresh = known.checked_at.elapsed() < MAX_AGE
            && known.expires_at.is_none_or(|at| at > Utc::now())
            && secrets::constant_time_eq(&known.hash, hash);
        fresh.then(|| known.clone())
    }

    async fn look_up(&self, hash: [u8; 32]) -> ApiResult<Arc<KnownKey>> {
        let checked_at = Instant::now();
        let row = match tokio::time::timeout(LOOKUP_TIMEOUT, queries::live_key(&self.platform, &hash)).await {
            Ok(result) => result.map_err(|error| ApiError::unavailable("The platform database", error))?,
            Err(elapsed) => return Err(ApiError::unavailable("The platform database", elapsed)),
        };
        let Some(row) = row.filter(|row| secrets::constant_time_eq(&row.hash, &hash)) else {
            self.known.remove(&hash);
            return Err(refused());
        };
        let before = self.known.get(&hash).map(|known| known.clone());
        let touched_at = before.as_ref().and_then(|known| known.touched_at);
        let touch = touched_at.is_none_or(|at| at.elapsed() > TOUCH_INTERVAL)
            && row.last_used_at.is_none_or(|at| (Utc::now() - at).num_seconds() >= TOUCH_INTERVAL.as_secs() as i64);
        if touch {
            let (platform, id) = (self.platform.clone(), row.key_id);
            tokio::spawn(async move {
                if let Err(error) = queries::touch_key(&platform, id).await {
                    tracing::warn!(%error, "a key's last use could not be noted");
                }
            });
        }
        let key_type = queries::parse_key_type(&row.key_type);
        let project = ProjectRef {
            id: row.project_id,
            name: row.project_name,
            state: ProjectState::Ready,
            cors_origins: row.cors_origins,
            created_at: row.project_created_at,
            updated_at: row.project_updated_at,
            delete_after_run: None,
            delete_problem: None,
        };
        let known = Arc::new(KnownKey {
            key_id: row.key_id,
            key_type,
            limiter: self.limits.limiter(&project.id, key_type),
            project: before
                .map(|known| known.project.clone())
                .filter(|before| **before == project)
                .unwrap_or_else(|| project.into()),
            hash,
            expires_at: row.expires_at,
            checked_at,
            touched_at: if touch { Some(checked_at) } else { touched_at },
            refreshing: AtomicBool::new(false),
        });
        self.known.insert(hash, known.clone());
        Ok(known)
    }

    /// Forgets a key, which is then looked up anew.
    pub(super) fn forget(&self, hash: &[u8]) {
        if let Ok(hash) = <[u8; 32]>::try_from(hash) {
            self.known.remove(&hash);
        }
    }

    /// Forgets every key of a project.
    pub fn forget_project(&self, project: &str) {
        self.known.retain(|_, known| known.project.id != project);
    }

    /// Hears what other nodes revoke. Runs until the process ends; a lost connection is opened again, and the
    /// check within a second covers the gap.
    pub async fn listen(self) {
        loop {
            let error = match self.listen_once().await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            tracing::debug!(%error, "listening for revoked keys was interrupted");
            self.known.clear();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn listen_once(&self) -> Result<std::convert::Infallible, sqlx::Error> {
        let mut listener = PgListener::connect_with(&self.platform).await?;
        listener.listen("atlashub_keys").await?;
        self.known.clear();
        loop {
            let notification = listener.recv().await?;
            match notification.payload().strip_prefix("project:") {
                Some(project) => self.forget_project(project),
                None => self.known.retain(|hash, _| hex(hash) != notification.payload()),
            }
        }
    }
}

fn refused() -> ApiError {
    ApiError::new(Code::Unauthorized, "The API key is not valid.")
        .with_hint("Send one of the project's keys, not revoked and not expired, in the header `x-api-key`.")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
