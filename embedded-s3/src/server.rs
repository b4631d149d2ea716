//! HTTP: accepts connections, responds to CORS preflights, and passes requests through `guard` to `s3s`.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
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

use crate::config::Config;
use crate::lenient::{Authenticated, SignedRequests, without_rejected_headers};
use crate::ops::Operations;
use crate::store::Store;
use crate::{bucket_body, form, guard};

/// Maximum size of a file in a form upload. The whole form is held in memory while it is checked.
pub const MAX_FORM_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Maximum size of the fields of a form. The bytes of the file that arrive together with the last field count as well.
const MAX_FORM_FIELD_BYTES: usize = 256 * 1024;
/// Maximum number of bytes that are read from a connection at once. By default, hyper reads up to 400 KiB from
/// connections with much data, so that forms on them would exceed [`MAX_FORM_FIELD_BYTES`].
const MAX_READ_BYTES: usize = MAX_FORM_FIELD_BYTES / 2;
/// Maximum size of an XML body. A request to delete 1000 keys of 1024 bytes each, escaped, fits.
const MAX_XML_BYTES: usize = 8 * 1024 * 1024;
/// Maximum error of the signer's clock. Machines without a clock battery can be off by minutes.
const MAX_CLOCK_SKEW_SECONDS: u32 = 3600;
/// Time within which the head of a request must arrive. It also closes idle connections.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Maximum number of open connections. Further connections are closed. Every connection uses a file descriptor.
const MAX_CONNECTIONS: usize = 256;
/// Time limit for open requests to finish after a shutdown was requested.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a connection could not be accepted.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Serves S3 on `listener` until `shutdown` resolves, then waits up to 30 seconds for open requests to finish.
///
/// The server supports path-style addresses over HTTP/1.1 without TLS. It is meant for loopback or for use behind a
/// proxy. Every request must be signed (version 4) with the key pair of `config`. Other requests are rejected with 403.
/// CORS preflights succeed for any origin.
///
/// # Errors
/// Fails if `config.root` is not the folder of `store`. Connections that fail are logged and don't end the server.
pub async fn serve(
    listener: TcpListener,
    store: Store,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    if store.root() != config.root {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the store was opened on a different folder than `config.root`",
        ));
    }
    let service = cors_layer().layer(Guarded {
        unsigned: s3_service(store.clone(), &config, Signatures::Checked),
        inner: s3_service(store, &config, Signatures::Required),
    });
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
                // Usually, too many files are open. The pause gives other connections time to end.
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
                continue;
            }
        };
        if connections.len() >= MAX_CONNECTIONS {
            tracing::debug!("closed a connection, because {MAX_CONNECTIONS} are open");
            continue;
        }
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_READ_BYTES)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service.clone()));
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection failed");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!(connections = connections.len(), "closed connections with open requests at shutdown");
    }
    connections.shutdown().await;
    Ok(())
}

/// Whether a service checks signatures.
#[derive(Clone, Copy)]
enum Signatures {
    /// The service checks signatures, and rejects unsigned requests.
    Required,
    /// The service does not check signatures, because another service has already done so.
    Checked,
}

fn s3_service(store: Store, config: &Config, signatures: Signatures) -> S3Service {
    let mut limits = S3Config::default();
    limits.presigned_url_max_skew_time_secs = MAX_CLOCK_SKEW_SECONDS;
    limits.post_object_max_file_size = MAX_FORM_FILE_BYTES;
    limits.form_max_field_size = MAX_FORM_FIELD_BYTES;
    limits.form_max_fields_size = MAX_FORM_FIELD_BYTES;
    limits.form_max_parts = 100;
    limits.xml_max_body_size = MAX_XML_BYTES;
    let mut builder = S3ServiceBuilder::new(Operations { store, region: config.region.clone() });
    if let Signatures::Required = signatures {
        builder.set_auth(SimpleAuth::from_single(config.access_key.clone(), config.secret_key.clone()));
        builder.set_access(SignedRequests);
    }
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(limits))));
    builder.build()
}

/// Allows any origin. Objects are protected by signatures, which a browser never adds on its own.
fn cors_layer() -> CorsLayer {
    let exposed = [
        // Browsers that don't support `*` need the names.
        HeaderName::from_static("*"),
        header::ETAG,
        header::CONTENT_LENGTH,
        header::CONTENT_RANGE,
        header::CONTENT_TYPE,
        header::CONTENT_DISPOSITION,
        header::ACCEPT_RANGES,
        header::LAST_MODIFIED,
        header::LOCATION,
        HeaderName::from_static("x-amz-mp-parts-count"),
        HeaderName::from_static("x-amz-request-id"),
        HeaderName::from_static("x-amz-checksum-crc32"),
        HeaderName::from_static("x-amz-checksum-crc32c"),
        HeaderName::from_static("x-amz-checksum-crc64nvme"),
        HeaderName::from_static("x-amz-checksum-sha1"),
        HeaderName::from_static("x-amz-checksum-sha256"),
        HeaderName::from_static("x-amz-checksum-type"),
    ];
    CorsLayer::new()
        .allow_origin(AllowOrigin::any())
        .allow_methods([Method::GET, Method::PUT, Method::POST, Method::HEAD, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(ExposeHeaders::list(exposed))
        // Browsers ask for this permission before a page from the internet may send requests to loopback.
        .allow_private_network(true)
        .max_age(Duration::from_secs(3600))
}

/// The `s3s` service with the checks and corrections of [`guard`], [`form`], [`bucket_body`] and [`crate::lenient`].
#[derive(Clone)]
struct Guarded {
    inner: S3Service,
    /// Accepts unsigned requests. Used only for requests whose signature `inner` has checked.
    unsigned: S3Service,
}

type ServiceResult = Result<Response<Body>, Infallible>;

impl tower::Service<Request<Incoming>> for Guarded {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, ServiceResult>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let resource = request.uri().path().to_owned();
            let mut response = match guard::check_request(&request) {
                Ok(()) => service.respond(request).await,
                Err(error) => error_response(error),
            };
            guard::fix_response(&mut response, &resource);
            Ok(response)
        })
    }
}

impl Guarded {
    async fn respond(&self, mut request: Request<Incoming>) -> Response<Body> {
        guard::add_amz_date(request.headers_mut());
        let rewritten = without_rejected_headers(&request);
        let authenticated = Authenticated::default();
        if rewritten.is_some() {
            request.extensions_mut().insert(authenticated.clone());
        }
        let request = bucket_body::keep_body(form::fill_in_file_name(request).await);
        let response = self.inner.call(request).await;
        let response = match rewritten {
            Some(rewritten) if authenticated.is_set() => self.unsigned.call(rewritten).await,
            _ => response,
        };
        response.unwrap_or_else(|error| {
            tracing::error!(?error, "request failed");
            error_response(s3_error!(InternalError))
        })
    }
}

fn error_response(error: S3Error) -> Response<Body> {
    error.to_http_response().unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}
