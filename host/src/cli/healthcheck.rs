use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use super::error::CommandError;
use crate::config::Vars;

/// Containers give a check about five seconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// Ask the server on this machine whether it is ready.
///
/// For containers and service managers: exits with 0 when `/readyz` says yes, else with 1. Reads
/// ATLASHUB_ADMIN_LISTEN alone, since every role serves it.
#[derive(Debug, clap::Args)]
pub(super) struct HealthcheckArguments {}

pub(super) async fn run(_arguments: &HealthcheckArguments) -> Result<ExitCode, CommandError> {
    let vars = Vars::from_process()?;
    let listen: SocketAddr = vars.parsed_or_default("ATLASHUB_ADMIN_LISTEN", "an address such as 127.0.0.1:8081")?;
    let url = format!("http://{}/readyz", reachable(listen));
    let failed = |error: reqwest::Error| CommandError::failed(format!("{url} does not answer: {error}."));
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().map_err(failed)?;
    let response = client.get(&url).send().await.map_err(failed)?;
    let status = response.status();
    if status.is_success() {
        return Ok(ExitCode::SUCCESS);
    }
    let body = response.text().await.unwrap_or_default();
    Err(CommandError::failed(format!("{url} answers {}: {}", status.as_u16(), body.trim())))
}

/// An address to connect to: one that listens everywhere listens on loopback too.
fn reachable(listen: SocketAddr) -> SocketAddr {
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
    fn one_that_listens_everywhere_is_asked_on_loopback() {
        let check = |listen: &str, expected: &str| {
            assert_eq!(reachable(listen.parse().unwrap()), expected.parse().unwrap());
        };
        check("0.0.0.0:8081", "127.0.0.1:8081");
        check("[::]:8081", "[::1]:8081");
        check("192.0.2.7:80", "192.0.2.7:80");
    }
}
