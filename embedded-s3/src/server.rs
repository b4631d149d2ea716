//! HTTP around the operations.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{BoxFuture, Either};
use http::{HeaderName, Method, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use s3s::auth::SimpleAuth;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Error, s3_error};
use tokio::net::TcpListener;
use tower::Layer as _;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer, ExposeHeaders};

use crate::ops::Operations;
use crate::{Config, Store, guard};

/// A form is held in memory while it is checked.
const MAX_FORM_FILE: u64 = 64 * 1024 * 1024;
const MAX_FORM_FIELDS: usize = 256 * 1024;
/// A listing of 1000 keys to delete, each of 1024 bytes and escaped, fits well.
const MAX_XML: usize = 8 * 1024 * 1024;
/// Clocks of machines without a battery are far off: as long as a signed URL is valid.
const MAX_CLOCK_SKEW_SECONDS: u32 = 3600;
/// For the head of a request; also ends idle connections.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// For requests in flight once a shutdown was asked for.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves S3 on `listener` until `shutdown` resolves, then lets the requests in flight finish for up
/// to 30 seconds. Path-style addresses, HTTP/1.1, no TLS: it is meant for loopback or behind a proxy.
///
/// Every request must be signed (version 4) with the key pair of `config`, else it is answered with 403.
/// CORS preflights are answered here, for any origin.
///
/// # Errors
/// When `config.root` is not the folder of `store`, or the configuration is refused. Connections
/// that fail are logged, they don't end the server.
pub async fn serve(
    listener: TcpListener,
    store: Store,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    if store.root() != config.root {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the store was opened on another folder than config.root",
        ));
    }
    let service = cors().layer(Guarded { inner: s3_service(store, config) });
    let graceful = GracefulShutdown::new();
    let mut connections = tokio::task::JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Mostly too many open files: give the others time to close some.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY was not set");
        }
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service.clone()));
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests were cut off at shutdown");
    }
    connections.shutdown().await;
    Ok(())
}

fn s3_service(store: Store, config: Config) -> S3Service {
    let mut limits = S3Config::default();
    limits.presigned_url_max_skew_time_secs = MAX_CLOCK_SKEW_SECONDS;
    limits.post_object_max_file_size = MAX_FORM_FILE;
    limits.form_max_field_size = MAX_FORM_FIELDS;
    limits.form_max_fields_size = MAX_FORM_FIELDS;
    limits.form_max_parts = 100;
    limits.xml_max_body_size = MAX_XML;
    let mut builder = S3ServiceBuilder::new(Operations { store, region: config.region });
    builder.set_auth(SimpleAuth::from_single(config.access_key, config.secret_key));
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(limits))));
    builder.build()
}

/// Any origin: what protects an object is the signature, which no browser adds by itself.
fn cors() -> CorsLayer {
    let exposed = [
        // Everything, for browsers that know the star; the rest by name.
        HeaderName::from_static("*"),
        header::ETAG,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
        header::CONTENT_DISPOSITION,
        header::ACCEPT_RANGES,
        header::LAST_MODIFIED,
        HeaderName::from_static("x-amz-mp-parts-count"),
    ];
    CorsLayer::new()
        .allow_origin(AllowOrigin::any())
        .allow_methods([Method::GET, Method::PUT, Method::POST, Method::HEAD, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(ExposeHeaders::list(exposed))
        // Pages on the internet ask a loopback address for this before the rest.
        .allow_private_network(true)
        .max_age(Duration::from_secs(3600))
}

/// [`guard`] around `s3s`.
#[derive(Clone)]
struct Guarded {
    inner: S3Service,
}

type Answer = Result<Response<Body>, Infallible>;

impl tower::Service<Request<Incoming>> for Guarded {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Answer>, BoxFuture<'static, Answer>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        if let Err(error) = guard::check_request(&request) {
            return Either::Left(ready(Ok(refusal(error))));
        }
        let answer = tower::Service::call(&mut self.inner, request);
        Either::Right(Box::pin(async move {
            let mut response = answer.await.unwrap_or_else(|error| {
                tracing::error!(?error, "a request could not be answered");
                refusal(s3_error!(InternalError))
            });
            guard::repair_response(&mut response);
            Ok(response)
        }))
    }
}

fn refusal(error: S3Error) -> Response<Body> {
    error.to_http_response().unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}
