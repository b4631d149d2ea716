//! The team's public keys (RFC 7517), fetched when needed and kept.
//!
//! Fetched again when an assertion names a key that is not among them, though not more often than the floor
//! allows, and when they grow old. One fetch at a time; whoever comes meanwhile waits for it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use arc_swap::ArcSwapOption;
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BODY_BYTES: usize = 256 * 1024;

/// How old keys may grow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ages {
    /// Least time between two fetches for an unknown key.
    pub(super) floor: Duration,
    /// Least time between two tries that failed.
    pub(super) retry: Duration,
    /// Older keys are fetched again before they are used.
    pub(super) fresh: Duration,
    /// Older keys are not used, even where no newer ones can be had.
    pub(super) usable: Duration,
}

impl Default for Ages {
    fn default() -> Self {
        Self {
            floor: Duration::from_secs(10),
            retry: Duration::from_secs(2),
            fresh: Duration::from_secs(3600),
            usable: Duration::from_secs(24 * 3600),
        }
    }
}

/// A key and the one algorithm it verifies.
#[derive(Clone)]
pub(super) struct VerifyingKey {
    pub(super) key: DecodingKey,
    pub(super) algorithm: Algorithm,
}

#[derive(Debug)]
pub(super) enum KeyError {
    /// The team has no such key, as far as the floor lets us know.
    Unknown,
    /// There are no keys, and none can be fetched.
    Unavailable(anyhow::Error),
}

pub(super) struct KeySet {
    url: String,
    http: reqwest::Client,
    ages: Ages,
    keys: ArcSwapOption<Keys>,
    /// Held while fetching.
    refresh: Mutex<Refresh>,
}

struct Keys {
    by_id: HashMap<String, VerifyingKey>,
    fetched_at: Instant,
}

#[derive(Default)]
struct Refresh {
    not_before: Option<Instant>,
    last_error: Option<String>,
}

impl KeySet {
    pub(super) fn new(url: String, ages: Ages) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .context("making the client that fetches Access's keys")?;
        Ok(Self { url, http, ages, keys: ArcSwapOption::empty(), refresh: Mutex::default() })
    }

    /// The key of that id.
    pub(super) async fn key(&self, id: &str) -> Result<VerifyingKey, KeyError> {
        if let Some(key) = self.known(id, self.ages.fresh) {
            return Ok(key);
        }
        let mut refresh = self.refresh.lock().await;
        // Whoever held the lock may have fetched it.
        if let Some(key) = self.known(id, self.ages.fresh) {
            return Ok(key);
        }
        if refresh.not_before.is_none_or(|not_before| not_before <= Instant::now()) {
            self.fetch_and_keep(&mut refresh).await;
        }
        if let Some(key) = self.known(id, self.ages.usable) {
            return Ok(key);
        }
        match self.keys.load().as_ref() {
            Some(keys) if keys.fetched_at.elapsed() < self.ages.usable => Err(KeyError::Unknown),
            _ => {
                let reason = refresh.last_error.clone().unwrap_or_else(|| "not fetched yet".to_owned());
                Err(KeyError::Unavailable(anyhow::anyhow!("Access's keys at {}: {reason}", self.url)))
            }
        }
    }

    fn known(&self, id: &str, max_age: Duration) -> Option<VerifyingKey> {
        let keys = self.keys.load();
        let keys = keys.as_ref().filter(|keys| keys.fetched_at.elapsed() < max_age)?;
        keys.by_id.get(id).cloned()
    }

    async fn fetch_and_keep(&self, refresh: &mut Refresh) {
        match self.fetch().await {
            Ok(by_id) => {
                let first = self.keys.swap(Some(Arc::new(Keys { by_id, fetched_at: Instant::now() }))).is_none();
                refresh.last_error = None;
                // The first fetch is no refresh: a key that came right after it is not made to wait.
                refresh.not_before = (!first).then(|| Instant::now() + self.ages.floor);
            }
            Err(error) => {
                tracing::warn!(url = self.url, error = format!("{error:#}"), "Access's keys could not be fetched");
                refresh.last_error = Some(format!("{error:#}"));
                refresh.not_before = Some(Instant::now() + self.ages.retry);
            }
        }
    }

    async fn fetch(&self) -> anyhow::Result<HashMap<String, VerifyingKey>> {
        let mut response = self.http.get(&self.url).send().await?;
        if response.status() != reqwest::StatusCode::OK {
            bail!("answered {}", response.status());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                bail!("answered more than {MAX_BODY_BYTES} bytes");
            }
            body.extend_from_slice(&chunk);
        }
        parse(&body)
    }
}

/// The usable keys of a set. Others are left out: a set may well have keys for other purposes.
fn parse(body: &[u8]) -> anyhow::Result<HashMap<String, VerifyingKey>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(body).context("not a set of keys")?;
    let keys: HashMap<_, _> = set.keys.into_iter().filter_map(verifying_key).collect();
    if keys.is_empty() {
        bail!("no usable key in the answer");
    }
    Ok(keys)
}

fn verifying_key(key: serde_json::Value) -> Option<(String, VerifyingKey)> {
    let jwk: Jwk = serde_json::from_value(key).ok()?;
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmParameters::EllipticCurve(parameters) if parameters.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        _ => return None,
    };
    if jwk.common.key_algorithm.is_some_and(|given| given != named) {
        return None;
    }
    let id = jwk.common.key_id.clone()?;
    Some((id, VerifyingKey { key: DecodingKey::from_jwk(&jwk).ok()?, algorithm }))
}

#[cfg(test)]
#[path = "key_set_tests.rs"]
mod tests;
