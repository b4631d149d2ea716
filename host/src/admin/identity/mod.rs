//! Authentication of the admin surface: the owner signs in through Cloudflare Access or, during development, with the
//! admin token or a session that was opened with that token or a one-time code.
//!
//! - `host_and_origin`: rejects foreign host names, and writes from foreign pages.
//! - `access_token`, `key_set`: Cloudflare Access's assertions, and the keys that verify them.
//! - `sessions`: the dashboard's cookie and one-time codes. `session_list`: the sessions that the owner sees and ends.
//! - `attempts`: limits and records failed sign-ins.
//! - `authenticate`: finds the caller of a request with the modules above. `middleware` uses it for every request to
//!   the admin API. `routes` signs in and out.
//!
//! Handlers take [`AdminCaller`] and never read tokens. Deliberately absent: permissions, since every caller is the
//! owner; API keys and end users (`projects`).

mod host_and_origin;

mod access_token;
mod key_set;

mod session_list;
mod sessions;

mod attempts;

mod authenticate;

mod middleware;
pub(super) mod routes;

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::{
    config::{AccessConfig, AdminAuthConfig, Secret},
    error::{ApiError, Code},
    http::{Holder, ShareHolder},
};

pub use api_types::SignInMethod;
pub use middleware::{require_admin, require_database, require_known_host, require_metrics_reader};
pub use sessions::create_sign_in_code;

/// The authenticated owner. As an extractor it responds with 401 if nobody is signed in.
#[derive(Debug, Clone)]
pub struct AdminCaller {
    /// The name in the audit log. With Cloudflare Access, it is the e-mail address, the client id of a service token,
    /// or the claim `sub`. Otherwise, it is `dev-token` or `session`.
    pub actor: String,
    pub method: SignInMethod,
    pub expires_at: Option<DateTime<Utc>>,
    session: Option<sessions::SessionHash>,
}

impl ShareHolder for AdminCaller {
    fn holder(&self) -> Holder<'_> {
        Holder::Owner
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AdminCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| not_signed_in("Sign in to the dashboard."))
    }
}

fn not_signed_in(hint: &'static str) -> ApiError {
    ApiError::new(Code::Unauthorized, "You are not signed in.").with_hint(hint)
}

/// Configuration and state of the authentication.
pub struct AdminIdentity {
    platform: PgPool,
    dev_token: Option<Secret>,
    metrics_token: Option<Secret>,
    access: Option<Access>,
    hosts: Vec<String>,
    attempts: attempts::Attempts,
}

struct Access {
    config: AccessConfig,
    keys: Arc<key_set::KeySet>,
}

impl AdminIdentity {
    /// Creates the state. `dev_token` is the configured token, or the generated one of embedded mode. The keys of
    /// Access are fetched when the first assertion arrives.
    ///
    /// # Errors
    /// Fails if the HTTP client for the keys can't be created.
    pub fn new(config: &AdminAuthConfig, dev_token: Option<Secret>, platform: PgPool) -> anyhow::Result<Self> {
        let access = match &config.access {
            Some(access) => Some(Access {
                keys: Arc::new(key_set::KeySet::new(access.jwks_url(), key_set::CacheAges::default())?),
                config: access.clone(),
            }),
            None => None,
        };
        Ok(Self {
            platform,
            dev_token,
            metrics_token: config.metrics_token.clone(),
            access,
            hosts: config.hosts.clone(),
            attempts: attempts::Attempts::default(),
        })
    }
}
