//! Finds the caller of a request to the admin surface, and limits failed sign-ins.

use std::net::IpAddr;

use api_types::{AuditResult, SignInWay};
use axum::http::HeaderMap;
use serde_json::json;

use super::{
    AdminCaller, AdminIdentity, SignInMethod,
    access_token::{self, AssertionError},
    not_signed_in,
    sessions::{self, Browser},
};
use crate::{
    db::audit::{NewAuditEntry, record_or_log},
    error::{ApiError, ApiResult, Code},
    secrets::constant_time_eq,
};

pub(super) const DEV_TOKEN_HEADER: &str = "x-dev-admin-token";
const ASSERTION_HEADER: &str = "cf-access-jwt-assertion";
const DEV_TOKEN_ACTOR: &str = "dev-token";
pub(super) const SESSION_ACTOR: &str = "session";

/// A caller, and the cookie to set again if their session was extended.
pub(super) struct Authenticated {
    pub(super) caller: AdminCaller,
    pub(super) renewed_cookie: Option<String>,
}

impl AdminIdentity {
    /// Returns the caller of a request. The credentials are, in this order: the development token, the assertion of
    /// Cloudflare Access, the cookie. Only the first one that the request contains counts. If it is wrong, the request
    /// is refused. An assertion is ignored unless Access is configured, and a cookie unless there is a development
    /// token.
    ///
    /// # Errors
    /// Returns 401 without a valid credential; `details.signIn` names the method by which the owner signs in. Returns
    /// 403 if an account of Access is not an owner's, 429 for a wrong token after too many failed sign-ins from the IP
    /// address, and 503 if the keys of Access can't be fetched or the platform database can't be reached.
    pub(super) async fn authenticate(&self, headers: &HeaderMap, address: IpAddr) -> ApiResult<Authenticated> {
        self.find_caller(headers, address).await.map_err(|error| match error.code() {
            Code::Unauthorized => error.with_detail("signIn", self.sign_in_way().as_str().into()),
            _ => error,
        })
    }

    fn sign_in_way(&self) -> SignInWay {
        if self.dev_token.is_some() { SignInWay::Token } else { SignInWay::Access }
    }

    async fn find_caller(&self, headers: &HeaderMap, address: IpAddr) -> ApiResult<Authenticated> {
        if let Some(token) = headers.get(DEV_TOKEN_HEADER).filter(|token| !token.is_empty()) {
            return self.by_dev_token(token.as_bytes(), address).await.map(without_cookie);
        }
        if let (Some(access), Some(assertion)) = (&self.access, headers.get(ASSERTION_HEADER)) {
            let assertion = assertion.to_str().unwrap_or_default();
            let verified = access_token::verify(assertion, &access.config, &access.keys).await;
            return match verified {
                Ok(visitor) => Ok(without_cookie(AdminCaller {
                    actor: visitor.name,
                    method: SignInMethod::Access,
                    expires_at: visitor.expires_at,
                    session: None,
                })),
                Err(error) => Err(self.refuse_assertion(error, address).await),
            };
        }
        // A session replaces the development token, and ends when that token changes.
        if let (Some(dev_token), Some(value)) = (&self.dev_token, sessions::cookie_value(headers))
            && let Some(session) = sessions::find(&self.platform, dev_token, value).await?
        {
            let renewed_cookie = session.extended.then(|| value.to_owned());
            return Ok(Authenticated { caller: session_caller(session.hash, session.expires_at), renewed_cookie });
        }
        Err(not_signed_in(match self.sign_in_way() {
            SignInWay::Token => "Sign in to the dashboard, or send the header x-dev-admin-token.",
            SignInWay::Access => "Open the dashboard through Cloudflare Access. Programs send an Access service token.",
        }))
    }

    /// Authenticates by the development token. The right one is accepted even from an IP address that must wait: it is
    /// too long to be guessed, and others at the same address must not lock the owner out.
    pub(super) async fn by_dev_token(&self, token: &[u8], address: IpAddr) -> ApiResult<AdminCaller> {
        let is_valid =
            self.dev_token.as_ref().is_some_and(|expected| constant_time_eq(expected.expose().as_bytes(), token));
        if !is_valid {
            self.check_wait(address)?;
            self.record_failure(address, "token", None).await;
            let wrong = ApiError::new(Code::Unauthorized, "The admin token is wrong.");
            return Err(match self.dev_token {
                Some(_) => wrong,
                None => wrong.with_hint("This server accepts no admin token. Sign in through Cloudflare Access."),
            });
        }
        Ok(AdminCaller {
            actor: DEV_TOKEN_ACTOR.to_owned(),
            method: SignInMethod::DevToken,
            expires_at: None,
            session: None,
        })
    }

    /// Checks a one-time code without using it up.
    pub(super) async fn check_code(&self, code: &str, address: IpAddr) -> ApiResult<()> {
        self.check_wait(address)?;
        if sessions::is_valid_code(&self.platform, code).await? { Ok(()) } else { Err(self.refuse_code(address).await) }
    }

    /// Checks the development token.
    pub(super) async fn check_token(&self, token: &str, address: IpAddr) -> ApiResult<()> {
        self.by_dev_token(token.as_bytes(), address).await.map(drop)
    }

    /// Opens a session for a one-time code, which is used up. Returns the caller and the cookie's value.
    pub(super) async fn open_by_code(
        &self,
        code: &str,
        address: IpAddr,
        browser: &Browser,
    ) -> ApiResult<(AdminCaller, String)> {
        if !sessions::consume_code(&self.platform, code).await? {
            return Err(self.refuse_code(address).await);
        }
        self.open_session(browser).await
    }

    async fn refuse_code(&self, address: IpAddr) -> ApiError {
        self.record_failure(address, "code", None).await;
        ApiError::new(Code::Unauthorized, "The code is wrong, used or expired.").with_hint(
            "Sign in with the admin token. In embedded mode, AtlasHub also prints a new code when it starts.",
        )
    }

    /// Opens a session for a caller whose token or code was checked. Returns the caller and the cookie's value.
    pub(super) async fn open_session(&self, browser: &Browser) -> ApiResult<(AdminCaller, String)> {
        let Some(dev_token) = &self.dev_token else { return Err(sessions_disabled()) };
        let (value, hash, expires_at) = sessions::open(&self.platform, dev_token, browser).await?;
        Ok((session_caller(hash, expires_at), value))
    }

    /// Checks that sessions can be opened.
    ///
    /// # Errors
    /// Returns 403 if there is no development token.
    pub(super) fn check_sessions_enabled(&self) -> ApiResult<()> {
        if self.dev_token.is_some() { Ok(()) } else { Err(sessions_disabled()) }
    }

    /// Ends the caller's session, if they signed in with one.
    pub(super) async fn close_session(&self, caller: &AdminCaller) -> ApiResult<()> {
        if let Some(hash) = &caller.session {
            sessions::close(&self.platform, hash).await?;
        }
        Ok(())
    }

    /// Returns whether the token may read `/metrics`.
    pub(super) fn is_metrics_token(&self, token: &[u8]) -> bool {
        self.metrics_token.as_ref().is_some_and(|expected| constant_time_eq(expected.expose().as_bytes(), token))
    }

    pub(super) fn hosts(&self) -> &[String] {
        &self.hosts
    }

    fn check_wait(&self, address: IpAddr) -> ApiResult<()> {
        match self.attempts.remaining_wait(address) {
            None => Ok(()),
            Some(wait) => Err(ApiError::new(Code::RateLimited, "Too many failed sign-ins from this IP address.")
                .with_retry_after(wait)),
        }
    }

    async fn refuse_assertion(&self, error: AssertionError, address: IpAddr) -> ApiError {
        match error {
            AssertionError::KeysUnavailable(cause) => ApiError::unavailable("Cloudflare Access", cause),
            AssertionError::Invalid(reason) => {
                self.record_failure(address, "access", None).await;
                ApiError::new(Code::Unauthorized, "The assertion of Cloudflare Access is not valid.")
                    .with_hint("Sign in again. If that does not help, check CF_ACCESS_TEAM_DOMAIN and CF_ACCESS_AUD.")
                    .with_cause(anyhow::anyhow!("assertion refused: {reason}"))
            }
            AssertionError::NotTheOwner(name) => {
                self.record_failure(address, "access", Some(name)).await;
                ApiError::new(Code::Forbidden, "This account is not an owner.")
                    .with_hint("Sign in as the owner, or add the e-mail address to ATLASHUB_OWNER_EMAIL.")
            }
        }
    }

    /// Counts a failed sign-in, and records it unless a recent entry covers it. The entry contains the kind, the IP
    /// address and the name of the account, if known, but never the credential.
    async fn record_failure(&self, address: IpAddr, kind: &'static str, actor: Option<String>) {
        metrics::counter!("atlashub_admin_sign_in_failures_total", "kind" => kind).increment(1);
        let Some(attempts) = self.attempts.count_failure(address, kind) else { return };
        let mut entry = NewAuditEntry::new(actor.unwrap_or_else(|| "unknown".to_owned()), "admin.sign_in");
        entry.address = Some(address.to_string());
        entry.result = AuditResult::Denied;
        entry.details = json!({ "by": kind, "attempts": attempts });
        record_or_log(&self.platform, &entry).await;
    }
}

fn without_cookie(caller: AdminCaller) -> Authenticated {
    Authenticated { caller, renewed_cookie: None }
}

fn session_caller(hash: sessions::SessionHash, expires_at: chrono::DateTime<chrono::Utc>) -> AdminCaller {
    AdminCaller {
        actor: SESSION_ACTOR.to_owned(),
        method: SignInMethod::Session,
        expires_at: Some(expires_at),
        session: Some(hash),
    }
}

fn sessions_disabled() -> ApiError {
    ApiError::new(Code::Forbidden, "Sign-in with a code or token is for development.")
        .with_hint("Open the dashboard through Cloudflare Access.")
}
