//! Joins the request that sets a user's claims with the request after it, in the bytes that the client library sends.

use std::{collections::VecDeque, io};

use bytes::BytesMut;

use super::messages::error_message;

/// The statement that sets a signed-in user's claims. The next statement on the connection runs in its transaction.
pub(in crate::db) const SET_CLAIMS: &str = "SELECT pg_catalog.set_config('request.jwt.claims', $1, true)";

/// ReadyForQuery, within a transaction.
const READY: &[u8] = &[b'Z', 0, 0, 0, 5, b'T'];

/// SQLSTATE `in_failed_sql_transaction`, for a statement that does not run because its claims could not be set.
const NOT_RUN: &str = "25P02";

/// Maximum number of bytes that are kept of a message's content: enough for a statement's name and [`SET_CLAIMS`].
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

/// Follows the requests on a connection and their responses, and joins each request that sets claims with the request
/// after it.
///
/// A request consists of the messages up to a Sync, or of one Query. The Sync of a joined request is removed. A
/// response ends with ReadyForQuery, which is missing from the response to a joined request and is inserted there.
/// Requests that copy rows into a table contain two Syncs, so connections that do so must not set claims.
///
/// The library can send a Close at any time. Between claims and their statement, its Sync is removed too.
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
    /// Its response ends with the message of this type, or with an error. It has no response if the joined request
    /// before it failed.
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
    /// Names of prepared statements with the text [`SET_CLAIMS`].
    claims_statements: Vec<Vec<u8>>,
    sets_claims: bool,
    /// Whether claims were sent, and their statement was not.
    has_claims: bool,
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
    /// Fails if claims are followed by a request other than a statement or a Close, and from then on.
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
                outgoing.content(content)?;
                sent = following;
                continue;
            }
            if outgoing.header_length == 0 {
                let request = outgoing.begin(*byte)?;
                outgoing.is_removed = matches!(request, Some(Request::Joined(_)));
                self.waiting.extend(request);
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
                    while let Some(Request::Joined(_)) = self.waiting.front() {
                        self.waiting.pop_front();
                        insertions.before.extend_from_slice(READY);
                    }
                    let error = error_message(NOT_RUN, "the statement did not run, because its claims were not set");
                    insertions.before.unsplit(error);
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
            claims_statements: Vec::new(),
            sets_claims: false,
            has_claims: false,
        }
    }

    /// Begins a message. Returns the request that it ends.
    fn begin(&mut self, kind: u8) -> io::Result<Option<Request>> {
        (self.kind, self.header_length, self.length) = (kind, 1, 0);
        self.beginning.clear();
        if self.has_claims && self.first.is_none() && kind != BIND && kind != CLOSE {
            return Err(misplaced_request());
        }
        let first = *self.first.get_or_insert(kind);
        if kind != SYNC && kind != QUERY {
            return Ok(None);
        }
        self.first = None;
        let request = if std::mem::take(&mut self.sets_claims) {
            self.has_claims = true;
            Request::Joined(COMMAND_COMPLETE)
        } else if self.has_claims && first == CLOSE {
            Request::Joined(CLOSE_COMPLETE)
        } else {
            self.has_claims = false;
            Request::Separate
        };
        Ok(Some(request))
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

    /// Reads a part of the content.
    fn content(&mut self, part: &[u8]) -> io::Result<()> {
        if let PARSE | BIND | CLOSE = self.kind {
            let missing = MAX_BEGINNING_BYTES - self.beginning.len();
            self.beginning.extend_from_slice(&part[..part.len().min(missing)]);
        }
        self.rest -= part.len();
        if self.rest == 0 { self.end() } else { Ok(()) }
    }

    fn end(&mut self) -> io::Result<()> {
        let mut strings = self.beginning.split(|byte| *byte == 0);
        let (Some(first), Some(second)) = (strings.next(), strings.next()) else { return Ok(()) };
        match self.kind {
            // Name, text.
            PARSE if second == SET_CLAIMS.as_bytes() => self.claims_statements.push(first.to_vec()),
            // Portal, name.
            BIND => {
                self.sets_claims = self.claims_statements.iter().any(|name| name == second);
                if self.sets_claims && self.has_claims {
                    return Err(misplaced_request());
                }
            }
            // `S` for a statement, name.
            CLOSE => self.claims_statements.retain(|name| first.strip_prefix(b"S") != Some(name)),
            _ => {}
        }
        Ok(())
    }
}

fn misplaced_request() -> io::Error {
    io::Error::other("a request was sent between a user's claims and their statement")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with a type.
    fn message(kind: u8, content: &[u8]) -> Vec<u8> {
        [&[kind][..], &(content.len() as u32 + 4).to_be_bytes(), content].concat()
    }

    fn parse(name: &str, text: &str) -> Vec<u8> {
        let request = message(PARSE, format!("{name}\0{text}\0\0\0").as_bytes());
        [request, message(b'D', format!("S{name}\0").as_bytes()), message(SYNC, b"")].concat()
    }

    fn run(name: &str, value: &str) -> Vec<u8> {
        let request = message(BIND, format!("\0{name}\0{value}").as_bytes());
        [request, message(b'E', b"\0\0\0\0\0"), message(SYNC, b"")].concat()
    }

    fn close(name: &str) -> Vec<u8> {
        [message(CLOSE, format!("S{name}\0").as_bytes()), message(SYNC, b"")].concat()
    }

    /// Requests of a connection that has prepared the claims as `s1`, and a statement as `s2`.
    fn prepared() -> Requests {
        let mut requests = Requests::new();
        let startup = b"\0\0\0\x08\0\x03\0\0".to_vec();
        let sent = [startup, message(b'p', b"password"), parse("s1", SET_CLAIMS), parse("s2", "SELECT 1")];
        send(&mut requests, &sent.concat(), 0);
        for _ in 0..3 {
            assert!(receive(&mut requests, b"Z").is_empty());
        }
        requests
    }

    /// Sends bytes, as a whole or byte by byte. `removed` is the number of Syncs that are removed.
    fn send(requests: &mut Requests, sent: &[u8], removed: usize) {
        let mut written = BytesMut::new();
        for piece in sent.chunks(if sent.len().is_multiple_of(2) { 1 } else { usize::MAX }) {
            requests.send(piece, &mut written).unwrap();
        }
        let sync = message(SYNC, b"");
        let syncs = |bytes: &[u8]| bytes.windows(sync.len()).filter(|window| *window == sync).count();
        assert_eq!((syncs(sent) - syncs(&written), sent.len() - written.len()), (removed, removed * sync.len()));
    }

    /// Receives messages of the types. Returns what is inserted: `before > type > after`, by type.
    fn receive(requests: &mut Requests, kinds: &[u8]) -> String {
        let mut result = String::new();
        for kind in kinds {
            let Insertions { before, after } = requests.receive(*kind);
            let types = |mut bytes: &[u8]| {
                let mut types = String::new();
                while let [kind, a, b, c, d, ..] = bytes {
                    types.push(char::from(*kind));
                    bytes = &bytes[1 + u32::from_be_bytes([*a, *b, *c, *d]) as usize..];
                }
                types
            };
            if !before.is_empty() || !after.is_empty() {
                result += &format!("{}>{}>{} ", types(&before), char::from(*kind), types(after));
            }
        }
        result.trim_end().to_owned()
    }

    #[test]
    fn claims_and_their_statement_are_one_transaction_with_two_responses() {
        let mut requests = prepared();
        for _ in 0..2 {
            send(&mut requests, &[run("s1", "{}"), run("s2", "")].concat(), 1);
            assert_eq!(receive(&mut requests, b"2DC2DDCZ"), ">C>Z");
        }
        send(&mut requests, &run("s2", ""), 0);
        assert_eq!(receive(&mut requests, b"2DCZ"), "");
        assert!(requests.waiting.is_empty());
    }

    #[test]
    fn statement_whose_claims_fail_gets_an_error_too() {
        let mut requests = prepared();
        send(&mut requests, &[run("s1", "{}"), run("s2", ""), run("s2", "")].concat(), 1);
        assert_eq!(receive(&mut requests, b"E"), ">E>Z");
        assert_eq!(receive(&mut requests, b"Z"), "E>Z>");
        assert_eq!(receive(&mut requests, b"2CZ"), "");
        // The claims are set, and only the statement fails.
        send(&mut requests, &[run("s1", "{}"), run("s2", "")].concat(), 1);
        assert_eq!(receive(&mut requests, b"2DC2EZ"), ">C>Z");
        assert!(requests.waiting.is_empty());
    }

    #[test]
    fn close_between_claims_and_their_statement_ends_no_transaction() {
        let mut requests = prepared();
        send(&mut requests, &[run("s1", "{}"), close("s7"), run("s2", "")].concat(), 2);
        assert_eq!(receive(&mut requests, b"2DC32DCZ"), ">C>Z >3>Z");
        send(&mut requests, &[run("s1", "{}"), close("s8"), run("s2", "")].concat(), 2);
        assert_eq!(receive(&mut requests, b"EZ"), ">E>Z ZE>Z>");
        send(&mut requests, &close("s9"), 0);
        assert_eq!(receive(&mut requests, b"3Z"), "");
        assert!(requests.waiting.is_empty());
    }

    #[test]
    fn other_requests_between_claims_and_their_statement_fail_and_nothing_is_written() {
        let others =
            [parse("s3", "SELECT 2"), message(QUERY, b"SELECT 2\0"), message(SYNC, b""), run("s1", "{\"sub\":\"b\"}")];
        for other in others {
            let mut requests = prepared();
            send(&mut requests, &run("s1", "{}"), 1);
            let mut written = BytesMut::new();
            assert!(requests.send(&other, &mut written).is_err(), "{other:?}");
            assert!(requests.send(&run("s2", ""), &mut written).is_err(), "{other:?}");
            assert!(written.is_empty(), "{written:?}");
        }
    }

    #[test]
    fn closed_claims_statement_is_forgotten() {
        let mut requests = prepared();
        send(&mut requests, &[close("s1"), parse("s1", "SELECT 3"), run("s1", ""), run("s2", "")].concat(), 0);
        send(&mut requests, &[parse("s4", SET_CLAIMS), run("s4", "{}"), run("s1", "")].concat(), 1);
        assert_eq!(requests.outgoing.claims_statements, [b"s4".to_vec()]);
    }
}
