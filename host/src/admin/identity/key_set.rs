//! A cache of the public keys (RFC 7517) that verify the assertions of a Cloudflare Access team.
//!
//! Keys are fetched again when they are old, or when an assertion names an unknown key. After a successful fetch,
//! except the first one, they are not fetched again for [`CacheAges::min_fetch_interval`]. After a failed fetch, they
//! are not fetched again for [`CacheAges::retry_interval`]. Only one fetch runs at a time; other callers wait for its
//! result.

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

/// Ages that decide when cached keys are used or fetched again.
#[derive(Debug, Clone, Copy)]
pub(super) struct CacheAges {
    /// Minimum time between a successful fetch and the next one. Does not apply to the first successful fetch.
    pub(super) min_fetch_interval: Duration,
    /// Minimum time between a failed fetch and the next one.
    pub(super) retry_interval: Duration,
    /// Age up to which keys are used without fetching them again.
    pub(super) fresh: Duration,
    /// Age up to which keys are used if they can't be fetched again.
    pub(super) usable: Duration,
}

impl Default for CacheAges {
    fn default() -> Self {
        Self {
            min_fetch_interval: Duration::from_secs(10),
            retry_interval: Duration::from_secs(2),
            fresh: Duration::from_secs(3600),
            usable: Duration::from_secs(24 * 3600),
        }
    }
}

/// A key and its algorithm.
#[derive(Clone)]
pub(super) struct VerifyingKey {
    pub(super) key: DecodingKey,
    pub(super) algorithm: Algorithm,
}

/// The reason why a key could not be returned.
#[derive(Debug)]
pub(super) enum KeyError {
    /// The team has no such key, or had none at the last fetch.
    Unknown,
    /// No usable keys are cached, and none can be fetched.
    Unavailable(anyhow::Error),
}

pub(super) struct KeySet {
    url: String,
    http: reqwest::Client,
    ages: CacheAges,
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
    pub(super) fn new(url: String, ages: CacheAges) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .no_gzip()
            .no_brotli()
            .no_deflate()
            .build()
            .context("creating the HTTP client for Access's keys")?;
        Ok(Self { url, http, ages, keys: ArcSwapOption::empty(), refresh: Mutex::default() })
    }

    /// Returns the key with this id.
    pub(super) async fn key(&self, id: &str) -> Result<VerifyingKey, KeyError> {
        if let Some(key) = self.cached(id, self.ages.fresh) {
            return Ok(key);
        }
        let mut refresh = self.refresh.lock().await;
        // The previous holder of the lock may have fetched the key.
        if let Some(key) = self.cached(id, self.ages.fresh) {
            return Ok(key);
        }
        if refresh.not_before.is_none_or(|not_before| not_before <= Instant::now()) {
            self.fetch_and_store(&mut refresh).await;
        }
        if let Some(key) = self.cached(id, self.ages.usable) {
            return Ok(key);
        }
        match self.keys.load().as_ref() {
            Some(keys) if keys.fetched_at.elapsed() < self.ages.usable => Err(KeyError::Unknown),
            _ => {
                let reason = refresh.last_error.clone().unwrap_or_else(|| "not fetched yet".to_owned());
                Err(KeyError::Unavailable(anyhow::anyhow!(
                    "the keys of Cloudflare Access could not be fetched from {}: {reason}",
                    self.url
                )))
            }
        }
    }

    fn cached(&self, id: &str, max_age: Duration) -> Option<VerifyingKey> {
        let keys = self.keys.load();
        let keys = keys.as_ref().filter(|keys| keys.fetched_at.elapsed() < max_age)?;
        keys.by_id.get(id).cloned()
    }

    async fn fetch_and_store(&self, refresh: &mut Refresh) {
        match self.fetch().await {
            Ok(by_id) => {
                let first = self.keys.swap(Some(Arc::new(Keys { by_id, fetched_at: Instant::now() }))).is_none();
                refresh.last_error = None;
                // A key that is added right after the first fetch can be fetched without delay.
                refresh.not_before = (!first).then(|| Instant::now() + self.ages.min_fetch_interval);
            }
            Err(error) => {
                tracing::warn!(
                    url = self.url,
                    error = format!("{error:#}"),
                    "could not fetch the keys of Cloudflare Access"
                );
                refresh.last_error = Some(format!("{error:#}"));
                refresh.not_before = Some(Instant::now() + self.ages.retry_interval);
            }
        }
    }

    async fn fetch(&self) -> anyhow::Result<HashMap<String, VerifyingKey>> {
        let mut response = self.http.get(&self.url).send().await?;
        if response.status() != reqwest::StatusCode::OK {
            bail!("responded with status {}", response.status());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                bail!("the response is longer than {MAX_BODY_BYTES} bytes");
            }
            body.extend_from_slice(&chunk);
        }
        parse(&body)
    }
}

/// Returns the usable keys of a set. Skips keys without an id, keys for other purposes and keys of other algorithms.
fn parse(body: &[u8]) -> anyhow::Result<HashMap<String, VerifyingKey>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(body).context("the response is not a JSON Web Key Set")?;
    let keys: HashMap<_, _> = set.keys.into_iter().filter_map(verifying_key).collect();
    if keys.is_empty() {
        bail!("the response contains no usable key");
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
