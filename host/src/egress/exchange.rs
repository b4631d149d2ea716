use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{
    EgressError, EgressRequest, EgressResponse, MAX_RESPONSE_BYTES, ResolveHost, SystemResolver, error::reason_of,
    hop::Hop, target::Origin,
};
use crate::config::{AllowedHosts, TrustedCertificates};

const MOST_REDIRECTS: u32 = 10;
const LONGEST: Duration = Duration::from_secs(3600);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const MOST_ANSWER_HEADERS: usize = 200;
const MOST_ANSWER_HEADER_BYTES: usize = 128 << 10;

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
    /// To the hosts of the list, by the machine's own resolver. Their certificates are of a public authority, or of one
    /// that is trusted besides.
    pub fn new(allowed: AllowedHosts, trusted: &TrustedCertificates) -> anyhow::Result<Self> {
        Self::with_resolver(allowed, trusted, SystemResolver)
    }

    /// By another resolver, for example of a test that moves a name.
    pub fn with_resolver(
        allowed: AllowedHosts,
        trusted: &TrustedCertificates,
        resolver: impl ResolveHost,
    ) -> anyhow::Result<Self> {
        let shared = Shared { resolver: Box::new(resolver), tls: tls_config(trusted)? };
        Ok(Self { allowed: Arc::new(allowed), shared: Arc::new(shared) })
    }

    /// To the origin of one URL alone, on the list or not: for an address that the owner typed in. A private address
    /// still needs an entry of the list that says `+private`.
    pub fn only(&self, url: &str) -> Result<Self, EgressError> {
        let (_, origin) = Origin::parse(url)?;
        let private =
            self.allowed.permit(origin.scheme, &origin.host, origin.port).is_some_and(|permit| permit.private);
        let allowed = AllowedHosts::only(origin.scheme, &origin.host, origin.port, private);
        Ok(Self { allowed: Arc::new(allowed), shared: self.shared.clone() })
    }

    /// Sends a request and reads its answer, within its timeout. `scope` narrows the allowlist further: patterns `host`,
    /// `*.suffix` and `*`; none of them allows nothing.
    ///
    /// Any status is a success here. Dropping the future ends the exchange and closes its connection.
    pub async fn send(&self, request: EgressRequest, scope: &[String]) -> Result<EgressResponse, EgressError> {
        let after = request.timeout.min(LONGEST);
        match tokio::time::timeout(after, self.exchange(&request, scope)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(EgressError::Timeout { after }),
        }
    }

    async fn exchange(&self, request: &EgressRequest, scope: &[String]) -> Result<EgressResponse, EgressError> {
        let max_redirects = request.max_redirects.min(MOST_REDIRECTS);
        let mut hop = Hop::first(request)?;
        let mut response = self.hop(&hop, scope).await?;
        let mut followed = 0;
        while max_redirects > 0
            && let Some(location) = location_of(response.status(), response.headers())
        {
            if followed == max_redirects {
                return Err(EgressError::TooManyRedirects { max: max_redirects });
            }
            followed += 1;
            let redirected = |error| EgressError::Redirect(Box::new(error));
            hop = hop.follow(response.status(), &location).map_err(redirected)?;
            // The connection is closed before the next is opened.
            drop(response);
            response = self.hop(&hop, scope).await.map_err(redirected)?;
        }
        let host = hop.origin.host.to_string();
        let status = response.status().as_u16();
        let headers = headers_of(response.headers(), &host)?;
        let (body, truncated) = read_body(&mut response, request.max_bytes.min(MAX_RESPONSE_BYTES), &host).await?;
        Ok(EgressResponse { status, headers, body, truncated, final_url: hop.url.into() })
    }

    /// Checks one hop and sends it, on a connection of its own.
    async fn hop(&self, hop: &Hop, scope: &[String]) -> Result<reqwest::Response, EgressError> {
        let permit = hop.origin.permit(&self.allowed, scope)?;
        let addresses = hop.origin.addresses(permit, &*self.shared.resolver).await?;
        let host = || hop.origin.host.to_string();
        let client = client(&self.shared.tls, addresses)
            .map_err(|error| EgressError::Unreachable { host: host(), reason: reason_of(&error) })?;
        let mut request = client.request(hop.method.clone(), hop.url.clone()).headers(hop.headers.clone());
        if let Some(body) = &hop.body {
            request = request.body(body.clone());
        }
        request.send().await.map_err(|error| {
            let reason = reason_of(&error);
            if error.is_connect() || error.is_timeout() {
                EgressError::Unreachable { host: host(), reason }
            } else {
                EgressError::Broken { host: host(), reason }
            }
        })
    }
}

/// A client for one connection to one of these addresses, whatever the name.
fn client(tls: &rustls::ClientConfig, addresses: Vec<SocketAddr>) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .http1_only()
        .http1_max_headers(MOST_ANSWER_HEADERS)
        .pool_max_idle_per_host(0)
        .connect_timeout(CONNECT_TIMEOUT)
        .dns_resolver(Checked(addresses))
        .tls_backend_preconfigured(tls.clone())
        .build()
}

/// Answers the addresses that passed, for whatever name.
struct Checked(Vec<SocketAddr>);

impl Resolve for Checked {
    fn resolve(&self, _name: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(std::future::ready(Ok(addresses)))
    }
}

fn tls_config(trusted: &TrustedCertificates) -> anyhow::Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(trusted.with_public())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Where a redirect points; none for any other answer.
fn location_of(status: StatusCode, headers: &HeaderMap) -> Option<header::HeaderValue> {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308).then(|| headers.get(header::LOCATION).cloned()).flatten()
}

fn headers_of(headers: &HeaderMap, host: &str) -> Result<Vec<(String, String)>, EgressError> {
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if size > MOST_ANSWER_HEADER_BYTES {
        return Err(EgressError::Broken { host: host.to_owned(), reason: "its headers are too large".to_owned() });
    }
    let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Ok(headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect())
}

/// As much of the body as is kept, and whether there was more.
async fn read_body(response: &mut reqwest::Response, most: usize, host: &str) -> Result<(Bytes, bool), EgressError> {
    let mut body = BytesMut::new();
    loop {
        let chunk = response
            .chunk()
            .await
            .map_err(|error| EgressError::Broken { host: host.to_owned(), reason: reason_of(&error) })?;
        let Some(chunk) = chunk else { return Ok((body.freeze(), false)) };
        let room = most - body.len();
        if chunk.len() > room {
            body.extend_from_slice(&chunk[..room]);
            return Ok((body.freeze(), true));
        }
        body.extend_from_slice(&chunk);
    }
}
