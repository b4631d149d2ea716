//! Creates the guarded streams of connections, with and without TLS.

use std::io;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};

use super::stream::{GuardedStream, PlainStream};

/// Creates [`GuardedStream`]s. `connector` sets up TLS, unless it is [`Plain`].
#[derive(Clone)]
pub(in crate::db) struct Guarded<C> {
    pub(in crate::db) connector: C,
    /// Maximum size of a row, in bytes.
    pub(in crate::db) max_row_bytes: usize,
}

/// The connector of connections without TLS.
#[derive(Clone, Copy)]
pub(in crate::db) struct Plain;

impl<S, C> MakeTlsConnect<S> for Guarded<C>
where
    C: MakeTlsConnect<S>,
    C::TlsConnect: Send + 'static,
    <C::TlsConnect as TlsConnect<S>>::Future: Send,
    S: Send + 'static,
{
    type Stream = GuardedStream<C::Stream>;
    type TlsConnect = Guarded<C::TlsConnect>;
    type Error = C::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Self::TlsConnect, Self::Error> {
        let connector = self.connector.make_tls_connect(domain)?;
        Ok(Guarded { connector, max_row_bytes: self.max_row_bytes })
    }
}

impl<S, C> TlsConnect<S> for Guarded<C>
where
    C: TlsConnect<S> + Send + 'static,
    C::Future: Send,
    S: Send + 'static,
{
    type Stream = GuardedStream<C::Stream>;
    type Error = C::Error;
    type Future = BoxFuture<'static, Result<Self::Stream, Self::Error>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let stream = self.connector.connect(stream).await?;
            Ok(GuardedStream::new(stream, self.max_row_bytes))
        })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> MakeTlsConnect<S> for Plain {
    type Stream = PlainStream<S>;
    type TlsConnect = Self;
    type Error = io::Error;

    fn make_tls_connect(&mut self, _domain: &str) -> Result<Self, io::Error> {
        Ok(*self)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsConnect<S> for Plain {
    type Stream = PlainStream<S>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<PlainStream<S>>>;

    fn connect(self, stream: S) -> Self::Future {
        std::future::ready(Ok(PlainStream::new(stream)))
    }
}
