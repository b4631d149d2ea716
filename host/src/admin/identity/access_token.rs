//! Verifies assertions of Cloudflare Access: JWTs signed with the team's key (RFC 7519; developers.cloudflare.com,
//! "Validate JWTs"). `key_set` fetches the keys.

use chrono::{DateTime, Utc};
use jsonwebtoken::{Validation, decode, decode_header};
use serde::Deserialize;

use super::key_set::{KeyError, KeySet, VerifyingKey};
use crate::config::AccessConfig;

/// Tolerated difference between clocks.
const CLOCK_LEEWAY_SECONDS: u64 = 5;
/// Maximum length of an assertion. Real assertions are about 1 KiB long.
const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A person or program that signed in through Access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Visitor {
    /// The e-mail address of a person, the client id of a service token, or the claim `sub`.
    pub(super) name: String,
    pub(super) expires_at: Option<DateTime<Utc>>,
}

/// The reason why an assertion was not accepted.
#[derive(Debug)]
pub(super) enum AssertionError {
    /// Not a valid assertion; the reason is for the log.
    Invalid(String),
    /// Valid, but not for one of the configured owners.
    NotTheOwner(String),
    /// The keys could not be fetched.
    KeysUnavailable(anyhow::Error),
}

#[derive(Debug, Deserialize)]
struct Claims {
    exp: i64,
    email: Option<String>,
    common_name: Option<String>,
    sub: Option<String>,
}

/// Verifies signature, issuer, audience, times and owner.
pub(super) async fn verify(token: &str, config: &AccessConfig, keys: &KeySet) -> Result<Visitor, AssertionError> {
    let invalid = |reason: String| AssertionError::Invalid(reason);
    if token.len() > MAX_TOKEN_BYTES {
        return Err(invalid("too long for an assertion".to_owned()));
    }
    let header = decode_header(token).map_err(|error| invalid(error.to_string()))?;
    if header.crit.is_some() {
        return Err(invalid("has critical extensions".to_owned()));
    }
    let key_id = header.kid.ok_or_else(|| invalid("names no key".to_owned()))?;
    let key = match keys.key(&key_id).await {
        Ok(key) => key,
        Err(KeyError::Unknown) => return Err(invalid("is signed by a key that the team does not have".to_owned())),
        Err(KeyError::Unavailable(cause)) => return Err(AssertionError::KeysUnavailable(cause)),
    };
    let claims = check_claims(token, &key, config).map_err(|error| invalid(error.to_string()))?;
    visitor(claims, &config.owner_emails)
}

fn check_claims(token: &str, key: &VerifyingKey, config: &AccessConfig) -> jsonwebtoken::errors::Result<Claims> {
    // The algorithm is that of the key, not the one that the token names.
    let mut validation = Validation::new(key.algorithm);
    validation.set_required_spec_claims(&["exp", "aud", "iss"]);
    validation.set_audience(&[&config.audience]);
    validation.set_issuer(&[&config.team_url]);
    validation.validate_nbf = true;
    validation.leeway = CLOCK_LEEWAY_SECONDS;
    Ok(decode::<Claims>(token, &key.key, &validation)?.claims)
}

fn visitor(claims: Claims, owner_emails: &[String]) -> Result<Visitor, AssertionError> {
    let email = claims.email.filter(|email| !email.is_empty());
    if !owner_emails.is_empty() {
        let known = email.as_ref().is_some_and(|email| owner_emails.contains(&email.to_ascii_lowercase()));
        if !known {
            return Err(AssertionError::NotTheOwner(
                email.unwrap_or_else(|| "a caller without an e-mail address".to_owned()),
            ));
        }
    }
    let name = email
        .or(claims.common_name)
        .or(claims.sub)
        .filter(|name| !name.is_empty())
        .ok_or_else(|| AssertionError::Invalid("has neither email, common name nor subject".to_owned()))?;
    Ok(Visitor { name, expires_at: DateTime::from_timestamp(claims.exp, 0) })
}
