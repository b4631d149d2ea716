//! Binds the listeners, serves requests until the shutdown, and waits for requests in flight.

use std::{net::SocketAddr, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    config::ConfigError,
    http::{ListenerLimits, serve_connections},
};

/// A bound listener of a surface.
pub(super) struct Surface {
    listener: TcpListener,
    pub(super) address: SocketAddr,
}

impl Surface {
    /// Binds the address. `variable` is the environment variable that sets it.
    pub(super) async fn bind(variable: &'static str, address: SocketAddr) -> Result<Self, ConfigError> {
        let bind_error = |error: std::io::Error| {
            ConfigError::new(
                variable,
                format!("is {address}, but listening there failed ({error})"),
                "if another program uses the port, stop it; otherwise set the variable to another address",
            )
        };
        let listener = TcpListener::bind(address).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        Ok(Self { listener, address })
    }
}

/// Serves until `stop` becomes true. Then closes the listeners and waits up to `drain` for requests in flight.
pub(super) async fn serve(
    surfaces: Vec<(Surface, Router, ListenerLimits)>,
    mut stop: watch::Receiver<bool>,
    drain: Duration,
) {
    let mut servers = JoinSet::new();
    let stopping = CancellationToken::new();
    for (surface, router, limits) in surfaces {
        tracing::info!(address = %surface.address, max_connections = limits.max_connections,
            "the {} surface is listening", limits.name);
        servers.spawn(serve_connections(surface.listener, router, limits, stopping.clone()));
    }
    drop(stop.wait_for(|stop| *stop).await);
    stopping.cancel();
    let drained = async { while servers.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, drained).await.is_err() {
        tracing::warn!(
            drain_s = drain.as_secs(),
            "some requests did not complete before the shutdown and were cut off"
        );
    }
}
