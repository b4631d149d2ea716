//! Finds the address of the client of a request.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request},
    http::request::Parts,
};

use crate::config::ProxyTrust;

/// Address of the client: the peer's, or the one that a trusted proxy reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

/// Returns the request with its [`ClientAddress`], if the address of its peer is known.
pub fn add_client_address(trust: &ProxyTrust, mut request: Request) -> Request {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    if let Some(peer) = peer {
        let address = ClientAddress(trust.client_address(peer, request.headers()));
        request.extensions_mut().insert(address);
    }
    request
}

/// Extracts the address that [`add_client_address`] added. Without it, returns the peer's address, or loopback for a
/// router without a listener.
impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        if let Some(address) = parts.extensions.get::<Self>() {
            return Ok(*address);
        }
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(IpAddr::from([127, 0, 0, 1]), |ConnectInfo(peer)| peer.ip());
        Ok(Self(peer.to_canonical()))
    }
}
