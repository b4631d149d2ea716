//! The target of an outgoing request: parses and checks its URL, and resolves and checks its IP addresses.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::{
    address::{AddressKind, kind_of},
    error::EgressError,
    resolver::ResolveHost,
};
use crate::config::{AllowedHosts, HostPattern, HostPermit, WebScheme, canonical_host};

/// Maximum number of IP addresses of one host that are tried.
const MAX_ADDRESSES: usize = 8;

/// Ports of other protocols, whose servers could interpret a request body as commands: the ports that browsers block
/// (Fetch standard, "bad port"), and those of databases and container engines.
const BLOCKED_PORTS: &[u16] = &[
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
    111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532,
    540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061,
    6000, 6379, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080, 1433, 1521, 2375, 2376, 3306, 5432, 5433, 6432,
    11211, 27017,
];

/// The target of a request: the origin of its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub scheme: WebScheme,
    pub host: Host<String>,
    pub port: u16,
}

impl Origin {
    /// Parses a URL and its origin. Removes the fragment, and a trailing dot of the host.
    pub(super) fn parse(text: &str) -> Result<(Url, Self), EgressError> {
        let url = Url::parse(text).map_err(|_| EgressError::InvalidUrl("it is not a valid absolute URL"))?;
        Self::of(url)
    }

    /// Returns the origin of a parsed URL, and the URL without its fragment and the trailing dot of its host.
    pub(super) fn of(mut url: Url) -> Result<(Url, Self), EgressError> {
        let scheme =
            WebScheme::parse(url.scheme()).ok_or(EgressError::InvalidUrl("its scheme is neither http nor https"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressError::InvalidUrl(
                "it contains a user or password; send an `authorization` header instead",
            ));
        }
        let host = url.host().ok_or(EgressError::InvalidUrl("it has no host"))?.to_owned();
        let host = canonical_host(host).ok_or(EgressError::InvalidUrl("its host is not valid"))?;
        if let Host::Domain(name) = &host {
            url.set_host(Some(name)).map_err(|_| EgressError::InvalidUrl("its host is not valid"))?;
        }
        url.set_fragment(None);
        let port = url.port().unwrap_or(scheme.default_port());
        if port == 0 {
            return Err(EgressError::InvalidUrl("its port is 0"));
        }
        Ok((url, Self { scheme, host, port }))
    }

    /// Returns the origin as an allowlist entry, in backticks.
    fn allowlist_entry(&self) -> String {
        let scheme = if self.scheme == WebScheme::Https { "https" } else { "http" };
        if self.port == self.scheme.default_port() {
            format!("`{scheme}://{}`", self.host)
        } else {
            format!("`{scheme}://{}:{}`", self.host, self.port)
        }
    }

    /// Checks the origin against the allowlist, the scope and the blocked ports; not its addresses.
    pub(super) fn check(&self, allowed: &AllowedHosts, scope: &[String]) -> Result<HostPermit, EgressError> {
        let host = self.host.to_string();
        let Some(permit) = allowed.permit(self.scheme, &self.host, self.port) else {
            return Err(EgressError::NotAllowed { origin: self.allowlist_entry() });
        };
        let in_scope =
            scope.iter().filter_map(|pattern| HostPattern::parse(pattern)).any(|pattern| pattern.matches(&self.host));
        if !in_scope {
            return Err(EgressError::OutOfScope { host });
        }
        if BLOCKED_PORTS.contains(&self.port) && !permit.port_named {
            return Err(EgressError::PortNotAllowed { host, port: self.port });
        }
        Ok(permit)
    }

    /// Resolves the host, and returns up to [`MAX_ADDRESSES`] addresses that the permit allows.
    pub(super) async fn resolve(
        &self,
        permit: HostPermit,
        resolver: &dyn ResolveHost,
    ) -> Result<Vec<SocketAddr>, EgressError> {
        let (candidates, is_literal) = match &self.host {
            Host::Ipv4(address) => (vec![IpAddr::V4(*address)], true),
            Host::Ipv6(address) => (vec![IpAddr::V6(*address)], true),
            Host::Domain(name) => {
                let unresolved = || EgressError::Unresolved { host: name.clone() };
                let addresses = resolver.resolve(name).await.map_err(|_| unresolved())?;
                if addresses.is_empty() {
                    return Err(unresolved());
                }
                (addresses, false)
            }
        };
        let is_allowed = |address: &IpAddr| match kind_of(*address) {
            AddressKind::Public => true,
            AddressKind::Private => permit.private,
            // Metadata services are allowed only if the owner listed the address itself. A host name could resolve to
            // such an address at any time.
            AddressKind::Metadata => permit.private && is_literal,
            AddressKind::Unusable => false,
        };
        let addresses: Vec<SocketAddr> = candidates
            .iter()
            .filter(|address| is_allowed(address))
            .take(MAX_ADDRESSES)
            .map(|address| SocketAddr::new(address.to_canonical(), self.port))
            .collect();
        if addresses.is_empty() {
            return Err(EgressError::PrivateAddress { host: self.host.to_string() });
        }
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_target(list: &str, scope: &[&str], url: &str) -> Result<HostPermit, EgressError> {
        let scope: Vec<String> = scope.iter().map(|&pattern| pattern.to_owned()).collect();
        Origin::parse(url)?.1.check(&AllowedHosts::parse(list).unwrap(), &scope)
    }

    #[test]
    fn urls_parse_to_one_canonical_host() {
        let check = |url: &str, host: &str, port: u16| {
            let (parsed, origin) = Origin::parse(url).expect(url);
            assert_eq!((origin.host.to_string().as_str(), origin.port), (host, port), "{url}");
            assert_eq!(parsed.host_str(), Some(host), "{url}: the URL that is sent has the checked host");
        };
        check("https://EXAMPLE.com./a#b", "example.com", 443);
        check("http://example.com:8080", "example.com", 8080);
        check("http://B\u{fc}cher.example/", "xn--bcher-kva.example", 80);
        check("http://\u{ff45}xample.com/", "example.com", 80);
        // Notations of 127.0.0.1.
        for host in [
            "2130706433",
            "0x7f000001",
            "017700000001",
            "127.1",
            "0177.0.0.1",
            "0x7f.0.0.1",
            "127.0.0.1.",
            "%31%32%37.1",
        ] {
            check(&format!("http://{host}/"), "127.0.0.1", 80);
        }
        check("http://\u{2461}.1.1.1/", "2.1.1.1", 80);
        check("http://[::FFFF:127.0.0.1]/", "[::ffff:7f00:1]", 80);
        check("http://[0:0:0:0:0:0:0:1]/", "[::1]", 80);
        check("http:\\\\example.com\\a", "example.com", 80);
        for invalid in [
            "",
            "/a",
            "example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "gopher://example.com",
            "http://",
            "http://u@example.com",
            "http://u:p@example.com",
            "http://:p@example.com",
            "http://a..b/",
            "http://.a/",
            "http://256.256.256.256/",
            "http://[::1",
            "http://a b/",
            "http://example.com:0/",
            "http://example.com:99999/",
            "data:text/plain,x",
            "unix:/run/docker.sock",
            "http://1.2.3.4.5/",
        ] {
            assert!(matches!(Origin::parse(invalid), Err(EgressError::InvalidUrl(_))), "{invalid}");
        }
        // The text before the @ is a user, not a host.
        assert!(Origin::parse("http://allowed.example@127.0.0.1/").is_err());
    }

    #[test]
    fn target_must_pass_allowlist_scope_and_port() {
        let all = ["*"].as_slice();
        assert!(check_target("a.example", all, "https://a.example/").is_ok());
        assert!(matches!(check_target("", all, "https://a.example/"), Err(EgressError::NotAllowed { .. })));
        assert!(matches!(check_target("*", &[], "https://a.example/"), Err(EgressError::OutOfScope { .. })));
        assert!(matches!(check_target("*", &["b.example"], "https://a.example/"), Err(EgressError::OutOfScope { .. })));
        assert!(check_target("*", &["b.example", "*.example"], "https://a.example/").is_ok());
        assert!(matches!(
            check_target("b.example", &["a.example"], "https://a.example/"),
            Err(EgressError::NotAllowed { .. })
        ));
        assert!(matches!(
            check_target("*", all, "http://a.example:25/"),
            Err(EgressError::PortNotAllowed { port: 25, .. })
        ));
        assert!(matches!(check_target("*", all, "http://a.example:5432/"), Err(EgressError::PortNotAllowed { .. })));
        assert!(check_target("a.example:25", all, "http://a.example:25/").is_ok());
        let message = check_target("", all, "https://a.example:8443/secret").unwrap_err().to_string();
        assert!(message.contains("`https://a.example:8443`") && !message.contains("secret"), "{message}");
    }
}
