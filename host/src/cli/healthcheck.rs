//! `atlashub healthcheck`: checks whether the server on this machine is ready.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use super::error::CommandError;
use crate::config::Vars;

/// Time limit of the request. Shorter than the timeout of the container's health check, which is 5 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);

/// Check whether the server on this machine is ready
///
/// For containers and service managers. Calls `/readyz` and exits with 0 if the server is ready, or else with 1. Reads
/// only ATLASHUB_ADMIN_LISTEN, since every role serves the admin surface.
#[derive(Debug, clap::Args)]
pub(super) struct HealthcheckArguments {}

pub(super) async fn run(_arguments: &HealthcheckArguments) -> Result<ExitCode, CommandError> {
    let vars = Vars::from_process()?;
    let listen: SocketAddr =
        vars.parsed_or_default("ATLASHUB_ADMIN_LISTEN", "an IP address and port such as 127.0.0.1:8081")?;
    let url = format!("http://{}/readyz", connect_address(listen));
    let failed = |error: reqwest::Error| CommandError::failed(format!("{url} can't be reached: {error}."));
    let client = reqwest::Client::builder().no_proxy().timeout(REQUEST_TIMEOUT).build().map_err(failed)?;
    let response = client.get(&url).send().await.map_err(failed)?;
    let status = response.status();
    if status.is_success() {
        return Ok(ExitCode::SUCCESS);
    }
    let body = response.text().await.unwrap_or_default();
    Err(CommandError::failed(format!("{url} returned {}: {}", status.as_u16(), body.trim())))
}

/// Returns the address to connect to: loopback if the server listens on all interfaces.
fn connect_address(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), listen.port()),
        IpAddr::V6(address) if address.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), listen.port()),
        _ => listen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_on_all_interfaces_is_checked_on_loopback() {
        let check = |listen: &str, expected: &str| {
            assert_eq!(connect_address(listen.parse().unwrap()), expected.parse().unwrap());
        };
        check("0.0.0.0:8081", "127.0.0.1:8081");
        check("[::]:8081", "[::1]:8081");
        check("192.0.2.7:80", "192.0.2.7:80");
    }
}
