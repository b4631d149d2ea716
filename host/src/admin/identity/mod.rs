//! Who calls the admin surface: the owner through Cloudflare Access, or in development with the admin token or
//! a session that was opened with it.
//!
//! Handlers take [`AdminCaller`]; they never read tokens. Not here: what a caller may do, as every one of them
//! is the owner; API keys and end users (`projects`).

mod host_and_origin;

mod access_token;
mod key_set;

mod sessions;

mod attempts;

mod authenticate;

mod middleware;
pub(super) mod routes;

use std::sync::{Arc, OnceLock};

use axum::{extract::FromRequestParts, http::request::Parts};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::{
    config::{AccessConfig, AdminAuthConfig, Secret},
    error::{ApiError, Code},
};

pub use middleware::{require_admin, require_known_host, require_metrics_reader};
pub use sessions::create_sign_in_code;

/// How a caller showed who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInMethod {
    /// Cloudflare Access's assertion.
    Access,
    /// The header `x-dev-admin-token`.
    DevToken,
    /// The dashboard's cookie.
    Session,
}

/// The owner, signed in. Extracting it where nobody is signed in is 401.
#[derive(Debug, Clone)]
pub struct AdminCaller {
    /// An e-mail address, `dev-token` or `session`.
    pub actor: String,
    pub method: SignInMethod,
    pub expires_at: Option<DateTime<Utc>>,
    session: Option<sessions::SessionHash>,
}

impl<S: Send + Sync> FromRequestParts<S> for AdminCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| not_signed_in("Sign in to the dashboard."))
    }
}

/// Where a request's caller is written as soon as they are known, for the audit entry, which is made outside
/// of the layer that finds out.
#[derive(Debug, Clone, Default)]
pub(super) struct CallerSlot(Arc<OnceLock<AdminCaller>>);

impl CallerSlot {
    pub(super) fn get(&self) -> Option<&AdminCaller> {
        self.0.get()
    }

    fn set(&self, caller: &AdminCaller) {
        // A request has one caller: the first stays.
        let _ = self.0.set(caller.clone());
    }
}

fn not_signed_in(hint: &'static str) -> ApiError {
    ApiError::new(Code::Unauthorized, "Nobody is signed in.").with_hint(hint)
}

/// What is needed to tell who calls.
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
    /// `dev_token` is the one in force: the configured one, or the embedded mode's own. Access's keys are
    /// fetched when the first assertion comes.
    pub fn new(config: &AdminAuthConfig, dev_token: Option<Secret>, platform: PgPool) -> anyhow::Result<Self> {
        let access = match &config.access {
            Some(access) => Some(Access {
                keys: Arc::new(key_set::KeySet::new(access.jwks_url(), key_set::Ages::default())?),
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
