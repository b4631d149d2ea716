//! The key pair of the store. Its use also shows [`crate::form`] that `s3s` has parsed the fields of a form.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use s3s::S3Result;
use s3s::auth::{S3Auth, SecretKey, SimpleAuth};

tokio::task_local! {
    /// The use of the key by the request that the task processes.
    static CURRENT: KeyUse;
}

/// Whether `s3s` has read the secret key to check the signature of a request. [`KeyPair`] sets it.
///
/// `s3s` reads the key after it has parsed the signature. If the signature then does not match, `s3s` reads no more of
/// the body.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeyUse(Arc<AtomicBool>);

impl KeyUse {
    /// Runs the processing of a request, and observes its use of the key.
    pub(crate) async fn observe<F: Future>(self, processing: F) -> F::Output {
        CURRENT.scope(self, processing).await
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// The only key pair.
pub(crate) struct KeyPair(SimpleAuth);

impl KeyPair {
    pub(crate) fn new(access_key: String, secret_key: String) -> Self {
        Self(SimpleAuth::from_single(access_key, secret_key))
    }
}

#[async_trait::async_trait]
impl S3Auth for KeyPair {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let secret_key = self.0.get_secret_key(access_key).await?;
        // Outside of `KeyUse::observe` there is no request whose use of the key could be recorded.
        let _ = CURRENT.try_with(KeyUse::set);
        Ok(secret_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn use_of_the_key_is_observed_for_the_known_access_key_only() {
        let keys = KeyPair::new("known".to_owned(), "secret".to_owned());
        for (access_key, is_used) in [("known", true), ("other", false)] {
            let key_use = KeyUse::default();
            let found = key_use.clone().observe(keys.get_secret_key(access_key)).await;
            assert_eq!((found.is_ok(), key_use.is_set()), (is_used, is_used), "{access_key}");
        }
    }
}
