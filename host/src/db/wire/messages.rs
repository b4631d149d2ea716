//! Reads the messages that Postgres sends, and replaces rows and errors that are too large.

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::io::ReadBuf;
use tokio_postgres::error::DbError as PostgresError;

use super::requests::{Insertions, Requests};

/// SQLSTATE of the error that replaces a row.
pub(super) const ROW_TOO_LARGE: &str = "AH413";

/// SQLSTATE of the error that replaces a longer one. The SQLSTATE of the longer one is part of its content, which is
/// never read.
pub(super) const ERROR_TOO_LARGE: &str = "AH414";

/// Maximum size of an error, a notice, a notification or a reported setting. Errors quote values, which can be as large
/// as a request's body.
const MAX_OTHER_BYTES: usize = 4 << 20;

const HEADER_BYTES: usize = 5;

/// Message of the error that replaces a longer one.
pub(super) const ERROR_TEXT: &str = "the text of the error has more than 4 MiB, so it was not read";
const _: () = assert!(MAX_OTHER_BYTES == 4 << 20, "the message names the size");

/// Returns whether an error replaces a row that was too large. Further messages of the statement follow it.
pub fn is_row_too_large(error: &tokio_postgres::Error) -> bool {
    // The project's SQL can raise an error with the same SQLSTATE.
    error.as_db_error().is_some_and(|error| error.code().code() == ROW_TOO_LARGE && error.routine().is_none())
}

/// Returns whether an error replaces one whose text was too long. Nothing is known about the cause of that one.
pub fn is_error_too_large(error: &PostgresError) -> bool {
    // The project's SQL can raise an error with the same SQLSTATE.
    error.code().code() == ERROR_TOO_LARGE && error.routine().is_none()
}

/// Finds the messages in the bytes that Postgres sends.
pub(super) struct MessageGuard {
    max_row_bytes: usize,
    /// See [`MAX_OTHER_BYTES`].
    pub(super) max_other_bytes: usize,
    pub(super) requests: Requests,
    /// The beginning of a header.
    header: [u8; HEADER_BYTES],
    header_length: usize,
    /// Bytes of the current message that are still to be passed on.
    passing: usize,
    /// Bytes of the current message that are still to be discarded.
    discarding: usize,
    /// Bytes to pass on after the current message.
    following: &'static [u8],
    /// Bytes to pass on before any others.
    ready: BytesMut,
}

/// The decision about a message.
struct Verdict {
    /// Whether the message passes.
    passes: bool,
    /// Bytes to pass on before the message.
    before: BytesMut,
    /// Bytes to pass on after the message, if it passes.
    after: &'static [u8],
    /// Length of the message's content.
    content: usize,
}

impl MessageGuard {
    pub(super) fn new(max_row_bytes: usize) -> Self {
        Self {
            max_row_bytes,
            max_other_bytes: MAX_OTHER_BYTES,
            requests: Requests::new(),
            header: [0; HEADER_BYTES],
            header_length: 0,
            passing: 0,
            discarding: 0,
            following: &[],
            ready: BytesMut::new(),
        }
    }

    /// Moves bytes that are ready to the buffer. Returns whether there were any.
    pub(super) fn deliver(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let length = self.ready.len().min(buffer.remaining());
        buffer.put_slice(&self.ready[..length]);
        self.ready.advance(length);
        length > 0
    }

    /// Returns the space for the missing bytes of an incomplete header.
    pub(super) fn rest_of_header(&mut self) -> Option<&mut [u8]> {
        (self.header_length > 0).then(|| &mut self.header[self.header_length..])
    }

    pub(super) fn extend_header(&mut self, read: usize) {
        self.header_length += read;
        if self.header_length < HEADER_BYTES {
            return;
        }
        self.header_length = 0;
        let verdict = self.judge(self.header);
        self.ready.unsplit(verdict.before);
        if verdict.passes {
            self.ready.put_slice(&self.header);
            (self.passing, self.following) = (verdict.content, verdict.after);
            if self.passing == 0 {
                self.ready.put_slice(std::mem::take(&mut self.following));
            }
        } else {
            self.discarding = verdict.content;
        }
    }

    /// Moves the bytes to pass on to the front, and returns their number. If there is no space for bytes to insert,
    /// moves these and all later bytes to `ready`.
    pub(super) fn filter(&mut self, bytes: &mut [u8]) -> usize {
        let (mut position, mut kept) = (0, 0);
        while position < bytes.len() {
            let rest = bytes.len() - position;
            if self.passing > 0 {
                let length = self.passing.min(rest);
                if !self.ready.is_empty() {
                    self.ready.extend_from_slice(&bytes[position..position + length]);
                } else {
                    if kept != position {
                        bytes.copy_within(position..position + length, kept);
                    }
                    kept += length;
                }
                self.passing -= length;
                position += length;
                if self.passing == 0 {
                    let following = std::mem::take(&mut self.following);
                    kept = self.insert(following, &mut bytes[..position], kept);
                }
            } else if self.discarding > 0 {
                let length = self.discarding.min(rest);
                self.discarding -= length;
                position += length;
            } else if let Some(header) = bytes[position..].first_chunk::<HEADER_BYTES>() {
                let verdict = self.judge(*header);
                let length = HEADER_BYTES + verdict.content;
                // Bytes of a message that does not pass can be overwritten.
                let end = if verdict.passes { position } else { position + length.min(rest) };
                kept = self.insert(&verdict.before, &mut bytes[..end], kept);
                if verdict.passes {
                    (self.passing, self.following) = (length, verdict.after);
                } else {
                    self.discarding = length;
                }
            } else {
                self.header[..rest].copy_from_slice(&bytes[position..]);
                self.header_length = rest;
                position += rest;
            }
        }
        kept
    }

    /// Passes on bytes that Postgres did not send. `space` contains `kept` bytes to pass on, and may be overwritten
    /// after these. Returns the new number of bytes to pass on.
    fn insert(&mut self, inserted: &[u8], space: &mut [u8], kept: usize) -> usize {
        let end = kept + inserted.len();
        match space.get_mut(kept..end) {
            Some(target) if self.ready.is_empty() => {
                target.copy_from_slice(inserted);
                end
            }
            _ => {
                self.ready.extend_from_slice(inserted);
                kept
            }
        }
    }

    /// Decides about a message by its header.
    fn judge(&mut self, header: [u8; HEADER_BYTES]) -> Verdict {
        let [kind, length @ ..] = header;
        let content = (u32::from_be_bytes(length) as usize).saturating_sub(4);
        let replacement = match kind {
            // DataRow
            b'D' if content > self.max_row_bytes => Some(error_message(ROW_TOO_LARGE, "a row is too large")),
            // ErrorResponse
            b'E' if content > self.max_other_bytes => Some(error_message(ERROR_TOO_LARGE, ERROR_TEXT)),
            // NoticeResponse, NotificationResponse, ParameterStatus: nothing waits for them.
            b'N' | b'A' | b'S' if content > self.max_other_bytes => Some(BytesMut::new()),
            _ => None,
        };
        let Insertions { mut before, after } = self.requests.receive(kind);
        match replacement {
            None => Verdict { passes: true, before, after, content },
            Some(replacement) => {
                before.unsplit(replacement);
                before.extend_from_slice(after);
                Verdict { passes: false, before, after: &[], content }
            }
        }
    }
}

/// Returns an ErrorResponse. Unlike those of Postgres, it names no routine.
pub(super) fn error_message(code: &str, message: &str) -> BytesMut {
    let mut fields = BytesMut::new();
    for (field, value) in [(b'S', "ERROR"), (b'V', "ERROR"), (b'C', code), (b'M', message)] {
        fields.put_u8(field);
        fields.put_slice(value.as_bytes());
        fields.put_u8(0);
    }
    fields.put_u8(0);
    let mut response = BytesMut::with_capacity(HEADER_BYTES + fields.len());
    response.put_u8(b'E');
    response.put_u32(fields.len() as u32 + 4);
    response.put_slice(&fields);
    response
}
