//! E-mail to several addresses: the delivery to one address does not affect the deliveries to the others.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::{Value, json};

use crate::{
    notifications::{
        delivery::{app_for, create_channel, deliveries, failed, states},
        retries::make_due,
    },
    support::{MailServer, TestApp, eventually},
};

async fn create_mail_channel(app: &TestApp, server: &MailServer, to: &[&str]) -> Value {
    let body = json!({ "name": "Mail", "kind": "email", "events": ["runFailed"], "host": "localhost", "tls": "none",
        "port": server.address.port(), "from": "hub@a.example", "to": to });
    create_channel(app, body).await
}

/// Returns the number of `RCPT` commands for an address that the server received.
fn attempts(server: &MailServer, address: &str) -> usize {
    server.commands().iter().filter(|line| line.starts_with("RCPT") && line.contains(&format!("<{address}>"))).count()
}

#[tokio::test]
async fn refused_address_does_not_affect_the_others() {
    let busy = Arc::new(AtomicBool::new(true));
    let is_busy = busy.clone();
    let server = MailServer::start(move |to| match to {
        "lost@b.example" => Some("550 no such user here".to_owned()),
        "later@b.example" if is_busy.load(Ordering::SeqCst) => Some("451 try again later".to_owned()),
        _ => None,
    })
    .await;
    let app = app_for("localhost+private").await;
    let addresses = ["lost@b.example", "one@b.example", "later@b.example", "two@b.example"];
    let channel = create_mail_channel(&app, &server, &addresses).await;
    let path = format!("/admin/v1/notifications/{}", channel["id"].as_str().unwrap());
    app.app.notifier().notify(failed("First"));
    assert_eq!(server.next().await.to, ["one@b.example"]);
    assert_eq!(server.next().await.to, ["two@b.example"]);
    // Each address that failed has a delivery of its own.
    eventually("the failures are recorded", async || {
        let mut states = states(&app).await;
        states.sort();
        states == ["failed", "pending", "sent"]
    })
    .await;
    let recorded = deliveries(&app).await;
    for (state, address, reply) in [("failed", "lost@b.example", "550"), ("pending", "later@b.example", "451")] {
        let (.., error) = recorded.iter().find(|delivery| delivery.0 == state).unwrap();
        let error = error.as_deref().unwrap();
        assert!(error.starts_with(&format!("{address}: ")) && error.contains(reply), "{error}");
    }
    let shown = app.admin().get(&path).await.1;
    let last_error = shown["lastError"].as_str().unwrap();
    assert!(last_error.contains("lost@b.example: ") && last_error.contains("later@b.example: "), "{shown}");
    assert!(shown["lastSentAt"].is_string(), "{shown}");

    // A new notification in the meantime is sent to all addresses.
    app.app.notifier().notify(failed("Second"));
    assert_eq!(server.next().await.to, ["one@b.example"]);
    assert_eq!(server.next().await.to, ["two@b.example"]);
    eventually("the second is recorded", async || deliveries(&app).await.len() == 6).await;

    busy.store(false, Ordering::SeqCst);
    make_due(&app).await;
    for _ in 0..2 {
        assert_eq!(server.next().await.to, ["later@b.example"]);
        make_due(&app).await;
    }
    eventually("only the refused address failed", async || {
        let mut states = states(&app).await;
        states.sort();
        states == ["failed", "failed", "sent", "sent", "sent", "sent"]
    })
    .await;
    assert_eq!(addresses.map(|address| attempts(&server, address)), [2, 2, 4, 2]);
    let shown = app.admin().get(&path).await.1;
    let last_error = shown["lastError"].as_str().unwrap();
    assert!(last_error.contains("lost@b.example: ") && !last_error.contains("later@b.example"), "{shown}");
}

#[tokio::test]
async fn message_that_no_address_received_stays_one_delivery() {
    let busy = Arc::new(AtomicBool::new(true));
    let is_busy = busy.clone();
    let server = MailServer::start(move |_| is_busy.load(Ordering::SeqCst).then(|| "451 try again".to_owned())).await;
    let app = app_for("localhost+private").await;
    create_mail_channel(&app, &server, &["one@b.example", "two@b.example"]).await;
    app.app.notifier().notify(failed("First"));
    eventually("the attempt is recorded", async || {
        let deliveries = deliveries(&app).await;
        matches!(deliveries.as_slice(), [(state, 1, 1, Some(_))] if state == "pending")
    })
    .await;
    busy.store(false, Ordering::SeqCst);
    make_due(&app).await;
    assert_eq!(server.next().await.to, ["one@b.example"]);
    assert_eq!(server.next().await.to, ["two@b.example"]);
    eventually("the delivery was sent", async || states(&app).await == ["sent"]).await;
}

#[tokio::test]
async fn test_of_a_channel_names_the_refused_address() {
    let server = MailServer::start(|to| (to == "lost@b.example").then(|| "550 no such user".to_owned())).await;
    let app = app_for("localhost+private").await;
    let channel = create_mail_channel(&app, &server, &["lost@b.example", "one@b.example"]).await;
    let path = format!("/admin/v1/notifications/{}/test", channel["id"].as_str().unwrap());
    let (_, result) = app.admin().post(&path, json!({})).await;
    assert_eq!(result["delivered"], false, "{result}");
    let error = result["error"].as_str().unwrap();
    assert!(error.starts_with("lost@b.example: ") && !error.contains("one@b.example"), "{error}");
    assert_eq!(server.next().await.to, ["one@b.example"]);
}
