//! Host names of the admin surface, and origins that may write.
//!
//! A foreign page in the owner's browser can send requests with the owner's cookie or Access session (CSRF). The header
//! `Origin` of such a request names the page. The page can also point its own host name at this machine (DNS
//! rebinding). The header `Host` then contains that name.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderName, Uri, header};

use crate::error::{ApiError, ApiResult, Code};

pub(super) static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a foreign page could have sent the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential {
    /// A header or a member of the body that browsers never add on their own.
    Explicit,
    /// A cookie or assertion that is added to every request of the browser.
    Ambient,
}

/// Returns the host that the request is for.
///
/// # Errors
/// Returns 403 if the host is neither a loopback name nor in `allowed`, or if the request does not name exactly one
/// host.
pub(super) fn check_host<'a>(headers: &'a HeaderMap, uri: &'a Uri, allowed: &[String]) -> ApiResult<&'a str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().unwrap_or_default(),
        _ => "",
    };
    // A request in absolute form names its host twice.
    let is_consistent = uri.authority().is_none_or(|authority| authority.as_str().eq_ignore_ascii_case(host));
    if is_consistent && split_host(host).is_some_and(|(name, _)| is_allowed(name, allowed)) {
        return Ok(host);
    }
    Err(ApiError::new(Code::HostNotAllowed, "The admin listener does not accept this host name.")
        .with_hint("Use localhost, or add the name to ATLASHUB_ADMIN_HOSTS."))
}

/// Checks that a write comes from the dashboard or from a program.
///
/// # Errors
/// Returns 403 if another page in a browser may have sent the write.
pub(super) fn check_write(headers: &HeaderMap, host: &str, credential: Credential) -> ApiResult<()> {
    let site = headers.get(&SEC_FETCH_SITE).map(|value| value.as_bytes());
    let allowed = match (headers.get(header::ORIGIN), site) {
        (_, Some(b"cross-site")) => false,
        (Some(origin), _) => origin.to_str().is_ok_and(|origin| is_same_host(origin, host)),
        (None, None) => credential == Credential::Explicit,
        (None, Some(_)) => false,
    };
    if allowed {
        return Ok(());
    }
    Err(ApiError::new(Code::OriginNotAllowed, "A change must come from the dashboard's own address.").with_hint(
        "From a program, send the header x-dev-admin-token and no Origin. \
         Behind Access, send the dashboard's address as Origin.",
    ))
}

fn is_allowed(name: &str, allowed: &[String]) -> bool {
    let name = name.to_ascii_lowercase();
    if let Some(address) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()) || allowed.contains(&name);
    }
    name == "localhost"
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || allowed.contains(&name)
}

/// Returns whether an origin `scheme://host[:port]` names the host and port of a `Host` header. The scheme only
/// determines the default port: behind a proxy, this process does not know the scheme of the request.
fn is_same_host(origin: &str, host: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let (Some((origin_name, origin_port)), Some((name, port))) = (split_host(authority), split_host(host)) else {
        return false;
    };
    origin_name.eq_ignore_ascii_case(name) && origin_port.unwrap_or(default_port) == port.unwrap_or(default_port)
}

/// Splits `name[:port]`. An IPv6 address keeps its brackets. Returns `None` if the syntax is wrong.
fn split_host(host: &str) -> Option<(&str, Option<u16>)> {
    let (name, port) = match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => (&host[..colon], Some(host[colon + 1..].parse().ok()?)),
        _ => (host, None),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let bracketed = name.starts_with('[') && name.ends_with(']');
    (!name.is_empty() && (bracketed || name.chars().all(plain))).then_some((name, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_loopback_and_allowed_hosts_are_accepted() {
        let allowed = ["hub.example.com".to_owned(), "[fd00::1]".to_owned()];
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST:8081", true),
            ("127.0.0.1:8081", true),
            ("127.8.9.10", true),
            ("[::1]", true),
            ("[::1]:8081", true),
            ("[0:0:0:0:0:0:0:1]:1", true),
            ("hub.example.com", true),
            ("Hub.Example.Com:443", true),
            ("[fd00::1]:8081", true),
            ("", false),
            ("example.com", false),
            ("hub.example.com.evil.test", false),
            ("evil.hub.example.com", false),
            ("localhost.evil.test", false),
            ("127.0.0.1.evil.test", false),
            ("128.0.0.1", false),
            ("0.0.0.0", false),
            ("10.0.0.1:8081", false),
            ("[::]", false),
            ("[::2]:8081", false),
            ("::1", false),
            ("localhost:http", false),
            ("localhost:99999", false),
            ("localhost@evil.test", false),
            ("evil.test/localhost", false),
            ("2130706433", false),
        ] {
            let headers = headers(&[("host", host)]);
            assert_eq!(check_host(&headers, &Uri::from_static("/x"), &allowed).is_ok(), expected, "{host}");
        }
        assert!(check_host(&headers(&[]), &Uri::from_static("/x"), &allowed).is_err());
        let twice = headers(&[("host", "localhost"), ("host", "evil.test")]);
        assert!(check_host(&twice, &Uri::from_static("/x"), &allowed).is_err());
        let local = headers(&[("host", "localhost")]);
        assert!(check_host(&local, &Uri::from_static("http://evil.test/x"), &allowed).is_err());
        assert!(check_host(&local, &Uri::from_static("http://localhost/x"), &allowed).is_ok());
    }

    #[test]
    fn writes_from_foreign_pages_are_refused() {
        use Credential::{Ambient, Explicit};
        let own = "http://localhost:8081";
        for (origin, site, host, credential, expected) in [
            (Some(own), Some("same-origin"), "localhost:8081", Ambient, true),
            (Some(own), None, "localhost:8081", Ambient, true),
            (Some(own), Some("same-origin"), "localhost:8081", Explicit, true),
            (Some("https://hub.example.com"), Some("same-origin"), "hub.example.com", Ambient, true),
            (Some("https://HUB.example.com:443"), None, "hub.example.com", Ambient, true),
            (Some("https://hub.example.com"), None, "hub.example.com:443", Ambient, true),
            (Some("http://[::1]:8081"), None, "[::1]:8081", Ambient, true),
            (None, None, "localhost:8081", Explicit, true),
            // Browsers send the origin of a write. A write without one is refused.
            (None, None, "localhost:8081", Ambient, false),
            (None, Some("same-origin"), "localhost:8081", Ambient, false),
            (None, Some("none"), "localhost:8081", Explicit, false),
            (Some(own), Some("cross-site"), "localhost:8081", Explicit, false),
            (Some(own), Some("cross-site"), "localhost:8081", Ambient, false),
            (Some("null"), None, "localhost:8081", Ambient, false),
            (Some("null"), None, "localhost:8081", Explicit, false),
            (Some("http://localhost:3000"), Some("same-site"), "localhost:8081", Ambient, false),
            (Some("http://localhost:3000"), None, "localhost:8081", Explicit, false),
            (Some("http://localhost"), None, "localhost:8081", Ambient, false),
            (Some("http://127.0.0.1:8081"), None, "localhost:8081", Ambient, false),
            (Some("https://evil.test"), None, "hub.example.com", Ambient, false),
            (Some("https://hub.example.com.evil.test"), None, "hub.example.com", Ambient, false),
            (Some("https://hub.example.com@evil.test"), None, "hub.example.com", Ambient, false),
            (Some("https://hub.example.com:8443"), None, "hub.example.com", Ambient, false),
            (Some("chrome-extension://localhost:8081"), None, "localhost:8081", Ambient, false),
            (Some(""), None, "localhost:8081", Explicit, false),
        ] {
            let mut pairs = Vec::new();
            pairs.extend(origin.map(|origin| ("origin", origin)));
            pairs.extend(site.map(|site| ("sec-fetch-site", site)));
            let allowed = check_write(&headers(&pairs), host, credential).is_ok();
            assert_eq!(allowed, expected, "{origin:?} {site:?} {host} {credential:?}");
        }
    }
}
