//! One-time codes and sessions of the dashboard. Only their hashes are stored.

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue, header};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::{
    config::Secret,
    secrets::{random_token, sha256},
};

const COOKIE: &str = "atlashub_session";
/// Minimum time between two records of a session's use, so that not every request writes.
const RECORD_USE_AFTER_SECONDS: i64 = 60;
const MAX_USER_AGENT_LENGTH: usize = 300;
const SESSION_SECONDS: i64 = 30 * 24 * 3600;
const CODE_SECONDS: i64 = 3600;
/// A session is extended at most once a day, so that not every request writes.
const EXTEND_AFTER_SECONDS: i64 = 24 * 3600;

pub(super) type SessionHash = [u8; 32];

/// A valid session.
pub(super) struct FoundSession {
    pub(super) hash: SessionHash,
    pub(super) expires_at: DateTime<Utc>,
    /// Whether the session was just extended, so that the cookie must be set again.
    pub(super) extended: bool,
}

/// Creates a code that signs in once, within an hour.
///
/// # Errors
/// Fails if the code can't be stored.
pub async fn create_sign_in_code(pool: &PgPool) -> anyhow::Result<String> {
    let code = random_token("");
    sqlx::query(
        "INSERT INTO admin_sessions (hash, kind, expires_at)
         VALUES ($1, 'code', now() + make_interval(secs => $2))",
    )
    .bind(sha256(code.as_bytes()).as_slice())
    .bind(CODE_SECONDS as f64)
    .execute(pool)
    .await?;
    Ok(code)
}

/// Returns whether the code is valid, without using it up.
pub(super) async fn is_valid_code(pool: &PgPool, code: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM admin_sessions WHERE hash = $1 AND kind = 'code' AND expires_at > now())",
    )
    .bind(sha256(code.as_bytes()).as_slice())
    .fetch_one(pool)
    .await
}

/// Uses the code up. Returns whether it was valid.
pub(super) async fn consume_code(pool: &PgPool, code: &str) -> Result<bool, sqlx::Error> {
    let consumed = sqlx::query("DELETE FROM admin_sessions WHERE hash = $1 AND kind = 'code' AND expires_at > now()")
        .bind(sha256(code.as_bytes()).as_slice())
        .execute(pool)
        .await?;
    Ok(consumed.rows_affected() == 1)
}

/// The IP address and browser that opened a session, so that the owner recognizes it.
pub(super) struct Browser {
    address: IpAddr,
    user_agent: Option<String>,
}

impl Browser {
    pub(super) fn of(headers: &HeaderMap, address: IpAddr) -> Self {
        let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        Self { address, user_agent: user_agent.map(|text| text.chars().take(MAX_USER_AGENT_LENGTH).collect()) }
    }
}

/// Opens a session, and removes expired sessions and codes. Returns the cookie's value, the session's hash and its end.
pub(super) async fn open(
    pool: &PgPool,
    dev_token: &Secret,
    browser: &Browser,
) -> Result<(String, SessionHash, DateTime<Utc>), sqlx::Error> {
    let value = random_token("");
    let hash = session_hash(dev_token, &value);
    sqlx::query("DELETE FROM admin_sessions WHERE expires_at < now()").execute(pool).await?;
    let expires_at = sqlx::query_scalar(
        "INSERT INTO admin_sessions (hash, kind, expires_at, last_used_at, address, user_agent)
         VALUES ($1, 'session', now() + make_interval(secs => $2), now(), $3, $4) RETURNING expires_at",
    )
    .bind(hash.as_slice())
    .bind(SESSION_SECONDS as f64)
    .bind(browser.address.to_string())
    .bind(&browser.user_agent)
    .fetch_one(pool)
    .await?;
    Ok((value, hash, expires_at))
}

/// Returns the session of a cookie. Records its use at most once a minute, and extends it at most once a day.
pub(super) async fn find(pool: &PgPool, dev_token: &Secret, value: &str) -> Result<Option<FoundSession>, sqlx::Error> {
    let hash = session_hash(dev_token, value);
    let found: Option<(DateTime<Utc>, bool)> = sqlx::query_as(
        "SELECT expires_at, coalesce(last_used_at < now() - make_interval(secs => $2), true)
         FROM admin_sessions WHERE hash = $1 AND kind = 'session' AND expires_at > now()",
    )
    .bind(hash.as_slice())
    .bind(RECORD_USE_AFTER_SECONDS as f64)
    .fetch_optional(pool)
    .await?;
    let Some((expires_at, record_use)) = found else { return Ok(None) };
    if record_use {
        sqlx::query("UPDATE admin_sessions SET last_used_at = now() WHERE hash = $1")
            .bind(hash.as_slice())
            .execute(pool)
            .await?;
    }
    if (expires_at - Utc::now()).num_seconds() > SESSION_SECONDS - EXTEND_AFTER_SECONDS {
        return Ok(Some(FoundSession { hash, expires_at, extended: false }));
    }
    let extended: Option<DateTime<Utc>> = sqlx::query_scalar(
        "UPDATE admin_sessions SET expires_at = now() + make_interval(secs => $2)
         WHERE hash = $1 AND kind = 'session' RETURNING expires_at",
    )
    .bind(hash.as_slice())
    .bind(SESSION_SECONDS as f64)
    .fetch_optional(pool)
    .await?;
    Ok(extended.map(|expires_at| FoundSession { hash, expires_at, extended: true }))
}

/// Ends the session.
pub(super) async fn close(pool: &PgPool, hash: &SessionHash) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM admin_sessions WHERE hash = $1").bind(hash.as_slice()).execute(pool).await?;
    Ok(())
}

/// Hashes the development token together with the cookie's value, so that changing the token ends every session.
fn session_hash(dev_token: &Secret, value: &str) -> SessionHash {
    let mut bytes = sha256(dev_token.expose().as_bytes()).to_vec();
    bytes.extend_from_slice(value.as_bytes());
    sha256(&bytes)
}

/// Returns the cookie's value in a request.
pub(super) fn cookie_value(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE && !value.is_empty())
        .map(|(_, value)| value)
}

/// Returns the header that sets the cookie. The cookie's name does not begin with `__Host-`, because that would require
/// https, which loopback does not have.
pub(super) fn set_cookie(value: &str, headers: &HeaderMap) -> Option<HeaderValue> {
    cookie(value, SESSION_SECONDS, headers)
}

/// Returns the header that removes the cookie.
pub(super) fn clear_cookie(headers: &HeaderMap) -> Option<HeaderValue> {
    cookie("", 0, headers)
}

fn cookie(value: &str, max_age_seconds: i64, headers: &HeaderMap) -> Option<HeaderValue> {
    // A client that sets this header falsely only affects its own cookie.
    let https = headers.get("x-forwarded-proto").is_some_and(|proto| proto.as_bytes().eq_ignore_ascii_case(b"https"));
    let secure = if https { "; Secure" } else { "" };
    HeaderValue::from_str(&format!(
        "{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_seconds}{secure}"
    ))
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookie_is_found_among_others() {
        for (cookies, expected) in [
            ("atlashub_session=abc", Some("abc")),
            ("theme=dark; atlashub_session=abc; x=y", Some("abc")),
            ("atlashub_session=", None),
            ("my_atlashub_session=abc", None),
            ("theme=dark", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, cookies.parse().unwrap());
            assert_eq!(cookie_value(&headers), expected, "{cookies}");
        }
    }

    #[test]
    fn cookie_is_http_only_and_same_site() {
        let mut headers = HeaderMap::new();
        let plain = set_cookie("abc", &headers).unwrap();
        assert_eq!(plain, "atlashub_session=abc; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000");
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        assert!(set_cookie("abc", &headers).unwrap().to_str().unwrap().ends_with("; Secure"));
        assert!(clear_cookie(&headers).unwrap().to_str().unwrap().starts_with("atlashub_session=;"));
    }
}
