//! The headers of the dashboard's page.

use axum::http::{HeaderName, HeaderValue, header};
use url::Url;

/// Headers of the dashboard's page: the content security policy and others. They are the same for every response.
#[derive(Debug, Clone)]
pub(crate) struct PageHeaders {
    content_security_policy: HeaderValue,
}

impl PageHeaders {
    /// Creates the headers. `store` is the URL at which browsers reach the object store. The page may connect only to
    /// this server and to the store; it uploads and downloads files there directly.
    pub(crate) fn new(store: &str) -> Self {
        let origin = Url::parse(store).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let policy = format!(
            "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; \
             worker-src 'self'; connect-src 'self' {origin}; img-src 'self' data: {origin}; media-src {origin}; \
             frame-src {origin}; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
        );
        let content_security_policy =
            HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'self'"));
        Self { content_security_policy }
    }

    pub(super) fn iter(&self) -> [(HeaderName, HeaderValue); 5] {
        [
            (header::CONTENT_SECURITY_POLICY, self.content_security_policy.clone()),
            (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
            // An upgrade renames the files that the page refers to, so browsers must check for a new page.
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_names_only_the_origin_of_the_store() {
        let headers = PageHeaders::new("https://store.example.com:9000/path?x=1");
        let policy = headers.content_security_policy.to_str().unwrap();
        assert!(policy.contains("connect-src 'self' https://store.example.com:9000;"), "{policy}");
        assert!(!policy.contains("/path"), "{policy}");
    }
}
