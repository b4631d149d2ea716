//! TLS of outgoing connections: certificates of the authority in `ATLASHUB_CA_FILE` are accepted, and other private
//! ones are rejected.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Authority, MailServer, MailTls, TestApp, WebResponse, WebServer, eventually};

/// Starts a platform that may connect to loopback and trusts the given authority.
async fn app_that_trusts(authority: Option<&Authority>) -> TestApp {
    let app = TestApp::builder()
        .var("ATLASHUB_HTTP_ALLOWED_HOSTS", "127.0.0.1+private,localhost+private")
        .var("ATLASHUB_DISK_LOW_PERCENT", "0");
    match authority {
        Some(authority) => app.var("ATLASHUB_CA_FILE", &authority.file()),
        None => app,
    }
    .first_party_plugins()
    .start()
    .await
}

/// Runs a new HTTP job once, and returns the ended run.
async fn run_of_job(app: &TestApp, url: &str) -> Value {
    let job = json!({ "name": "secure", "type": "http", "scheduleCron": "@yearly", "httpUrl": url });
    let (status, job) = app.admin().post("/admin/v1/jobs", job).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    let (status, run) =
        app.admin().post(&format!("/admin/v1/jobs/{}/run", job["id"].as_str().unwrap()), json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{run}");
    let path = format!("/admin/v1/runs/{}", run["runId"].as_str().unwrap());
    eventually("the run's end", async || {
        let (_, run) = app.admin().get(&path).await;
        (!run["finishedAt"].is_null()).then_some(run)
    })
    .await
}

/// Creates a channel, and returns the result of testing it.
async fn test_channel(app: &TestApp, channel: Value) -> Value {
    let (status, channel) = app.admin().post("/admin/v1/notifications", channel).await;
    assert_eq!(status, StatusCode::CREATED, "{channel}");
    let path = format!("/admin/v1/notifications/{}/test", channel["id"].as_str().unwrap());
    app.admin().post(&path, json!({})).await.1
}

#[tokio::test]
async fn https_job_accepts_certificate_of_configured_authority() {
    let authority = Authority::new();
    let respond = |_: &_| WebResponse::with(200, &[], b"hello");
    let server = WebServer::start_tls(authority.server("127.0.0.1"), respond).await;
    let other_name = WebServer::start_tls(authority.server("localhost"), respond).await;
    let untrusted = WebServer::start_tls(Authority::new().server("127.0.0.1"), respond).await;
    let app = app_that_trusts(Some(&authority)).await;

    let run = run_of_job(&app, &server.url("/secure")).await;
    assert_eq!((&run["status"], &run["httpStatus"]), (&json!("success"), &json!(200)), "{run}");
    assert_eq!(server.next().await.target, "/secure");
    let hook = json!({ "name": "H", "kind": "webhook", "events": ["runFailed"], "url": server.url("/hook"),
        "secret": "a-secret-of-the-test" });
    let tested = test_channel(&app, hook).await;
    assert!(tested["error"].is_null(), "{tested}");
    assert_eq!(server.next().await.target, "/hook");

    let check = async |server: &WebServer, reason: &str| {
        let run = run_of_job(&app, &server.url("/")).await;
        assert_eq!(run["status"], "fail", "{run}");
        assert!(run["errorText"].as_str().is_some_and(|text| text.contains(reason)), "{run}");
        assert_eq!(server.count(), 0);
    };
    check(&other_name, "its certificate is for another host name").await;
    // Two authorities have the same name, but only one of them is trusted.
    check(&untrusted, "TLS").await;
}

#[tokio::test]
async fn without_ca_file_only_public_authorities_are_trusted() {
    let authority = Authority::new();
    let server = WebServer::start_tls(authority.server("127.0.0.1"), |_| WebResponse::status(200)).await;
    let app = app_that_trusts(None).await;
    let run = run_of_job(&app, &server.url("/")).await;
    assert_eq!(run["status"], "fail", "{run}");
    let text = run["errorText"].as_str().unwrap();
    assert!(text.contains("untrusted authority") && text.contains("ATLASHUB_CA_FILE"), "{text}");
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn mail_is_sent_over_tls_with_configured_authority() {
    let authority = Authority::new();
    let starttls = MailServer::start_tls(MailTls::Starttls(authority.server("localhost"))).await;
    let wrapped = MailServer::start_tls(MailTls::Wrapped(authority.server("localhost"))).await;
    let another = MailServer::start_tls(MailTls::Starttls(authority.server("mail.example"))).await;
    let app = app_that_trusts(Some(&authority)).await;
    let channel = |server: &MailServer, tls: &str| {
        json!({ "name": "M", "kind": "email", "events": ["runFailed"], "host": "localhost",
            "port": server.address.port(), "tls": tls, "username": "hub", "password": "hunter2",
            "from": "hub@a.example", "to": ["one@b.example"] })
    };
    for (server, tls) in [(&starttls, "starttls"), (&wrapped, "tls")] {
        let tested = test_channel(&app, channel(server, tls)).await;
        assert!(tested["error"].is_null(), "{tls}: {tested}");
        let mail = server.next().await;
        assert!(mail.encrypted && mail.to == ["one@b.example"], "{tls}: {mail:?}");
        assert_eq!(mail.credentials, Some(("hub".to_owned(), "hunter2".to_owned())), "{tls}");
    }

    let refused = async |app: &TestApp, server: &MailServer, reason: &str| {
        let before = server.commands().len();
        let tested = test_channel(app, channel(server, "starttls")).await;
        assert!(tested["error"].as_str().is_some_and(|text| text.contains(reason)), "{tested}");
        let commands = server.commands().split_off(before);
        assert!(commands.iter().all(|line| !line.starts_with("AUTH") && !line.starts_with("MAIL")), "{commands:?}");
    };
    refused(&app, &another, "its certificate is for another host name").await;
    refused(&app_that_trusts(None).await, &starttls, "ATLASHUB_CA_FILE").await;
}
