//! One request of an exchange: the first one, or the one that follows a redirect.

use std::fmt;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use url::Url;

use super::{EgressError, EgressRequest, HeaderText, target::Origin};

const MAX_HEADERS: usize = 100;
const MAX_HEADER_BYTES: usize = 64 << 10;

/// Headers that only the HTTP client may set. Most of them apply to one connection (RFC 9110, section 7.6.1) or frame
/// the message.
const RESERVED_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Substrings in the names of headers that carry credentials. Such a header is sent to its original origin only.
const CREDENTIAL_NAME_PARTS: &[&str] =
    &["auth", "cookie", "key", "password", "secret", "session", "signature", "token"];

/// One request to one origin.
#[derive(Debug)]
pub(super) struct Hop {
    pub method: Method,
    pub url: Url,
    pub origin: Origin,
    pub headers: HeaderMap,
    pub body: Option<HopBody>,
}

/// The body of a hop. `Debug` prints no content.
#[derive(Clone)]
pub(super) enum HopBody {
    Bytes(Bytes),
    /// The request's only stream, which can be sent once.
    Stream,
}

impl Hop {
    /// Creates the first hop of a request, and checks the URL, the method and the headers. `encodings` is the value of
    /// `Accept-Encoding`, unless the request has this header or asks for a range.
    pub(super) fn first(request: &EgressRequest, encodings: &'static str) -> Result<Self, EgressError> {
        let (url, origin) = Origin::parse(&request.url)?;
        Ok(Self {
            method: method_of(&request.method)?,
            url,
            origin,
            headers: headers_of(request, encodings)?,
            body: request.body.as_ref().map(|body| HopBody::Bytes(body.0.clone())),
        })
    }

    /// Gives the hop a streamed body.
    ///
    /// # Errors
    /// Fails if the hop has a body already, or if its method allows none.
    pub(super) fn with_stream(self) -> Result<Self, EgressError> {
        let invalid = |problem: String| Err(EgressError::InvalidRequest(problem));
        if self.body.is_some() {
            return invalid("it has a body and a streamed body; leave one of them out".to_owned());
        }
        if matches!(self.method, Method::GET | Method::HEAD) {
            return invalid(format!("a {} request can't have a streamed body", self.method));
        }
        Ok(Self { body: Some(HopBody::Stream), ..self })
    }

    /// Creates the hop that follows a redirect. A hop to another origin carries no credentials.
    ///
    /// # Errors
    /// Fails if the target is not an HTTP URL or contains a user or password, if the body would be sent to another
    /// origin, or if a streamed body would be sent a second time.
    pub(super) fn follow(self, status: StatusCode, location: &HeaderValue) -> Result<Self, EgressError> {
        let location = location.to_str().map_err(|_| EgressError::InvalidUrl("the redirect's target is not text"))?;
        let url = self.url.join(location).map_err(|_| EgressError::InvalidUrl("the redirect's target is not a URL"))?;
        let (url, origin) = Origin::of(url)?;
        let mut next = Self { url, ..self };
        // RFC 9110, section 15.4: 303 requires a GET; after 301 and 302, a POST becomes a GET by convention.
        let becomes_get = match status {
            StatusCode::SEE_OTHER => next.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => next.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            next.method = Method::GET;
            next.body = None;
            for name in
                [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE, header::CONTENT_LOCATION]
            {
                next.headers.remove(name);
            }
        }
        if matches!(next.body, Some(HopBody::Stream)) {
            let problem = "the body is a stream, which can't be sent a second time; send the request to the new URL";
            return Err(EgressError::InvalidRequest(problem.to_owned()));
        }
        if origin != next.origin {
            if next.body.is_some() {
                return Err(EgressError::InvalidRequest("the body would be sent to another origin".to_owned()));
            }
            next.headers =
                next.headers.iter().filter(|(name, value)| !is_credential(name, value)).map(to_owned_header).collect();
            next.origin = origin;
        }
        Ok(next)
    }
}

impl fmt::Debug for HopBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Stream => f.write_str("Stream"),
        }
    }
}

fn to_owned_header((name, value): (&HeaderName, &HeaderValue)) -> (HeaderName, HeaderValue) {
    (name.clone(), value.clone())
}

fn is_credential(name: &HeaderName, value: &HeaderValue) -> bool {
    value.is_sensitive() || CREDENTIAL_NAME_PARTS.iter().any(|part| name.as_str().contains(part))
}

fn method_of(method: &str) -> Result<Method, EgressError> {
    match method {
        "GET" => Ok(Method::GET),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        "HEAD" => Ok(Method::HEAD),
        "OPTIONS" => Ok(Method::OPTIONS),
        other => Err(EgressError::InvalidRequest(format!("the method `{}` is not supported", other.escape_debug()))),
    }
}

fn headers_of(request: &EgressRequest, encodings: &'static str) -> Result<HeaderMap, EgressError> {
    let invalid = |problem: String| Err(EgressError::InvalidRequest(problem));
    let size: usize = request.headers.iter().map(|header| header.name.len() + header.value.expose().len()).sum();
    if request.headers.len() > MAX_HEADERS || size > MAX_HEADER_BYTES {
        return invalid(format!("more than {MAX_HEADERS} headers or {} KiB of headers", MAX_HEADER_BYTES >> 10));
    }
    let mut headers = HeaderMap::new();
    for header in &request.headers {
        // This accepts only tokens, which contain no spaces, colons or line breaks.
        let Ok(name) = HeaderName::from_bytes(header.name.as_bytes()) else {
            return invalid(format!("`{}` is not a header name", header.name.escape_debug()));
        };
        if RESERVED_HEADERS.contains(&name.as_str()) {
            return invalid(format!("the header `{name}` is set by the platform"));
        }
        // This rejects control characters, including line breaks and NUL.
        let Ok(mut value) = HeaderValue::from_bytes(header.value.expose().as_bytes()) else {
            return invalid(format!("the value of the header `{name}` contains a control character"));
        };
        value.set_sensitive(matches!(header.value, HeaderText::Secret(_)));
        headers.append(name, value);
    }
    let agent = HeaderValue::from_static(concat!("AtlasHub/", env!("CARGO_PKG_VERSION")));
    headers.entry(header::USER_AGENT).or_insert(agent);
    // A range of a compressed body can't be decoded.
    if !headers.contains_key(header::RANGE) {
        headers.entry(header::ACCEPT_ENCODING).or_insert(HeaderValue::from_static(encodings));
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::Secret,
        egress::{EgressBody, EgressHeader},
    };

    fn request(method: &str, headers: Vec<EgressHeader>, body: Option<&'static str>) -> EgressRequest {
        let body = body.map(|body| EgressBody(Bytes::from_static(body.as_bytes())));
        EgressRequest { headers, body, ..EgressRequest::new(method, "https://a.example/one?q") }
    }

    #[test]
    fn redirect_keeps_credentials_only_within_its_origin() {
        let headers = || {
            vec![
                EgressHeader::new("accept", "text/plain"),
                EgressHeader::new("content-type", "text/plain"),
                EgressHeader::new("Authorization", "Bearer x"),
                EgressHeader::new("x-api-key", "x"),
                EgressHeader::secret("x-custom", Secret::new("x")),
            ]
        };
        let check =
            |method: &str, body: bool, status: u16, location: &str, expected: Option<(&str, &str, bool, usize)>| {
                let hop = Hop::first(&request(method, headers(), body.then_some("x")), "gzip").unwrap();
                let next = hop.follow(StatusCode::from_u16(status).unwrap(), &HeaderValue::from_str(location).unwrap());
                let case = format!("{method} {status} {location}: {next:?}");
                match (next, expected) {
                    (Ok(next), Some((method, url, body, headers))) => {
                        let user_agent_and_encodings = 2;
                        assert_eq!(
                            (next.method.as_str(), next.url.as_str(), next.body.is_some()),
                            (method, url, body),
                            "{case}"
                        );
                        assert_eq!(next.headers.len(), headers + user_agent_and_encodings, "{case}");
                    }
                    (Err(_), None) => {}
                    _ => panic!("{case}"),
                }
            };
        check("GET", false, 302, "/two", Some(("GET", "https://a.example/two", false, 5)));
        check("GET", false, 302, "two#part", Some(("GET", "https://a.example/two", false, 5)));
        check("POST", true, 302, "/two", Some(("GET", "https://a.example/two", false, 4)));
        check("POST", true, 301, "https://b.example/", Some(("GET", "https://b.example/", false, 1)));
        check("PUT", true, 302, "/two", Some(("PUT", "https://a.example/two", true, 5)));
        check("PUT", true, 303, "/two", Some(("GET", "https://a.example/two", false, 4)));
        check("HEAD", false, 303, "/two", Some(("HEAD", "https://a.example/two", false, 5)));
        check("POST", true, 307, "/two", Some(("POST", "https://a.example/two", true, 5)));
        check("POST", true, 308, "https://b.example/", None);
        check("GET", false, 308, "https://b.example/", Some(("GET", "https://b.example/", false, 2)));
        check("GET", false, 302, "http://a.example/", Some(("GET", "http://a.example/", false, 2)));
        check("GET", false, 302, "https://a.example:8443/", Some(("GET", "https://a.example:8443/", false, 2)));
        for invalid in ["file:///etc/passwd", "javascript:x", "https://u:p@a.example/", "//", "gopher://a.example/"] {
            check("GET", false, 302, invalid, None);
        }
    }

    #[test]
    fn streamed_body_is_sent_once() {
        let hop = |method: &str| Hop::first(&request(method, Vec::new(), None), "gzip").unwrap().with_stream();
        let check = |method: &str, status: u16, expected: bool| {
            let status = StatusCode::from_u16(status).unwrap();
            let next = hop(method).unwrap().follow(status, &HeaderValue::from_static("/two"));
            // A redirect that makes the request a GET needs no body.
            assert_eq!(next.as_ref().is_ok_and(|next| next.body.is_none()), expected, "{method} {status}: {next:?}");
        };
        check("POST", 301, true);
        check("POST", 302, true);
        check("PUT", 303, true);
        check("PUT", 301, false);
        check("PATCH", 302, false);
        check("POST", 307, false);
        check("POST", 308, false);
        for method in ["GET", "HEAD"] {
            assert!(hop(method).is_err(), "{method}");
        }
        let both = Hop::first(&request("POST", Vec::new(), Some("x")), "gzip").unwrap().with_stream();
        assert!(matches!(both, Err(EgressError::InvalidRequest(_))), "{both:?}");
    }

    #[test]
    fn headers_and_methods_that_alter_the_message_are_rejected() {
        let check_rejected = |request: &EgressRequest| {
            let error = Hop::first(request, "gzip").expect_err("rejected");
            assert!(matches!(error, EgressError::InvalidRequest(_)), "{error:?}");
            assert!(!error.to_string().contains(['\r', '\n', '\0']), "{error}");
        };
        for (name, value) in [
            ("x", "a\r\nhost: b"),
            ("x", "a\nb"),
            ("x", "a\rb"),
            ("x", "a\0b"),
            ("x", "\u{7f}"),
            ("x\r\ny", "a"),
            ("x y", "a"),
            ("x:", "a"),
            ("", "a"),
            ("Host", "b"),
            ("content-length", "0"),
            ("Transfer-Encoding", "chunked"),
            ("connection", "close"),
            ("upgrade", "h2c"),
            ("TE", "trailers"),
            ("expect", "100-continue"),
            ("proxy-authorization", "x"),
        ] {
            check_rejected(&request("GET", vec![EgressHeader::new(name, value)], None));
        }
        for method in ["get", "CONNECT", "TRACE", "GET / HTTP/1.1\r\nhost: b\r\n\r\nGET", ""] {
            check_rejected(&request(method, Vec::new(), None));
        }
        check_rejected(&request("GET", vec![EgressHeader::new("x", "a"); MAX_HEADERS + 1], None));
        check_rejected(&request("GET", vec![EgressHeader::new("x", "a".repeat(MAX_HEADER_BYTES))], None));
    }

    #[test]
    fn debug_output_hides_secrets() {
        let mut request = request("POST", vec![EgressHeader::secret("x", Secret::new("hunter2"))], None);
        request.body = Some(EgressBody(Bytes::from_static(b"hunter2")));
        assert!(!format!("{request:?}").contains("hunter2"));
        assert!(!format!("{:?}", Hop::first(&request, "gzip").unwrap()).contains("hunter2"));
    }
}
