//! Follows requests and responses, byte by byte.

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

/// Requests of a connection that has prepared the markers of shared transactions as `s3` and `s4`, too.
fn prepared_for_sharing() -> Requests {
    let mut requests = prepared();
    send(&mut requests, &[parse("s3", BEGIN_SHARED), parse("s4", END_SHARED)].concat(), 0);
    assert_eq!(receive(&mut requests, b"ZZ"), "");
    requests
}

#[test]
fn statements_of_a_shared_transaction_have_a_response_each() {
    let mut requests = prepared_for_sharing();
    let shared = [run("s3", "20ms"), run("s2", ""), close("s7"), run("s2", ""), run("s4", "")].concat();
    for _ in 0..2 {
        send(&mut requests, &[&shared[..], &run("s2", "")].concat(), 4);
        assert_eq!(receive(&mut requests, b"2DC2DC32C2DCZ"), ">C>Z >C>Z >3>Z >C>Z");
        assert_eq!(receive(&mut requests, b"2CZ"), "");
    }
    assert!(requests.waiting.is_empty());
}

#[test]
fn statements_after_a_failed_one_of_a_shared_transaction_fail_too() {
    let mut requests = prepared_for_sharing();
    let shared = [run("s3", "20ms"), run("s2", ""), run("s2", ""), close("s7"), run("s2", ""), run("s4", "")];
    send(&mut requests, &shared.concat(), 5);
    assert_eq!(receive(&mut requests, b"2DC2E"), ">C>Z >E>Z");
    assert_eq!(receive(&mut requests, b"Z"), "EZZEZE>Z>");
    // Only the commit fails.
    send(&mut requests, &shared.concat(), 5);
    assert_eq!(receive(&mut requests, b"2DC2C2C32C2DCEZ"), ">C>Z >C>Z >C>Z >3>Z >C>Z");
    assert!(requests.waiting.is_empty());
}

#[test]
fn claims_within_a_shared_transaction_do_not_end_it() {
    let mut requests = prepared_for_sharing();
    let as_user = |claims| [run("s1", claims), run("s2", "")].concat();
    let shared = [run("s3", "20ms"), as_user("a"), as_user("b"), run("s4", "")].concat();
    send(&mut requests, &shared, 5);
    assert_eq!(receive(&mut requests, b"2DC2DC2DC2DC2C2DCZ"), ">C>Z >C>Z >C>Z >C>Z >C>Z");
    // The claims of the second user fail.
    send(&mut requests, &shared, 5);
    assert_eq!(receive(&mut requests, b"2DC2DC2DC2E"), ">C>Z >C>Z >C>Z >E>Z");
    assert_eq!(receive(&mut requests, b"Z"), "EZE>Z>");
    assert!(requests.waiting.is_empty());
}

#[test]
fn response_that_arrives_before_the_end_of_its_request_is_completed() {
    let mut requests = prepared_for_sharing();
    let shared = [run("s3", "20ms"), run("s2", ""), run("s2", ""), run("s4", "")].concat();
    // Postgres rejects a value when it receives the Bind, and the Execute and the Sync are written later.
    let (beginning, end) = shared.split_at(run("s3", "20ms").len() + message(BIND, b"\0s2\0").len());
    send(&mut requests, beginning, 1);
    assert_eq!(receive(&mut requests, b"2DCE"), ">C>Z >E>Z");
    send(&mut requests, end, 2);
    assert_eq!(receive(&mut requests, b"Z"), "EZE>Z>");
    // The same with a Close. Its response ends with CloseComplete.
    let shared = [run("s3", "20ms"), close("s7"), run("s4", "")].concat();
    let (beginning, end) = shared.split_at(run("s3", "20ms").len() + message(CLOSE, b"Ss7\0").len());
    send(&mut requests, beginning, 1);
    assert_eq!(receive(&mut requests, b"2DC3"), ">C>Z >3>Z");
    send(&mut requests, end, 1);
    assert_eq!(receive(&mut requests, b"2DCZ"), "");
    assert!(requests.waiting.is_empty());
}

#[test]
fn text_of_a_marker_joins_nothing_unless_it_is_run_as_a_prepared_statement() {
    // The SQL editor prepares a statement to describe it, and sends its text to run it.
    let mut requests = prepared_for_sharing();
    for text in [SET_CLAIMS, BEGIN_SHARED, END_SHARED] {
        let query = message(QUERY, format!("{text}\0").as_bytes());
        send(&mut requests, &[parse("s5", text), query, close("s5"), run("s2", "")].concat(), 0);
        assert_eq!(receive(&mut requests, b"1tTZTDCZ3Z2DCZ"), "");
    }
    assert!(requests.waiting.is_empty());
}

#[test]
fn other_requests_within_a_shared_transaction_fail_and_nothing_is_written() {
    let others = [parse("s5", "SELECT 2"), message(QUERY, b"SELECT 2\0"), run("s3", "1s")];
    for other in others {
        let mut requests = prepared_for_sharing();
        send(&mut requests, &[run("s3", "20ms"), run("s2", "")].concat(), 2);
        let mut written = BytesMut::new();
        assert!(requests.send(&other, &mut written).is_err(), "{other:?}");
        assert!(requests.send(&run("s4", ""), &mut written).is_err(), "{other:?}");
        assert!(written.is_empty(), "{written:?}");
    }
    let mut requests = prepared_for_sharing();
    assert!(requests.send(&run("s4", ""), &mut BytesMut::new()).is_err());
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
    assert_eq!(requests.outgoing.markers, [(b"s4".to_vec(), Marker::Claims)]);
}
