//! Resolves host names.

use std::{io, net::IpAddr};

use futures_util::{FutureExt as _, future::BoxFuture};

/// Resolves host names. A request resolves its host once, and the host of each redirect once. The client connects only
/// to returned IP addresses that pass the checks.
pub trait ResolveHost: Send + Sync + 'static {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy)]
pub struct SystemResolver;

impl ResolveHost for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect()) }.boxed()
    }
}
