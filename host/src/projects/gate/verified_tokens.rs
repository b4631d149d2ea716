//! Access tokens that were verified before, so that their signature is not verified for each request. Verifying a
//! signature takes longer than the rest of the gate.

use std::{num::NonZeroUsize, sync::Arc};

use lru::LruCache;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::UserClaims;

/// Maximum number of tokens that are kept, of all projects together. Each takes about two kilobytes.
const MAX_TOKENS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Identifies a token, together with the project and the issuer for which it was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenDigest([u8; 32]);

impl TokenDigest {
    pub(super) fn new(project: &str, issuer: Option<&str>, token: &str) -> Self {
        let mut hasher = Sha256::new();
        for part in [project, issuer.unwrap_or_default(), token] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }
}

/// A token that was valid when it was verified.
#[derive(Debug, Clone)]
pub(super) struct VerifiedToken {
    pub(super) claims: Arc<UserClaims>,
    /// Id of the key that signed it. The token is valid only as long as the project has this key.
    pub(super) kid: Arc<str>,
    /// Unix time in seconds from which on the token has expired, with the tolerance for clocks.
    pub(super) expires_at: u64,
}

/// The most recently used tokens. Only valid tokens are added, so that nobody can fill the cache with invented ones.
#[derive(Clone)]
pub(super) struct VerifiedTokens(Arc<Mutex<LruCache<TokenDigest, VerifiedToken>>>);

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(MAX_TOKENS))))
    }
}

impl VerifiedTokens {
    /// Returns a token that was verified before and has not expired at `now`, a Unix time in seconds.
    pub(super) fn get(&self, digest: &TokenDigest, now: u64) -> Option<VerifiedToken> {
        let mut tokens = self.0.lock();
        let token = tokens.get(digest)?;
        if token.expires_at <= now {
            tokens.pop(digest);
            return None;
        }
        Some(token.clone())
    }

    pub(super) fn insert(&self, digest: TokenDigest, token: VerifiedToken) {
        self.0.lock().put(digest, token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(expires_at: u64) -> VerifiedToken {
        let claims = UserClaims { sub: "u".to_owned(), session_id: None, json: "{}".to_owned() };
        VerifiedToken { claims: Arc::new(claims), kid: "k".into(), expires_at }
    }

    #[test]
    fn token_is_found_until_it_expires() {
        let tokens = VerifiedTokens::default();
        let digest = TokenDigest::new("p", None, "t");
        tokens.insert(digest, token(100));
        assert!(tokens.get(&digest, 99).is_some());
        assert!(tokens.get(&digest, 100).is_none());
        assert!(tokens.get(&digest, 99).is_none(), "an expired token is removed");
    }

    #[test]
    fn token_of_another_project_or_issuer_is_another_token() {
        let digest = TokenDigest::new("p", Some("i"), "t");
        for other in [
            TokenDigest::new("q", Some("i"), "t"),
            TokenDigest::new("p", None, "t"),
            TokenDigest::new("p", Some("i"), "u"),
            TokenDigest::new("pi", Some(""), "t"),
        ] {
            assert_ne!(digest, other);
        }
    }
}
