//! Receives the body of a request within the limits on its size, its time and the memory of all bodies.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody as _},
    http::{HeaderMap, Method, header},
};
use bytes::BytesMut;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use crate::error::{ApiError, ApiResult, Code};

use super::shares::{BodyBytes, Share, Shares};

/// Time after which the minimum rate applies.
const RATE_GRACE: Duration = Duration::from_secs(5);

/// Limits on one body.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimits {
    pub(super) max_bytes: usize,
    pub(super) timeout: Duration,
    pub(super) min_bytes_per_second: u64,
}

/// Returns whether the request has a body, and handlers read bodies of this method. Bodies of other methods are
/// ignored.
pub(super) fn has_body(method: &Method, body: &Body) -> bool {
    !body.is_end_stream() && matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE)
}

/// Receives a body completely. The bytes count toward the limits until the returned [`BodyBytes`] is dropped.
///
/// # Errors
/// Returns 400 if the body is malformed or the connection ended, 408 if the body arrives too slowly, 413 if it is too
/// large, and 415 if it is encoded. Returns 503 if the holder of the share has too many arriving bodies, or if the
/// holder or the surface has too many bytes of bodies in memory.
pub(super) async fn receive(
    headers: &HeaderMap,
    mut body: Body,
    limits: &BodyLimits,
    shares: &Shares,
    share: &Arc<Share>,
) -> ApiResult<(Bytes, BodyBytes)> {
    check_encoding(headers)?;
    if body.size_hint().lower() > limits.max_bytes as u64 {
        return Err(too_large());
    }
    let mut counted = shares.new_body(share);
    let mut arriving = None;
    let mut received = Received::default();
    let started = Instant::now();
    loop {
        // Most bodies arrive together with the headers of the request.
        let frame = match body.frame().now_or_never() {
            Some(frame) => frame,
            None => {
                if arriving.is_none() {
                    arriving = Some(share.begin_arriving()?);
                }
                let deadline = deadline(started, received.len(), limits);
                timeout_at(deadline, body.frame()).await.map_err(|_| too_slow(started, limits))?
            }
        };
        let Some(frame) = frame else { return Ok((received.into_bytes(), counted)) };
        let frame = frame.map_err(unreadable)?;
        // Trailers are ignored.
        let Ok(data) = frame.into_data() else { continue };
        if received.len() + data.len() > limits.max_bytes {
            return Err(too_large());
        }
        counted.add(data.len())?;
        received.push(data);
    }
}

/// The bytes of a body so far. A body in one piece is not copied. The pieces of any other body are copied, because a
/// small piece would keep the whole buffer that it was read into.
#[derive(Default)]
enum Received {
    #[default]
    Nothing,
    Whole(Bytes),
    Pieces(BytesMut),
}

impl Received {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Whole(bytes) => bytes.len(),
            Self::Pieces(bytes) => bytes.len(),
        }
    }

    fn push(&mut self, data: Bytes) {
        match self {
            Self::Nothing => *self = Self::Whole(data),
            Self::Whole(first) => {
                let mut bytes = BytesMut::with_capacity(first.len() + data.len());
                bytes.extend_from_slice(first);
                bytes.extend_from_slice(&data);
                *self = Self::Pieces(bytes);
            }
            Self::Pieces(bytes) => bytes.extend_from_slice(&data),
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::Whole(bytes) => bytes,
            Self::Pieces(bytes) => bytes.freeze(),
        }
    }
}

/// Returns the time by which the next piece must arrive.
fn deadline(started: Instant, received: usize, limits: &BodyLimits) -> Instant {
    let at_lowest_rate = Duration::from_millis((received as u64).saturating_mul(1000) / limits.min_bytes_per_second);
    started + limits.timeout.min(RATE_GRACE + at_lowest_rate)
}

/// Rejects encoded bodies: handlers parse the bytes that arrive, and nothing decodes them.
fn check_encoding(headers: &HeaderMap) -> ApiResult<()> {
    let encodings = [(header::CONTENT_ENCODING, "identity"), (header::TRANSFER_ENCODING, "chunked")];
    for (name, plain) in encodings {
        for value in headers.get_all(&name) {
            if !value.as_bytes().eq_ignore_ascii_case(plain.as_bytes()) {
                let shown = value.to_str().unwrap_or("…");
                return Err(ApiError::new(
                    Code::UnsupportedMediaType,
                    format!("The body is encoded (`{name}: {shown}`), which this server does not decode."),
                )
                .with_hint("Send the body as plain JSON."));
            }
        }
    }
    Ok(())
}

fn too_large() -> ApiError {
    ApiError::new(Code::BodyTooLarge, "The body is larger than this endpoint allows.")
}

fn too_slow(started: Instant, limits: &BodyLimits) -> ApiError {
    let timeout = limits.timeout;
    if started.elapsed() >= timeout {
        let seconds = timeout.as_secs();
        return ApiError::new(Code::RequestTimeout, format!("The body did not arrive within {seconds} seconds."))
            .with_hint("Send smaller bodies.");
    }
    let (rate, grace) = (limits.min_bytes_per_second, RATE_GRACE.as_secs());
    ApiError::new(
        Code::RequestTimeout,
        format!("The body arrived too slowly: less than {rate} bytes per second after {grace} seconds."),
    )
    .with_hint("Send the body without pauses.")
}

fn unreadable(error: axum::Error) -> ApiError {
    ApiError::invalid("The body could not be read: it is malformed, or the connection ended.").with_cause(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadline_follows_the_received_bytes_up_to_the_timeout() {
        let limits = BodyLimits { max_bytes: 1 << 20, timeout: Duration::from_secs(30), min_bytes_per_second: 1000 };
        let started = Instant::now();
        let check = |received, seconds| {
            assert_eq!(deadline(started, received, &limits), started + Duration::from_secs(seconds), "{received}");
        };
        check(0, 5);
        check(10_000, 15);
        check(100_000, 30);
    }

    #[test]
    fn encoded_bodies_are_refused() {
        let check = |name: header::HeaderName, value: &'static str, expected| {
            let headers = HeaderMap::from_iter([(name, header::HeaderValue::from_static(value))]);
            assert_eq!(check_encoding(&headers).is_ok(), expected, "{value}");
        };
        check(header::CONTENT_ENCODING, "identity", true);
        check(header::TRANSFER_ENCODING, "Chunked", true);
        check(header::CONTENT_ENCODING, "gzip", false);
        check(header::CONTENT_ENCODING, "br", false);
        check(header::CONTENT_ENCODING, "gzip, identity", false);
        check(header::TRANSFER_ENCODING, "gzip, chunked", false);
    }
}
