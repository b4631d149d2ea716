//! Requests whose bodies are streams.

use std::{io, sync::Arc};

use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::sync::oneshot;
use wasmtime::component::{FutureReader, StreamReader};

use super::{failure::to_call_error, request_bytes, to_egress};
use crate::{
    egress::{EgressError, EgressUpload},
    jobs::StreamRedactor,
    plugins::guest::{
        Accessor, CallError, HeldMemory, RunScope, Transfer, begin_call,
        bindings::{
            http,
            types::{self, ErrorCode},
        },
        charge_result,
        streams::{self, ByteStream},
    },
};

/// Memory held for the response of an open exchange: the buffer of the connection, a chunk and its redacted copy, and
/// headers.
const RESPONSE_BYTES: usize = (1 << 20) + (256 << 10);
/// Memory held for a streamed request body: chunks that wait to be sent, and the buffer of the connection.
const UPLOAD_BYTES: usize = 2 << 20;

/// Status and headers, the body, and whether the body is complete.
pub(super) type OpenResponse =
    (http::ResponseHead, StreamReader<u8>, FutureReader<Result<http::BodyInfo, types::Error>>);

pub(super) async fn open(
    accessor: &Accessor,
    request: http::Request,
    body: Option<StreamReader<u8>>,
    content_length: Option<u64>,
) -> Result<OpenResponse, CallError> {
    // Receive the body before anything can fail. If it is never received, its writer waits forever.
    let body = body.map(|body| accessor.with(|mut access| streams::receive(&mut access, body))).transpose()?;
    let run = begin_call(accessor, request_bytes(&request))?;
    let (request, transfer) = accessor.with(|mut access| {
        let state = access.get();
        Ok::<_, CallError>((to_egress(state, request)?, state.begin_transfer()?))
    })?;
    let upload = match (body, content_length) {
        (Some(bytes), length) => Some(EgressUpload { bytes, length }),
        (None, None) => None,
        (None, Some(_)) => {
            return Err(CallError::invalid("`content-length` is allowed only with a streamed body; leave it out"));
        }
    };
    let upload_bytes = if upload.is_some() { UPLOAD_BYTES } else { 0 };
    let memory = run.calls.hold(RESPONSE_BYTES + upload_bytes)?;
    // The body may hold a dump or a connection, so other calls of this run must not delay the request for long.
    let idle = run.calls.stream_idle();
    let _permit = tokio::time::timeout(idle, run.enter()).await.map_err(|_| {
        CallError::new(ErrorCode::Timeout, format!("the request could not start within {} s", idle.as_secs()))
    })?;
    let scope = &run.scope(plugin_manifest::Capability::Http).hosts;
    let max_bytes = run.calls.max_http_body_bytes();
    let opened = run.services.egress.open(request, upload, max_bytes, scope).await;
    let response = opened.map_err(|error| to_call_error(&run, &error))?;
    let headers: Vec<_> = response.headers.into_iter().map(|(name, value)| (name, run.redactor.text(&value))).collect();
    charge_result(accessor, headers.iter().map(|(name, value)| name.len() + value.len()).sum())?;
    let head = http::ResponseHead { status: response.status, headers };
    let redactor = StreamRedactor::new(Arc::clone(&run.redactor));
    let (body, outcome) = with_outcome(response.body, redactor, (transfer, memory), run.share());
    accessor
        .with(|mut access| Ok((head, streams::send(&mut access, body)?, streams::send_outcome(&mut access, outcome)?)))
}

/// The body of a response that the guest is reading.
struct Reading {
    body: BoxStream<'static, Result<Bytes, EgressError>>,
    redactor: StreamRedactor,
    /// Bytes that were passed on.
    size: u64,
    /// Reports the size of a complete body, or the reason why it is not complete.
    end: oneshot::Sender<Result<u64, EgressError>>,
    _permits: (Transfer, HeldMemory),
}

/// Splits a body into its redacted bytes, and a future that resolves to their number or to the reason why the body was
/// not read completely.
fn with_outcome(
    body: BoxStream<'static, Result<Bytes, EgressError>>,
    redactor: StreamRedactor,
    permits: (Transfer, HeldMemory),
    run: Arc<RunScope>,
) -> (ByteStream, impl Future<Output = Result<http::BodyInfo, types::Error>> + Send + 'static) {
    let (end, ended) = oneshot::channel();
    let reading = Some(Reading { body, redactor, size: 0, end, _permits: permits });
    let bytes = stream::unfold(reading, next_chunk);
    let outcome = async move {
        let error = match ended.await {
            Ok(Ok(size_bytes)) => return Ok(http::BodyInfo { size_bytes }),
            Ok(Err(error)) => to_call_error(&run, &error),
            Err(_) => {
                let idle = run.calls.stream_idle().as_secs();
                CallError::new(
                    ErrorCode::Failed,
                    format!("the body was not read completely: its stream was dropped, or not read for {idle} s"),
                )
            }
        };
        Err(error.into_wit_value())
    };
    (Box::pin(bytes), outcome)
}

/// Returns the next chunk and the state after it, or `None` at the end.
async fn next_chunk(reading: Option<Reading>) -> Option<(io::Result<Bytes>, Option<Reading>)> {
    let mut reading = reading?;
    loop {
        let (chunk, is_last) = match reading.body.next().await {
            Some(Ok(chunk)) => (reading.redactor.push(chunk), false),
            Some(Err(error)) => {
                let io_error = io::Error::other(error.to_string());
                // Fails if the guest dropped the future.
                let _ = reading.end.send(Err(error));
                return Some((Err(io_error), None));
            }
            None => (reading.redactor.finish(), true),
        };
        reading.size += chunk.len() as u64;
        if is_last {
            let _ = reading.end.send(Ok(reading.size));
            return (!chunk.is_empty()).then_some((Ok(chunk), None));
        }
        if !chunk.is_empty() {
            return Some((Ok(chunk), Some(reading)));
        }
    }
}
