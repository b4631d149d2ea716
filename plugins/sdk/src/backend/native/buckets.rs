//! The capability `buckets` of the simulated host.

use std::collections::BTreeMap;

use super::host_state::{State, call};
use crate::{
    Error, ErrorCode, Result,
    buckets::{Bucket, SignedUrl, UploadOptions},
    plugin::Capability,
};

/// Maximum size of an object of a simulated bucket.
const MAX_OBJECT_BYTES: u64 = 100 << 20;
/// Seconds until a simulated URL expires.
const EXPIRES_IN: u64 = 3600;

/// Lists the buckets that contain objects.
pub(crate) async fn list(store: &str) -> Result<Vec<Bucket>> {
    call(Capability::Buckets, "buckets.list", store, |state| {
        let mut buckets: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for ((_, key), object) in state.objects.iter().filter(|((of_store, _), _)| of_store == store) {
            let (count, bytes) = buckets.entry(key.split('/').next().unwrap_or_default()).or_default();
            *count += 1;
            *bytes += object.bytes.len() as u64;
        }
        let bucket = |(name, (object_count, object_bytes)): (&str, (u64, u64))| Bucket {
            name: name.to_owned(),
            max_object_bytes: MAX_OBJECT_BYTES,
            object_count,
            object_bytes,
        };
        Ok(buckets.into_iter().map(bucket).collect())
    })
}

pub(crate) async fn sign_download(store: &str, key: &str, _file_name: Option<&str>) -> Result<SignedUrl> {
    call(Capability::Buckets, "buckets.sign-download", store, |state| {
        state.object(store, key)?;
        Ok(state.sign("GET", store, key, Vec::new()))
    })
}

pub(crate) async fn sign_upload(store: &str, key: &str, options: UploadOptions) -> Result<SignedUrl> {
    call(Capability::Buckets, "buckets.sign-upload", store, |state| {
        if !options.replace && state.object(store, key).is_ok() {
            return Err(Error::new(ErrorCode::Conflict, format!("the object `{key}` exists")));
        }
        Ok(state.sign("PUT", store, key, vec![("content-type".to_owned(), options.content_type)]))
    })
}

impl State {
    fn sign(&mut self, method: &str, store: &str, key: &str, headers: Vec<(String, String)>) -> SignedUrl {
        let url = format!("https://storage.example/{store}/{key}?signature=test");
        self.signed_urls.push((method.to_owned(), url.clone()));
        SignedUrl { url, method: method.to_owned(), headers, expires_in: EXPIRES_IN }
    }
}
