//! Applies the limits to responses of the admin surface that are not built in a `ResponseBuffer`.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http_body::{Frame, SizeHint};

use super::{
    Recipient, ResponseMemory,
    buffer::{UNCOUNTED_BYTES, counted},
    memory::Reservation,
};
use crate::error::ApiError;

/// Marks a response whose bytes are already counted.
#[derive(Clone, Copy)]
pub(super) struct Counted;

/// Middleware of the admin surface: applies the limits to responses that are not built in a
/// [`ResponseBuffer`](super::ResponseBuffer). Only responses to `GET` can be refused: others report a change that was
/// made.
pub async fn limit_responses(State(memory): State<ResponseMemory>, request: Request, next: Next) -> Response {
    let is_get = *request.method() == Method::GET;
    let response = next.run(request).await;
    // A stream has no size.
    let Some(size) = response.body().size_hint().exact().and_then(|size| usize::try_from(size).ok()) else {
        return response;
    };
    if !is_get || size <= UNCOUNTED_BYTES || response.extensions().get::<Counted>().is_some() {
        return response;
    }
    match memory.reserve_whole(Recipient::Owner, size) {
        Ok(reserved) => response.map(|body| Body::new(CountedBody { body, reserved })),
        Err(error) => ApiError::from(error).into_response(),
    }
}

/// A body whose bytes are counted until they are dropped.
struct CountedBody {
    body: Body,
    reserved: Reservation,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Self { body, reserved } = &mut *self;
        let frame = Pin::new(body).poll_frame(cx);
        frame.map_ok(|frame| frame.map_data(|data| counted(data, reserved)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
