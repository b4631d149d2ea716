//! What `s3s` leaves to others: checks before it, repairs after it.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use s3s::{Body, S3Result, s3_error};

/// `x-amz-` headers that a client may add to a URL that was signed without them: they restrict
/// the request or say nothing.
const HARMLESS: [&str; 3] = ["x-amz-content-sha256", "x-amz-date", "x-amz-user-agent"];

/// Refuses what would widen a signature.
///
/// `s3s` does not ask whether the `x-amz-` headers of a request were signed. Whoever holds a URL
/// for one upload could add `x-amz-copy-source` to it and take a copy of any object of any bucket.
/// S3 refuses such requests, and so does this. Signature version 2 is refused altogether.
pub(crate) fn check_request<B>(request: &Request<B>) -> S3Result<()> {
    let outdated =
        request.headers().get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS "));
    let mut presigned = false;
    let mut signed_headers = None;
    for (name, value) in form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        match name.as_ref() {
            "Signature" => return Err(s3_error!(AccessDenied, "sign with signature version 4")),
            "X-Amz-Signature" => presigned = true,
            // Given twice, s3s refuses it.
            "X-Amz-SignedHeaders" => signed_headers = Some(value),
            _ => {}
        }
    }
    if outdated {
        return Err(s3_error!(AccessDenied, "sign with signature version 4"));
    }
    if presigned {
        return check_signed(request.headers(), &signed_headers.unwrap_or(Cow::Borrowed("")));
    }
    Ok(())
}

fn check_signed(headers: &HeaderMap, signed: &str) -> S3Result<()> {
    let unsigned = headers.keys().map(HeaderName::as_str).find(|name| {
        name.starts_with("x-amz-") && !HARMLESS.contains(name) && !signed.split(';').any(|signed| signed == *name)
    });
    match unsigned {
        None => Ok(()),
        Some(name) => Err(s3_error!(AccessDenied, "the header {} was sent but not signed", name)),
    }
}

/// Makes a response fit for browsers and XML parsers.
pub(crate) fn repair_response(response: &mut http::Response<Body>) {
    // Objects are other people's files: a browser must not guess that one is a page.
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Objects are streams, which have no bytes yet; what has them is a document of this server's.
    let is_xml = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == "application/xml");
    if is_xml && let Some(escaped) = response.body().bytes().as_deref().and_then(escape_controls) {
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(Bytes::from(escaped));
    }
    // RFC 9110, section 15.4.5: without a body.
    if response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(header::CONTENT_TYPE);
        *response.body_mut() = Body::empty();
    }
}

/// Keys may hold control characters, which `s3s` writes into XML as they are and which end the
/// parsing of a whole listing. As references, as S3 writes them, common clients read them.
fn escape_controls(xml: &[u8]) -> Option<Vec<u8>> {
    if !xml.iter().any(|byte| *byte < b' ') {
        return None;
    }
    let mut escaped = Vec::with_capacity(xml.len() + 64);
    for byte in xml {
        if *byte < b' ' {
            escaped.extend_from_slice(format!("&#x{byte:x};").as_bytes());
        } else {
            escaped.push(*byte);
        }
    }
    Some(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, header: &str, allowed: bool) {
        let request = Request::builder().uri(format!("http://localhost/b/k?{query}")).header(header, "AWS x").body(());
        assert_eq!(check_request(&request.unwrap()).is_ok(), allowed, "{query} {header}");
    }

    #[test]
    fn requests() {
        check("", "x-amz-copy-source", true);
        check("X-Amz-Signature=1&X-Amz-SignedHeaders=host", "x-amz-copy-source", false);
        check("X-Amz-Signature=1&X-Amz-SignedHeaders=host%3Bx-amz-copy-source", "x-amz-copy-source", true);
        check("X-Amz-Signature=1", "x-amz-meta-a", false);
        check("X-Amz-Signature=1&X-Amz-SignedHeaders=host", "content-type", true);
        check("X-Amz-Signature=1&X-Amz-SignedHeaders=host", "x-amz-content-sha256", true);
        check("Signature=1", "accept", false);
        check("", "authorization", false);
    }

    #[test]
    fn controls() {
        assert_eq!(escape_controls(b"<a>b</a>"), None);
        assert_eq!(escape_controls(b"<a>\x01\r</a>"), Some(b"<a>&#x1;&#xd;</a>".to_vec()));
    }
}
