//! `atlashub serve` on an external Postgres and store.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use nix::sys::signal::Signal;
use reqwest::StatusCode;

use crate::support::{Client, PATIENCE, Postgres, ProgramVars, Serving};

async fn serve(arguments: &[&str]) -> Serving {
    let url = Postgres::shared().platform_database().await;
    ProgramVars::external(&url).serve(arguments)
}

fn address(url: &str) -> &str {
    url.trim_start_matches("http://")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_binary_serves_external_services() {
    let serving = serve(&[]).await;
    for url in [&serving.public_url, &serving.admin_url] {
        let (status, body) = Client::new(url.as_str()).get("/readyz").await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
    assert!(serving.banner.is_empty(), "a sign-in code is printed in embedded mode only: {:?}", serving.banner);
    serving.signal(Signal::SIGINT);
    assert_eq!(serving.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_has_no_public_surface() {
    let serving = serve(&["--role", "scheduler"]).await;
    assert_eq!(serving.public_url, "");
    let (status, _) = Client::new(&*serving.admin_url).get("/healthz").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_flight_are_finished() {
    let serving = serve(&[]).await;
    let body = r#"{"name":"finished"}"#;
    let mut stream = TcpStream::connect(address(&serving.admin_url)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST /admin/v1/projects HTTP/1.1\r\nhost: {}\r\nx-dev-admin-token: admin-token-of-the-tests\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        address(&serving.admin_url),
        body.len()
    )
    .unwrap();
    // The handler asks for the body: the request is in flight.
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).unwrap();
    assert!(asked.starts_with(b"HTTP/1.1 100 "));
    serving.signal(Signal::SIGTERM);
    // It takes no more connections from the moment it heard the signal.
    while TcpStream::connect(address(&serving.public_url)).is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(serving.wait().code(), Some(0));
}
