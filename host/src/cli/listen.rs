//! The listeners: bound with a clear error, served until the end is asked for, drained.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, serve::ListenerExt};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::config::ConfigError;

/// A port that was taken, with the surface it is for.
pub(super) struct Surface {
    name: &'static str,
    listener: TcpListener,
    pub(super) address: SocketAddr,
}

impl Surface {
    /// `variable` is the one that says the address.
    pub(super) async fn bind(
        name: &'static str,
        variable: &'static str,
        address: SocketAddr,
    ) -> Result<Self, ConfigError> {
        let wrong = |error: std::io::Error| {
            ConfigError::new(
                variable,
                format!("is {address}, which can't be listened on ({error})"),
                "stop what uses the port, or set it to another address",
            )
        };
        let listener = TcpListener::bind(address).await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        Ok(Self { name, listener, address })
    }
}

/// Serves until `stop` changes, then takes no more connections and waits for requests in flight, `drain` at most.
pub(super) async fn serve(
    surfaces: Vec<(Surface, Router)>,
    mut stop: watch::Receiver<bool>,
    drain: Duration,
) -> std::io::Result<()> {
    let mut servers = JoinSet::new();
    for (surface, router) in surfaces {
        tracing::info!(address = %surface.address, "the {} surface is listening", surface.name);
        // Answers are written whole: waiting to fill a packet would only delay them.
        let listener = surface.listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection's delay could not be switched off");
            }
        });
        let mut stop = stop.clone();
        let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        servers.spawn(axum::serve(listener, service).with_graceful_shutdown(stopped).into_future());
    }
    tokio::select! {
        // Before the end was asked for, a server only ends by failing.
        Some(Ok(Err(error))) = servers.join_next() => return Err(error),
        _ = stop.wait_for(|stop| *stop) => {}
    }
    let drained = async { while servers.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, drained).await.is_err() {
        tracing::warn!(drain_s = drain.as_secs(), "some requests did not end in time and were cut off");
    }
    Ok(())
}
