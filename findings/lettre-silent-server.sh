#!/usr/bin/env bash
# lettre 0.11.23: the timeout of a transport limits each read in the blocking transport, but only the connection in the
# asynchronous one. If a mail server accepts the connection and says nothing, sending never ends there.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

rust_program 'tokio = { version = "=1.54.1", features = ["full"] }
lettre = { version = "=0.11.23", default-features = false, features = ["builder", "smtp-transport", "tokio1"] }' '
use std::{net::TcpListener, time::{Duration, Instant}};

use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, SmtpTransport, Tokio1Executor, Transport as _};

const TIMEOUT: Option<Duration> = Some(Duration::from_secs(1));

fn main() {
    // The system accepts connections to a listener. Nobody reads from them, or writes to them.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let address = || "hub@example.org".parse().unwrap();
    let message = Message::builder().from(address()).to(address()).body(String::from("text")).unwrap();

    let begin = Instant::now();
    let blocking = SmtpTransport::builder_dangerous("127.0.0.1").port(port).timeout(TIMEOUT).build();
    let is_error = blocking.send(&message).is_err();
    println!("blocking: fails within 3 s: {}", is_error && begin.elapsed() < Duration::from_secs(3));

    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1");
        let transport = transport.port(port).timeout(TIMEOUT).build();
        let sent = tokio::time::timeout(Duration::from_secs(10), transport.send(message)).await;
        println!("asynchronous: {}", if sent.is_err() { "waits after 10 s" } else { "returns" });
    });
}'

echo 'lettre 0.11.23, timeout of one second, a server that says nothing:'
run_rust_program | expect 'blocking: fails within 3 s: true
asynchronous: waits after 10 s'
