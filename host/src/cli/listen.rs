//! Binds the listeners, serves requests until the shutdown, and waits for requests in flight.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, serve::ListenerExt};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::config::ConfigError;

/// A bound listener of a surface.
pub(super) struct Surface {
    name: &'static str,
    listener: TcpListener,
    pub(super) address: SocketAddr,
}

impl Surface {
    /// Binds the address. `variable` is the environment variable that sets it.
    pub(super) async fn bind(
        name: &'static str,
        variable: &'static str,
        address: SocketAddr,
    ) -> Result<Self, ConfigError> {
        let bind_error = |error: std::io::Error| {
            ConfigError::new(
                variable,
                format!("is {address}, but listening there failed ({error})"),
                "stop the program that uses the port, or set the variable to another address",
            )
        };
        let listener = TcpListener::bind(address).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        Ok(Self { name, listener, address })
    }
}

/// Serves until `stop` becomes true. Then closes the listeners and waits up to `drain` for requests in flight.
pub(super) async fn serve(
    surfaces: Vec<(Surface, Router)>,
    mut stop: watch::Receiver<bool>,
    drain: Duration,
) -> std::io::Result<()> {
    let mut servers = JoinSet::new();
    for (surface, router) in surfaces {
        tracing::info!(address = %surface.address, "the {} surface is listening", surface.name);
        // Responses are written as a whole, so waiting to fill a packet would only delay them.
        let listener = surface.listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY could not be set on a connection");
            }
        });
        let mut stop = stop.clone();
        let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        servers.spawn(axum::serve(listener, service).with_graceful_shutdown(stopped).into_future());
    }
    tokio::select! {
        // Before the shutdown, a server only ends with an error.
        Some(Ok(Err(error))) = servers.join_next() => return Err(error),
        _ = stop.wait_for(|stop| *stop) => {}
    }
    let drained = async { while servers.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, drained).await.is_err() {
        tracing::warn!(
            drain_s = drain.as_secs(),
            "some requests did not complete before the shutdown and were cut off"
        );
    }
    Ok(())
}
