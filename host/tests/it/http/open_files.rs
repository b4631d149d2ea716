//! The server with a low limit on open files.

use std::process::Command;

use nix::sys::signal::Signal;
use reqwest::StatusCode;

use crate::support::{Client, Postgres, ProgramVars, Serving, Socket, eventually};

/// Starts the server with a limit on open files.
async fn serve(open_files: u64, vars: &[(&str, &str)]) -> Serving {
    let url = Postgres::shared().platform_database().await;
    let program = ProgramVars::external(&url).open_files(open_files);
    vars.iter().fold(program, |program, (name, value)| program.set(name, value)).serve(&[])
}

/// Sets the limit on open files of a running server.
fn limit_open_files(serving: &Serving, limit: u64) {
    let status = Command::new("prlimit")
        .args([format!("--pid={}", serving.pid()), format!("--nofile={limit}:4096")])
        .status()
        .expect("prlimit should run");
    assert!(status.success());
}

fn open_files(serving: &Serving) -> u64 {
    std::fs::read_dir(format!("/proc/{}/fd", serving.pid())).expect("the server should run").count() as u64
}

#[tokio::test(flavor = "multi_thread")]
async fn half_open_connections_leave_both_listeners_reachable() {
    let serving = serve(256, &[]).await;
    let mut half_open = Vec::new();
    for number in 0..300 {
        let mut socket = Socket::connect(&serving.public_url).await;
        if number % 2 == 0 {
            // The server may have closed this connection to accept another one.
            let _ = socket.try_send("POST /v1/db/t HTTP/1.1\r\nhost: x\r\n").await;
        }
        half_open.push(socket);
    }
    for url in [&serving.public_url, &serving.admin_url] {
        for path in ["/healthz", "/readyz"] {
            assert_eq!(Client::new(url.as_str()).get(path).await.0, StatusCode::OK, "{url}{path}");
        }
    }
    assert!(open_files(&serving) < 256);
    serving.signal(Signal::SIGTERM);
    assert_eq!(serving.wait().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn server_survives_running_out_of_files() {
    let serving = serve(4096, &[("ATLASHUB_MAX_CONNECTIONS", "4000"), ("ATLASHUB_IDLE_TIMEOUT_SECONDS", "600")]).await;
    let client = Client::new(serving.admin_url.as_str());
    assert_eq!(client.get("/healthz").await.0, StatusCode::OK);
    limit_open_files(&serving, open_files(&serving) + 8);
    let mut sockets = Vec::new();
    for _ in 0..64 {
        sockets.push(Socket::connect(&serving.public_url).await);
    }
    // Waiting connections are closed to accept others.
    eventually("a request is served without free files", async || {
        let mut socket = Socket::connect(&serving.public_url).await;
        let sent = socket.try_send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
        sent.is_ok() && socket.response().await.is_some_and(|response| response.status == 200)
    })
    .await;
    assert_eq!(client.get("/healthz").await.0, StatusCode::OK);
    limit_open_files(&serving, 4096);
    drop(sockets);
    eventually("the server is ready", async || {
        Client::new(serving.public_url.as_str()).get("/readyz").await.0 == StatusCode::OK
    })
    .await;
    let log = serving.end();
    let failures = log.iter().filter(|line| line.contains("could not accept a connection")).count();
    assert!((1..20).contains(&failures), "{failures} lines about connections that were not accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn open_connections_do_not_delay_the_shutdown() {
    let serving = serve(1024, &[]).await;
    let mut sockets = Vec::new();
    for number in 0..40 {
        let url = if number % 2 == 0 { &serving.public_url } else { &serving.admin_url };
        let mut socket = Socket::connect(url).await;
        if number % 4 > 1 {
            socket.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
            assert_eq!(socket.response().await.unwrap().status, 200);
        }
        sockets.push(socket);
    }
    let log = tokio::task::spawn_blocking(|| serving.end()).await.unwrap();
    assert!(!log.iter().any(|line| line.contains("cut off")), "connections without a request were cut off");
    for socket in &mut sockets {
        assert_eq!(socket.closed().await, 0);
    }
}
