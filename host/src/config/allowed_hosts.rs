//! The hosts to which outgoing requests may be sent.

use url::Host;

/// The hosts to which outgoing requests may be sent. Empty by default.
///
/// The text of a list consists of comma-separated entries of `[scheme://]host[:port][+private]`. The host is a name, an
/// IP address (IPv6 in brackets), `*.suffix` or `*`. An entry without a scheme allows `http` and `https`, and one
/// without a port allows every port. `+private` permits private addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts {
    entries: Vec<AllowedHost>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct AllowedHost {
    scheme: Option<WebScheme>,
    host: HostPattern,
    port: Option<u16>,
    /// Whether the host may have a private IP address.
    private: bool,
}

/// The scheme of a web URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebScheme {
    Http,
    Https,
}

impl WebScheme {
    /// Parses the scheme of a URL. Returns `None` unless it is `http` or `https`.
    pub fn parse(scheme: &str) -> Option<Self> {
        match scheme {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }

    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Permissions of the entries that match a target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostPermit {
    /// Whether the target may have a private IP address.
    pub private: bool,
    /// Whether an entry names the target's port.
    pub port_named: bool,
}

impl AllowedHosts {
    /// Parses the list.
    ///
    /// # Errors
    /// Fails if an entry is invalid. The error describes the first such entry.
    pub fn parse(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        Ok(Self { entries: entries.map(parse_entry).collect::<Result<_, _>>()? })
    }

    /// Creates a list that allows one target only.
    pub fn only(scheme: WebScheme, host: &Host<String>, port: u16, private: bool) -> Self {
        let host = HostPattern::Exact(host.clone());
        Self { entries: vec![AllowedHost { scheme: Some(scheme), host, port: Some(port), private }] }
    }

    /// Returns whether a server that is reached by a protocol other than HTTP may have a private IP address. Entries
    /// with a scheme don't match.
    pub fn permits_private(&self, host: &Host<String>, port: u16) -> bool {
        self.entries.iter().any(|entry| {
            entry.private
                && entry.scheme.is_none()
                && entry.port.is_none_or(|wanted| wanted == port)
                && entry.host.matches(host)
        })
    }

    /// Returns the permissions for a target, or `None` if no entry matches.
    pub fn permit(&self, scheme: WebScheme, host: &Host<String>, port: u16) -> Option<HostPermit> {
        let matching = self.entries.iter().filter(|entry| {
            entry.scheme.is_none_or(|wanted| wanted == scheme)
                && entry.port.is_none_or(|wanted| wanted == port)
                && entry.host.matches(host)
        });
        matching.fold(None, |permit: Option<HostPermit>, entry| {
            let permit = permit.unwrap_or_default();
            Some(HostPermit {
                private: permit.private || entry.private,
                port_named: permit.port_named || entry.port.is_some(),
            })
        })
    }
}

fn parse_entry(entry: &str) -> Result<AllowedHost, String> {
    let (rest, private) = match entry.split_once('+') {
        Some((rest, "private")) => (rest, true),
        Some((_, other)) => {
            return Err(format!("lists `{entry}`, and `+{other}` is unknown (supported: `+private`)"));
        }
        None => (entry, false),
    };
    let (scheme, rest) = match rest.split_once("://") {
        Some((scheme, rest)) => {
            let known = WebScheme::parse(&scheme.to_ascii_lowercase());
            (Some(known.ok_or_else(|| format!("lists `{entry}`, and its scheme is neither http nor https"))?), rest)
        }
        None => (None, rest),
    };
    let after_host = rest.rfind(']').unwrap_or(0);
    let (host, port) = match rest[after_host..].rfind(':') {
        Some(colon) => {
            let (host, port) = (&rest[..after_host + colon], &rest[after_host + colon + 1..]);
            let number: Option<u16> = port.parse().ok().filter(|number| *number > 0);
            (host, Some(number.ok_or_else(|| format!("lists `{entry}`, whose port is not one of 1 to 65535"))?))
        }
        None => (rest, None),
    };
    let host = HostPattern::parse(host).ok_or_else(|| {
        format!("lists `{entry}`, whose host is not a name, an IP address (IPv6 in brackets), `*.suffix` or `*`")
    })?;
    if private && host == HostPattern::AnyPublic {
        return Err(format!("lists `{entry}`, and `*` matches only public hosts: list private ones by name"));
    }
    Ok(AllowedHost { scheme, host, port, private })
}

/// A pattern for host names: `host`, `*.suffix` or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// `*`: every host. An entry of [`AllowedHosts`] with this pattern permits only public IP addresses.
    AnyPublic,
    /// A suffix with its leading dot.
    Suffix(String),
    Exact(Host<String>),
}

impl HostPattern {
    /// Parses a pattern. Returns `None` if the syntax is wrong.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::AnyPublic);
        }
        let (name, is_suffix) = match text.strip_prefix("*.") {
            Some(suffix) => (suffix, true),
            None => (text, false),
        };
        let is_allowed =
            |character: char| character.is_alphanumeric() || matches!(character, '.' | '-' | '_' | '[' | ']' | ':');
        if !name.chars().all(is_allowed) {
            return None;
        }
        match (canonical_host(Host::parse(name).ok()?)?, is_suffix) {
            (Host::Domain(name), true) => Some(Self::Suffix(format!(".{name}"))),
            (_, true) => None,
            (host, false) => Some(Self::Exact(host)),
        }
    }

    pub fn matches(&self, host: &Host<String>) -> bool {
        match self {
            Self::AnyPublic => true,
            Self::Suffix(suffix) => {
                matches!(host, Host::Domain(name) if name.len() > suffix.len() && name.ends_with(suffix.as_str()))
            }
            Self::Exact(exact) => exact == host,
        }
    }
}

/// Returns the host in lower case and without a trailing dot, or `None` for a name with an empty label.
pub fn canonical_host(host: Host<String>) -> Option<Host<String>> {
    match host {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            let is_valid = !name.is_empty() && name.split('.').all(|label| !label.is_empty());
            is_valid.then(|| Host::Domain(name.to_ascii_lowercase()))
        }
        address => Some(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permit(list: &str, url: &str) -> Option<HostPermit> {
        let url = url::Url::parse(url).unwrap();
        let scheme = WebScheme::parse(url.scheme()).unwrap();
        let host = canonical_host(url.host().unwrap().to_owned()).unwrap();
        AllowedHosts::parse(list).unwrap().permit(scheme, &host, url.port_or_known_default().unwrap())
    }

    #[test]
    fn entries_allow_only_matching_targets() {
        let check = |list: &str, url: &str, allowed: bool| {
            assert_eq!(permit(list, url).is_some(), allowed, "{list} {url}");
        };
        check("", "https://a.example/", false);
        check("a.example", "https://a.example/", true);
        check("a.example", "http://a.example:8080/", true);
        check("A.Example.", "https://a.eXample./", true);
        check("a.example", "https://b.a.example/", false);
        check("a.example", "https://a.example.evil/", false);
        check("https://a.example", "http://a.example/", false);
        check("https://a.example", "https://a.example:8443/", true);
        check("a.example:8443", "https://a.example:8443/", true);
        check("a.example:8443", "https://a.example/", false);
        check("*.a.example", "https://b.a.example/", true);
        check("*.a.example", "https://c.b.a.example/", true);
        check("*.a.example", "https://a.example/", false);
        check("*.a.example", "https://xa.example/", false);
        check("*", "https://1.2.3.4/", true);
        check("bücher.example", "https://xn--bcher-kva.example/", true);
        check("127.0.0.1+private", "http://2130706433/", true);
        check("127.0.0.1+private", "http://[::ffff:127.0.0.1]/", false);
        check("[::1]:80+private", "http://[0:0::1]/", true);
        check("b.example, a.example", "https://a.example/", true);
    }

    #[test]
    fn private_addresses_are_permitted_only_by_matching_entries() {
        let check = |list: &str, url: &str, private: bool, port_named: bool| {
            assert_eq!(permit(list, url), Some(HostPermit { private, port_named }), "{list} {url}");
        };
        check("*,nas.lan+private", "http://nas.lan/", true, false);
        check("*,nas.lan+private", "http://other.lan/", false, false);
        check("nas.lan:80+private", "http://nas.lan/", true, true);
        check("*,nas.lan:8080+private", "http://nas.lan/", false, false);
        check("*.lan+private", "http://nas.lan/", true, false);
    }

    #[test]
    fn invalid_entry_is_named_in_the_error() {
        for wrong in [
            "ftp://a.example",
            "a.example+public",
            "*+private",
            "a.example:0",
            "a.example:99999",
            "a.example:x",
            "a b",
            "user@a.example",
            "https://a.example/path",
            "https://",
            "a..example",
            "*.*.example",
            "a.*.example",
            "*.1.2.3.4",
            "*.2",
            "::1",
            "[::1",
            "%41.example",
        ] {
            let problem = AllowedHosts::parse(&format!("ok.example, {wrong}")).expect_err(wrong);
            assert!(problem.contains(wrong) && !problem.contains('\n'), "{problem}");
        }
    }
}
