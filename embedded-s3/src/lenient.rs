//! Conditional and partial reads that `s3s` rejects, although HTTP allows them (RFC 9110, sections 13 and 14).
//!
//! `s3s` reads a list of ETags in `If-Match` and `If-None-Match` as one ETag or returns 400. It also returns 400 for a
//! `Range` that it can't parse or that has several ranges. Such headers may be signed, so they can't be changed before
//! `s3s` has checked the signature. A request with such a header is therefore processed twice: first unchanged, which
//! checks its signature and usually fails, and a second time without the header and without a signature.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderName, Method, Request, Uri, header};
use s3s::access::{S3Access, S3AccessContext};
use s3s::dto::{ETagCondition, Range};
use s3s::{Body, S3Result, s3_error};

use crate::connections::{Connection, SignedIn};

/// Whether the signature of a request was checked. [`SignedRequests`] sets it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authenticated(Arc<AtomicBool>);

impl Authenticated {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Accepts signed requests only. Sets their [`Authenticated`], and records in their connection that the signature is
/// valid.
pub(crate) struct SignedRequests;

#[async_trait::async_trait]
impl S3Access for SignedRequests {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        if context.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "The request is not signed."));
        }
        let signed_in = signed_in(context);
        if let Some(authenticated) = context.extensions_mut().get::<Authenticated>() {
            authenticated.0.store(true, Ordering::Release);
        }
        if let Some(connection) = context.extensions_mut().get::<Arc<Connection>>() {
            connection.verify_request(signed_in);
        }
        Ok(())
    }
}

/// Returns where `s3s` found the signature of a request. `s3s` ignores headers if there is a signature elsewhere.
fn signed_in(context: &S3AccessContext<'_>) -> SignedIn {
    let query = context.uri().query().unwrap_or_default();
    let is_in_url = form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "X-Amz-Signature");
    if is_in_url || context.s3_op().name() == "PostObject" { SignedIn::UrlOrForm } else { SignedIn::Headers }
}

/// Preconditions that are lists of ETags. They replace the preconditions of the request.
#[derive(Clone, Debug, Default)]
pub(crate) struct EtagLists {
    pub if_match: Option<Vec<ETagCondition>>,
    pub if_none_match: Option<Vec<ETagCondition>>,
}

/// Returns an unsigned request that replaces a read, if `s3s` would reject the headers of the read.
pub(crate) fn without_rejected_headers<B>(request: &Request<B>) -> Option<Request<Body>> {
    let headers = request.headers();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return None;
    }
    let if_match = etag_list(headers, &header::IF_MATCH);
    let if_none_match = etag_list(headers, &header::IF_NONE_MATCH);
    let is_range_rejected = headers.contains_key(header::RANGE) && single_range(headers).is_none();
    if if_match.is_none() && if_none_match.is_none() && !is_range_rejected {
        return None;
    }
    let mut headers = headers.clone();
    if is_range_rejected {
        headers.remove(header::RANGE);
    }
    for (name, list) in [(header::IF_MATCH, &if_match), (header::IF_NONE_MATCH, &if_none_match)] {
        if list.is_some() {
            headers.remove(name);
        }
    }
    for name in ["authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"] {
        headers.remove(name);
    }
    let mut rewritten = Request::new(Body::empty());
    *rewritten.method_mut() = request.method().clone();
    *rewritten.uri_mut() = without_signature(request.uri())?;
    *rewritten.version_mut() = request.version();
    *rewritten.headers_mut() = headers;
    rewritten.extensions_mut().insert(EtagLists { if_match, if_none_match });
    Some(rewritten)
}

/// Returns the ETags of a header that contains more than one. Elements that are not ETags match nothing.
fn etag_list(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<ETagCondition>> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    let text = values.join(",");
    let elements = split_list(&text);
    (elements.len() > 1).then(|| {
        elements.into_iter().filter_map(|element| ETagCondition::parse_http_header(element.as_bytes()).ok()).collect()
    })
}

/// Splits at the commas outside of quotes, and drops empty elements.
fn split_list(text: &str) -> Vec<&str> {
    let mut is_quoted = false;
    text.split(|character| {
        is_quoted ^= character == '"';
        character == ',' && !is_quoted
    })
    .map(str::trim)
    .filter(|element| !element.is_empty())
    .collect()
}

fn single_range(headers: &HeaderMap) -> Option<Range> {
    let mut values = headers.get_all(header::RANGE).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    Range::parse(value.to_str().ok()?).ok()
}

/// Removes the parameters of a presigned URL.
fn without_signature(uri: &Uri) -> Option<Uri> {
    let kept: Vec<&str> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.to_ascii_lowercase().starts_with("x-amz-"))
        .collect();
    format!("{}?{}", uri.path(), kept.join("&")).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(name: &str, value: &str) -> Option<Request<Body>> {
        let uri = "http://localhost/b/k?X-Amz-Signature=1&partNumber=2";
        without_rejected_headers(&Request::builder().uri(uri).header(name, value).body(()).unwrap())
    }

    #[test]
    fn only_rejected_headers_are_removed() {
        for (name, value, is_rewritten) in [
            ("range", "bytes=0-1", false),
            ("range", "bytes=-5", false),
            ("range", "bytes=0-1,3-4", true),
            ("range", "bytes=5-2", true),
            ("range", "lines=1-2", true),
            ("range", "nonsense", true),
            ("if-match", "\"a\"", false),
            ("if-match", "\"a,b\"", false),
            ("if-match", "*", false),
            ("if-none-match", "\"a\", W/\"b\"", true),
        ] {
            let request = rewritten(name, value);
            assert_eq!(request.is_some(), is_rewritten, "{name}: {value}");
            if let Some(request) = request {
                assert!(!request.headers().contains_key(name));
                assert_eq!(request.uri().to_string(), "/b/k?partNumber=2");
            }
        }
        let lists = rewritten("if-none-match", "\"a\",, \"b,c\" ,*").unwrap().extensions_mut().remove::<EtagLists>();
        let etags = lists.unwrap().if_none_match.unwrap();
        let values: Vec<_> = etags.iter().map(|etag| etag.as_etag().map(|etag| etag.value().to_owned())).collect();
        assert_eq!(values, [Some("a".to_owned()), Some("b,c".to_owned()), None]);
    }
}
