//! The settings of end-user login, with a cache for the gate.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{PgExecutor, PgPool};

use super::row_cache::RowCache;
use crate::error::{ApiError, ApiResult, Code};

/// Maximum age of cached settings, so that other nodes notice a change within this time.
const MAX_CACHE_AGE: Duration = Duration::from_secs(1);

/// A project's stored settings of end-user login.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct StoredAuthSettings {
    pub enabled: bool,
    pub allow_signup: bool,
    pub require_verified_email: bool,
    pub allow_magic_link: bool,
    pub access_token_seconds: i32,
    pub refresh_token_days: i32,
    pub password_min_length: i32,
    pub check_session: bool,
    pub site_url: Option<String>,
    /// `None` for the default, which [`super::UserTokens`] provides.
    pub issuer: Option<String>,
    pub verify_path: String,
    pub reset_path: String,
    pub magic_link_path: String,
    #[sqlx(json)]
    pub mail_texts: api_types::MailTexts,
}

/// Settings, and the time at which they were read.
type Cached = (Instant, Option<Arc<StoredAuthSettings>>);

/// The settings of projects, cached for a second.
#[derive(Clone)]
pub struct AuthSettingsCache {
    platform: PgPool,
    cached: Arc<RowCache<String, Cached>>,
}

impl AuthSettingsCache {
    pub fn new(platform: PgPool) -> Self {
        Self { platform, cached: Arc::default() }
    }

    /// Returns the settings of an existing project, or `None` if they were never changed.
    ///
    /// # Errors
    /// Returns 503 if Postgres can't be reached.
    pub async fn get(&self, project: &str) -> ApiResult<Option<Arc<StoredAuthSettings>>> {
        if let Some((read_at, settings)) = self.cached.get(project)
            && read_at.elapsed() < MAX_CACHE_AGE
        {
            return Ok(settings);
        }
        let (read_at, reading) = (Instant::now(), self.cached.begin_read());
        // Boxed, because most requests find the settings in the cache and don't need the future's space.
        let settings = Box::pin(stored(&self.platform, project)).await?.map(Arc::new);
        self.cached.store(reading, project.to_owned(), (read_at, settings.clone()));
        Ok(settings)
    }

    /// Returns the settings of an existing project whose login is on.
    ///
    /// # Errors
    /// Returns 404 `auth_disabled` if login is off, and 503 if Postgres can't be reached.
    pub async fn enabled(&self, project: &str) -> ApiResult<Arc<StoredAuthSettings>> {
        self.get(project).await?.filter(|settings| settings.enabled).ok_or_else(|| {
            ApiError::new(Code::AuthDisabled, "End-user login is off for this project.")
                .with_hint("The owner can switch it on in the project's settings.")
        })
    }

    /// Removes a project from the cache.
    pub fn forget(&self, project: &str) {
        self.cached.forget(project);
    }
}

async fn stored(platform: &PgPool, project: &str) -> Result<Option<StoredAuthSettings>, sqlx::Error> {
    crate::db::platform::retry_stale(|| read_auth_settings(platform, project)).await
}

/// Reads a project's settings without the cache. Returns `None` if they were never changed.
///
/// # Errors
/// Returns the error of the statement.
pub async fn read_auth_settings(
    db: impl PgExecutor<'_>,
    project: &str,
) -> Result<Option<StoredAuthSettings>, sqlx::Error> {
    sqlx::query_as(
        "SELECT enabled, allow_signup, require_verified_email, allow_magic_link, access_token_seconds,
             refresh_token_days, password_min_length, check_session, site_url, issuer, verify_path, reset_path,
             magic_link_path, mail_texts
         FROM auth_settings WHERE project_id = $1",
    )
    .bind(project)
    .fetch_optional(db)
    .await
}
