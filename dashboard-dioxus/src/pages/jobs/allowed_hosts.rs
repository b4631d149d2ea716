//! The note that jobs can call no URL, because the server allows requests to no host.

use std::net::{IpAddr, Ipv4Addr};

use dioxus::prelude::*;
use serde::Deserialize;

use crate::{
    remote::use_remote,
    ui::{Link, Mark, Shape},
};

pub(super) const VARIABLE: &str = "ATLASHUB_HTTP_ALLOWED_HOSTS";

/// The address of the settings that shows the variable alone.
pub(super) const VARIABLE_PAGE: &str = "/settings?section=configuration&q=ATLASHUB_HTTP_ALLOWED_HOSTS";

/// Part of [`api_types::SystemInfo`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Configuration {
    configuration: Vec<Variable>,
}

/// Part of [`api_types::ConfigurationVariable`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Variable {
    name: String,
    value: Option<String>,
}

/// Returns whether requests are allowed to no host. False while this is unknown. The configuration is read again after
/// a restart of the server.
pub(super) fn use_allows_no_hosts() -> bool {
    let system = use_remote::<Configuration>(use_signal(|| "/system".to_owned()).into());
    system.value().is_some_and(|system| allows_no_hosts(&system))
}

fn allows_no_hosts(system: &Configuration) -> bool {
    let variable = system.configuration.iter().find(|variable| variable.name == VARIABLE);
    variable.is_some_and(|variable| variable.value.as_deref().unwrap_or_default().trim().is_empty())
}

/// Returns the entry that the variable needs before jobs can send requests to a host. `host` may have a port. The entry
/// for a private address ends in `+private`. Without it, the server refuses the request even if the host is listed.
pub(super) fn entry_for(host: &str) -> String {
    if is_private(host) { format!("{host}+private") } else { host.to_owned() }
}

/// Returns whether a host is an address of this machine or of a private network. `false` for other names: only the
/// server can resolve them.
fn is_private(host: &str) -> bool {
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = without_port.trim_start_matches('[').trim_end_matches(']');
    match name.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => is_private_v4(address),
        Ok(IpAddr::V6(address)) => {
            address.to_ipv4_mapped().is_some_and(is_private_v4)
                || address.is_loopback()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    address.is_loopback() || address.is_private() || address.is_link_local() || is_shared
}

/// The sentences of the note.
#[component]
pub(super) fn NoHosts() -> Element {
    rsx! {
        "Requests are allowed to no host yet, so every call is refused. Set "
        span { class: "mono", "{VARIABLE}" }
        ", for example to "
        span { class: "mono", "api.example.com" }
        ". It is an environment variable of the server; restart AtlasHub afterwards. "
        Link { to: VARIABLE_PAGE, class: "link", "Show configuration" }
    }
}

/// The note, shown if requests are allowed to no host.
#[component]
pub(super) fn NoHostsNote() -> Element {
    if !use_allows_no_hosts() {
        return rsx! {};
    }
    rsx! {
        div { class: "banner t-warning", role: "note", Mark { shape: Shape::Attention } p { NoHosts {} } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_for_a_private_address_permits_private_addresses() {
        for private in
            ["127.0.0.1:18798", "localhost", "app.localhost:80", "10.0.0.1", "100.64.0.1", "[::1]:8080", "[fd00::1]"]
        {
            assert_eq!(entry_for(private), format!("{private}+private"));
        }
        for public in ["api.example.com", "api.example.com:8443", "8.8.8.8:80", "100.128.0.1", "[2606:4700::1111]:80"] {
            assert_eq!(entry_for(public), public);
        }
    }

    #[test]
    fn empty_value_allows_no_host() {
        let system = |value: Option<&str>| Configuration {
            configuration: vec![Variable { name: VARIABLE.to_owned(), value: value.map(str::to_owned) }],
        };
        assert!(allows_no_hosts(&system(None)) && allows_no_hosts(&system(Some(" "))));
        assert!(!allows_no_hosts(&system(Some("api.example.com"))));
        assert!(!allows_no_hosts(&Configuration { configuration: Vec::new() }));
    }
}
