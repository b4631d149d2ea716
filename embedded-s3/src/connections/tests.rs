use super::*;

fn phases(admissions: &[Admission]) -> Vec<Phase> {
    admissions.iter().map(|admission| admission.connection.state.lock().phase).collect()
}

fn admit(connections: &Arc<Connections>, count: usize) -> Vec<Admission> {
    (0..count).map(|_| connections.admit().unwrap()).collect()
}

fn serve_verified(connection: &Connection) {
    serve_signed(connection, SignedIn::Headers);
}

fn serve_signed(connection: &Connection, signed_in: SignedIn) {
    connection.begin_request();
    connection.verify_request(signed_in);
}

/// Returns the rank of a connection after `prepare`, `seconds` later.
fn rank_after(prepare: impl FnOnce(&Connection), seconds: u64) -> Option<Rank> {
    let connection = Connection::new();
    prepare(&connection);
    let now = Instant::now() + Duration::from_secs(seconds);
    connection.state.lock().replaceable(now, None).map(|(rank, _)| rank)
}

#[test]
fn new_connection_replaces_the_stranger_that_waited_longest() {
    let connections = Connections::new(4);
    let admissions = admit(&connections, 4);
    serve_verified(&admissions[0].connection);
    serve_verified(&admissions[1].connection);
    admissions[1].connection.end_response();
    admissions[1].connection.flushed();
    let newest = connections.admit().unwrap();
    assert_eq!(phases(&admissions), [Phase::Serving, Phase::Idle, Phase::Closing, Phase::New]);
    assert_eq!(newest.connection.state.lock().phase, Phase::New);
}

#[test]
fn unverified_request_is_replaced_after_connections_that_wait() {
    let connections = Connections::new(2);
    let admissions = admit(&connections, 2);
    admissions[0].connection.begin_request();
    admissions[1].connection.received();
    let third = connections.admit().unwrap();
    assert_eq!(phases(&admissions), [Phase::Serving, Phase::Closing]);
    serve_verified(&third.connection);
    let fourth = connections.admit();
    assert!(fourth.is_some());
    assert_eq!(phases(&admissions), [Phase::Closing, Phase::Closing]);
}

#[test]
fn connections_with_verified_requests_are_not_replaced() {
    let connections = Connections::new(2);
    let admissions = admit(&connections, 2);
    admissions.iter().for_each(|admission| serve_verified(&admission.connection));
    assert!(connections.admit().is_none());
    drop(admissions);
    assert!(connections.admit().is_some());
}

#[test]
fn new_connection_is_replaced_after_requests_that_stay_unverified() {
    assert_eq!(rank_after(|_| {}, 0), Some(Rank::StrangerArrives));
    assert_eq!(rank_after(|_| {}, 2), Some(Rank::StrangerWaits));
    assert!(Rank::UncheckedForLong < Rank::StrangerArrives && Rank::StrangerArrives < Rank::TrustedWaits);
}

#[test]
fn unverified_request_is_replaced_before_trusted_connections_after_a_time() {
    assert_eq!(rank_after(Connection::begin_request, 4), Some(Rank::Unchecked));
    assert_eq!(rank_after(Connection::begin_request, 6), Some(Rank::UncheckedForLong));
    assert!(Rank::UncheckedForLong < Rank::TrustedWaits && Rank::TrustedWaits < Rank::Unchecked);
}

#[test]
fn only_signature_in_headers_makes_a_connection_trusted() {
    let respond = |signed_in: SignedIn| {
        move |connection: &Connection| {
            serve_signed(connection, signed_in);
            connection.end_response();
            connection.flushed();
        }
    };
    assert_eq!(rank_after(respond(SignedIn::Headers), 0), Some(Rank::TrustedWaits));
    assert_eq!(rank_after(respond(SignedIn::UrlOrForm), 0), Some(Rank::StrangerWaits));
}

#[test]
fn verified_response_is_replaceable_when_its_client_reads_nothing_for_long() {
    for (signed_in, rank) in [(SignedIn::UrlOrForm, Rank::UrlBlocked), (SignedIn::Headers, Rank::HeadersBlocked)] {
        let block = |connection: &Connection| {
            serve_signed(connection, signed_in);
            connection.write_blocked();
        };
        assert_eq!(rank_after(block, 119), None);
        assert_eq!(rank_after(block, 121), Some(rank));
        let resume = |connection: &Connection| {
            block(connection);
            connection.wrote();
        };
        assert_eq!(rank_after(resume, 121), None);
    }
}

#[test]
fn requests_with_signed_urls_do_not_keep_reserved_connections() {
    let connections = Connections::new(RESERVED_SHARE);
    let admissions = admit(&connections, RESERVED_SHARE);
    admissions.iter().for_each(|admission| serve_signed(&admission.connection, SignedIn::UrlOrForm));
    let newest = connections.admit().unwrap();
    let phases = phases(&admissions);
    assert_eq!(phases[0], Phase::Serving);
    assert_eq!(phases.iter().filter(|phase| **phase == Phase::Closing).count(), 1);
    serve_verified(&newest.connection);
    assert!(connections.admit().is_none());
}

#[test]
fn connections_that_wait_expire() {
    let check = |prepare: fn(&Connection), seconds: u64, expected| {
        let connection = Connection::new();
        prepare(&connection);
        let now = Instant::now() + Duration::from_secs(seconds);
        assert_eq!(connection.state.lock().is_expired(now), expected, "{connection:?} {seconds}");
    };
    let respond = |connection: &Connection| {
        serve_verified(connection);
        connection.end_response();
        connection.flushed();
    };
    let block = |connection: &Connection| {
        connection.begin_request();
        connection.write_blocked();
    };
    let block_verified = |connection: &Connection| {
        serve_verified(connection);
        connection.write_blocked();
    };
    check(|_| {}, 9, false);
    check(|_| {}, 11, true);
    check(Connection::received, 11, true);
    check(respond, 149, false);
    check(respond, 151, true);
    check(serve_verified, 100_000, false);
    check(block, 119, false);
    check(block, 121, true);
    check(block_verified, 100_000, false);
}

#[test]
fn request_on_a_closed_connection_does_not_reopen_it() {
    let connections = Connections::new(1);
    let first = connections.admit().unwrap();
    let _second = connections.admit().unwrap();
    first.connection.begin_request();
    assert_eq!(first.connection.state.lock().phase, Phase::Closing);
}
