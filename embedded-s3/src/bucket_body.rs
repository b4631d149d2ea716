//! Recognizes tags in the body of `CreateBucket`.
//!
//! `s3s` skips tags when it parses the body, but a request for tags must be rejected, not executed without them. So
//! this module keeps a copy of the bytes that `s3s` reads, and the operation inspects the copy.

use std::io;
use std::sync::Arc;

use futures::TryStreamExt as _;
use http::{Method, Request, header};
use parking_lot::Mutex;
use s3s::Body;
use s3s::dto::StreamingBlob;

/// The bytes that `s3s` has read from the body of a request to a bucket. `s3s` limits their number.
#[derive(Clone, Debug, Default)]
pub(crate) struct BucketBody(Arc<Mutex<Vec<u8>>>);

impl BucketBody {
    /// Returns whether the document contains an element `Tags` other than `<Tags/>`.
    pub(crate) fn has_tags(&self) -> bool {
        self.0.lock().windows(5).any(|text| text == b"Tags>")
    }
}

/// Adds a [`BucketBody`] to a request if it has a body and may create a bucket.
pub(crate) fn keep_body(mut request: Request<Body>) -> Request<Body> {
    let path = request.uri().path();
    let is_bucket = path.len() > 1 && !path.trim_matches('/').contains('/');
    if *request.method() != Method::PUT || !is_bucket || !request.headers().contains_key(header::CONTENT_LENGTH) {
        return request;
    }
    let kept = BucketBody::default();
    request.extensions_mut().insert(kept.clone());
    request.map(|body| {
        let body = StreamingBlob::from(body).map_err(io::Error::other);
        let body = body.inspect_ok(move |chunk| kept.0.lock().extend_from_slice(chunk));
        Body::from(StreamingBlob::wrap(body))
    })
}
