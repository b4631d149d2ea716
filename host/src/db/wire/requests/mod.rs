//! Makes one transaction of several requests, in the bytes that the client library sends: of the request that sets a
//! user's claims and the one after it, or of all requests from [`BEGIN_SHARED`] to [`END_SHARED`].

use std::{collections::VecDeque, io};

use bytes::BytesMut;

use super::messages::error_message;
use crate::db::DbError;

/// The statement that sets a signed-in user's claims. The next statement on the connection runs in its transaction.
/// Within a shared transaction, the claims are set until its end, or until other claims are set.
///
/// It returns no row, so that Postgres does not send the claims back. The function never returns NULL.
pub(in crate::db) const SET_CLAIMS: &str =
    "SELECT 1 WHERE pg_catalog.set_config('request.jwt.claims', $1, true) IS NULL";

/// The statement that begins a shared transaction, in which statements wait for locks only for the given time. All
/// statements up to [`END_SHARED`] run in the transaction. Like [`SET_CLAIMS`], it returns no row.
pub(in crate::db) const BEGIN_SHARED: &str = "SELECT 1 WHERE pg_catalog.set_config('lock_timeout', $1, true) IS NULL";

/// The statement that ends a shared transaction. Its result is that of the commit.
pub(in crate::db) const END_SHARED: &str = "SELECT 1 AS end_of_shared_transaction";

/// ReadyForQuery, within a transaction.
const READY: &[u8] = &[b'Z', 0, 0, 0, 5, b'T'];

/// SQLSTATE `in_failed_sql_transaction`, for a statement that did not run, because one before it in its transaction
/// failed.
const NOT_RUN: &str = "25P02";
pub(super) const NOT_RUN_TEXT: &str = "the statement did not run, because one before it in its transaction failed";

/// Maximum number of bytes that are kept of a message's content: enough for a statement's name and [`SET_CLAIMS`], the
/// longest of the statements that are recognized.
const MAX_BEGINNING_BYTES: usize = 128;

/// Types of the client's messages.
const BIND: u8 = b'B';
const CLOSE: u8 = b'C';
const PARSE: u8 = b'P';
const QUERY: u8 = b'Q';
const SYNC: u8 = b'S';

/// Types of Postgres's messages.
const CLOSE_COMPLETE: u8 = b'3';
const COMMAND_COMPLETE: u8 = b'C';
const ERROR: u8 = b'E';
const READY_FOR_QUERY: u8 = b'Z';

/// Returns whether a statement did not run, because one before it in its transaction failed.
pub(in crate::db) fn is_not_run(error: &DbError) -> bool {
    error.as_db_error().is_some_and(|error| error.code().code() == NOT_RUN && error.routine().is_none())
}

/// Follows the requests on a connection and their responses, and joins the requests of a transaction.
///
/// A request consists of the messages up to a Sync, or of one Query. The Sync of a joined request is removed. A
/// response ends with ReadyForQuery, which is missing from the response to a joined request and is inserted there.
/// Postgres can respond before it receives the Sync, for example if it rejects a value. So a request is registered with
/// its Bind or Close, before the last byte of this message is written. A request that has neither is registered with
/// its Sync or Query.
///
/// Requests that copy rows into a table contain two Syncs, so connections that do so must not set claims.
///
/// The library can send a Close at any time. Within a transaction, its Sync is removed too.
pub(super) struct Requests {
    outgoing: Outgoing,
    /// The requests without a complete response, oldest first.
    waiting: VecDeque<Request>,
    /// Whether a joined request failed. Postgres then skips everything up to the next Sync, without a response.
    has_failed: bool,
    /// Whether the library sent something that must not be written. Nothing is written after it.
    is_broken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Request {
    /// Its response ends with ReadyForQuery.
    Separate,
    /// Its response ends with the message of this type, or with an error. It has no response if a joined request before
    /// it failed.
    Joined(u8),
}

/// The position in the client's messages.
struct Outgoing {
    kind: u8,
    /// Whether the current message is removed.
    is_removed: bool,
    /// Bytes of the current message's type and length that were sent.
    header_length: usize,
    length: u32,
    /// Bytes of the current message's content that are still to be sent.
    rest: usize,
    beginning: Vec<u8>,
    /// Type of the current request's first message.
    first: Option<u8>,
    /// The current request, once it is registered.
    request: Option<Request>,
    /// Names of the prepared statements that join others.
    markers: Vec<(Vec<u8>, Marker)>,
    /// The requests after the registered ones that belong to the current transaction.
    joins: Joins,
}

/// A statement that joins others, if it is run as a prepared statement. The SQL editor and plugins can prepare a
/// statement with the same text, but their statements are not run by the name under which they were prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    /// [`SET_CLAIMS`]
    Claims,
    /// [`BEGIN_SHARED`]
    Begin,
    /// [`END_SHARED`]
    End,
}

impl Marker {
    fn of(text: &[u8]) -> Option<Self> {
        let markers = [(SET_CLAIMS, Self::Claims), (BEGIN_SHARED, Self::Begin), (END_SHARED, Self::End)];
        markers.into_iter().find(|(marker, _)| marker.as_bytes() == text).map(|(_, marker)| marker)
    }
}

/// The requests to come that belong to the current transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joins {
    Nothing,
    /// The next statement, because claims were sent.
    Next,
    /// All statements up to [`END_SHARED`].
    UntilEnd,
}

/// Bytes to insert before and after a message of Postgres.
#[derive(Default)]
pub(super) struct Insertions {
    pub(super) before: BytesMut,
    pub(super) after: &'static [u8],
}

impl Requests {
    pub(super) fn new() -> Self {
        // The response to the login also ends with ReadyForQuery.
        let waiting = VecDeque::from([Request::Separate]);
        Self { outgoing: Outgoing::new(), waiting, has_failed: false, is_broken: false }
    }

    /// Follows bytes that the library sends, and appends those to write: all except the Sync of joined requests.
    ///
    /// # Errors
    /// Fails if a transaction contains a request other than a statement or a Close, or if claims or a marker are
    /// misplaced. After a failure, every further call fails.
    pub(super) fn send(&mut self, sent: &[u8], written: &mut BytesMut) -> io::Result<()> {
        if self.is_broken {
            return Err(misplaced_request());
        }
        let result = self.follow(sent, written);
        if result.is_err() {
            self.is_broken = true;
            written.clear();
        }
        result
    }

    fn follow(&mut self, mut sent: &[u8], written: &mut BytesMut) -> io::Result<()> {
        let outgoing = &mut self.outgoing;
        while let [byte, following @ ..] = sent {
            if outgoing.rest > 0 {
                let (content, following) = sent.split_at(outgoing.rest.min(sent.len()));
                written.extend_from_slice(content);
                self.waiting.extend(outgoing.content(content)?);
                sent = following;
                continue;
            }
            if outgoing.header_length == 0 {
                self.waiting.extend(outgoing.begin(*byte)?);
            } else {
                outgoing.header(*byte);
            }
            if !outgoing.is_removed {
                written.extend_from_slice(&[*byte]);
            }
            sent = following;
        }
        Ok(())
    }

    /// Follows a message that Postgres sends. Returns what to insert.
    pub(super) fn receive(&mut self, kind: u8) -> Insertions {
        let mut insertions = Insertions::default();
        match (kind, self.waiting.front()) {
            (READY_FOR_QUERY, _) => {
                if std::mem::take(&mut self.has_failed) {
                    let error = error_message(NOT_RUN, NOT_RUN_TEXT);
                    while let Some(Request::Joined(end)) = self.waiting.front() {
                        if *end == COMMAND_COMPLETE {
                            insertions.before.extend_from_slice(&error);
                        }
                        insertions.before.extend_from_slice(READY);
                        self.waiting.pop_front();
                    }
                    insertions.before.extend_from_slice(&error);
                }
                self.waiting.pop_front();
            }
            (ERROR, Some(Request::Joined(_))) => {
                self.waiting.pop_front();
                self.has_failed = true;
                insertions.after = READY;
            }
            (COMMAND_COMPLETE | CLOSE_COMPLETE, Some(Request::Joined(end))) if kind == *end => {
                self.waiting.pop_front();
                insertions.after = READY;
            }
            _ => {}
        }
        insertions
    }
}

impl Outgoing {
    fn new() -> Self {
        Self {
            kind: 0,
            is_removed: false,
            // The first message consists of a length and its content.
            header_length: 1,
            length: 0,
            rest: 0,
            beginning: Vec::new(),
            first: None,
            request: None,
            markers: Vec::new(),
            joins: Joins::Nothing,
        }
    }

    /// Begins a message. Returns the request that it registers.
    fn begin(&mut self, kind: u8) -> io::Result<Option<Request>> {
        (self.kind, self.header_length, self.length, self.is_removed) = (kind, 1, 0, false);
        self.beginning.clear();
        if self.joins != Joins::Nothing && self.first.is_none() && kind != BIND && kind != CLOSE {
            return Err(misplaced_request());
        }
        self.first = self.first.or(Some(kind));
        if kind != SYNC && kind != QUERY {
            return Ok(None);
        }
        let registered = self.register(None);
        self.is_removed = matches!(self.request, Some(Request::Joined(_)));
        (self.first, self.request) = (None, None);
        Ok(registered)
    }

    /// Returns the current request, unless it is already registered.
    fn register(&mut self, marker: Option<Marker>) -> Option<Request> {
        if self.request.is_some() {
            return None;
        }
        let (request, joins) = match (marker, self.joins) {
            (Some(Marker::Claims), Joins::Nothing | Joins::Next) => (Request::Joined(COMMAND_COMPLETE), Joins::Next),
            (Some(Marker::Begin), _) => (Request::Joined(COMMAND_COMPLETE), Joins::UntilEnd),
            (Some(Marker::End), _) | (None, Joins::Nothing) => (Request::Separate, Joins::Nothing),
            (None, joins) if self.first == Some(CLOSE) => (Request::Joined(CLOSE_COMPLETE), joins),
            (None, Joins::Next) => (Request::Separate, Joins::Nothing),
            (Some(Marker::Claims) | None, Joins::UntilEnd) => (Request::Joined(COMMAND_COMPLETE), Joins::UntilEnd),
        };
        (self.request, self.joins) = (Some(request), joins);
        self.request
    }

    /// Reads a byte of the length.
    fn header(&mut self, byte: u8) {
        self.length = self.length << 8 | u32::from(byte);
        self.header_length += 1;
        if self.header_length == 5 {
            self.header_length = 0;
            self.rest = (self.length as usize).saturating_sub(4);
        }
    }

    /// Reads a part of the content. Returns the request that it registers.
    fn content(&mut self, part: &[u8]) -> io::Result<Option<Request>> {
        if let PARSE | BIND | CLOSE = self.kind {
            let missing = MAX_BEGINNING_BYTES - self.beginning.len();
            self.beginning.extend_from_slice(&part[..part.len().min(missing)]);
        }
        self.rest -= part.len();
        if self.rest == 0 { self.end() } else { Ok(None) }
    }

    /// Ends a message. Returns the request that it registers.
    fn end(&mut self) -> io::Result<Option<Request>> {
        let mut strings = self.beginning.split(|byte| *byte == 0);
        let (Some(first), Some(second)) = (strings.next(), strings.next()) else { return Ok(None) };
        let marker = match self.kind {
            // Name, text.
            PARSE => {
                self.markers.extend(Marker::of(second).map(|marker| (first.to_vec(), marker)));
                return Ok(None);
            }
            // Portal, name.
            BIND => {
                let marker = self.markers.iter().find(|(name, _)| name == second).map(|(_, marker)| *marker);
                let is_misplaced = match marker {
                    Some(Marker::Claims) => self.joins == Joins::Next,
                    Some(Marker::Begin) => self.joins != Joins::Nothing,
                    Some(Marker::End) => self.joins != Joins::UntilEnd,
                    None => false,
                };
                if is_misplaced {
                    return Err(misplaced_request());
                }
                marker
            }
            // `S` for a statement, name.
            CLOSE => {
                self.markers.retain(|(name, _)| first.strip_prefix(b"S") != Some(name));
                None
            }
            _ => return Ok(None),
        };
        Ok(self.register(marker))
    }
}

fn misplaced_request() -> io::Error {
    io::Error::other("a request was sent that must not be part of the current transaction")
}

#[cfg(test)]
mod tests;
