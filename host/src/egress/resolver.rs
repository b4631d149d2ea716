use std::{io, net::IpAddr};

use futures_util::{FutureExt as _, future::BoxFuture};

/// Turns names into addresses. It is asked once for a hop; what it answers is checked and then dialled.
pub trait ResolveHost: Send + Sync + 'static {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The machine's own resolver.
#[derive(Debug, Clone, Copy)]
pub struct SystemResolver;

impl ResolveHost for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        async move { Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect()) }.boxed()
    }
}
