//! Sends an outgoing request and follows its redirects.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use axum::http::{HeaderMap, Method, StatusCode, header};
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Host;

use super::{
    EgressError, EgressRequest, EgressResponse, EgressStream, EgressUpload, MAX_RESPONSE_BYTES, ResolveHost,
    SystemResolver,
    body::{ACCEPTED_ENCODINGS, STREAMED_ENCODINGS, is_decoded_in_stream, is_too_large, read_body, stream_body},
    client::{build_client, tls_config},
    error::{reason_of, reason_of_body},
    hop::{Hop, HopBody},
    target::Origin,
    upload::{UploadBody, UploadFailure},
};
use crate::config::{AllowedHosts, HostPermit, TrustedCertificates, WebScheme, canonical_host};

const MAX_REDIRECTS: u32 = 10;
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);
const MAX_RESPONSE_HEADER_BYTES: usize = 128 << 10;
/// Maximum time that a check waits for the IP addresses of a host.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// Sends requests that pass the checks. Cheap to clone.
#[derive(Clone)]
pub struct Egress {
    allowed: Arc<AllowedHosts>,
    shared: Arc<Shared>,
}

struct Shared {
    resolver: Box<dyn ResolveHost>,
    tls: rustls::ClientConfig,
}

impl Egress {
    /// Creates a client for the hosts on the allowlist. Trusts public certificate authorities and those in `trusted`.
    ///
    /// # Errors
    /// Fails if the TLS configuration can't be built.
    pub fn new(allowed: AllowedHosts, trusted: &TrustedCertificates) -> anyhow::Result<Self> {
        Self::with_resolver(allowed, trusted, SystemResolver)
    }

    /// Like [`Self::new`], with a different resolver, for tests.
    ///
    /// # Errors
    /// Fails if the TLS configuration can't be built.
    pub fn with_resolver(
        allowed: AllowedHosts,
        trusted: &TrustedCertificates,
        resolver: impl ResolveHost,
    ) -> anyhow::Result<Self> {
        let shared = Shared { resolver: Box::new(resolver), tls: tls_config(trusted)? };
        Ok(Self { allowed: Arc::new(allowed), shared: Arc::new(shared) })
    }

    /// Returns a client for the origin of `url` only, even if it is not on the allowlist: for a URL that the owner
    /// entered. A private IP address still needs an allowlist entry with `+private`.
    ///
    /// # Errors
    /// Returns `InvalidUrl` if `url` is not an HTTP URL with a valid host and port, or if it contains a user or
    /// password.
    pub fn only(&self, url: &str) -> Result<Self, EgressError> {
        let (_, origin) = Origin::parse(url)?;
        let private =
            self.allowed.permit(origin.scheme, &origin.host, origin.port).is_some_and(|permit| permit.private);
        let allowed = AllowedHosts::only(origin.scheme, &origin.host, origin.port, private);
        Ok(Self { allowed: Arc::new(allowed), shared: self.shared.clone() })
    }

    /// Resolves a host that is not reached over HTTP and that the owner entered, for example a mail server. Returns the
    /// IP addresses of the host; private ones only if the allowlist has an entry for the host without a scheme and with
    /// `+private`. Connect to these addresses and don't resolve the host again.
    ///
    /// # Errors
    /// Returns `InvalidUrl` if the host is not valid, `Unresolved` if it can't be resolved, and `PrivateAddress` if
    /// none of its addresses is allowed.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, EgressError> {
        let parsed = Host::parse(host).or_else(|_| Host::parse(&format!("[{host}]")));
        let host = parsed.ok().and_then(canonical_host).ok_or(EgressError::InvalidUrl("its host is not valid"))?;
        let permit = HostPermit { private: self.allowed.permits_private(&host, port), port_named: true };
        // The scheme has no effect, because the permit is already decided.
        let origin = Origin { scheme: WebScheme::Https, host, port };
        origin.resolve(permit, &*self.shared.resolver).await
    }

    /// Sends a request and reads the response, within the request's timeout. `scope` restricts the allowlist further,
    /// by patterns `host`, `*.suffix` and `*`; an empty scope allows nothing.
    ///
    /// A response with any status is `Ok`. Dropping the future ends the exchange and closes its connection.
    ///
    /// # Errors
    /// Returns the reason why the request was refused, or why there is no complete response.
    pub async fn send(&self, request: EgressRequest, scope: &[String]) -> Result<EgressResponse, EgressError> {
        let after = request.timeout.min(MAX_TIMEOUT);
        // The value is 0 before the first response.
        let last_status = AtomicU16::new(0);
        match tokio::time::timeout(after, self.exchange(&request, scope, &last_status)).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let status = Some(last_status.into_inner()).filter(|status| *status > 0);
                Err(EgressError::Timeout { after, status })
            }
        }
    }

    /// Sends a request whose body may be a stream, and returns the response as soon as its headers are received.
    /// `max_bytes` is the maximum size of the upload, and of the response's body both compressed and decoded. The
    /// `max_bytes` of the request is not used. `scope` is as for [`Self::send`].
    ///
    /// A response with any status is `Ok`. The timeout of the request includes the body of the response. Dropping the
    /// future or the body ends the exchange and closes its connection. The upload ends with the response.
    ///
    /// # Errors
    /// Returns the reason why the request was refused, or why there is no response. A redirect for which the request
    /// would keep its streamed body is an error.
    pub async fn open(
        &self,
        request: EgressRequest,
        upload: Option<EgressUpload>,
        max_bytes: u64,
        scope: &[String],
    ) -> Result<EgressStream, EgressError> {
        let after = request.timeout.min(MAX_TIMEOUT);
        let deadline = Instant::now() + after;
        let mut hop = Hop::first(&request, STREAMED_ENCODINGS)?;
        let exchange = CancellationToken::new();
        // Dropping the guard ends the upload, which the connection's task owns.
        let open = exchange.clone().drop_guard();
        let (mut body, failure) = match upload {
            Some(upload) => {
                hop = hop.with_stream()?;
                let (body, failure) = UploadBody::new(upload, max_bytes, &exchange);
                (Some(body), failure)
            }
            None => (None, UploadFailure::default()),
        };
        let last_status = AtomicU16::new(0);
        let sent = self.follow_redirects(hop, &mut body, request.max_redirects, scope, &last_status);
        let (hop, response) = match tokio::time::timeout_at(deadline, sent).await {
            Ok(Ok(sent)) => sent,
            Ok(Err(error)) => return Err(failure.get().unwrap_or(error)),
            Err(_) => {
                let status = Some(last_status.into_inner()).filter(|status| *status > 0);
                return Err(EgressError::Timeout { after, status });
            }
        };
        let (host, status) = (hop.origin.host.to_string(), response.status().as_u16());
        let broken = move |reason| EgressError::Broken { host: host.clone(), reason, status: Some(status) };
        let mut headers = headers_of(response.headers()).map_err(&broken)?;
        if hop.method != Method::HEAD && is_decoded_in_stream(response.headers()) {
            remove_headers_of_encoding(&mut headers);
        }
        let reading = (stream_body(response, max_bytes), 0_u64, open);
        let body = stream::try_unfold(reading, move |(mut chunks, mut size, open)| {
            let (broken, failure) = (broken.clone(), failure.clone());
            let too_large = move || EgressError::TooLarge { of: "response", max: max_bytes };
            async move {
                let Ok(chunk) = tokio::time::timeout_at(deadline, chunks.next()).await else {
                    return Err(EgressError::Timeout { after, status: Some(status) });
                };
                let chunk = match chunk {
                    Some(Ok(chunk)) => chunk,
                    Some(Err(error)) if is_too_large(&error) => return Err(too_large()),
                    Some(Err(error)) => return Err(failure.get().unwrap_or_else(|| broken(reason_of_body(&error)))),
                    None => return failure.get().map_or(Ok(None), Err),
                };
                size += chunk.len() as u64;
                if size > max_bytes {
                    return Err(too_large());
                }
                Ok(Some((chunk, (chunks, size, open))))
            }
        });
        Ok(EgressStream { status, headers, body: body.boxed() })
    }

    /// Checks a request as [`Self::send`] would, without sending it. A host that can't be resolved now passes.
    ///
    /// # Errors
    /// Returns the error of the request if it would be refused.
    pub async fn check(&self, request: &EgressRequest, scope: &[String]) -> Result<(), EgressError> {
        let hop = Hop::first(request, ACCEPTED_ENCODINGS)?;
        let permit = hop.origin.check(&self.allowed, scope)?;
        let resolved = tokio::time::timeout(CHECK_TIMEOUT, hop.origin.resolve(permit, &*self.shared.resolver)).await;
        match resolved {
            Ok(Err(error)) if error.is_refusal() => Err(error),
            _ => Ok(()),
        }
    }

    async fn exchange(
        &self,
        request: &EgressRequest,
        scope: &[String],
        last_status: &AtomicU16,
    ) -> Result<EgressResponse, EgressError> {
        let hop = Hop::first(request, ACCEPTED_ENCODINGS)?;
        let (hop, response) = self.follow_redirects(hop, &mut None, request.max_redirects, scope, last_status).await?;
        let host = hop.origin.host.to_string();
        let status = response.status().as_u16();
        let broken = |reason| EgressError::Broken { host: host.clone(), reason, status: Some(status) };
        let mut headers = headers_of(response.headers()).map_err(broken)?;
        let body = read_body(response, request.max_bytes.min(MAX_RESPONSE_BYTES)).await;
        let body = body.map_err(|error| broken(reason_of_body(&error)))?;
        if body.decoded {
            remove_headers_of_encoding(&mut headers);
        }
        Ok(EgressResponse { status, headers, body: body.bytes, truncated: body.truncated, final_url: hop.url.into() })
    }

    /// Sends a hop and those that follow from redirects. Returns the last hop and the head of its response.
    async fn follow_redirects(
        &self,
        mut hop: Hop,
        upload: &mut Option<UploadBody>,
        max_redirects: u32,
        scope: &[String],
        last_status: &AtomicU16,
    ) -> Result<(Hop, reqwest::Response), EgressError> {
        let max_redirects = max_redirects.min(MAX_REDIRECTS);
        let mut response = self.send_hop(&hop, upload, scope).await?;
        let mut redirects = 0;
        last_status.store(response.status().as_u16(), Ordering::Relaxed);
        while max_redirects > 0
            && let Some(location) = location_of(response.status(), response.headers())
        {
            let status = response.status().as_u16();
            if redirects == max_redirects {
                return Err(EgressError::TooManyRedirects { max: max_redirects, status });
            }
            redirects += 1;
            let in_redirect = |error| EgressError::Redirect { status, source: Box::new(error) };
            hop = hop.follow(response.status(), &location).map_err(in_redirect)?;
            // This closes the connection before the next one is opened.
            drop(response);
            response = self.send_hop(&hop, upload, scope).await.map_err(in_redirect)?;
            last_status.store(response.status().as_u16(), Ordering::Relaxed);
        }
        Ok((hop, response))
    }

    /// Checks one hop and sends it on a new connection.
    async fn send_hop(
        &self,
        hop: &Hop,
        upload: &mut Option<UploadBody>,
        scope: &[String],
    ) -> Result<reqwest::Response, EgressError> {
        let permit = hop.origin.check(&self.allowed, scope)?;
        let addresses = hop.origin.resolve(permit, &*self.shared.resolver).await?;
        let host = || hop.origin.host.to_string();
        let client = build_client(&self.shared.tls, addresses)
            .map_err(|error| EgressError::Unreachable { host: host(), reason: reason_of(&error) })?;
        let mut request = client.request(hop.method.clone(), hop.url.clone()).headers(hop.headers.clone());
        match &hop.body {
            Some(HopBody::Bytes(bytes)) if !bytes.is_empty() => request = request.body(bytes.clone()),
            // The upload is present in the first hop. Later hops have no streamed body.
            Some(HopBody::Stream) => request = request.body(upload.take().map(reqwest::Body::wrap).unwrap_or_default()),
            // RFC 9110, section 8.6: these methods have the header even without a body. The client does not send it.
            Some(HopBody::Bytes(_)) | None if matches!(hop.method, Method::POST | Method::PUT | Method::PATCH) => {
                request = request.header(header::CONTENT_LENGTH, header::HeaderValue::from_static("0"));
            }
            Some(HopBody::Bytes(_)) | None => {}
        }
        request.send().await.map_err(|error| {
            let reason = reason_of(&error);
            if error.is_connect() || error.is_timeout() {
                EgressError::Unreachable { host: host(), reason }
            } else {
                EgressError::Broken { host: host(), reason, status: None }
            }
        })
    }
}

/// Returns the target of a redirect, or `None` for any other response.
fn location_of(status: StatusCode, headers: &HeaderMap) -> Option<header::HeaderValue> {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308).then(|| headers.get(header::LOCATION).cloned()).flatten()
}

/// Removes the headers that describe the compressed form of a body that was decoded.
fn remove_headers_of_encoding(headers: &mut Vec<(String, String)>) {
    headers.retain(|(name, _)| name != header::CONTENT_ENCODING.as_str() && name != header::CONTENT_LENGTH.as_str());
}

fn headers_of(headers: &HeaderMap) -> Result<Vec<(String, String)>, String> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > MAX_RESPONSE_HEADER_BYTES {
        return Err("its headers are too large".to_owned());
    }
    let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect())
}
