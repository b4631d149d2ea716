//! Collects the bytes of a response, and counts them against the limits.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    vec,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use http_body::{Frame, SizeHint};

use super::{ResponseError, ResponseMemory, memory::Reservation, middleware::Counted};

/// Size up to which a response is not counted. The limit on connections also limits the number of such responses.
pub(super) const UNCOUNTED_BYTES: usize = 16 << 10;
/// A response that is longer than [`UNCOUNTED_BYTES`] is counted in multiples of this number of bytes.
pub(super) const STEP: usize = 64 << 10;
/// Size of the pieces of a long response. They are allocated one by one, so that growing copies nothing.
pub(super) const PIECE: usize = 64 << 10;

/// A response that is being built.
pub struct ResponseBuffer {
    memory: ResponseMemory,
    project: Option<String>,
    /// Full pieces.
    pieces: Vec<Vec<u8>>,
    /// The piece that is being filled.
    piece: Vec<u8>,
    /// Number of bytes in `pieces`.
    sealed: usize,
    /// Number of bytes that can be appended without another check. They are already counted or need no counting, and
    /// fit into the piece and the response.
    unchecked: usize,
    reserved: Option<Reservation>,
}

impl ResponseBuffer {
    /// Creates an empty response. `project` is `None` for the owner.
    pub(super) fn new(memory: ResponseMemory, project: Option<String>, capacity: usize) -> Self {
        Self {
            unchecked: UNCOUNTED_BYTES.min(memory.max_response_bytes()),
            memory,
            project,
            pieces: Vec::new(),
            piece: Vec::with_capacity(capacity.min(PIECE)),
            sealed: 0,
            reserved: None,
        }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// Fails if the response becomes too large, or there is no memory for it.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ResponseError> {
        if bytes.len() <= self.unchecked {
            self.unchecked -= bytes.len();
            self.piece.extend_from_slice(bytes);
            Ok(())
        } else {
            self.push_checked(bytes)
        }
    }

    #[cold]
    fn push_checked(&mut self, mut bytes: &[u8]) -> Result<(), ResponseError> {
        let length = self.len() + bytes.len();
        let max = self.memory.max_response_bytes();
        if length > max {
            return Err(ResponseError::TooLarge(max));
        }
        if length > UNCOUNTED_BYTES {
            let (memory, project) = (&self.memory, self.project.as_deref());
            let reserved = self.reserved.get_or_insert_with(|| memory.reserve(project));
            let wanted = length.next_multiple_of(STEP);
            if wanted > reserved.bytes() && !reserved.grow(wanted - reserved.bytes()) {
                return Err(ResponseError::MemoryFull);
            }
        }
        while !bytes.is_empty() {
            if self.piece.len() >= PIECE {
                self.sealed += self.piece.len();
                let next = Vec::with_capacity(PIECE);
                self.pieces.push(std::mem::replace(&mut self.piece, next));
            }
            let (head, tail) = bytes.split_at(bytes.len().min(PIECE - self.piece.len()));
            self.piece.extend_from_slice(head);
            bytes = tail;
        }
        let counted = self.reserved.as_ref().map_or(UNCOUNTED_BYTES, |reserved| reserved.bytes()).min(max);
        self.unchecked = (counted - length).min(PIECE - self.piece.len());
        Ok(())
    }

    /// Appends the bytes of another response. They are counted twice until this function returns.
    ///
    /// # Errors
    /// Returns the errors of [`Self::push`].
    pub fn append(&mut self, other: Self) -> Result<(), ResponseError> {
        let Self { pieces, piece, reserved, .. } = other;
        for piece in pieces.into_iter().chain([piece]) {
            self.push(&piece)?;
        }
        drop(reserved);
        Ok(())
    }

    /// Returns the maximum number of bytes.
    pub fn max_bytes(&self) -> usize {
        self.memory.max_response_bytes()
    }

    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.sealed + self.piece.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all bytes. Their memory stays counted.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.piece.clear();
        self.sealed = 0;
        self.unchecked = 0;
    }

    /// Returns the response as a body with a known length. The bytes are counted until they are dropped.
    pub fn into_body(self) -> Body {
        let Self { mut pieces, piece, reserved, .. } = self;
        let Some(mut reserved) = reserved else { return Body::from(piece) };
        pieces.push(piece);
        let pieces: Vec<Bytes> = pieces.into_iter().map(|piece| counted(piece, &mut reserved)).collect();
        let remaining = pieces.iter().map(|piece| piece.len() as u64).sum();
        Body::new(Pieces { pieces: pieces.into_iter(), remaining })
    }

    /// Returns the response, whose content is JSON.
    pub fn into_json_response(self, status: StatusCode) -> Response {
        let is_counted = self.reserved.is_some();
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let mut response = (status, content_type, self.into_body()).into_response();
        if is_counted {
            response.extensions_mut().insert(Counted);
        }
        response
    }

    /// Returns a copy in one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = self.pieces.concat();
        bytes.extend_from_slice(&self.piece);
        bytes
    }
}

impl fmt::Debug for ResponseBuffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ResponseBuffer({} bytes)", self.len())
    }
}

/// Converts bytes so that their part of the reservation is released when they are dropped.
pub(super) fn counted(bytes: impl AsRef<[u8]> + Send + 'static, reserved: &mut Reservation) -> Bytes {
    struct CountedBytes<B> {
        bytes: B,
        _part: Reservation,
    }
    impl<B: AsRef<[u8]>> AsRef<[u8]> for CountedBytes<B> {
        fn as_ref(&self) -> &[u8] {
            self.bytes.as_ref()
        }
    }
    let part = reserved.split(bytes.as_ref().len());
    Bytes::from_owner(CountedBytes { bytes, _part: part })
}

/// The body of a long response.
struct Pieces {
    pieces: vec::IntoIter<Bytes>,
    remaining: u64,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(self.pieces.next().map(|piece| {
            self.remaining -= piece.len() as u64;
            Ok(Frame::data(piece))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}
