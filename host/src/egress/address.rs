//! Classifies IP addresses by whether requests from the platform may reach them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kind of an IP address, ordered from allowed to forbidden for requests from the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum AddressKind {
    /// An address on the public Internet.
    Public,
    /// This machine or its network. Allowed for hosts with `+private` on the allowlist.
    Private,
    /// The metadata service of a cloud provider, which returns credentials.
    Metadata,
    /// Not the address of a single machine: unspecified, multicast, broadcast, reserved or documentation.
    Unusable,
}

use AddressKind::{Metadata, Private, Public, Unusable};

/// Returns the kind of an IP address. The kind of a translated address follows from the address that is embedded in it.
///
/// Follows the IANA special-purpose registries of IPv4 and IPv6 addresses (RFC 6890 and its updates).
pub(super) fn kind_of(address: IpAddr) -> AddressKind {
    match address.to_canonical() {
        IpAddr::V4(address) => kind_of_v4(address),
        IpAddr::V6(address) => kind_of_v6(address),
    }
}

fn kind_of_v4(address: Ipv4Addr) -> AddressKind {
    match address.octets() {
        // AWS, Google, Azure and most others; AWS ECS tasks; Alibaba; Oracle; the Azure host.
        [169, 254, 169, 254] | [169, 254, 170, 2] | [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => {
            Metadata
        }
        [0, ..] | [224..=255, ..] => Unusable,
        // Documentation, benchmarks, protocol assignments, 6to4 relays (deprecated).
        [192, 0, 2, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [198, 18..=19, ..]
        | [192, 0, 0, _]
        | [192, 88, 99, _] => Unusable,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [127, ..] | [169, 254, ..] | [100, 64..=127, ..] => Private,
        _ => Public,
    }
}

fn kind_of_v6(address: Ipv6Addr) -> AddressKind {
    let s = address.segments();
    match s {
        // AWS; Google.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254] => Metadata,
        [0, 0, 0, 0, 0, 0, 0, 0] => Unusable,
        [0, 0, 0, 0, 0, 0, 0, 1] => Private,
        // IPv4-compatible and IPv4-translated (RFC 2765). Both are deprecated, so no public server has one.
        [0, 0, 0, 0, 0, 0, a, b] | [0, 0, 0, 0, 0xffff, 0, a, b] => kind_of_v4(embedded(a, b)).max(Private),
        // NAT64 (RFC 6052), and its prefix for local use (RFC 8215).
        [0x0064, 0xff9b, 0, 0, 0, 0, a, b] => kind_of_v4(embedded(a, b)),
        [0x0064, 0xff9b, 0x0001, .., a, b] => kind_of_v4(embedded(a, b)).max(Private),
        // 6to4 (RFC 3056).
        [0x2002, a, b, ..] => kind_of_v4(embedded(a, b)),
        // Teredo (RFC 4380): the server's address, and the client's address with every bit inverted.
        [0x2001, 0x0000, a, b, _, _, c, d] => kind_of_v4(embedded(a, b)).max(kind_of_v4(embedded(!c, !d))),
        // Documentation; other protocol assignments; discard-only; 6bone.
        [0x2001, 0x0db8, ..]
        | [0x3fff, 0..=0x0fff, ..]
        | [0x2001, 0..=0x01ff, ..]
        | [0x0100, 0, 0, ..]
        | [0x3ffe, ..] => Unusable,
        // Unique local; link-local; site-local (deprecated).
        [0xfc00..=0xfdff, ..] | [0xfe80..=0xfeff, ..] => Private,
        // Everything outside 2000::/3, the range of global unicast addresses, is multicast, reserved or unassigned.
        [0..=0x1fff | 0x4000..=0xffff, ..] => Unusable,
        // ISATAP (RFC 5214) in any network.
        [.., 0x0000 | 0x0200, 0x5efe, a, b] => kind_of_v4(embedded(a, b)),
        _ => Public,
    }
}

fn embedded(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_classified_in_every_notation() {
        let check = |address: &str, kind: AddressKind| {
            assert_eq!(kind_of(address.parse().expect(address)), kind, "{address}");
        };
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.1.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.1.1",
            "192.169.1.1",
            "198.17.1.1",
            "198.20.1.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "2d00::1",
            // Translated forms of a public address.
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2002:0808:0808::1",
            "2606:4700::5efe:8.8.8.8",
        ] {
            check(public, Public);
        }
        for private in [
            "10.0.0.1",
            "10.255.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.1.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "::ffff:10.0.0.1",
            "::ffff:7f00:1",
            "::127.0.0.1",
            "::10.0.0.1",
            "::8.8.8.8",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::10.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "64:ff9b:1:abcd::192.168.1.1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2002:c0a8:101::1",
            // Teredo: a public server with the client 192.168.1.1; then the server 127.0.0.1.
            "2001:0:808:808:0:0:3f57:fefe",
            "2001:0:7f00:1:0:0:f7f7:f7f7",
            "2606:4700::5efe:10.0.0.1",
            "2606:4700::200:5efe:127.0.0.1",
            "fe80::5efe:8.8.8.8",
        ] {
            check(private, Private);
        }
        for metadata in [
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
        ] {
            check(metadata, Metadata);
        }
        for unusable in [
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "198.18.0.1",
            "198.19.255.255",
            "192.0.0.1",
            "192.88.99.1",
            "::",
            "ff02::1",
            "ff0e::5efe:8.8.8.8",
            "4000::200:5efe:8.8.8.8",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff::1",
            "2001:2::1",
            "2001:20::1",
            "100::1",
            "3ffe::1",
            "4000::1",
            "5f00::1",
            "::ffff:0.0.0.0",
            "64:ff9b::0.0.0.0",
            "2002:e000:1::",
            "2002:0:0::1",
        ] {
            check(unusable, Unusable);
        }
    }
}
