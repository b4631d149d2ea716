use axum::http::{HeaderName, HeaderValue, header};
use url::Url;

/// The security headers of the dashboard's page. They are fixed while the process runs.
#[derive(Debug, Clone)]
pub(crate) struct PageHeaders {
    content_security_policy: HeaderValue,
}

impl PageHeaders {
    /// `store` is the URL of the object store as browsers reach it. The page may connect only to this server and to the
    /// store, because files are uploaded and downloaded directly.
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
            // After an upgrade, the page must refer to the new names of its files.
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
