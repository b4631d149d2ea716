//! Checks on requests and corrections of responses that the `s3s` crate leaves to its users.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use s3s::{Body, S3Error, S3Result, s3_error};

/// `x-amz-` headers that a client may add to a presigned URL without having signed them. They either restrict the
/// request or have no effect.
const ALLOWED_UNSIGNED_HEADERS: [&str; 3] = ["x-amz-content-sha256", "x-amz-date", "x-amz-user-agent"];

/// Rejects requests whose headers would permit more than their signature covers.
///
/// `s3s` does not check whether the `x-amz-` headers of a presigned request were signed. The holder of a URL for one
/// upload could otherwise add `x-amz-copy-source` and copy any object of any bucket. S3 rejects such requests too.
/// Signature version 2 is rejected as well.
pub(crate) fn check_request<B>(request: &Request<B>) -> S3Result<()> {
    let is_version_2 =
        request.headers().get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS "));
    let mut is_presigned = false;
    let mut signed_headers = None;
    for (name, value) in form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        match name.as_ref() {
            "Signature" => return Err(version_2_error()),
            "X-Amz-Signature" => is_presigned = true,
            // s3s rejects a request that has this parameter twice.
            "X-Amz-SignedHeaders" => signed_headers = Some(value),
            _ => {}
        }
    }
    if is_version_2 {
        return Err(version_2_error());
    }
    if is_presigned {
        return check_signed_headers(request.headers(), &signed_headers.unwrap_or(Cow::Borrowed("")));
    }
    Ok(())
}

fn version_2_error() -> S3Error {
    s3_error!(AccessDenied, "Signature version 2 is not supported. Use version 4.")
}

fn check_signed_headers(headers: &HeaderMap, signed_headers: &str) -> S3Result<()> {
    let unsigned = headers.keys().map(HeaderName::as_str).find(|name| {
        name.starts_with("x-amz-")
            && !ALLOWED_UNSIGNED_HEADERS.contains(name)
            && !signed_headers.split(';').any(|signed| signed == *name)
    });
    match unsigned {
        None => Ok(()),
        Some(name) => Err(s3_error!(AccessDenied, "The header `{}` was sent but not signed.", name)),
    }
}

/// Corrects a response for browsers and XML parsers, and gives it a request id. `resource` is the path of the request.
pub(crate) fn fix_response(response: &mut http::Response<Body>, resource: &str) {
    let request_id = new_request_id();
    if let Ok(value) = HeaderValue::try_from(request_id.as_str()) {
        response.headers_mut().insert(HeaderName::from_static("x-amz-request-id"), value);
    }
    // Objects are uploaded by users, so a browser must not guess that one of them is an HTML page.
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Only XML documents made by this server have their bytes in memory; objects are streamed.
    let is_xml = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == "application/xml");
    if is_xml && let Some(xml) = response.body().bytes() {
        let completed = complete_error(&xml, resource, &request_id);
        let escaped = escape_control_characters(completed.as_deref().unwrap_or(&xml));
        if let Some(changed) = escaped.or(completed) {
            response.headers_mut().remove(header::CONTENT_LENGTH);
            *response.body_mut() = Body::from(Bytes::from(changed));
        }
    }
    // A 304 response has no body (RFC 9110, section 15.4.5).
    if response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(header::CONTENT_TYPE);
        *response.body_mut() = Body::empty();
    }
}

/// Returns 64 random bits in the notation of S3.
fn new_request_id() -> String {
    let mut bytes = [0; 8];
    // If no random bytes are available, the id is the same for all requests.
    let _ = getrandom::fill(&mut bytes);
    hex::encode_upper(bytes)
}

/// Adds resource and request id to an error document; returns `None` if `xml` is not an error document.
fn complete_error(xml: &[u8], resource: &str, request_id: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(xml).ok()?;
    let root = text.strip_prefix("<?xml").map_or(Some(text), |rest| rest.split_once("?>").map(|(_, root)| root))?;
    if !root.trim_start().starts_with("<Error>") {
        return None;
    }
    let content = text.trim_end().strip_suffix("</Error>")?;
    let resource = resource.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let id = format!("<Resource>{resource}</Resource><RequestId>{request_id}</RequestId>");
    Some(format!("{content}{id}</Error>").into_bytes())
}

/// Replaces control characters with character references; returns `None` if there are none.
///
/// Keys may contain control characters. `s3s` writes them into XML unchanged, which makes a whole listing unparsable.
/// S3 writes references, which common clients accept.
fn escape_control_characters(xml: &[u8]) -> Option<Vec<u8>> {
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

    fn check(query: &str, header: &str, is_allowed: bool) {
        let request = Request::builder().uri(format!("http://localhost/b/k?{query}")).header(header, "AWS x").body(());
        assert_eq!(check_request(&request.unwrap()).is_ok(), is_allowed, "{query} {header}");
    }

    #[test]
    fn unsigned_headers_and_version_2_signatures_are_rejected() {
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
    fn errors_name_resource_and_request() {
        let completed =
            |xml: &str| complete_error(xml.as_bytes(), "/b/k&<", "ID").map(|bytes| String::from_utf8(bytes).unwrap());
        let expected =
            "<Error><Code>NoSuchKey</Code><Resource>/b/k&amp;&lt;</Resource><RequestId>ID</RequestId></Error>";
        let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
        assert_eq!(completed("<Error><Code>NoSuchKey</Code></Error>").as_deref(), Some(expected));
        let document = format!("{declaration}<Error><Code>NoSuchKey</Code></Error>");
        assert_eq!(completed(&document), Some(format!("{declaration}{expected}")));
        assert_eq!(completed("<DeleteResult><Error><Code>x</Code></Error></DeleteResult>"), None);
    }

    #[test]
    fn control_characters_become_references() {
        assert_eq!(escape_control_characters(b"<a>b</a>"), None);
        assert_eq!(escape_control_characters(b"<a>\x01\r</a>"), Some(b"<a>&#x1;&#xd;</a>".to_vec()));
    }
}
