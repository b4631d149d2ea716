//! `atlashub serve` on an external Postgres and store.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use nix::sys::signal::Signal;
use reqwest::StatusCode;
use serde_json::json;

use crate::support::{
    ADMIN_TOKEN, Client, Postgres, ProgramVars, Serving, WAIT_TIMEOUT, eventually, free_port, until_status,
};

async fn serve(arguments: &[&str]) -> Serving {
    let url = Postgres::shared().platform_database().await;
    ProgramVars::external(&url).serve(arguments)
}

fn address(url: &str) -> &str {
    url.trim_start_matches("http://")
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_works_on_external_services() {
    let serving = serve(&[]).await;
    for url in [&serving.public_url, &serving.admin_url] {
        until_status(StatusCode::OK, async || Client::new(url.as_str()).get("/readyz").await).await;
    }
    assert!(serving.banner.is_empty(), "the server printed a banner: {:?}", serving.banner);
    serving.signal(Signal::SIGINT);
    assert_eq!(serving.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_terminal_stops_the_server_like_a_signal_to_terminate() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or("0").trim();
    if u64::from_str_radix(ignored, 16).unwrap() & 1 != 0 {
        eprintln!("skipped: these tests, and so the server too, were started with SIGHUP ignored");
        return;
    }
    let serving = serve(&[]).await;
    // The shell sends the signal once more, and a service manager asks to terminate.
    serving.signal(Signal::SIGHUP);
    serving.signal(Signal::SIGHUP);
    serving.signal(Signal::SIGTERM);
    assert_eq!(serving.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduler_role_has_no_public_surface() {
    let listen = format!("127.0.0.1:{}", free_port());
    let vars = ProgramVars::external(&Postgres::shared().platform_database().await);
    let vars = vars.set("ATLASHUB_PUBLIC_LISTEN", &listen);
    let serving = vars.serve(&["--role", "scheduler"]);
    assert_eq!(serving.public_url, "");
    let (status, _) = Client::new(&*serving.admin_url).get("/healthz").await;
    assert_eq!(status, StatusCode::OK);
    assert!(TcpStream::connect(&listen).is_err(), "a scheduler listens on {listen}");
    serving.end();
    // A gateway with the same configuration has it.
    let serving = vars.serve(&["--role", "gateway"]);
    assert_eq!(address(&serving.public_url), listen);
    assert!(TcpStream::connect(&listen).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_in_flight_complete_during_shutdown() {
    let serving = serve(&[]).await;
    let body = r#"{"name":"finished"}"#;
    let mut stream = TcpStream::connect(address(&serving.admin_url)).unwrap();
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
    write!(
        stream,
        "POST /admin/v1/projects HTTP/1.1\r\nhost: {}\r\nx-dev-admin-token: admin-token-of-the-tests\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        address(&serving.admin_url),
        body.len()
    )
    .unwrap();
    // The server asks for the body, so the request is being handled.
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100 "));
    serving.signal(Signal::SIGTERM);
    // The listeners close once the signal is received.
    eventually("the public listener is closed", async || {
        TcpStream::connect(address(&serving.public_url)).is_err().then_some(())
    })
    .await;
    stream.write_all(body.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 201 "), "{response}");
    assert_eq!(serving.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn server_refuses_to_start_with_a_master_key_that_opens_nothing() {
    let url = Postgres::shared().platform_database().await;
    let vars = ProgramVars::external(&url);
    let serving = vars.serve(&[]);
    let admin = Client::new(&*serving.admin_url).with_header("x-dev-admin-token", ADMIN_TOKEN);
    let (status, body) = admin.post("/admin/v1/projects", json!({ "name": "sealed" })).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    serving.end();
    let other = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let refused = vars.clone().set("PLATFORM_MASTER_KEY", other).run(&["serve"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("opens none of the encrypted values"), "{refused:?}");
    // With this wrong key, the commands would encrypt values that the server can't decrypt.
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "hidden").unwrap();
    let secret = format!("token={}", secret.path().display());
    for (previous, arguments) in [
        ("", &["plugin", "approve", "backup", "--secret", secret.as_str(), "--yes"][..]),
        ("AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=", &["keys", "rotate-master"][..]),
    ] {
        let vars = vars.clone().set("PLATFORM_MASTER_KEY", other).set("PLATFORM_MASTER_KEY_PREVIOUS", previous);
        let refused = vars.run(arguments);
        assert_eq!(refused.code, Some(1), "{arguments:?}: {refused:?}");
        assert!(refused.stderr.contains("opens none of the encrypted values"), "{arguments:?}: {refused:?}");
    }
    // If the key is lost, the owner can start anyway, to restore backups into new projects.
    vars.clone().set("PLATFORM_MASTER_KEY", other).serve(&["--accept-unreadable-values"]).end();
    // While the key is being replaced, the old one decrypts the values.
    let rotating = vars
        .clone()
        .set("PLATFORM_MASTER_KEY_PREVIOUS", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
        .set("PLATFORM_MASTER_KEY", other);
    rotating.serve(&[]).end();
}
