//! Checks of requests, and corrections of requests and responses, that the `s3s` crate leaves to its users.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use s3s::dto::{Timestamp, TimestampFormat};
use s3s::{Body, S3Error, S3Result, s3_error};
use time::OffsetDateTime;

/// `x-amz-` headers that a client may add to a presigned URL without having signed them. They either restrict the
/// request or have no effect.
const ALLOWED_UNSIGNED_HEADERS: [&str; 3] = ["x-amz-content-sha256", "x-amz-date", "x-amz-user-agent"];

const SIGNATURE_CODE: &str = "<Code>SignatureDoesNotMatch</Code>";
const SIGNATURE_MESSAGE: &str =
    "The signature does not match the request. Sign it with the store's key, and send exactly what was signed.";

const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
/// Maximum time for which a presigned URL can be valid, as in S3.
const MAX_EXPIRES_SECONDS: u32 = 7 * 24 * 60 * 60;

/// Rejects requests whose headers would permit more than their signature covers.
///
/// `s3s` does not check whether the `x-amz-` headers of a presigned request were signed. The holder of a URL for one
/// upload could otherwise add `x-amz-copy-source` and copy any object of any bucket. S3 rejects such requests too. This
/// function also rejects signature version 2, and presigned URLs that are valid for longer than S3 permits.
pub(crate) fn check_request<B>(request: &Request<B>) -> S3Result<()> {
    let is_version_2 =
        request.headers().get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes().starts_with(b"AWS "));
    let mut is_presigned = false;
    let mut signed_headers = None;
    let mut expires = None;
    for (name, value) in form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()) {
        match name.as_ref() {
            "Signature" => return Err(version_2_error()),
            "X-Amz-Signature" => is_presigned = true,
            // s3s rejects a request that has one of these parameters twice.
            "X-Amz-SignedHeaders" => signed_headers = Some(value),
            "X-Amz-Expires" => expires = Some(value),
            _ => {}
        }
    }
    if is_version_2 {
        return Err(version_2_error());
    }
    if is_presigned {
        if let Some(expires) = expires {
            check_expires(&expires)?;
        }
        return check_signed_headers(request.headers(), &signed_headers.unwrap_or(Cow::Borrowed("")));
    }
    Ok(())
}

fn version_2_error() -> S3Error {
    s3_error!(AccessDenied, "Signature version 2 is not supported. Use version 4.")
}

fn check_expires(expires: &str) -> S3Result<()> {
    match expires.parse::<u32>() {
        Ok(0..=MAX_EXPIRES_SECONDS) => Ok(()),
        _ => Err(s3_error!(
            AuthorizationQueryParametersError,
            "X-Amz-Expires must be a number of seconds between 0 and {} (7 days).",
            MAX_EXPIRES_SECONDS
        )),
    }
}

/// Adds `x-amz-date` to a request that is signed with its `Date` header instead. `s3s` does not read `Date`.
///
/// The time is part of the string that is signed, so the signature matches only if `Date` contains the time that the
/// client signed.
pub(crate) fn add_amz_date(headers: &mut HeaderMap) {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let is_date_signed = text(header::AUTHORIZATION)
        .and_then(|authorization| authorization.split_once("SignedHeaders="))
        .and_then(|(_, rest)| rest.split([',', ' ']).next())
        .is_some_and(|names| names.split(';').any(|name| name == "date"));
    if !is_date_signed || headers.contains_key(AMZ_DATE) {
        return;
    }
    if let Some(Ok(date)) = text(header::DATE).and_then(to_amz_date).map(HeaderValue::try_from) {
        headers.insert(AMZ_DATE, date);
    }
}

/// Converts an HTTP date to the format of `x-amz-date`. A date that is already in this format is kept.
fn to_amz_date(date: &str) -> Option<String> {
    if let [_, _, _, _, _, _, _, _, b'T', _, _, _, _, _, _, b'Z'] = date.as_bytes() {
        return Some(date.to_owned());
    }
    // botocore writes dates as in e-mails, with `-0000` instead of `GMT`.
    let date = date.strip_suffix("-0000").map_or(Cow::Borrowed(date), |date| Cow::Owned(format!("{date}GMT")));
    let time: OffsetDateTime = Timestamp::parse(TimestampFormat::HttpDate, &date).ok()?.into();
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    Some(format!("{year:04}{:02}{day:02}T{hour:02}{minute:02}{second:02}Z", u8::from(month)))
}

fn check_signed_headers(headers: &HeaderMap, signed_headers: &str) -> S3Result<()> {
    let unsigned = headers.keys().map(HeaderName::as_str).find(|name| {
        (name.starts_with("x-amz-") || *name == "x-atlashub-crc-etag")
            && !ALLOWED_UNSIGNED_HEADERS.contains(name)
            && !signed_headers.split(';').any(|signed| signed == *name)
    });
    match unsigned {
        None => Ok(()),
        Some(name) => Err(s3_error!(AccessDenied, "The header `{}` was sent but not signed.", name)),
    }
}

/// Corrects a response for browsers and XML parsers, and adds a request id. `resource` is the path of the request.
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
        let mut xml = xml;
        if response.status() == StatusCode::BAD_REQUEST
            && let Some(denied) = deny_policy_violation(&xml)
        {
            *response.status_mut() = StatusCode::FORBIDDEN;
            xml = denied.into();
        }
        if let Some(completed) = complete_error(&xml, resource, &request_id) {
            xml = completed.into();
        }
        if let Some(unquoted) = unquote_attributes_etag(&xml) {
            xml = unquoted.into();
        }
        if let Some(escaped) = escape_control_characters(&xml) {
            xml = escaped.into();
        }
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(xml);
    }
    // A 304 response has no body (RFC 9110, section 15.4.5).
    if response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(header::CONTENT_TYPE);
        *response.body_mut() = Body::empty();
    }
}

/// Returns a random request id: 16 uppercase hexadecimal digits, as S3 writes them.
pub(crate) fn new_request_id() -> String {
    let mut bytes = [0; 8];
    // If no random bytes are available, the id is the same for all requests.
    let _ = getrandom::fill(&mut bytes);
    hex::encode_upper(bytes)
}

/// Adds the resource and the request id to an error document. Also adds a message to the error for a signature that
/// does not match, if `s3s` gives none. Returns `None` if `xml` is not an error document.
fn complete_error(xml: &[u8], resource: &str, request_id: &str) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(xml).ok()?;
    let root = text.strip_prefix("<?xml").map_or(Some(text), |rest| rest.split_once("?>").map(|(_, root)| root))?;
    if !root.trim_start().starts_with("<Error>") {
        return None;
    }
    let content = text.trim_end().strip_suffix("</Error>")?;
    let message = match content.split_once(SIGNATURE_CODE) {
        Some((_, rest)) if !rest.contains("<Message>") => format!("<Message>{SIGNATURE_MESSAGE}</Message>"),
        _ => String::new(),
    };
    let resource = resource.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let id = format!("<Resource>{resource}</Resource><RequestId>{request_id}</RequestId>");
    Some(format!("{content}{message}{id}</Error>").into_bytes())
}

/// Replaces the error for a form that violates its policy with S3's error, `AccessDenied`. Returns `None` for other
/// documents. `s3s` uses one code for this error and for malformed policies, so only the message distinguishes them.
fn deny_policy_violation(xml: &[u8]) -> Option<Vec<u8>> {
    let (head, message) = std::str::from_utf8(xml).ok()?.split_once("<Code>InvalidPolicyDocument</Code><Message>")?;
    let is_violation = ["Policy condition ", "Bucket in form field "].iter().any(|text| message.starts_with(text));
    is_violation
        .then(|| format!("{head}<Code>AccessDenied</Code><Message>Invalid according to Policy: {message}").into_bytes())
}

/// Removes the quotes around the ETag from a response to `GetObjectAttributes`, the only response in which S3 writes no
/// quotes. Returns `None` for other documents.
fn unquote_attributes_etag(xml: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(xml).ok().filter(|text| text.contains("<GetObjectAttributesResponse"))?;
    Some(text.replace("<ETag>\"", "<ETag>").replace("\"</ETag>", "</ETag>").into_bytes())
}

/// Replaces control characters with character references. Returns `None` if there are none.
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
        check("X-Amz-Signature=1&X-Amz-SignedHeaders=host", "x-atlashub-crc-etag", false);
        check("X-Amz-Signature=1&X-Amz-SignedHeaders=host%3Bx-amz-copy-source", "x-amz-copy-source", true);
        check("X-Amz-Signature=1", "x-amz-meta-a", false);
        check("X-Amz-Signature=1&X-Amz-SignedHeaders=host", "content-type", true);
        check("X-Amz-Signature=1&X-Amz-SignedHeaders=host", "x-amz-content-sha256", true);
        check("Signature=1", "accept", false);
        check("", "authorization", false);
    }

    #[test]
    fn lifetime_of_a_url_is_at_most_7_days() {
        for (expires, is_allowed) in
            [("0", true), ("1", true), ("604800", true), ("604801", false), ("-1", false), ("1e3", false), ("", false)]
        {
            check(&format!("X-Amz-Signature=1&X-Amz-Expires={expires}"), "accept", is_allowed);
        }
    }

    #[test]
    fn signed_date_becomes_amz_date() {
        let added = |signed_headers: &str, date: &'static str| {
            let authorization = format!("AWS4-HMAC-SHA256 Credential=a, SignedHeaders={signed_headers}, Signature=b");
            let mut headers = HeaderMap::from_iter([(header::DATE, HeaderValue::from_static(date))]);
            headers.insert(header::AUTHORIZATION, authorization.try_into().unwrap());
            add_amz_date(&mut headers);
            headers.remove(AMZ_DATE).map(|value| value.to_str().unwrap().to_owned())
        };
        let http_date = "Wed, 18 May 2033 03:33:20 GMT";
        assert_eq!(added("date;host", http_date).as_deref(), Some("20330518T033320Z"));
        assert_eq!(added("date;host", "Wed, 18 May 2033 03:33:20 -0000").as_deref(), Some("20330518T033320Z"));
        assert_eq!(added("date;host", "20330518T033320Z").as_deref(), Some("20330518T033320Z"));
        assert_eq!(added("host;x-date", http_date), None);
        assert_eq!(added("date", "yesterday"), None);
    }

    #[test]
    fn date_does_not_replace_amz_date() {
        let mut headers = HeaderMap::from_iter([(AMZ_DATE, HeaderValue::from_static("20330518T033320Z"))]);
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("AWS4-HMAC-SHA256 SignedHeaders=date"));
        headers.insert(header::DATE, HeaderValue::from_static("20330518T033321Z"));
        add_amz_date(&mut headers);
        assert_eq!(headers.get_all(AMZ_DATE).iter().collect::<Vec<_>>(), ["20330518T033320Z"]);
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
        let signature = completed("<Error><Code>SignatureDoesNotMatch</Code></Error>").unwrap();
        assert!(signature.contains(&format!("{SIGNATURE_CODE}<Message>{SIGNATURE_MESSAGE}</Message><Resource>")));
        let other = "<Error><Code>SignatureDoesNotMatch</Code><Message>m</Message></Error>";
        assert_eq!(completed(other).unwrap().matches("<Message>").count(), 1);
        assert_eq!(completed("<DeleteResult><Error><Code>x</Code></Error></DeleteResult>"), None);
    }

    #[test]
    fn control_characters_become_references() {
        assert_eq!(escape_control_characters(b"<a>b</a>"), None);
        assert_eq!(escape_control_characters(b"<a>\x01\r</a>"), Some(b"<a>&#x1;&#xd;</a>".to_vec()));
    }
}
