//! HTTP: accepts connections, responds to CORS preflights, and passes requests through `guard` to `s3s`.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use http::{HeaderName, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Error, s3_error};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;
use tower::Layer as _;
use tower_http::cors::{AllowHeaders, AllowOrigin, Cors, CorsLayer, ExposeHeaders};

use crate::auth::{KeyPair, KeyUse};
use crate::config::Config;
use crate::connections::{Admission, Connections, MAX_CONNECTIONS};
use crate::lenient::{Authenticated, SignedRequests, without_rejected_headers};
use crate::ops::Operations;
use crate::paced::{PacedBody, TooSlow};
use crate::store::Store;
use crate::tracked::{Tracked, TrackedStream};
use crate::{bucket_body, form, guard};

/// Maximum size of a file in a form upload.
pub const MAX_FORM_FILE_BYTES: u64 = 64 * 1024 * 1024;
/// Maximum size of the fields of a form.
const MAX_FORM_FIELD_BYTES: usize = 256 * 1024;
/// Maximum number of bytes that one read takes from a connection. By default, hyper reads up to 400 KiB from
/// connections with much data.
const MAX_READ_BYTES: usize = 128 * 1024;
/// Maximum size of an XML body. A request to delete 1000 keys of 1024 bytes each, escaped, fits.
const MAX_XML_BYTES: usize = 8 * 1024 * 1024;
/// Maximum error of the signer's clock. Machines without a clock battery can be off by minutes.
const MAX_CLOCK_SKEW_SECONDS: u32 = 3600;
/// Time limit for open requests to finish after a shutdown was requested.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a connection could not be accepted.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// Interval at which the time limits of connections are checked.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of connections above the limit that receive an error response at the same time. Further ones are only
/// closed.
const MAX_REFUSALS: usize = 16;
/// Time for a refused client to read the error response and to close. Closing at once, with bytes of the client unread,
/// would reset the connection, and the client might lose the response.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for a refused client to begin its request. Clients may ignore a response that arrives before their request.
const REFUSED_REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// Error codes of `accept`: too many open files of the process or the system, and too little memory. They are the same
/// on Linux, macOS and the BSDs.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
const ENOMEM: i32 = 12;

/// Serves S3 on `listener` until `shutdown` resolves, then waits up to 30 seconds for open requests to finish.
///
/// The server supports path-style URLs over HTTP/1.1 without TLS. It is meant for loopback or for use behind a proxy.
/// Every request must be signed (version 4) with the key pair of `config`. Other requests are rejected with 403. CORS
/// preflights succeed for any origin.
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
        inner: s3_service(store.clone(), &config, Signatures::Required),
        store,
    });
    let graceful = GracefulShutdown::new();
    let connections = Connections::new(MAX_CONNECTIONS);
    let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
    let mut tasks = tokio::task::JoinSet::new();
    let mut sweeps = tokio::time::interval(SWEEP_INTERVAL);
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
            Some(_) = tasks.join_next() => continue,
            _ = sweeps.tick() => {
                connections.close_expired(Instant::now());
                continue;
            }
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Usually, too many files are open. The pause gives other connections time to end.
                tracing::warn!(%error, "could not accept a connection");
                if is_exhausted(&error) {
                    connections.make_room();
                }
                tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
        if let Some(admission) = connections.admit() {
            tasks.spawn(serve_connection(stream, admission, service.clone(), graceful.watcher()));
        } else if let Ok(permit) = Arc::clone(&refusals).try_acquire_owned() {
            tasks.spawn(async move {
                // An error means that the client has gone, or does not read the response.
                drop(tokio::time::timeout(REFUSAL_TIMEOUT, refuse(stream)).await);
                drop(permit);
            });
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "closed connections with open requests at shutdown");
    }
    tasks.shutdown().await;
    Ok(())
}

/// Serves a connection until it ends or is closed. It is closed to make room for another one, or because its client
/// lets the server wait too long.
async fn serve_connection(stream: TcpStream, admission: Admission, service: Cors<Guarded>, watcher: Watcher) {
    let connection = &admission.connection;
    let stream = TrackedStream { stream, connection: Arc::clone(connection) };
    let service = Tracked { inner: service, connection: Arc::clone(connection) };
    let served = http1::Builder::new()
        .max_buf_size(MAX_READ_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::select! {
        served = watcher.watch(served) => {
            if let Err(error) = served {
                tracing::debug!(%error, "connection failed");
            }
        }
        () = connection.closed() => tracing::debug!("closed a connection that waited for its client"),
    }
}

/// Returns whether `accept` failed because file descriptors or memory ran out, which closing a connection may free.
fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE | ENOMEM))
}

/// Responds to a connection above the limit, and waits until its client closes it.
async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    // If there is no request in time, or an error, the response is sent anyway.
    drop(tokio::time::timeout(REFUSED_REQUEST_TIMEOUT, stream.readable()).await);
    let id = guard::new_request_id();
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>SlowDown</Code><Message>The store has too many \
         connections, all with requests. Try again in a moment.</Message><RequestId>{id}</RequestId></Error>"
    );
    let response = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nretry-after: 1\r\n\
         access-control-allow-origin: *\r\nx-amz-request-id: {id}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await?;
    let mut buffer = vec![0; 16 * 1024];
    while stream.read(&mut buffer).await? > 0 {}
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
        builder.set_auth(KeyPair::new(config.access_key.clone(), config.secret_key.clone()));
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
    store: Store,
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
    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        let too_slow = TooSlow::default();
        let request = request.map(|body| Body::http_body(PacedBody::new(body, too_slow.clone())));
        let response = self.respond_in_time(request).await;
        // `s3s` only reports that the body ended early.
        if too_slow.is_set() && !response.status().is_success() {
            let mut error = s3_error!(RequestTimeout, "The body arrived at less than 1 KiB per second.");
            error.set_status_code(StatusCode::REQUEST_TIMEOUT);
            return error_response(error);
        }
        response
    }

    async fn respond_in_time(&self, mut request: Request<Body>) -> Response<Body> {
        guard::add_amz_date(request.headers_mut());
        let rewritten = without_rejected_headers(&request);
        let authenticated = Authenticated::default();
        if rewritten.is_some() {
            request.extensions_mut().insert(authenticated.clone());
        }
        let key_use = KeyUse::default();
        let (request, form_file) = match form::spool_file(request, &self.store, &key_use).await {
            Ok(spooled) => spooled,
            Err(error) => return error_response(error),
        };
        let response = key_use.observe(self.inner.call(bucket_body::keep_body(request))).await;
        if let Some(failure) = form_file.and_then(|file| file.take_failure()) {
            return error_response(failure.into());
        }
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
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_about_resources_close_another_connection() {
        for (code, expected) in [(EMFILE, true), (ENFILE, true), (ENOMEM, true), (1, false), (103, false)] {
            assert_eq!(is_exhausted(&io::Error::from_raw_os_error(code)), expected, "{code}");
        }
        assert!(!is_exhausted(&io::Error::other("no code")));
    }

    #[tokio::test]
    async fn refused_client_that_sends_a_request_receives_the_response() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let refusal = tokio::spawn(refuse(stream));
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut response = String::new();
        client.read_to_string(&mut response).await.unwrap();
        assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
        drop(client);
        refusal.await.unwrap().unwrap();
    }
}
