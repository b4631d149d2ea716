//! The proxies that are trusted to report the IP address of a client.

use std::net::IpAddr;

use axum::http::HeaderMap;

/// Proxies whose header `CF-Connecting-IP` is trusted.
#[derive(Debug, Clone, Default)]
pub struct ProxyTrust {
    networks: Vec<(IpAddr, u8)>,
}

impl ProxyTrust {
    /// Parses comma-separated entries of `address[/prefix]`.
    ///
    /// # Errors
    /// Fails if an entry is invalid. The error describes the first such entry.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut networks = Vec::new();
        for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
            let (address, prefix) = match entry.split_once('/') {
                Some((address, prefix)) => (address, Some(prefix)),
                None => (entry, None),
            };
            let address: IpAddr =
                address.parse().map_err(|_| format!("lists `{entry}`, which is not an IP address or network"))?;
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let prefix = match prefix {
                Some(text) => text
                    .parse()
                    .ok()
                    .filter(|prefix| *prefix <= bits)
                    .ok_or_else(|| format!("lists `{entry}`, which has no valid prefix length"))?,
                None => bits,
            };
            networks.push((address, prefix));
        }
        Ok(Self { networks })
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        self.networks.iter().any(|(network, prefix)| in_network(peer, *network, *prefix))
    }

    /// Returns the client's IP address: the peer's, or the one in the header if the peer is a trusted proxy.
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        headers
            .get("cf-connecting-ip")
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.trim().parse::<IpAddr>().ok())
            .map_or(peer, |address| address.to_canonical())
    }
}

fn in_network(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            u32::from(address) & mask == u32::from(network) & mask
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            u128::from(address) & mask == u128::from(network) & mask
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_used_only_from_trusted_peers() {
        let trust = ProxyTrust::parse("10.0.0.0/8, ::1").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("cf-connecting-ip", "203.0.113.9".parse().unwrap());
        let check = |peer: &str, expected: &str| {
            assert_eq!(trust.client_address(peer.parse().unwrap(), &headers), expected.parse::<IpAddr>().unwrap());
        };
        check("10.1.2.3", "203.0.113.9");
        check("::1", "203.0.113.9");
        check("::ffff:10.1.2.3", "203.0.113.9");
        check("192.0.2.1", "192.0.2.1");
        check("127.0.0.1", "127.0.0.1");
    }

    #[test]
    fn invalid_network_is_named_in_the_error() {
        assert!(ProxyTrust::parse("10.0.0.0/33").unwrap_err().contains("10.0.0.0/33"));
        assert!(ProxyTrust::parse("cloudflare").unwrap_err().contains("cloudflare"));
    }
}
